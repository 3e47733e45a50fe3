# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of the hardware-in-the-loop road share. Source it; it does nothing by itself.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
hil=$root/build/hil
kernels=$hil/kernels  # lines "<name> <tree> <release>", written by parts.sh and debug_kernel.sh

say() { printf '%s\n' "hil: $*"; }

# die MESSAGE REMEDY
die() {
  printf 'hil: %s\n     %s\n' "$1" "$2" >&2
  exit 1
}

# run_step LABEL LOG COMMAND...: runs the command with its output in LOG and says every few seconds how far it is.
run_step() {
  local label=$1 log=$2 start=$SECONDS last=$SECONDS pid code=0
  shift 2
  say "$label"
  ("$@") >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - last >= 5)); then
      last=$SECONDS
      say "$label: $((SECONDS - start)) s, $(tail -c 400 "$log" | tr -c '[:print:]\n' ' ' | tail -n 1 | cut -c 1-90)"
    fi
  done
  wait "$pid" || code=$?
  if ((code != 0)); then tail -n 12 "$log" >&2; fi
  if ((code == 0)); then say "$label: done in $((SECONDS - start)) s"; fi
  return "$code"
}

# private_mounts COMMAND...: runs it with mounts that nobody else sees and that end with it; as root, or as root of a new user namespace.
private_mounts() {
  local flags=(--mount --pid --fork --kill-child)
  if ((EUID != 0)); then flags+=(--map-root-user); fi
  unshare "${flags[@]}" "$@"
}

# in_tree TREE COMMAND...: in the chroot, with /proc (objtool reads limits there), a /tmp of its own, and this repository at its own path.
in_tree() {
  # shellcheck disable=SC2016  # the inner shell expands
  private_mounts bash -ec 'tree=$1 root=$2; shift 2
    mount -t proc proc "$tree/proc"
    # Each make is process 1 or so of its own namespace, and names the pipe of its jobs by that.
    mount -t tmpfs tmp "$tree/tmp"
    mkdir -p "$tree$root"
    mount --bind "$root" "$tree$root"
    exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C DEBIAN_FRONTEND=noninteractive INITRD=No "$@"' \
    hil "$hil/$1" "$root" "${@:2}"
}

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
