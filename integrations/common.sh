# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of the integrations share. Source it; it does nothing by itself.
# Frameworks come from Debian's packages, in trees of their own (chroots) below build/integrations: the machine stays as it is, and each runs with the C library that it was built for.
# shellcheck source-path=SCRIPTDIR/.. source=tools/shell/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/shell/steps.sh"

trees=$root/build/integrations
mkdir -p "$trees/log"

# make_tree SUITE PACKAGE...: a tree of Debian's suite with the packages, once; made aside and renamed when complete.
make_tree() {
  local suite=$1 tree=$trees/$1 part=$trees/$1.part stamp mirror
  shift
  stamp="$*"
  if [[ -f $tree/.stamp && $(<"$tree/.stamp") == "$stamp" ]]; then return; fi
  ((EUID == 0)) || die "the tree of Debian $suite is made by debootstrap, which needs root." "Run this once: sudo ./dev integrations build"
  mirror=$(host_mirror)
  rm -rf "$part" "$tree"
  run_step "Debian $suite: base system" "$trees/log/base.log" debootstrap --variant=minbase "$suite" "$part" ${mirror:+"$mirror"} ||
    die "debootstrap failed (the log is $trees/log/base.log)." "Is the Debian mirror reachable? Another one: NPU_DEBIAN_MIRROR=http://.../debian"
  printf '%s\n' force-unsafe-io path-exclude=/usr/share/{doc,man,locale,info,lintian}/'*' >"$part/etc/dpkg/dpkg.cfg.d/integrations"
  printf '%s\n' 'APT::Install-Recommends "false";' 'APT::Get::Assume-Yes "true";' 'Acquire::Languages "none";' 'Acquire::Retries "3";' \
    'Acquire::Check-Valid-Until "false";' >"$part/etc/apt/apt.conf.d/integrations"
  run_step "Debian $suite: $*" "$trees/log/packages.log" in_root "$part" bash -ec "apt-get update; apt-get install $*; apt-get clean" ||
    die "a package is missing in Debian $suite (the log is $trees/log/packages.log): one of $*." "apt's last lines, above, name it."
  rm -rf "$part"/var/lib/apt/lists
  echo "$stamp" >"$part/.stamp"
  mv "$part" "$tree"
}
