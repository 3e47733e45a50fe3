#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# driver_build.sh KERNEL | checkpatch | udev
# Builds npu.ko for one kernel from a copy under build/hil/module/KERNEL (kbuild writes beside its sources, and kernels must not
# meet each other's objects), with W=1 and sparse. Any warning fails. 'checkpatch' checks the style of the tracked files instead,
# 'udev' the rule that goes with the driver.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
jobs=$(nproc)

# Findings that do not count are named, with reasons, in the file of options beside this script.
check_style() {
  local files
  mapfile -t files < <(git -C "$root" ls-files 'driver/*.c' 'driver/*.h')
  ((${#files[@]})) || die "there are no files of the driver." "Is this a git checkout with driver/?"
  # shellcheck disable=SC2046  # one option per word
  cd "$root" && perl "$hil/checkpatch/checkpatch.pl" --no-tree --terse --quiet --show-types --no-summary \
    $(sed -n 's/^\(--[^ ]*\).*/\1/p' tests/hil/checkpatch.options) -f "${files[@]}"
}

# copy_sources TO: what changed, and nothing that is gone.
copy_sources() {
  local to=$1 path
  mkdir -p "$to"
  (cd "$root" && find driver uapi -type f ! -name '*.o' ! -name '*.ko' ! -name '*.mod*' ! -name '.*' ! -name npu_config.h) | sort >"$to/sources.new"
  if [[ -f $to/sources ]]; then
    comm -23 "$to/sources" "$to/sources.new" | while IFS= read -r path; do rm -f "$to/$path"; done
  fi
  mv "$to/sources.new" "$to/sources"
  (cd "$root" && xargs -d '\n' cp -u -p --parents -t "$to") <"$to/sources"
}

# The checker says what udevd would ignore with a line in a log: unknown keys, operators that a key does not take, groups that do not exist.
check_rules() {
  in_tree trixie udevadm verify --resolve-names=early --no-style "$root"/driver/*.rules
  grep -q 'GROUP="render", MODE="0660"' "$root"/driver/60-npu.rules || die "the rule gives no group its node." "docs/driver.md, Permissions, says which."
}

case ${1?kernel name, checkpatch or udev} in
  checkpatch) check_style; exit ;;
  udev) check_rules; exit ;;
esac
kernel=$1
tree=$(kernel_field "$kernel" 2)
to=$hil/module/$kernel
[[ -f $root/driver/Kbuild ]] || die "there is no driver/Kbuild." "The driver's sources belong into driver/."
copy_sources "$to"
arguments=(-j "$jobs" -C "$(kernel_build_dir "$kernel")" "M=$to/driver" W=1)
log=$to/build.log
# 7.3 refuses the sparse that Debian has (0.6.4), so sparse sees the source with the headers of 6.12.
if [[ $kernel != 7.3 ]]; then arguments+=(C=1); fi
case $tree in
  bookworm)
    if ! command -v gcc-12 >/dev/null; then
      echo "skipped: Debian 12's kernel is built by gcc-12, which this machine does not have"
      exit 77
    fi
    # Type information for BPF would need pahole of this machine; nothing here looks at it.
    arguments+=(CONFIG_DEBUG_INFO_BTF_MODULES=)
    builder=() ;;
  debug) builder=(in_tree trixie) ;;
  *) builder=(in_tree "$tree") ;;
esac
"${builder[@]}" make "${arguments[@]}" modules >"$log" 2>&1 || {
  cat "$log"
  die "npu.ko does not build for $kernel ($(kernel_field "$kernel" 3))." "One kernel again: ./dev hil -R driver.build.$kernel"
}
# Objects that are up to date say nothing, so a warning must not become an up-to-date object.
if grep -E '(warning|error):|^WARNING|^ERROR' "$log"; then
  find "$to/driver" -name '*.o' -delete
  die "npu.ko builds for $kernel with warnings (above)." "All of it: $log"
fi
echo "npu.ko for $kernel ($(kernel_field "$kernel" 3)): $(stat -c %s "$to/driver/npu.ko") bytes, no warnings"
