// SPDX-License-Identifier: Apache-2.0
// Allocations, the host's view of them, and copies by the host.
#include <algorithm>
#include <cstring>
#include <random>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class MemoryTest : public DeviceTest, public ::testing::WithParamInterface<npuMemKind> {};

INSTANTIATE_TEST_SUITE_P(Kinds, MemoryTest, ::testing::Values(NPU_MEM_DEVICE, NPU_MEM_HOST),
                         [](const auto& info) {
                           return info.param == NPU_MEM_DEVICE ? "Device" : "Host";
                         });

TEST_P(MemoryTest, CopiesThereAndBack) {
  std::vector<uint8_t> in(100'003);
  for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<uint8_t>(i * 7 + i / 251);
  const npuDevPtr ptr = alloc(in.size(), GetParam());
  EXPECT_EQ(ptr % 256, 0u);
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, ptr, in.data(), in.size()));
  std::vector<uint8_t> out(in.size());
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), ptr, out.size()));
  EXPECT_EQ(in, out);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), ptr + 99'999, 4));
  EXPECT_TRUE(std::equal(out.begin(), out.begin() + 4, in.begin() + 99'999));
}

TEST_P(MemoryTest, NewMemoryReadsAsZeroAlsoWhenItWasUsedBefore) {
  for (const uint64_t size :
       {uint64_t{1}, uint64_t{1000}, uint64_t{70'000}, uint64_t{3} << 20, uint64_t{9} << 20}) {
    for (int round = 0; round < 3; round++) {
      const npuDevPtr ptr = alloc(size, GetParam());
      void* host = nullptr;
      ASSERT_NPU(NPU_OK, npuMemMap(context_, ptr, size, &host));
      const auto* bytes = static_cast<const uint8_t*>(host);
      ASSERT_TRUE(std::all_of(bytes, bytes + size, [](uint8_t b) { return b == 0; }))
          << size << " round " << round;
      std::memset(host, 0xaa, size);
      ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
    }
  }
}

TEST_P(MemoryTest, QueryKnowsEveryByteOfAnAllocationAndNoOther) {
  const npuDevPtr ptr = alloc(1000, GetParam());
  npuMemInfo info{};
  info.struct_size = sizeof info;
  for (const npuDevPtr inside : {ptr, ptr + 1, ptr + 999}) {
    ASSERT_NPU(NPU_OK, npuMemQuery(context_, inside, &info));
    EXPECT_EQ(info.kind, GetParam());
    EXPECT_EQ(info.base, ptr);
    EXPECT_EQ(info.size_bytes, 1000u);
    EXPECT_NE(info.allocation_id, 0u);
  }
  for (const npuDevPtr outside : {npuDevPtr{0}, ptr - 1, ptr + 1000, ~npuDevPtr{0}}) {
    ASSERT_NPU(NPU_OK, npuMemQuery(context_, outside, &info));
    EXPECT_EQ(info.kind, NPU_MEM_UNKNOWN);
    EXPECT_EQ(info.base, 0u);
  }
}

TEST_F(DeviceTest, AllocationIdsAreNeverUsedTwice) {
  npuMemInfo info{};
  info.struct_size = sizeof info;
  uint64_t last = 0;
  for (int i = 0; i < 10; i++) {
    const npuDevPtr ptr = alloc(64);
    ASSERT_NPU(NPU_OK, npuMemQuery(context_, ptr, &info));
    EXPECT_GT(info.allocation_id, last);
    last = info.allocation_id;
    ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  }
}

TEST_F(DeviceTest, WrongAllocationsAreRefused) {
  npuDevPtr ptr = 1;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAlloc(context_, NPU_MEM_DEVICE, 0, &ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAlloc(context_, 3, 64, &ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAlloc(context_, NPU_MEM_UNKNOWN, 64, &ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemAlloc(context_, NPU_MEM_DEVICE, 64, nullptr));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, npuMemAlloc(context_, NPU_MEM_DEVICE, ~uint64_t{0}, &ptr));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, npuMemAlloc(context_, NPU_MEM_HOST, uint64_t{1} << 63, &ptr));
  const npuResult too_much = npuMemAlloc(context_, NPU_MEM_DEVICE, uint64_t{1} << 40, &ptr);
  EXPECT_TRUE(too_much == NPU_ERROR_OUT_OF_DEVICE_MEMORY || too_much == NPU_ERROR_QUOTA)
      << explain(too_much);
  // A limit of the host is not told as one of the device.
  const npuResult host = npuMemAlloc(context_, NPU_MEM_HOST, uint64_t{1} << 40, &ptr);
  EXPECT_TRUE(host == NPU_ERROR_OUT_OF_HOST_MEMORY || host == NPU_ERROR_QUOTA) << explain(host);
  EXPECT_EQ(ptr, 0u);
  EXPECT_NPU(NPU_OK, npuMemAlloc(context_, NPU_MEM_DEVICE, 64, &ptr));
}

TEST_F(DeviceTest, FreeTakesWhatAllocGaveAndNothingElse) {
  const npuDevPtr ptr = alloc(4096);
  EXPECT_NPU(NPU_OK, npuMemFree(context_, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, ptr + 256));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, 12345));
  EXPECT_NPU(NPU_OK, npuMemFree(context_, ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, ptr));
}

TEST_F(DeviceTest, HostCopiesStayInsideTheAllocation) {
  const npuDevPtr ptr = alloc(1000);
  uint8_t bytes[2000] = {};
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemCopyToDevice(context_, ptr, bytes, 1001));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemCopyToDevice(context_, ptr + 1000, bytes, 1));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemCopyToHost(context_, bytes, ptr - 1, 2));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemCopyToHost(context_, bytes, ptr + 1, ~uint64_t{0}));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyToDevice(context_, ptr, nullptr, 1));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyToHost(context_, nullptr, ptr, 1));
  EXPECT_NPU(NPU_OK, npuMemCopyToDevice(context_, ptr, nullptr, 0));
  EXPECT_NPU(NPU_OK, npuMemCopyToHost(context_, bytes, ptr + 500, 500));
  void* host = nullptr;
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemMap(context_, ptr, 1001, &host));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemMap(context_, ptr, 1, nullptr));
}

TEST_F(DeviceTest, MapAndCopySeeTheSameBytes) {
  const npuDevPtr ptr = alloc(8192);
  void* host = nullptr;
  ASSERT_NPU(NPU_OK, npuMemMap(context_, ptr + 4096, 16, &host));
  std::memcpy(host, "what a day", 11);
  char back[16] = {};
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, back, ptr + 4096, 16));
  EXPECT_STREQ(back, "what a day");
}

// The host's side of a copy may be a mapping of the very memory.
TEST_F(DeviceTest, CopiesBetweenMemoryAndItsMappingMayOverlap) {
  constexpr uint64_t kBytes = 1 << 16;
  constexpr uint64_t kShift = 512;
  const npuDevPtr ptr = alloc(2 * kBytes, NPU_MEM_HOST);
  void* mapping = nullptr;
  ASSERT_NPU(NPU_OK, npuMemMap(context_, ptr, 2 * kBytes, &mapping));
  auto* host = static_cast<uint8_t*>(mapping);
  std::vector<uint8_t> expected(2 * kBytes);
  for (size_t i = 0; i < expected.size(); i++)
    expected[i] = host[i] = static_cast<uint8_t>(i * 7 + i / 251);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, host + kShift, ptr, kBytes));
  std::memmove(expected.data() + kShift, expected.data(), kBytes);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), host));
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, ptr, host + kShift, kBytes));
  std::memmove(expected.data(), expected.data() + kShift, kBytes);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), host));
}

TEST_F(DeviceTest, AllMemoryCanBeUsedAndComesBack) {
  std::vector<npuDevPtr> all;
  uint64_t total = 0;
  npuDevPtr ptr = 0;
  npuResult result = NPU_OK;
  while ((result = npuMemAlloc(context_, NPU_MEM_DEVICE, 5 << 20, &ptr)) == NPU_OK) {
    all.push_back(ptr);
    total += 5 << 20;
    ASSERT_LE(total, 256u << 20);
  }
  EXPECT_TRUE(result == NPU_ERROR_OUT_OF_DEVICE_MEMORY || result == NPU_ERROR_QUOTA)
      << explain(result);
  // The kernel road gives a user who is not root half of the chip: 128 MiB less tables and chunks.
  EXPECT_GE(total, (road_name() == "kmd" ? 100u : 150u) << 20);
  for (const npuDevPtr p : all) ASSERT_NPU(NPU_OK, npuMemFree(context_, p));
  ptr = alloc(100 << 20);
  EXPECT_NE(ptr, 0u);
}

// A device that is in the middle of something lets go of freed memory only then: here of another context's, whose queue's watchdog ends the kernel.
TEST_F(DeviceTest, WhatIsFreedWhileAnotherContextsKernelRunsCanBeAllocatedAgain) {
  npuContext other = nullptr;
  npuModule module = nullptr;
  npuKernel forever = nullptr;
  npuQueue queue = nullptr;
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  info.timeout_ms = 100;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  ASSERT_NPU(NPU_OK, npuQueueCreate(other, &info, &queue));
  ASSERT_NPU(NPU_OK, npuModuleLoad(other, blob_path().c_str(), &module));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(module, "forever", &forever));
  std::vector<npuDevPtr> all;
  npuDevPtr ptr = 0;
  while (npuMemAlloc(context_, NPU_MEM_DEVICE, 5 << 20, &ptr) == NPU_OK) all.push_back(ptr);
  ASSERT_GE(all.size(), 20u);
  ASSERT_NPU(NPU_OK, launch(queue, forever, nullptr, 0));
  for (const npuDevPtr p : all) ASSERT_NPU(NPU_OK, npuMemFree(context_, p));
  EXPECT_NE(alloc(90 << 20), 0u);
  EXPECT_NPU(NPU_ERROR_WATCHDOG, npuQueueSync(queue, kLongNs));
  EXPECT_NPU(NPU_OK, npuContextDestroy(other));
}

TEST_F(DeviceTest, RandomAllocationsNeverOverlap) {
  const uint32_t seed = 12345;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  struct Piece {
    npuDevPtr ptr;
    uint32_t size;
    uint8_t mark;
  };
  std::vector<Piece> pieces;
  uint8_t mark = 1;
  for (int i = 0; i < 3000; i++) {
    if (pieces.empty() || random() % 5 < 3) {
      const uint32_t size = 1 + random() % (random() % 20 == 0 ? 300'000 : 3000);
      const npuDevPtr ptr = alloc(size);
      ASSERT_NE(ptr, 0u);
      const std::vector<uint8_t> bytes(size, mark);
      ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, ptr, bytes.data(), size));
      pieces.push_back({ptr, size, mark});
      mark = mark == 255 ? 1 : mark + 1;
    } else {
      const size_t at = random() % pieces.size();
      std::vector<uint8_t> bytes(pieces[at].size);
      ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, bytes.data(), pieces[at].ptr, bytes.size()));
      const bool own =
          std::all_of(bytes.begin(), bytes.end(), [&](uint8_t b) { return b == pieces[at].mark; });
      ASSERT_TRUE(own) << "seed " << seed << " step " << i;
      ASSERT_NPU(NPU_OK, npuMemFree(context_, pieces[at].ptr));
      pieces[at] = pieces.back();
      pieces.pop_back();
    }
  }
}

TEST_F(DeviceTest, FreedMemoryIsNotReusedWhileWorkMayStillWriteIt) {
  const npuDevPtr gate = alloc(8);
  const npuDevPtr target = alloc(4096);
  npuQueue other = make_queue();
  // The fill waits behind a semaphore; its target is freed meanwhile.
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, target, 0xff, 1, 4096, nullptr));
  ASSERT_NPU(NPU_OK, npuMemFree(context_, target));
  std::vector<npuDevPtr> fresh;
  for (int i = 0; i < 64; i++) fresh.push_back(alloc(4096));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  for (const npuDevPtr ptr : fresh) {
    uint8_t bytes[4096];
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, bytes, ptr, sizeof bytes));
    ASSERT_TRUE(std::all_of(bytes, bytes + sizeof bytes, [](uint8_t b) { return b == 0; }));
  }
  // Now that the work has ended the address may come again.
  const npuDevPtr again = alloc(4096);
  EXPECT_EQ(again, target);
}

TEST_F(DeviceTest, MemoryInfoCountsAllocations) {
  uint64_t free_before = 0;
  uint64_t free_after = 0;
  uint64_t total = 0;
  ASSERT_NPU(NPU_OK, npuMemGetInfo(context_, &free_before, &total));
  EXPECT_EQ(total, 256ull << 20);
  alloc(64 << 20);
  ASSERT_NPU(NPU_OK, npuMemGetInfo(context_, &free_after, &total));
  EXPECT_LE(free_after + (64 << 20), free_before);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemGetInfo(context_, nullptr, &total));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemGetInfo(context_, &total, nullptr));
}

}  // namespace
}  // namespace npu::conformance
