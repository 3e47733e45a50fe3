#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# container.sh DEVICE_QUERY NPU_SMI: both programs in the surroundings of a container: read-only sysfs, a PID namespace of its own, 64 KiB of locked memory.
# 77: this machine does not let us make such surroundings.
set -u
device_query=$1
npu_smi=$2

if [ "${NPU_GATE_INSIDE-}" = "" ]; then
  unshare --mount --pid --fork --mount-proc true 2>/dev/null || {
    echo "no namespaces here (unshare failed)" >&2
    exit 77
  }
  folder=$(mktemp -d "${TMPDIR:-/tmp}/npu-gate.XXXXXX") || exit 1
  NPU_GATE_INSIDE=1 XDG_RUNTIME_DIR=$folder unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
  code=$?
  rm -rf "$folder"
  exit $code
fi

fail() {
  echo "container: $*" >&2
  exit 1
}
mount --rbind /sys /sys || fail "cannot mount sysfs anew"
mount -o remount,ro,bind /sys || fail "cannot make sysfs read-only"
ulimit -l 64 || fail "cannot limit locked memory"
[ "$(ulimit -l)" = 64 ] || fail "the limit of locked memory does not hold"

# Both roads of the model work as anywhere.
for road in inproc:tiny model:tiny; do
  NPU_DEVICE=$road NPU_MODEL_IDLE_S=1 "$device_query" >/dev/null || fail "device_query fails on $road"
  NPU_DEVICE=$road NPU_MODEL_IDLE_S=1 "$npu_smi" --format json >/dev/null || fail "npu-smi fails on $road"
done
# A device that was not passed in: an exit code of its own and a sentence that says where to look, not a crash.
text=$(NPU_DEVICE=accel:/dev/accel/accel77 "$npu_smi" 2>&1 >/dev/null)
code=$?
[ $code -eq 6 ] || fail "npu-smi ends with $code where there is no device: $text"
case $text in
  *NPU_DEVICE*) ;;
  *) fail "the message does not tell where to look: $text" ;;
esac
# The doctor tells of the small limit.
text=$(NPU_DEVICE=inproc:tiny "$npu_smi" doctor 2>&1)
case $text in
  *warn*"locked memory"*) ;;
  *) fail "npu-smi doctor does not warn of the limit of locked memory: $text" ;;
esac
exit 0
