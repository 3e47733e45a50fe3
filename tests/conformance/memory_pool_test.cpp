// SPDX-License-Identifier: Apache-2.0
// Queue-ordered pools: order, reuse, trimming, statistics, and all that can be wrong with a call.
#include <algorithm>
#include <random>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class MemPoolTest : public DeviceTest {
 protected:
  npuMemPool make_pool(uint64_t max_bytes = 0, uint64_t threshold = 0,
                       npuMemKind kind = NPU_MEM_DEVICE) {
    npuMemPoolInfo info{};
    info.struct_size = sizeof info;
    info.kind = kind;
    info.max_bytes = max_bytes;
    info.release_threshold = threshold;
    npuMemPool pool = nullptr;
    EXPECT_NPU(NPU_OK, npuMemPoolCreate(context_, &info, &pool));
    return pool;
  }
  npuMemPoolStats stats(npuMemPool pool) {
    npuMemPoolStats out{};
    out.struct_size = sizeof out;
    EXPECT_NPU(NPU_OK, npuMemPoolGetStats(pool, &out));
    return out;
  }
  npuDevPtr take(npuMemPool pool, npuQueue queue, uint64_t size) {
    npuDevPtr ptr = 0;
    EXPECT_NPU(NPU_OK, npuMemAllocAsync(pool, queue, size, &ptr));
    return ptr;
  }
};

TEST_F(MemPoolTest, AllocatesForBothKindsAndCopiesReachTheMemory) {
  for (const npuMemKind kind : {NPU_MEM_DEVICE, NPU_MEM_HOST}) {
    npuMemPool pool = make_pool(0, 0, kind);
    const npuDevPtr ptr = take(pool, queue_, 5000);
    EXPECT_EQ(ptr % 256, 0u);
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 0x5a, 1, 5000, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    std::vector<uint8_t> bytes(5000);
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, bytes.data(), ptr, bytes.size()));
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0x5a; }));
    npuMemInfo info{};
    info.struct_size = sizeof info;
    ASSERT_NPU(NPU_OK, npuMemQuery(context_, ptr + 4999, &info));
    EXPECT_EQ(info.kind, kind);
    EXPECT_EQ(info.base, ptr);
    EXPECT_EQ(info.size_bytes, 5000u);
    EXPECT_NPU(NPU_OK, npuMemFreeAsync(ptr, queue_));
    EXPECT_NPU(NPU_OK, npuMemPoolDestroy(pool));
  }
}

TEST_F(MemPoolTest, TheSameQueueReusesAtOnceWhatItFreedAndOthersDoNot) {
  const npuDevPtr gate = alloc(8);
  npuQueue other = make_queue();
  npuMemPool pool = make_pool();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  const npuDevPtr first = take(pool, queue_, 4096);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, first, 1, 1, 4096, nullptr));
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(first, queue_));
  EXPECT_EQ(stats(pool).pending_bytes, 4096u);
  // Work of queue_ still writes there.
  const npuDevPtr elsewhere = take(pool, other, 4096);
  EXPECT_NE(elsewhere, first);
  const npuDevPtr again = take(pool, queue_, 4096);
  EXPECT_EQ(again, first);
  EXPECT_EQ(stats(pool).reuse_count, 1u);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, again, 2, 1, 4096, nullptr));
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(again, queue_));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(stats(pool).pending_bytes, 0u);
  // Passed: now it is anybody's.
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(elsewhere, other));
  ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  const npuDevPtr third = take(pool, other, 8192);
  EXPECT_EQ(third, std::min(first, elsewhere));
}

TEST_F(MemPoolTest, WorkOfTheOldOwnerNeverWritesIntoTheNew) {
  const uint32_t seed = 4711;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  npuMemPool pool = make_pool(32 * kMiB);
  std::vector<npuQueue> queues = {queue_, make_queue(), make_queue()};
  const npuDevPtr sums = alloc(1000 * 8);
  // Each round: a queue gets memory, writes its number, copies one word of it away, frees.
  for (uint32_t i = 0; i < 1000; i++) {
    npuQueue queue = queues[random() % queues.size()];
    const uint64_t size = 256 + random() % 100'000 / 8 * 8;
    const npuDevPtr ptr = take(pool, queue, size);
    ASSERT_NE(ptr, 0u) << "seed " << seed << " round " << i;
    const uint64_t words = size / 8;
    ASSERT_NPU(NPU_OK, npuQueueFill(queue, ptr, i, 8, words * 8, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueCopy(queue, sums + i * 8, ptr + random() % words * 8, 8, nullptr));
    ASSERT_NPU(NPU_OK, npuMemFreeAsync(ptr, queue));
  }
  for (npuQueue queue : queues) ASSERT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  std::vector<uint64_t> found(1000);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, found.data(), sums, 8000));
  for (uint32_t i = 0; i < 1000; i++) ASSERT_EQ(found[i], i) << "seed " << seed;
  const npuMemPoolStats end = stats(pool);
  EXPECT_EQ(end.used_bytes, 0u);
  EXPECT_EQ(end.pending_bytes, 0u);
  EXPECT_EQ(end.allocation_count, 1000u);
  EXPECT_EQ(end.free_count, 1000u);
}

TEST_F(MemPoolTest, StatisticsAndTrimFollowTheMemory) {
  npuMemPool pool = make_pool(0, UINT64_MAX);
  EXPECT_EQ(stats(pool).reserved_bytes, 0u);
  const uint64_t free_before = free_bytes();
  const npuDevPtr a = take(pool, queue_, 10 * kMiB);
  const npuDevPtr b = take(pool, queue_, 20 * kMiB);
  npuMemPoolStats now = stats(pool);
  EXPECT_EQ(now.used_bytes, 30 * kMiB);
  EXPECT_EQ(now.live_count, 2u);
  EXPECT_GE(now.reserved_bytes, 30 * kMiB);
  EXPECT_LE(free_bytes() + 30 * kMiB, free_before);
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(a, queue_));
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(b, queue_));
  now = stats(pool);
  EXPECT_EQ(now.used_bytes, 0u);
  EXPECT_EQ(now.used_high_bytes, 30 * kMiB);
  EXPECT_GE(now.reserved_bytes, 30 * kMiB);  // the threshold keeps it
  EXPECT_EQ(now.reserved_high_bytes, now.reserved_bytes);
  ASSERT_NPU(NPU_OK, npuMemPoolTrim(pool, 24 * kMiB));
  EXPECT_LE(stats(pool).reserved_bytes, 24 * kMiB);
  EXPECT_GT(stats(pool).reserved_bytes, 0u);
  ASSERT_NPU(NPU_OK, npuMemPoolTrim(pool, 0));
  EXPECT_EQ(stats(pool).reserved_bytes, 0u);
}

TEST_F(MemPoolTest, FreeMemoryBeyondTheThresholdGoesBackByItself) {
  npuMemPool pool = make_pool(0, kMiB);
  const npuDevPtr ptr = take(pool, queue_, 40 * kMiB);
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(ptr, queue_));
  EXPECT_EQ(stats(pool).reserved_bytes, 0u);
}

TEST_F(MemPoolTest, TheLimitOfAPoolHolds) {
  npuMemPool pool = make_pool(8 * kMiB);
  npuDevPtr ptr = 1;
  EXPECT_NPU(NPU_ERROR_QUOTA, npuMemAllocAsync(pool, queue_, 9 * kMiB, &ptr));
  EXPECT_EQ(ptr, 0u);
  std::vector<npuDevPtr> all;
  while (npuMemAllocAsync(pool, queue_, kMiB, &ptr) == NPU_OK) all.push_back(ptr);
  EXPECT_GE(all.size(), 6u);
  EXPECT_LE(stats(pool).reserved_bytes, 8 * kMiB);
  EXPECT_EQ(last_error().code, NPU_ERROR_QUOTA);
  for (const npuDevPtr p : all) ASSERT_NPU(NPU_OK, npuMemFreeAsync(p, queue_));
  EXPECT_NPU(NPU_OK, npuMemAllocAsync(pool, queue_, kMiB, &ptr));
}

TEST_F(MemPoolTest, FreesTakeOnlyLivePiecesOfPools) {
  npuMemPool pool = make_pool();
  const npuDevPtr ptr = take(pool, queue_, 1000);
  const npuDevPtr plain = alloc(1000);
  EXPECT_NPU(NPU_OK, npuMemFreeAsync(0, queue_));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFreeAsync(ptr + 256, queue_));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFreeAsync(plain, queue_));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemFreeAsync(ptr, nullptr));
  EXPECT_NPU(NPU_OK, npuMemFreeAsync(ptr, queue_));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFreeAsync(ptr, queue_));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, ptr));
  // A freed piece is no memory of the context any more, although the pool keeps it.
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueFill(queue_, ptr, 0, 1, 4, nullptr));
  const npuDevPtr second = take(pool, queue_, 1000);
  EXPECT_NPU(NPU_OK, npuMemFree(context_, second));
  EXPECT_EQ(stats(pool).live_count, 0u);
  EXPECT_EQ(stats(pool).free_count, 2u);
}

TEST_F(MemPoolTest, WrongCallsAreRefused) {
  npuMemPool pool = make_pool();
  npuDevPtr ptr = 1;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAllocAsync(pool, queue_, 0, &ptr));
  EXPECT_EQ(ptr, 0u);
  EXPECT_NPU(NPU_ERROR_OVERFLOW, npuMemAllocAsync(pool, queue_, ~uint64_t{0}, &ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAllocAsync(pool, queue_, 64, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemAllocAsync(nullptr, queue_, 64, &ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemAllocAsync(pool, nullptr, 64, &ptr));
  npuContext stranger = nullptr;
  npuQueue foreign = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &stranger));
  ASSERT_NPU(NPU_OK, npuQueueCreate(stranger, nullptr, &foreign));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAllocAsync(pool, foreign, 64, &ptr));
  ptr = take(pool, queue_, 64);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFreeAsync(ptr, foreign));
  ASSERT_NPU(NPU_OK, npuContextDestroy(stranger));
  npuMemPoolInfo info{};
  npuMemPool none = pool;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, npuMemPoolCreate(context_, &info, &none));
  EXPECT_EQ(none, nullptr);
  info.struct_size = sizeof info;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemPoolCreate(context_, &info, &none));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemPoolCreate(context_, &info, nullptr));
  EXPECT_NPU(NPU_OK, npuMemPoolDestroy(nullptr));
  EXPECT_NPU(NPU_OK, npuMemPoolDestroy(pool));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemPoolDestroy(pool));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemPoolTrim(pool, 0));
}

TEST_F(MemPoolTest, DestroyedWithWorkInFlightTheMemoryStaysUntilItHasEnded) {
  const npuDevPtr gate = alloc(8);
  npuQueue other = make_queue();
  npuMemPool pool = make_pool();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  const npuDevPtr ptr = take(pool, queue_, kMiB);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 7, 1, kMiB, nullptr));
  ASSERT_NPU(NPU_OK, npuMemPoolDestroy(pool));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, ptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(MemPoolTest, AQueueThatFailedOrEndedHoldsNoMemoryBack) {
  npuMemPool pool = make_pool(4 * kMiB);
  npuQueue doomed = make_queue();
  const npuDevPtr gate = alloc(8);
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(doomed, gate, 1, nullptr));
  const npuDevPtr ptr = take(pool, doomed, kMiB);
  ASSERT_NPU(NPU_OK, npuMemFreeAsync(ptr, doomed));
  EXPECT_EQ(stats(pool).pending_bytes, kMiB);
  ASSERT_NPU(NPU_OK, npuQueueDestroy(doomed));
  EXPECT_EQ(stats(pool).pending_bytes, 0u);
}

}  // namespace
}  // namespace npu::conformance
