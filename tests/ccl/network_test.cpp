// SPDX-License-Identifier: Apache-2.0
// What only ranks of different hosts have: data connections that lie, interfaces, providers, slots that must have left before a rank ends.
#include <dlfcn.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <utility>

#include "tests/ccl/operation.h"
#include "tests/ccl/variable.h"

namespace npu::test {
namespace {

struct Lie {
  const char* variable;
  const char* words;
};
void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.variable; }

class LieTest : public testing::TestWithParam<Lie> {};

TEST_P(LieTest, IsFoundAndNamedOnAllRanks) {
  const Variable inject("NPU_CCL_INJECT", GetParam().variable);
  World world(3, make_info(4096));
  std::vector<npuDevPtr> at;
  for (uint32_t r = 0; r < 3; r++) at.push_back(world.alloc(r, 64 << 10));
  world.group([&](uint32_t r) {
    return npuCclAllReduce(world[r].comm, world[r].queue, at[r], at[r], 16'000, NPU_FLOAT32,
                           NPU_CCL_SUM, nullptr);
  });
  for (uint32_t r = 0; r < 3; r++) {
    ASSERT_TRUE(world.wait_failed(r)) << "rank " << r;
    const npuCclFailure failure = world.failure(r);
    EXPECT_EQ(failure.reason, NPU_CCL_PROTOCOL) << failure.text;
    EXPECT_EQ(failure.rank, 1u) << failure.text;
    EXPECT_NE(std::string(failure.text).find(GetParam().words), std::string::npos) << failure.text;
    // A rank that needed nothing more from the others has come to its end before.
    const npuResult result = npuQueueSync(world[r].queue, kLongNs);
    EXPECT_TRUE(result == NPU_OK || result == NPU_ERROR_DEPENDENCY_FAILED) << result;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LieTest,
                         testing::Values(Lie{"payload:1:3", "rank 1 sent message"},
                                         Lie{"sequence:1:2", "where message"},
                                         Lie{"version:1:4", "rank 1 sent a message of version"}),
                         [](const auto& info) {
                           const std::string text = info.param.variable;
                           return text.substr(0, text.find(':'));
                         });

// Two ranks more on the contexts of a world.
npuResult make_two(World& world, npuCclComm (&comms)[2]) {
  npuCclId id;
  npuCclCommInfo info = make_info(4096);
  info.init_timeout_ms = 3000;
  if (const npuResult result = npuCclGetId(&id); result != NPU_OK) return result;
  return world.group(
      [&](uint32_t r) { return npuCclCommCreate(&id, 2, r, world[r].context, &info, &comms[r]); });
}

void expect_no_start(World& world, npuResult code, const char* words) {
  npuCclComm comms[2] = {};
  EXPECT_EQ(make_two(world, comms), code);
  EXPECT_NE(std::string(npuCclGetErrorText()).find(words), std::string::npos)
      << npuCclGetErrorText();
  for (npuCclComm comm : comms) npuCclCommDestroy(comm);
}

TEST(NetworkStartTest, WhatIsNotThereIsSaid) {
  World world(2, make_info(4096));
  {
    const Variable variable("NPU_CCL_INTERFACE", "nosuch0");
    expect_no_start(world, NPU_ERROR_BAD_ENVIRONMENT, "NPU_CCL_INTERFACE names \"nosuch0\"");
  }
  {
    const Variable variable("NPU_CCL_HEARTBEAT_MS", "soon");
    expect_no_start(world, NPU_ERROR_BAD_ENVIRONMENT, "NPU_CCL_HEARTBEAT_MS");
  }
  for (const char* wrong : {"-1", "1k", "1073741825"}) {
    const Variable variable("NPU_CCL_SEND_BUFFER", wrong);
    expect_no_start(world, NPU_ERROR_BAD_ENVIRONMENT,
                    "NPU_CCL_SEND_BUFFER is no number of bytes from 0 to 1073741824");
  }
  {
    const Variable variable("NPU_CCL_PROVIDER", "nosuch");
    expect_no_start(world, NPU_ERROR_DEPENDENCY_FAILED, "provider \"nosuch\" on 127.0.0.1");
  }
  npuCclComm comms[2] = {};
  CCL_EXPECT_OK(make_two(world, comms));
  for (npuCclComm comm : comms) CCL_EXPECT_OK(npuCclCommDestroy(comm));
}

// Sockets of this process whose buffer for sends is as large; the kernel takes double what it is told.
int count_send_buffers(int bytes) {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++) {
    int has = 0;
    socklen_t size = sizeof(has);
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &has, &size) == 0 && has == 2 * bytes) count++;
  }
  return count;
}

TEST(NetworkStartTest, DataConnectionsHaveTheBufferThatIsAskedFor) {
  constexpr int kOdd = 76'800;  // nothing else has so much
  World world(2, make_info(4096));
  for (const auto& [text, ends] : {std::pair{"76800", 2}, {"0", 0}, {"", 0}}) {
    const Variable variable("NPU_CCL_SEND_BUFFER", text);
    npuCclComm comms[2] = {};
    CCL_EXPECT_OK(make_two(world, comms));
    EXPECT_EQ(count_send_buffers(kOdd), ends) << "\"" << text << '"';
    for (npuCclComm comm : comms) CCL_EXPECT_OK(npuCclCommDestroy(comm));
  }
}

TEST(NetworkStartTest, IPv6IsARoadToo) {
  const int probe = socket(AF_INET6, SOCK_STREAM, 0);
  World world(2, make_info(4096));
  const Variable variable("NPU_CCL_INTERFACE", "::1");
  npuCclComm comms[2] = {};
  const npuResult result = make_two(world, comms);
  if (probe < 0 || result == NPU_ERROR_BAD_ENVIRONMENT) {
    GTEST_SKIP() << "this machine has no IPv6 loopback address: " << npuCclGetErrorText();
  }
  CCL_ASSERT_OK(result);
  CCL_EXPECT_OK(
      world.group([&](uint32_t r) { return npuCclBarrier(comms[r], world[r].queue, nullptr); }));
  world.sync();
  for (npuCclComm comm : comms) CCL_EXPECT_OK(npuCclCommDestroy(comm));
}

// A call whose queue has nothing to do sends by itself what is there; one whose queue has yet to make the input must not.
TEST(NetworkOrderTest, WhatTheQueueHasYetToWriteIsNotSentBefore) {
  constexpr uint32_t kRanks = 3, kCount = 1000, kRounds = 20;
  constexpr uint64_t kAllBytes = 4 << 20, kPartBytes = kCount * sizeof(int32_t);
  World world(kRanks, make_info(8192));
  world.threads([&](uint32_t r) {
    const npuQueue queue = world[r].queue;
    const npuDevPtr at = world.alloc(r, kAllBytes), sum = world.alloc(r, kPartBytes);
    const npuDevPtr part = at + kAllBytes - kPartBytes;
    for (uint32_t round = 0; round < kRounds; round++) {
      std::vector<int32_t> mine(kAllBytes / sizeof(int32_t), static_cast<int32_t>(10 * round + r));
      const npuDevPtr from = world.put(r, {reinterpret_cast<uint8_t*>(mine.data()),
                                           reinterpret_cast<uint8_t*>(mine.data()) + kAllBytes});
      if (round % 2 == 0) {
        CCL_EXPECT_OK(npuQueueCopy(queue, at, from, kAllBytes, nullptr));
      } else {
        CCL_EXPECT_OK(npuMemCopyToDevice(world[r].context, at, mine.data(), kAllBytes));
      }
      CCL_EXPECT_OK(npuCclAllReduce(world[r].comm, queue, part, sum, kCount, NPU_INT32, NPU_CCL_SUM,
                                    nullptr));
      CCL_EXPECT_OK(npuQueueSync(queue, kLongNs));
      std::vector<int32_t> out(kCount);
      CCL_EXPECT_OK(npuMemCopyToHost(world[r].context, out.data(), sum, kPartBytes));
      EXPECT_EQ(out, std::vector<int32_t>(kCount, static_cast<int32_t>(30 * round + 3)))
          << "rank " << r << ", round " << round;
      world.free(r, from);
    }
  });
}

// Large messages go straight out of the caller's buffers, where there is one rail.
TEST(NetworkSourceTest, ABufferIsTheCallersAgainBehindTheOperation) {
  constexpr uint32_t kRounds = 8;
  constexpr uint64_t kCount = 3 << 18, kBytes = kCount * sizeof(float);
  World world(2);
  world.threads([&](uint32_t r) {
    const npuQueue queue = world[r].queue;
    const npuDevPtr in = world.alloc(r, kBytes), out = world.alloc(r, kRounds * kBytes);
    const auto fill = [&](float value) {
      CCL_EXPECT_OK(
          npuQueueFill(queue, in, std::bit_cast<uint32_t>(value), sizeof(value), kBytes, nullptr));
    };
    for (uint32_t round = 0; round < kRounds; round++) {
      fill(static_cast<float>(10 * round + r));
      CCL_EXPECT_OK(npuCclAllReduce(world[r].comm, queue, in, out + round * kBytes, kCount,
                                    NPU_FLOAT32, NPU_CCL_SUM, nullptr));
      fill(-1);
    }
    CCL_EXPECT_OK(npuQueueSync(queue, kLongNs)) << world.failure(r).text;
    std::vector<float> all(kRounds * kCount);
    CCL_EXPECT_OK(npuMemCopyToHost(world[r].context, all.data(), out, kRounds * kBytes));
    for (uint32_t round = 0; round < kRounds; round++) {
      EXPECT_EQ(std::count(all.begin() + round * kCount, all.begin() + (round + 1) * kCount,
                           static_cast<float>(20 * round + 1)),
                kCount)
          << "rank " << r << ", round " << round;
    }
  });
}

TEST(NetworkSourceTest, LargeOperationsGiveWhatTheReferenceGives) {
  constexpr uint64_t kCountMax = 1 << 18;
  Rng rng(20'261'128);
  World world(4);
  for (int i = 0; i < 16; i++) {
    Operation operation = random_operation(rng, world.size(), kCountMax);
    operation.type = NPU_FLOAT32;
    std::vector<std::unique_ptr<Trial>> trials;
    for (uint32_t r = 0; r < world.size(); r++) {
      trials.push_back(std::make_unique<Trial>(world[r], world.size(), r, operation));
    }
    CCL_ASSERT_OK(world.group([&](uint32_t r) { return trials[r]->call(); }));
    for (uint32_t r = 0; r < world.size(); r++) {
      CCL_ASSERT_OK(npuQueueSync(world[r].queue, kLongNs)) << world.failure(r).text;
      ASSERT_TRUE(trials[r]->check()) << operation.text();
    }
  }
}

TEST(NetworkSourceTest, ADamagedMessageIsFoundAndItsBufferIsAsItWas) {
  const Variable inject("NPU_CCL_INJECT", "payload:1:1");
  constexpr uint64_t kCount = 1 << 18;
  World world(2);
  const Bytes bytes = numbers(NPU_FLOAT32, kCount, 5);
  const npuDevPtr from = world.put(1, bytes), to = world.alloc(0, bytes.size());
  CCL_ASSERT_OK(world.group([&](uint32_t r) {
    return r == 1 ? npuCclSend(world[1].comm, world[1].queue, from, kCount, NPU_FLOAT32, 0, nullptr)
                  : npuCclRecv(world[0].comm, world[0].queue, to, kCount, NPU_FLOAT32, 1, nullptr);
  }));
  ASSERT_TRUE(world.wait_failed(0));
  EXPECT_EQ(world.failure(0).reason, NPU_CCL_PROTOCOL) << world.failure(0).text;
  EXPECT_EQ(world.get(1, from, bytes.size()), bytes);
}

TEST(NetworkSourceTest, AfterAnAbortABufferMayBeFreed) {
  constexpr uint32_t kRounds = 6;
  constexpr uint64_t kCount = 1 << 20, kBytes = kCount * sizeof(float);
  for (uint32_t round = 0; round < kRounds; round++) {
    World world(2);
    npuDevPtr at[2];
    for (uint32_t r = 0; r < 2; r++) at[r] = world.alloc(r, kBytes);
    CCL_ASSERT_OK(world.group([&](uint32_t r) {
      return npuCclAllReduce(world[r].comm, world[r].queue, at[r], at[r], kCount, NPU_FLOAT32,
                             NPU_CCL_SUM, nullptr);
    }));
    CCL_EXPECT_OK(npuCclCommAbort(world[round % 2].comm));
    for (uint32_t r = 0; r < 2; r++) world.free(r, at[r]);
    for (uint32_t r = 0; r < 2; r++) {
      const npuResult result = npuQueueSync(world[r].queue, kLongNs);
      EXPECT_TRUE(result == NPU_OK || result == NPU_ERROR_DEPENDENCY_FAILED) << result;
    }
  }
}

// Memory of these contexts that was freed, and by others than the test's thread.
std::atomic<npuContext> watched_contexts[2];
std::atomic<uint32_t> frees, frees_of_others;
const std::thread::id test_thread = std::this_thread::get_id();

// The watchdog's thread looks for what other communicators move, of which there is always something.
TEST(NetworkEndTest, NothingIsLeftOfACommunicatorWhoseDestroyHasReturned) {
  constexpr int kRounds = 20;
  World busy(2, make_info(8192)), idle(2, make_info(8192));
  for (uint32_t r = 0; r < 2; r++) {
    CCL_ASSERT_OK(npuQueueDestroy(std::exchange(idle[r].queue, nullptr)));
    CCL_ASSERT_OK(npuCclCommDestroy(std::exchange(idle[r].comm, nullptr)));
  }
  std::atomic<bool> stops = false;
  std::thread traffic([&] {
    busy.threads([&](uint32_t r) {
      const npuDevPtr at = busy.alloc(r, sizeof(int32_t));
      for (int32_t ends = 0; ends == 0;) {  // on both when one of them has seen |stops|
        ends = stops ? 1 : 0;
        CCL_ASSERT_OK(npuMemCopyToDevice(busy[r].context, at, &ends, sizeof(ends)));
        CCL_ASSERT_OK(npuCclAllReduce(busy[r].comm, busy[r].queue, at, at, 1, NPU_INT32,
                                      NPU_CCL_MAX, nullptr));
        CCL_ASSERT_OK(npuQueueSync(busy[r].queue, kLongNs));
        CCL_ASSERT_OK(npuMemCopyToHost(busy[r].context, &ends, at, sizeof(ends)));
      }
    });
  });
  for (uint32_t r = 0; r < 2; r++) watched_contexts[r] = idle[r].context;
  for (int round = 0; round < kRounds; round++) {
    npuCclComm comms[2] = {};
    CCL_EXPECT_OK(make_two(idle, comms));
    for (npuCclComm comm : comms) CCL_EXPECT_OK(npuCclCommDestroy(comm));
  }
  EXPECT_GE(frees, 2u * kRounds);
  EXPECT_EQ(frees_of_others, 0u);
  watched_contexts[0] = watched_contexts[1] = nullptr;
  stops = true;
  traffic.join();
}

TEST(NetworkEndTest, ACommunicatorMayEndWhileOtherThreadsCallIt) {
  constexpr uint32_t kRanks = 3, kRounds = 5, kCalls = 20;
  for (uint32_t round = 0; round < kRounds; round++) {
    World world(kRanks, make_info(8192));
    std::atomic<uint32_t> calls = 0;
    std::thread ranks([&] {
      world.threads([&](uint32_t r) {
        const npuCclComm comm = world[r].comm;
        const npuDevPtr at = world.alloc(r, 4000);
        npuResult result = NPU_OK;
        while (result == NPU_OK) {
          result =
              npuCclAllReduce(comm, world[r].queue, at, at, 1000, NPU_INT32, NPU_CCL_MAX, nullptr);
          if (result == NPU_OK) result = npuQueueSync(world[r].queue, kLongNs);
          calls++;
        }
        EXPECT_TRUE(result == NPU_ERROR_DEPENDENCY_FAILED || result == NPU_ERROR_INVALID_HANDLE)
            << result << ": " << why();
      });
    });
    while (calls < kCalls) std::this_thread::yield();
    CCL_EXPECT_OK(npuCclCommAbort(world[round % kRanks].comm));
    for (uint32_t r = 0; r < kRanks; r++) npuCclCommDestroy(world[(round + r) % kRanks].comm);
    ranks.join();
    for (uint32_t r = 0; r < kRanks; r++) world[r].comm = nullptr;
  }
}

TEST(NetworkEndTest, WhatARankHasSentArrivesAlsoAfterItHasEnded) {
  constexpr uint64_t kCount = 4000;  // less than the slots hold
  World world(2, make_info(4096));
  const Bytes bytes = numbers(NPU_FLOAT32, kCount, 3);
  const npuDevPtr from = world.put(0, bytes), to = world.alloc(1, bytes.size());
  CCL_ASSERT_OK(npuCclSend(world[0].comm, world[0].queue, from, kCount, NPU_FLOAT32, 1, nullptr));
  CCL_ASSERT_OK(npuCclCommDestroy(world[0].comm));
  world[0].comm = nullptr;
  CCL_ASSERT_OK(npuCclRecv(world[1].comm, world[1].queue, to, kCount, NPU_FLOAT32, 0, nullptr));
  CCL_ASSERT_OK(npuQueueSync(world[1].queue, kLongNs)) << world.failure(1).text;
  EXPECT_EQ(world.get(1, to, bytes.size()), bytes);
}

}  // namespace
}  // namespace npu::test

// Comes before libnpu's, for libnpuccl too.
extern "C" npuResult npuMemFree(npuContext context, npuDevPtr at) {
  using npu::test::frees, npu::test::frees_of_others, npu::test::watched_contexts;
  static const auto real = reinterpret_cast<decltype(&npuMemFree)>(dlsym(RTLD_NEXT, "npuMemFree"));
  if (context == watched_contexts[0] || context == watched_contexts[1]) {
    frees++;
    if (std::this_thread::get_id() != npu::test::test_thread) frees_of_others++;
  }
  return real(context, at);
}
