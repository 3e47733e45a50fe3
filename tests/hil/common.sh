# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of the hardware-in-the-loop road share. Source it; it does nothing by itself.
speaker=hil
# shellcheck source-path=SCRIPTDIR/../.. source=tools/shell/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/shell/steps.sh"

hil=$root/build/hil
kernels=$hil/kernels  # lines "<name> <tree> <release>", written by parts.sh and debug_kernel.sh

# in_tree TREE COMMAND...: in_root for the trees below build/hil (objtool reads limits in /proc).
in_tree() { in_root "$hil/$1" "${@:2}"; }

# kernel_field NAME FIELD: 2 is the tree, 3 the release.
kernel_field() {
  awk -v name="$1" -v field="$2" '$1 == name { print $field; found = 1 } END { exit !found }' "$kernels" 2>/dev/null ||
    die "there is no kernel '$1'." "Known: $(awk '{ printf "%s ", $1 }' "$kernels" 2>/dev/null); ./dev hil makes them, ./dev hil --debug-kernel makes 'debug'."
}

# kernel_build_dir NAME: the KDIR, as the compiler sees it that builds for this kernel.
kernel_build_dir() {
  local tree release
  tree=$(kernel_field "$1" 2)
  release=$(kernel_field "$1" 3)
  case $tree in
    bookworm) echo "$hil/bookworm/usr/src/linux-headers-$release" ;;
    debug) echo "$hil/debug/obj" ;;
    *) echo "/usr/src/linux-headers-$release" ;;
  esac
}
