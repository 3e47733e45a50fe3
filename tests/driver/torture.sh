#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Bad days of the kernel driver, played in the guest of ./dev hil as root: torture.sh CASE [COUNT]
#
#   resets      device resets under load                     kills    clients die by SIGKILL with everything in their hands, then rmmod
#   unplug      the device goes away under load, and is back signals  calls under a storm of signals
#   reload      rmmod and insmod in a loop                   irqs     lost and spurious interrupts under load
#   firmware    it does not boot, speaks another ABI, hangs  hang     a kernel that never ends; the watchdog and close() end it
#   ras         memory errors: poison, retirement, records   sleep    runtime suspend, reset by the PCI core
#
# Each case ends with a census: what debugfs counts is what it was before. The kernel's log is looked at by the host.
# Needs: npu_load in the PATH, debugfs at /sys/kernel/debug, the module at $NPU_KO, NPU_DEVICE=accel:/dev/accel/accel0.
set -u

case_name=${1:-}
count=${2:-}
ko=${NPU_KO:-/lib/modules/npu.ko}

fail() {
  echo "torture $case_name: $*" >&2
  exit 1
}

# The device that the loads use (NPU_DEVICE names accel0): its PCI address, its folders and its census.
address() {
  [ -e /sys/class/accel/accel0 ] && basename "$(readlink -f /sys/class/accel/accel0/device)"
}
sys() { echo "/sys/bus/pci/devices/$(address)"; }
debug() { echo "/sys/kernel/debug/accel/$(address)"; }

inject() { echo "$*" > "$(debug)/inject" || fail "inject $*"; }
attribute() { cat "$(sys)/npu/$1"; }
reset_device() { echo 1 > "$(sys)/npu/reset"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  limit=$(($(cut -d. -f1 /proc/uptime) + $1))
  shift
  until "$@"; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$limit" ] || return 1
    usleep 50000
  done
}

is_state() { [ "$(attribute state 2>/dev/null)" = "$1" ]; }
is_there() { [ -n "$(address)" ] && [ -e /dev/accel/accel0 ]; }
is_ready() { is_there && { is_state ready || is_state asleep; }; }

# What lives, without what only grows. Files and memory on its way back are gone a moment after their owner.
census() { grep -E '^(files|bos|vms|queues|mappings|retiring_fresh|retiring_waiting|hbm_object_bytes|hbm_free_bytes) ' "$(debug)/objects"; }
# Into $before, once nothing of an earlier case is on its way back.
is_at_rest() { [ "$(grep -cE '^retiring_(fresh|waiting) 0$' "$(debug)/objects")" = 2 ]; }
take_census() {
  wait_for 20 is_at_rest || fail "memory of an earlier case does not come back: $(census)"
  before=$(census)
}
census_is() { [ "$(census)" = "$1" ]; }
expect_census() { wait_for 20 census_is "$1" || fail "leak: was [$1] is [$(census)]"; }

load() {
  npu_load "$@" &
  loads="$loads $!"
}
loads=
expect_loads() {
  for pid in $loads; do
    wait "$pid" || fail "npu_load ended with $?"
  done
  loads=
}
works() { npu_load --seconds 1 --threads 1 >/dev/null || fail "the device does not work afterwards"; }

torture_resets() {
  take_census
  epoch=$(attribute epoch)
  # As long as it takes: the load is ended below.
  load --seconds 1200 --threads 2 --allow reset
  i=0
  while [ $i -lt "${count:-200}" ]; do
    reset_device || fail "reset $i"
    i=$((i + 1))
  done
  # shellcheck disable=SC2086
  kill -0 $loads 2>/dev/null || fail "the load ended before the resets did"
  # shellcheck disable=SC2086
  kill -TERM $loads
  wait
  loads=
  [ "$(attribute epoch)" -ge $((epoch + ${count:-200})) ] || fail "epoch $(attribute epoch)"
  works
  expect_census "$before"
}

torture_unplug() {
  i=0
  while [ $i -lt "${count:-5}" ]; do
    load --seconds 60 --threads 2 --allow unplug
    wait_for 20 busy || fail "no load"
    gone=$(sys)
    echo 1 > "$gone/remove"
    expect_loads
    [ ! -e "$gone" ] || fail "the device is still there"
    echo 1 > /sys/bus/pci/rescan
    wait_for 20 is_ready || fail "it did not come back"
    i=$((i + 1))
  done
  works
}
busy() { [ "$(sed -n 's/^queues //p' "$(debug)/objects")" -gt 0 ]; }

torture_kills() {
  take_census
  i=0
  while [ $i -lt 8 ]; do
    load --seconds 60 --threads 2 --seed $i --hold
    i=$((i + 1))
  done
  wait_for 40 busy || fail "no client holds a queue"
  # shellcheck disable=SC2086
  kill -9 $loads
  wait
  loads=
  expect_census "$before"
  rmmod npu || fail "rmmod"
  insmod "$ko" || fail "insmod"
  wait_for 20 is_ready || fail "not ready after insmod"
  works
}

torture_signals() {
  take_census
  load --seconds "${count:-10}" --threads 2 --signals
  expect_loads
  expect_census "$before"
}

torture_reload() {
  i=0
  while [ $i -lt "${count:-100}" ]; do
    rmmod npu || fail "rmmod $i"
    insmod "$ko" || fail "insmod $i"
    i=$((i + 1))
  done
  wait_for 20 is_ready || fail "not ready"
  works
}

torture_irqs() {
  take_census
  load --seconds "${count:-10}" --threads 2
  wait_for 20 busy || fail "no load"
  i=0
  while [ $i -lt 10 ]; do
    inject lost-irq 0 3
    for vector in 0 1 2 3; do inject spurious-irq $vector 3; done
    usleep 300000
    i=$((i + 1))
  done
  expect_loads
  is_state ready || fail "state $(attribute state)"
  expect_census "$before"
}

torture_firmware() {
  # A boot that fails, or never ends, is tried again; the device comes back by itself.
  for fault in boot-fail boot-stall; do
    inject $fault 0 1
    reset_device || fail "one $fault was not made good"
    is_ready || fail "state $(attribute state) after $fault"
  done
  # Firmware that dies is noticed, and the device reset.
  epoch=$(attribute epoch)
  npu_load --seconds 8 --threads 1 --allow reset &
  wait_for 20 busy || fail "no load"
  inject fw-assert
  wait || :
  wait_for 30 is_ready || fail "not ready after firmware died"
  [ "$(attribute epoch)" -gt "$epoch" ] || fail "nobody noticed that firmware died"
  # No boot works, often enough: wedged. Calls say so, and loading the module anew mends it.
  inject boot-fail 0 4
  reset_device && fail "a device that does not boot was reset"
  is_state wedged || fail "state $(attribute state), expected wedged"
  npu_load --seconds 1 --threads 1 >/dev/null 2>&1 && fail "a wedged device works"
  reload_until_ready
  # Another ABI: the driver does not bind, says why, and binds once the firmware fits.
  inject fw-abi 0x00020000 3
  reset_device && fail "firmware of another ABI was accepted"
  is_state wedged || fail "state $(attribute state), expected wedged"
  dmesg | grep -q 'speaks ABI 2.0; this driver needs' || fail "no line tells of the ABI"
  echo 1 > "$(sys)/reset" || fail "bus reset"
  wait_for 30 is_ready || fail "not ready: state $(attribute state)"
  works
}
# What is left of the failing boots is used up by binding until it works.
reload_until_ready() {
  i=0
  while [ $i -lt 12 ]; do
    rmmod npu || fail "rmmod of a wedged device"
    insmod "$ko" || fail "insmod"
    wait_for 2 is_ready && return 0
    i=$((i + 1))
  done
  fail "the device does not come back"
}

torture_hang() {
  take_census
  # The client dies while its command hangs: close must end it.
  inject hang -1
  npu_load --seconds 20 --threads 1 --allow reset &
  pid=$!
  wait_for 20 busy || fail "no load"
  usleep 500000
  kill -9 $pid
  wait
  expect_census "$before"
  is_ready || fail "state $(attribute state)"
  works
}

ras() { cat "$(sys)/npu_ras/ecc_sbe" "$(sys)/npu_ras/ecc_dbe" "$(sys)/npu_ras/retired_pages" | tr '\n' ' '; }
ras_is() { [ "$(ras)" = "$* " ]; }

torture_ras() {
  # shellcheck disable=SC2046
  set -- $(ras)
  sbe=$1 dbe=$2 pages=$3
  inject ecc-sbe 0x400000 5
  inject ecc-dbe 0x800000
  wait_for 10 ras_is $((sbe + 5)) $((dbe + 1)) $((pages + 1)) || fail "counters: $(ras)"
  grep -q ecc-dbe "$(sys)/npu_ras/error_log" || fail "no record of the double-bit error"
  works
}

torture_sleep() {
  take_census
  echo 100 > "$(sys)/power/autosuspend_delay_ms"
  i=0
  while [ $i -lt "${count:-10}" ]; do
    wait_for 20 is_state asleep || fail "it does not sleep: $(attribute state)"
    works
    i=$((i + 1))
  done
  echo 10000 > "$(sys)/power/autosuspend_delay_ms"
  echo 1 > "$(sys)/reset" || fail "reset by the PCI core"
  works
  expect_census "$before"
}

case $case_name in
resets | unplug | kills | signals | reload | irqs | firmware | hang | ras | sleep)
  is_there || fail "no device is bound to the driver"
  # Awake and clean at the start: a census of a sleeping device is none.
  works
  "torture_$case_name"
  echo "torture $case_name: ok"
  ;;
*)
  sed -n 's/^#   /  /p' "$0" >&2
  exit 2
  ;;
esac
