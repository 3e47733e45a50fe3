# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What scripts share that take long steps and work in trees of another Debian. Source it; it does nothing by itself. Set |speaker| for another name before its messages.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${speaker:=dev}"

say() { printf '%s\n' "$speaker: $*"; }

# die MESSAGE REMEDY
die() {
  printf '%s: %s\n     %s\n' "$speaker" "$1" "$2" >&2
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

# in_root TREE COMMAND...: in the chroot, with /proc, a /tmp of its own, and this repository at its own path.
in_root() { in_root_with "" "$@"; }

# in_root_with FOLDER TREE COMMAND...: the same, with one more folder (or none) at its own path, to be read only.
in_root_with() {
  # shellcheck disable=SC2016  # the inner shell expands
  private_mounts bash -ec 'more=$1 tree=$2 root=$3; shift 3
    mount -t proc proc "$tree/proc"
    # Each make is process 1 or so of its own namespace, and names the pipe of its jobs by that.
    mount -t tmpfs tmp "$tree/tmp"
    mkdir -p "$tree$root"
    mount --bind "$root" "$tree$root"
    if [[ -n $more ]]; then
      mount --bind "$more" "$tree$more"
      mount -o remount,bind,ro "$tree$more"
    fi
    exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C DEBIAN_FRONTEND=noninteractive INITRD=No "$@"' \
    "$speaker" "$1" "$2" "$root" "${@:3}"
}

# The mirror that this machine uses anyway; empty (debootstrap's default) when it is not a Debian machine.
host_mirror() {
  if [[ -n ${NPU_DEBIAN_MIRROR-} ]]; then echo "$NPU_DEBIAN_MIRROR"; return; fi
  # shellcheck disable=SC2016  # $(...) is apt's own format
  apt-get indextargets --format '$(REPO_URI) $(SUITE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    awk '$2 !~ /security/ { print $1; exit }'
}
