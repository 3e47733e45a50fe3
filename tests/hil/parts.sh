#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes what the virtual machine needs, once, under build/hil/:
#   trixie/    Debian 13: kernel 6.12 with modules and headers, compiler, sparse, busybox, udev's checker, QEMU from backports, kernel 7.3 from backports
#   bookworm/  the headers of Debian 12's backported kernel 6.12, unpacked; the host's own compiler builds with them
#   checkpatch/  checkpatch.pl and its word lists, from the source of 6.12
# A part is made aside and renamed when complete, so an interrupted run leaves nothing behind that looks complete. The
# stamp of a part is the hash of the function that makes it.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

part= # folder being made

recipe_hash() { declare -f "make_$1" configure_apt latest_kernel unpack_kernel unpack_image | sha256sum | cut -c 1-16; }

fresh() { [[ -f $hil/$1/.stamp && $(<"$hil/$1/.stamp") == "$(recipe_hash "$1")" ]]; }

mirror_failed() {
  die "$1 (the log is $2)." "Is the Debian mirror reachable? Another one: NPU_DEBIAN_MIRROR=http://.../debian ./dev hil. The next run starts this part again."
}

# Small and quick: no documentation, no recommended packages, no waiting for the disk.
configure_apt() {
  local tree=$1 mirror
  mirror=$(awk '$1 == "deb" { print $2; exit }' "$tree/etc/apt/sources.list")
  printf 'deb %s %s main\n' "$mirror" trixie "$mirror" trixie-updates "$mirror" trixie-backports "$mirror" bookworm-backports >"$tree/etc/apt/sources.list"
  printf '%s\n' force-unsafe-io path-exclude=/usr/share/{doc,man,locale,info,lintian}/'*' >"$tree/etc/dpkg/dpkg.cfg.d/hil"
  printf '%s\n' 'APT::Install-Recommends "false";' 'APT::Get::Assume-Yes "true";' 'Acquire::Languages "none";' 'Acquire::Retries "3";' >"$tree/etc/apt/apt.conf.d/hil"
}

# latest_kernel PACKAGE WITH [WITHOUT]: the release behind the newest version of a meta package whose version holds WITH and does not hold WITHOUT.
# Reads to the end: apt-cache fails when nobody takes the rest of its answer.
latest_kernel() {
  in_tree "$part" apt-cache show "$1" | awk -v with="$2" -v without="${3-}" '
    /^Version:/ { fits = (with == "" || index($2, with)) && (without == "" || !index($2, without)) }
    /^Depends:/ && fits && !found && match($0, /linux-headers-[0-9][^ ,]*-amd64/) { print substr($0, RSTART + 14, RLENGTH - 14); found = 1 }'
}

# unpack_kernel RELEASE PACKAGE...: linux-PACKAGE-RELEASE and what the headers need, unpacked only: installing them would bring an initramfs, udev and
# more, and with QEMU's backport an argument over libelf.
unpack_kernel() {
  local release=$1 packages
  shift
  packages=("${@/%/-$release}" "headers-${release%-amd64}-common" "kbuild-${release%-amd64}")
  run_step "Debian 13: kernel $release" "$hil/log/kernel.log" in_tree "$part" bash -ec "mkdir /debs; cd /debs
    apt-get -o APT::Sandbox::User=root download ${packages[*]/#/linux-}
    for deb in *.deb; do dpkg-deb --fsys-tarfile \$deb | tar -xf - -C / --keep-directory-symlink --exclude='./usr/share/*'; done
    rm -r /debs; depmod $release" || mirror_failed "the kernel $release could not be fetched" "$hil/log/kernel.log"
}

# unpack_image TREE IMAGE RELEASE: writes boot/vmlinux-RELEASE. Booting it spares the guest the unpacking, two seconds of emulation.
unpack_image() {
  local at
  while read -r at; do
    tail -c "+$((at + 1))" "$2" | in_tree "$part" zstd -dc >"$1/boot/vmlinux.part" 2>/dev/null || true  # what follows the kernel is no zstd
    if [[ $(head -c 4 "$1/boot/vmlinux.part") == $'\x7fELF' ]]; then
      mv "$1/boot/vmlinux.part" "$1/boot/vmlinux-$3"
      return
    fi
  done < <(LC_ALL=C grep -aboP '\x28\xb5\x2f\xfd' "$2" | LC_ALL=C cut -d : -f 1 || true)
  rm -f "$1/boot/vmlinux.part"
  say "the image of $3 is not packed by zstd; the guest will unpack it at each boot"
}

make_trixie() {
  local tree=$hil/$part stable newer
  run_step "Debian 13: base system" "$hil/log/base.log" debootstrap --variant=minbase trixie "$tree" ${mirror:+"$mirror"} ||
    mirror_failed "debootstrap failed" "$hil/log/base.log"
  configure_apt "$tree"
  run_step "Debian 13: package lists" "$hil/log/lists.log" in_tree "$part" apt-get update || mirror_failed "apt-get update failed" "$hil/log/lists.log"
  stable=$(latest_kernel linux-headers-amd64 "" bpo)
  newer=$(latest_kernel linux-headers-amd64 bpo13)
  [[ -n $stable && -n $newer ]] || die "the mirror has no kernel headers for Debian 13 ('$stable') or its backports ('$newer')." "Try another mirror: NPU_DEBIAN_MIRROR=... ./dev hil"
  run_step "Debian 13: tools and QEMU" "$hil/log/tools.log" in_tree "$part" apt-get install gcc make kmod sparse busybox-static perl udev xz-utils zstd pahole \
    {qemu-system-x86,qemu-system-common,qemu-system-data,seabios}/trixie-backports || mirror_failed "apt-get failed" "$hil/log/tools.log"
  unpack_kernel "$stable" image headers
  unpack_kernel "$newer" base modules binary headers  # base: what is built in
  unpack_image "$tree" "$tree/boot/vmlinuz-$stable" "$stable"
  unpack_image "$tree" "$tree/usr/lib/modules/$newer/vmlinuz" "$newer"
  printf '%s\n' "6.12 trixie $stable" "7.3 trixie $newer" >"$tree/.kernels"
  in_tree "$part" apt-get clean
}

make_bookworm() {
  local tree=$hil/$part release
  release=$(part=trixie latest_kernel linux-headers-amd64 bpo12)
  [[ -n $release ]] || die "the mirror has no kernel headers of Debian 12's backports." "Try another mirror: NPU_DEBIAN_MIRROR=... ./dev hil"
  mkdir -p "$tree"
  run_step "Debian 12: headers $release" "$hil/log/bookworm.log" in_tree trixie bash -ec "cd $tree
    apt-get -o APT::Sandbox::User=root download linux-headers-$release linux-headers-${release%-amd64}-common linux-kbuild-${release%-amd64}
    for deb in *.deb; do dpkg-deb -x \$deb .; done; rm *.deb" || mirror_failed "the headers of Debian 12 could not be fetched" "$hil/log/bookworm.log"
  # The package's Makefile names /usr/src; unpacked it has to find its other half beside itself.
  # shellcheck disable=SC2016  # make expands
  printf 'include $(dir $(realpath $(lastword $(MAKEFILE_LIST))))../linux-headers-%s-common/Makefile\n' "${release%-amd64}" >"$tree/usr/src/linux-headers-$release/Makefile"
  echo "6.12-bookworm bookworm $release" >"$tree/.kernels"
}

make_checkpatch() {
  local tree=$hil/$part
  mkdir -p "$tree"
  run_step "checkpatch.pl from the source of 6.12" "$hil/log/checkpatch.log" in_tree trixie bash -ec "cd $tree
    apt-get -o APT::Sandbox::User=root download linux-source-6.12
    dpkg-deb --fsys-tarfile *.deb | tar -xOf - --wildcards './usr/src/linux-source-*.tar.xz' |
      tar -xJf - --wildcards --strip-components=2 '*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch'
    rm *.deb" || mirror_failed "the kernel's source could not be fetched" "$hil/log/checkpatch.log"
}

# make_part NAME: nothing when its stamp is right.
make_part() {
  fresh "$1" && return 0
  part=$1.part
  rm -rf "${hil:?}/$part"
  "make_$1"
  recipe_hash "$1" >"$hil/$part/.stamp"
  rm -rf "${hil:?}/$1.old"
  if [[ -d $hil/$1 ]]; then mv "$hil/$1" "$hil/$1.old"; fi
  mv "$hil/$part" "$hil/$1"
  rm -rf "${hil:?}/$1.old"
}

if fresh trixie && fresh bookworm && fresh checkpatch && [[ -f $kernels ]]; then exit 0; fi
((EUID == 0)) || die "debootstrap needs root to make build/hil/." "Run this once: sudo ./dev hil (later runs need no root when user namespaces are allowed)."
mkdir -p "$hil/log"
exec {lock}>"$hil/lock"
flock -n "$lock" || { say "another run makes build/hil/; waiting for it"; flock "$lock"; }
free_mib=$(df -Pm "$hil" | awk 'NR == 2 { print $4 }')
((free_mib >= 3072)) || die "build/hil/ needs 3 GiB of disk, $free_mib MiB are free." "Make room, or let build/hil be a link to a larger disk."
mirror=$(host_mirror)
start=$SECONDS
for name in trixie bookworm checkpatch; do make_part "$name"; done
{ cat "$hil"/{trixie,bookworm}/.kernels; if [[ -f $hil/debug/.kernels ]]; then cat "$hil/debug/.kernels"; fi; } >"$kernels.part"
mv "$kernels.part" "$kernels"
say "parts of the virtual machine: ready after $((SECONDS - start)) s, $(du -sm "$hil/trixie" | cut -f 1) MiB"
