#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# roce.sh WHAT: ranks over RoCE v2 in software (rdma_rxe), provider "verbs" of libfabric, in the virtual machine of ./dev hil only, since it changes the routes of the system.
#   operations       random operations of four ranks, two on each end of the cable, checked bit for bit
#   delay, loss      of two ranks, on a cable with 5 ms, or which loses one packet in fifty
#   kill, stop       a rank that is killed or stopped is named by the other
#   rails            two ranks on two cables, of which one loses everything for a while, and is cut later
#   cut              the cable is cut under two ranks; the last one, since the cable is not whole again afterwards
#   bench OPERATION  npu-ccl-bench between two ranks
# A cable (veth) has both ends in one network namespace: roce0 and roce1 those of the first one, roce2 and roce3 of the second one. That is so because rdma_rxe of 6.12 knows no other than the first one. Rules for routes keep packets between the ends from being taken for local ones.
set -eu
root=$(pwd)
program=$root/build/dev/tests/ccl/ccl_rank
bench=$root/build/dev/tools/npu-ccl-bench/npu-ccl-bench
out=/tmp/roce
net0=198.51.100
net2=203.0.113
# By their paths: the guest's shell has smaller ones of its own.
ip=/usr/bin/ip
tc=/usr/sbin/tc
mkdir -p "$out"

fail() {
  echo "$*"
  tail -n 20 "$out"/rank* 2>/dev/null
  exit 1
}

counter() { cat "/sys/class/infiniband/rxe$1/ports/1/hw_counters/$2"; }

# add_cable FIRST NET: its ends are roce$FIRST and the next one, with the addresses NET.1 and NET.2.
add_cable() {
  $ip link add "roce$1" type veth peer name "roce$(($1 + 1))"
  for side in 0 1; do
    end=$(($1 + side))
    echo 1 >/proc/sys/net/ipv4/conf/roce$end/accept_local
    echo 0 >/proc/sys/net/ipv4/conf/roce$end/rp_filter
    $ip address add "$2.$((side + 1))/24" dev roce$end
    $ip link set roce$end up
  done
  for side in 0 1; do
    end=$(($1 + side))
    own=$2.$((side + 1))
    other=$2.$((2 - side))
    $ip rule add pref $((10 + end)) iif roce$end lookup local
    $ip rule add pref $((20 + end)) from "$own" to "$other" lookup $((100 + end))
    $ip rule add pref $((30 + end)) iif lo to "$other" lookup $((100 + end))
    $ip route add "$other" dev roce$end src "$own" table $((100 + end))
    rdma link add rxe$end type rxe netdev roce$end
  done
  $ip link show "roce$1"
}

set_up() {
  [ -e /hil/plan ] || fail "this changes the routes of the system: in the virtual machine only (./dev hil -R roce)"
  [ -e /sys/module/rdma_rxe ] || { echo "this kernel has no rdma_rxe"; exit 77; }
  echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
  $ip rule add pref 200 lookup local
  $ip rule delete pref 0
  add_cable 0 $net0
  add_cable 2 $net2
  rdma link show
}

# on_end END COMMAND...: a rank at that end of the cables, of which $cables says how many.
on_end() {
  interfaces=roce$1
  if [ $cables = 2 ]; then interfaces=$interfaces,roce$(($1 + 2)); fi
  shift
  NPU_CCL_INTERFACE=$interfaces exec "$@"
}

# start RANKS WHAT AT ACTOR
start() {
  port=$((port + 1))
  rank=0
  pids=
  while [ $rank -lt "$1" ]; do
    what=none
    if [ $rank = "$4" ] || [ "$4" = all ]; then what=$2; fi
    (NPU_CCL_ID=$net0.1:$port:00112233445566778899aabbccddeeff on_end $((rank * 2 / $1)) "$program" $rank "$1" 7 "$what" "$3") >"$out/rank$rank" 2>&1 &
    last=$!
    if [ $rank = 0 ]; then first=$last; fi
    pids="$pids $last"
    rank=$((rank + 1))
  done
}

# Each rank has to say it.
expect() {
  words=$1
  shift
  for rank; do
    grep -q "$words" "$out/rank$rank" || fail "rank $rank does not say \"$words\""
  done
}

wait_all() { for pid in $pids; do wait "$pid" || true; done; }

# wait_for WORDS COUNT: both ranks say them for that time.
wait_for() {
  for rank in 0 1; do
    tries=0
    until [ "$(grep -c "^$1\$" "$out/rank$rank")" -ge "$2" ]; do
      tries=$((tries + 1))
      [ $tries -lt 60 ] || fail "rank $rank does not say \"$1\""
      sleep 1
    done
  done
}

# No data went another way.
expect_packets() {
  sent=$(($(counter 0 sent_pkts) - before))
  echo "rxe0 has sent $sent packets"
  [ $sent -ge 50 ] || fail "hardly anything went over RoCE"
}

# set_weather FIRST WORD...: of the cable whose first end is roce$FIRST.
set_weather() {
  first_end=$1
  shift
  for end in "$first_end" $((first_end + 1)); do $tc qdisc replace dev "roce$end" root netem "$@"; done
}
clear_weather() { for end in "$1" $(($1 + 1)); do $tc qdisc delete dev "roce$end" root; done; }

[ -e /sys/class/infiniband/rxe1 ] || set_up
# libfabric reads it whole, twice in a process: ten seconds in an emulated machine. Others look for symbols in it, so it is hidden from this script only.
# shellcheck disable=SC2016  # expanded by the inner shell
if [ -f /proc/kallsyms ]; then exec unshare -m sh -c 'mount -o bind /dev/null /proc/kallsyms && exec "$0" "$@"' "$0" "$@"; fi
# The program's own devices: how ranks share memory is no question here.
export NPU_DEVICE=inproc:tiny NPU_CCL_PROVIDER=verbs NPU_CCL_HOST_ID=rank NPU_LOG_LEVEL=info
port=$((4000 + $$ % 1000))
cables=1
rm -f "$out"/rank*
before=$(counter 0 sent_pkts)
case $1 in
  operations)
    start 4 none -1 none
    wait_all
    expect '^done' 0 1 2 3
    expect_packets
    ;;
  delay | loss)
    if [ "$1" = delay ]; then set_weather 0 delay 5ms; else set_weather 0 loss 2%; fi
    start 2 none -1 none
    wait_all
    $tc -s qdisc show dev roce0
    dropped=$($tc -s qdisc show dev roce0 | sed -n 's/.*dropped \([0-9]*\).*/\1/p')
    clear_weather 0
    expect '^done' 0 1
    expect_packets
    [ "$1" = delay ] || [ "$dropped" -gt 0 ] || fail "the cable lost nothing"
    ;;
  kill)
    start 2 kill 7 1
    wait_all
    expect '^failed 2 1 rank 1: .*its process ended' 0
    ;;
  stop)
    start 2 stop 7 1
    wait "$first" || true
    kill -KILL "$last"
    expect '^failed 2 1 rank 1: .*no sign of life' 0
    ;;
  rails)
    cables=2
    start 2 rails 0 all
    wait_for 'carries 11' 1
    set_weather 2 loss 100%
    wait_for 'carries 10' 1
    clear_weather 2
    wait_for 'carries 11' 2
    # Not mended again: rdma_rxe of 6.12 has tried to send by the end that is down, and its queue pair for connections stays in error.
    $ip link set roce2 down
    wait_for 'carries 10' 2
    kill -USR1 "$last"
    wait_all
    expect '^failed .* 1 rank 1' 0
    expect_packets
    ;;
  cut)
    start 2 loop 3 all
    wait_for looping 1
    $ip link set roce0 down
    wait_all
    # Without its route over the cable what one rank tells takes another way, and may be there before the other one has noticed by itself.
    expect '^failed 2 [01] rank [01]: \(its data connection ended\|no sign of life\)' 0 1
    ;;
  bench)
    export NPU_CCL_ID=$net0.1:$port:00112233445566778899aabbccddeeff NPU_CCL_RANKS=2
    (NPU_CCL_RANK=1 on_end 1 "$bench" --operation "$2" --max-bytes 128K --repeats 3) >"$out/rank1" 2>&1 &
    (NPU_CCL_RANK=0 on_end 0 "$bench" --operation "$2" --max-bytes 128K --repeats 3) || fail "rank 0 failed"
    wait $! || fail "rank 1 failed"
    expect_packets
    ;;
  *) fail "'$1' is nothing that this does" ;;
esac
cat "$out"/rank*
