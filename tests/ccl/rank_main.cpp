// SPDX-License-Identifier: Apache-2.0
// ccl_rank RANK RANKS SEED WHAT AT: one rank in a process of its own, found through NPU_CCL_ID. Random operations, checked bit for bit. At operation AT it does WHAT: none, kill, stop or exit
// (each to itself); count: it calls that operation with another count; loop: from there on it repeats that operation until it fails, and prints "looping"; idle: it prints "idle" and does nothing more; rails: it adds up large arrays until it fails or gets SIGUSR1, which makes it abort, and prints when another rail is up than before ("rails 10"), and when these have carried something
// ("carries 10"); stranger: rank AT comes with
// a wrong token. Some operations go through windows, AT does if SEED is even. Prints at the end "done", or "failed REASON RANK TEXT" and "learned MS"; who does something to itself prints "acts MS" before. MS are of a clock that all processes see alike.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/ccl/operation.h"

namespace {

using namespace npu::test;

constexpr int kOperations = 20;
constexpr uint32_t kOpTimeoutMs = 15'000;
constexpr uint32_t kStrangerTimeoutMs = 4000;  // where a rank is not to come

void print_time(const char* word) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  std::printf("%s %.1f\n", word, std::chrono::duration<double, std::milli>(now).count());
  std::fflush(stdout);
}

int report(npuCclComm comm) {
  npuCclFailure failure{};
  failure.struct_size = sizeof(failure);
  npuCclCommGetError(comm, &failure);
  std::printf("failed %d %u %s\n", failure.reason, failure.rank,
              failure.reason == NPU_CCL_NO_FAILURE ? why().c_str() : failure.text);
  print_time("learned");
  return 3;
}

int give_up(const char* what) {
  std::printf("cannot %s: %s\n", what, why().c_str());
  print_time("learned");
  return 1;
}

bool is(const char* what, const char* word) { return std::strcmp(what, word) == 0; }

void act(const char* what, Operation* operation) {
  if (!is(what, "none") && !is(what, "loop")) print_time("acts");
  if (is(what, "kill")) raise(SIGKILL);
  if (is(what, "stop")) raise(SIGSTOP);
  if (is(what, "exit")) _exit(0);
  if (is(what, "count")) operation->count--;
  if (is(what, "loop")) std::puts("looping"), std::fflush(stdout);
  if (is(what, "idle")) std::puts("idle"), std::fflush(stdout), pause();
}

int run(const RankEnd& end, uint32_t ranks, uint32_t rank, uint64_t seed, const char* what,
        int at) {
  Rng rng(seed);
  Operation repeated;
  const bool loops = is(what, "loop");
  for (int i = 0; i < kOperations; i++) {
    Operation operation = random_operation(rng, ranks, 3000);
    if (i == at) {
      operation.kind = Kind::kAllReduce;
      operation.type = NPU_FLOAT32;  // what moves only has no sum
      operation.count = 500;
      operation.op = NPU_CCL_SUM;
      operation.in_window = seed % 2 == 0;
      act(what, &operation);
    }
    if (loops && i > at) i = at, operation = repeated;
    if (i == at) repeated = operation;
    Trial trial(end, ranks, rank, operation);
    if (trial.call() != NPU_OK || npuQueueSync(end.queue, kLongNs) != NPU_OK)
      return report(end.comm);
    const testing::AssertionResult right = trial.check();
    if (right) continue;
    std::printf("wrong %s\n", right.message());
    return 1;
  }
  return 0;
}

volatile sig_atomic_t must_abort = 0;

struct RailsSeen {
  std::string up;
  std::vector<uint64_t> bytes;
};

RailsSeen look_at_rails(npuCclComm comm, uint32_t other) {
  RailsSeen seen;
  npuCclRail rail{};
  rail.struct_size = sizeof(rail);
  for (uint32_t i = 0; npuCclCommGetRail(comm, other, i, &rail) == NPU_OK; i++) {
    seen.up += rail.is_up != 0 ? '1' : '0';
    seen.bytes.push_back(rail.bytes_sent);
  }
  return seen;
}

bool all_carry(const RailsSeen& before, const RailsSeen& now) {
  for (size_t i = 0; i < now.bytes.size(); i++) {
    if (now.up[i] == '1' && now.bytes[i] < before.bytes[i] + (1 << 20)) return false;
  }
  return true;
}

int run_rails(const RankEnd& end, uint32_t ranks, uint32_t rank) {
  RailsSeen before;
  bool has_carried = false;
  signal(SIGUSR1, [](int) { must_abort = 1; });
  for (uint64_t seed = 1;; seed++) {
    Operation operation;
    operation.count = 1 << 18;
    operation.seed = seed % 4 + 1;
    Trial trial(end, ranks, rank, operation);
    if (must_abort != 0) npuCclCommAbort(end.comm);
    if (trial.call() != NPU_OK || npuQueueSync(end.queue, kLongNs) != NPU_OK)
      return report(end.comm);
    const testing::AssertionResult right = trial.check();
    if (!right) return std::printf("wrong %s\n", right.message()), 1;
    const RailsSeen now = look_at_rails(end.comm, ranks - 1 - rank);
    if (now.up != before.up) {
      std::printf("rails %s\n", now.up.c_str());
      before = now;
      has_carried = false;
    } else if (!has_carried && all_carry(before, now)) {
      std::printf("carries %s\n", now.up.c_str());
      has_carried = true;
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const auto rank = static_cast<uint32_t>(std::atoi(argv[1]));
  const auto ranks = static_cast<uint32_t>(std::atoi(argv[2]));
  npuCclId id;
  npuDevice device = nullptr;
  RankEnd end;
  uint32_t devices = 0;
  const bool watches_rails = std::strcmp(argv[4], "rails") == 0;
  npuCclCommInfo info = make_info(watches_rails ? 0 : 4096, kOpTimeoutMs);
  info.init_timeout_ms =
      30'000;  // libfabric sleeps many times when it starts: long on a busy machine
  if (npuInit() != NPU_OK || npuDeviceGetCount(&devices) != NPU_OK || devices == 0 ||
      npuDeviceOpen(std::to_string(rank % devices).c_str(), &device) != NPU_OK ||
      npuContextCreate(device, &end.context) != NPU_OK ||
      npuQueueCreate(end.context, nullptr, &end.queue) != NPU_OK) {
    return give_up("open a device");
  }
  if (npuCclGetId(&id) != NPU_OK) return give_up("have an id");
  if (is(argv[4], "stranger")) {
    info.init_timeout_ms = kStrangerTimeoutMs;
    if (std::atoi(argv[5]) == static_cast<int>(rank)) id.bytes[8] ^= 1, print_time("acts");
  }
  if (npuCclCommCreate(&id, ranks, rank, end.context, &info, &end.comm) != NPU_OK) {
    return give_up("make a communicator");
  }
  constexpr uint64_t kArenaBytes = 256 << 10;
  if (!watches_rails &&
      (make_arena(&end, kArenaBytes) != NPU_OK ||
       npuCclCommWindowRegister(end.comm, end.arena, kArenaBytes, 0, &end.window) != NPU_OK)) {
    return give_up("register a window");
  }
  int code = watches_rails ? run_rails(end, ranks, rank)
                           : run(end, ranks, rank, std::strtoull(argv[3], nullptr, 10), argv[4],
                                 std::atoi(argv[5]));
  std::fflush(stdout);  // a failed one may take long to end
  if (npuCclCommDestroy(end.comm) != NPU_OK && code == 0) code = give_up("end the communicator");
  if (code == 0) std::puts("done");
  return code;
}
