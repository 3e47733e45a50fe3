#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the debug kernel once: Debian 13's source of 6.12 with tests/hil/debug.config, into build/hil/debug (obj/ and root/).
# The cache key is the fragment, this file and the kernel's release. An interrupted build goes on where it was.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

to=$hil/debug
fragment=$root/tests/hil/debug.config
key=$(cat "$fragment" "${BASH_SOURCE[0]}" "$hil/trixie/.kernels" | sha256sum | cut -c 1-16)
if [[ -f $to/.stamp && $(<"$to/.stamp") == "$key" ]] && grep -q '^debug ' "$kernels"; then exit 0; fi

((EUID == 0)) || die "the kernel's source is fetched with the tree's apt, which needs root." "Run this once: sudo ./dev hil --debug-kernel"
exec {lock}>"$hil/debug.lock"
flock -n "$lock" || { say "another run builds the debug kernel; waiting for it"; flock "$lock"; }
free_mib=$(df -Pm "$hil" | awk 'NR == 2 { print $4 }')
((free_mib >= 8192)) || die "the debug kernel needs 8 GiB of disk to build, $free_mib MiB are free." "Make room, or let build/hil be a link to a larger disk."
mkdir -p "$hil/log" "$to/obj"

if [[ ! -f $hil/trixie/.debug_tools ]]; then
  run_step "debug kernel: build tools" "$hil/log/debug_tools.log" in_tree trixie bash -ec \
    'apt-get update; apt-get install bc bison flex libelf-dev libssl-dev; apt-get clean' || die "apt-get failed in the Debian 13 tree." "$hil/log/debug_tools.log"
  touch "$hil/trixie/.debug_tools"
fi
# A source tree is complete when its mark is there.
stable=$(awk '$1 == "6.12" { print $3 }' "$hil/trixie/.kernels")
if [[ ! -f $to/source/.unpacked || $(<"$to/source/.unpacked") != "$stable" ]]; then
  rm -rf "${to:?}/source"
  mkdir -p "$to/source"
  run_step "debug kernel: source" "$hil/log/debug_source.log" in_tree trixie bash -ec "cd $to/source
    apt-get -o APT::Sandbox::User=root download linux-source-6.12
    dpkg-deb --fsys-tarfile *.deb | tar -xOf - --wildcards './usr/src/linux-source-*.tar.xz' | tar -xJf - --strip-components=1 \
      --exclude='*/drivers/gpu/drm/amd/*.[ch]' --exclude='*/Documentation/*.rst' --exclude='*/tools/testing/*'
    rm *.deb" || die "the kernel's source could not be fetched." "$hil/log/debug_source.log"
  echo "$stable" >"$to/source/.unpacked"
fi

release=$(awk '/^(VERSION|PATCHLEVEL|SUBLEVEL) =/ { printf "%s%s", dot, $3; dot = "." }' "$to/source/Makefile")-npu-debug
in_obj() { in_tree trixie nice -n 19 make -C "$to/source" O="$to/obj" ARCH=x86 LOCALVERSION=-npu-debug KERNELRELEASE="$release" -j "$(nproc)" "$@"; }

configure_kernel() {
  local line missing=0
  in_obj x86_64_defconfig
  # The last word on a symbol counts, so the fragment goes after the defaults.
  cat "$fragment" >>"$to/obj/.config"
  in_obj olddefconfig
  while IFS= read -r line; do
    grep -qxF "$line" "$to/obj/.config" || { echo "not taken over by the kernel's configuration: $line"; missing=1; }
  done < <(grep -E '^CONFIG_[A-Z0-9_]+=[ym]$' "$fragment")
  return "$missing"
}

run_step "debug kernel: configuration" "$hil/log/debug_config.log" configure_kernel ||
  die "the kernel does not take the configuration of tests/hil/debug.config (the last lines are above)." "$hil/log/debug_config.log"
run_step "debug kernel $release: build (about 10 minutes on two idle cores)" "$hil/log/debug_build.log" in_obj bzImage modules ||
  die "the debug kernel does not build." "$hil/log/debug_build.log; the next run goes on from there."
rm -rf "${to:?}/root"
mkdir -p "$to/root/boot" "$to/root/usr"
run_step "debug kernel: modules" "$hil/log/debug_install.log" in_obj INSTALL_MOD_PATH="$to/root/usr" modules_install ||
  die "the modules could not be installed." "$hil/log/debug_install.log"
# QEMU takes an unpacked kernel only with the note of PVH, which needs the hypervisor guests' half of the kernel.
cp "$to/obj/arch/x86/boot/bzImage" "$to/root/boot/vmlinuz-$release"
# Objects have done their work; what modules are built against stays.
find "$to/obj" \( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name 'vmlinux*' \) ! -path "*/scripts/*" ! -path "*/tools/*" -delete
echo "debug debug $release" >"$to/.kernels"
{ cat "$hil"/{trixie,bookworm}/.kernels "$to/.kernels"; } >"$kernels.part"
mv "$kernels.part" "$kernels"
echo "$key" >"$to/.stamp"
