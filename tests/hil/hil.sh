#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./dev hil: [-R name] [--kernel 6.12|7.3] [--debug-kernel] [--shell] [--targets: print what ninja has to build] [argument of ctest...]
# Expects the targets of the plan to be built (dev does it). docs/hil.md describes the road.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
here=$root/tests/hil

kernel=6.12 shell=0 lists_targets=0 only='' arguments=()
while (($#)); do
  case $1 in
    --targets) lists_targets=1 ;;
    --kernel) kernel=${2?--kernel needs a name}; shift ;;
    --debug-kernel) kernel=debug ;;
    --shell) shell=1 ;;
    -R) only=${2?-R needs a regular expression}; arguments+=(-R "$only"); shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

case $kernel in
  6.12 | 7.3 | debug) ;;
  *) die "no machine boots a kernel '$kernel'." "Use --kernel 6.12 or --kernel 7.3, or --debug-kernel (docs/hil.md)." ;;
esac
if ((lists_targets)); then exec python3 -B "$here/plan.py" targets; fi

"$here/parts.sh"
if [[ $kernel == debug ]]; then "$here/debug_kernel.sh"; fi
kernel_field "$kernel" 3 >/dev/null
if ((shell)); then
  "$here/driver_build.sh" "$kernel"
  exec "$here/boot.py" --kernel "$kernel" --shell
fi

run=$hil/run/$kernel
tests=$hil/ctest/$kernel
builds='6.12;7.3;6.12-bookworm' boot_seconds=900
if [[ $kernel == debug ]]; then builds=debug boot_seconds=5400; fi
mkdir -p "$run" "$tests"
cmake -S "$here" -B "$tests" -DNPU_HIL_KERNEL="$kernel" -DNPU_HIL_RUN="$run" -DNPU_HIL_BUILDS="$builds" -DNPU_HIL_BOOT_SECONDS="$boot_seconds" \
  >"$tests/configure.log" 2>&1 || { tail -n 20 "$tests/configure.log" >&2; die "the tests could not be listed." "All of it: $tests/configure.log"; }

# ctest shows nothing of a test that is still running, and the machine is one test: its progress comes beside.
: >"$run/progress"
tail -n 0 -F "$run/progress" 2>/dev/null > >(sed -u 's/^/hil: guest: /') &
follower=$!
trap 'kill "$follower" 2>/dev/null || true' EXIT
# One result wanted: the guest runs only that test.
NPU_HIL_ONLY=$only ctest --test-dir "$tests" -j "$(nproc)" --output-on-failure --no-tests=error "${arguments[@]}"
