// SPDX-License-Identifier: Apache-2.0
// What may happen at one moment only, which the tests bring about: a failure while a thread is inside of libfabric, an operation that nobody looks for while the watchdog's thread rests.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "tests/ccl/operation.h"
#include "tests/ccl/system_calls.h"

namespace npu::test {
namespace {

using std::chrono::milliseconds;

// True if |is_so| was before |limit| was over.
template <typename Condition>
bool comes(milliseconds limit, const Condition& is_so) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}
constexpr milliseconds kLong{30'000};

// ---- Buffers that messages go straight out of ----

struct End {
  bool is_inside;  // else what was given to libfabric cannot leave
  const char* name;
};
void PrintTo(const End& end, std::ostream* out) { *out << end.name; }

class NetworkSourceEndTest : public testing::TestWithParam<End> {
 protected:
  static constexpr uint64_t kCount = 1 << 20, kBytes = kCount * sizeof(float);
  // Longer than a failure takes that waits for nobody.
  static constexpr milliseconds kInside{300};

  bool has_some(std::span<const iovec> parts) const {
    for (const iovec& part : parts) {
      const auto at = reinterpret_cast<uintptr_t>(part.iov_base);
      if (at < source_ + kBytes && at + part.iov_len > source_) return true;
    }
    return false;
  }
  bool send(std::span<const iovec> parts) {
    if (!has_some(parts)) return true;
    // The first read is that of the call that begins the write; of what that leaves each progress is one.
    const bool goes = reads_++ != 0 && GetParam().is_inside;
    const bool is_first = goes == GetParam().is_inside && !has_come_.exchange(true);
    if (goes && is_first) comes(kInside, [&] { return is_freed_.load(); });
    if (is_freed_) late_reads_++;
    return goes || is_freed_;
  }

  uintptr_t source_ = 0;  // as the host sees it
  std::atomic<uint32_t> reads_ = 0, late_reads_ = 0;
  std::atomic<bool> has_come_ = false, is_freed_ = false;
};

TEST_P(NetworkSourceEndTest, NobodyReadsABufferThatWasFreedAfterAFailure) {
  auto world = std::make_unique<World>(2);
  const npuDevPtr from = world->alloc(0, kBytes), to = world->alloc(1, kBytes);
  void* host = nullptr;
  CCL_ASSERT_OK(npuMemMap((*world)[0].context, from, kBytes, &host));
  source_ = reinterpret_cast<uintptr_t>(host);
  const SystemCalls calls({.before_send = [&](auto parts) { return send(parts); }});
  CCL_ASSERT_OK(world->group([&](uint32_t r) {
    RankEnd& end = (*world)[r];
    return r == 0 ? npuCclSend(end.comm, end.queue, from, kCount, NPU_FLOAT32, 1, nullptr)
                  : npuCclRecv(end.comm, end.queue, to, kCount, NPU_FLOAT32, 0, nullptr);
  }));
  ASSERT_TRUE(comes(kLong, [&] { return has_come_.load(); })) << world->failure(0).text;
  CCL_EXPECT_OK(npuCclCommAbort((*world)[0].comm));
  // The queue has stopped: what it worked with is the caller's.
  EXPECT_EQ(npuQueueSync((*world)[0].queue, kLongNs), NPU_ERROR_DEPENDENCY_FAILED);
  world->free(0, from);
  is_freed_ = true;
  world.reset();
  EXPECT_EQ(late_reads_, 0u) << "after " << reads_;
}

INSTANTIATE_TEST_SUITE_P(Moments, NetworkSourceEndTest,
                         testing::Values(End{true, "AThreadIsInside"}, End{false, "SomeIsLeft"}),
                         [](const auto& info) { return info.param.name; });

// ---- The watchdog's thread, while calls look for all messages ----

class NetworkRestTest : public testing::Test {
 protected:
  // A nap of it while it rests takes so long now that nothing but a word ends it.
  void before_nap(std::span<const pollfd> fds, const timespec** time) {
    // Its own descriptor and both control connections; else those of libfabric too.
    constexpr size_t kResting = 3;
    is_resting_ = fds.size() == kResting && *time != nullptr && holds_.exchange(false);
    if (is_resting_) *time = &kForever;
  }
  void after_nap(int result) {
    if (is_resting_.exchange(false)) (result > 0 ? woken_ : slept_)++;
  }
  // Both ranks in turns, until the thread rests when the last one has ended. False: it does not.
  bool call_until_it_rests(World& world) {
    std::atomic<bool> rests = false;
    const auto limit = std::chrono::steady_clock::now() + kLong;
    world.threads([&](uint32_t r) {
      const npuDevPtr at = world.alloc(r, sizeof(int32_t));
      for (int32_t ends = 0; ends == 0;) {
        holds_ = true;
        if (r == 0) ends = is_resting_ ? 1 : std::chrono::steady_clock::now() > limit ? 2 : 0;
        CCL_ASSERT_OK(npuMemCopyToDevice(world[r].context, at, &ends, sizeof(ends)));
        CCL_ASSERT_OK(npuCclAllReduce(world[r].comm, world[r].queue, at, at, 1, NPU_INT32,
                                      NPU_CCL_MAX, nullptr));
        CCL_ASSERT_OK(npuQueueSync(world[r].queue, kLongNs));
        CCL_ASSERT_OK(npuMemCopyToHost(world[r].context, &ends, at, sizeof(ends)));
        if (ends == 1 && r == 0) rests = true;
      }
    });
    return rests && is_resting_;
  }

  static constexpr timespec kForever{60, 0};
  std::atomic<bool> holds_ = false, is_resting_ = false;
  std::atomic<uint32_t> woken_ = 0, slept_ = 0;
};

TEST_F(NetworkRestTest, AnOperationThatNoCallLooksForWakesTheThread) {
  constexpr uint64_t kCount = 4 << 20;
  World world(2);
  npuDevPtr at[2];
  for (uint32_t r = 0; r < 2; r++) at[r] = world.alloc(r, kCount * sizeof(float));
  const SystemCalls calls({.before_ppoll = [&](auto fds, auto time) { before_nap(fds, time); },
                           .after_ppoll = [&](auto, int result) { after_nap(result); }});
  while (!call_until_it_rests(world)) {
    if (woken_ == 0) GTEST_SKIP() << "calls do not see here all that comes";
  }
  const uint32_t woken = woken_;
  CCL_ASSERT_OK(world.group([&](uint32_t r) {
    return npuCclAllReduce(world[r].comm, world[r].queue, at[r], at[r], kCount, NPU_FLOAT32,
                           NPU_CCL_SUM, nullptr);
  }));
  EXPECT_TRUE(comes(kLong, [&] { return woken_ != woken; }));
  EXPECT_EQ(slept_, 0u);
  world.sync();
}

}  // namespace
}  // namespace npu::test
