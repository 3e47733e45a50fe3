// SPDX-License-Identifier: Apache-2.0
// Copies, fills and semaphores in queue order.
#include <cstring>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

TEST_F(DeviceTest, CopiesMoveBytesBetweenAllKinds) {
  std::vector<uint8_t> in(70'001);
  for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<uint8_t>(i * 13);
  for (const npuMemKind from : {NPU_MEM_DEVICE, NPU_MEM_HOST}) {
    for (const npuMemKind to : {NPU_MEM_DEVICE, NPU_MEM_HOST}) {
      const npuDevPtr src = alloc(in.size(), from);
      const npuDevPtr dst = alloc(in.size(), to);
      ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, src, in.data(), in.size()));
      ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, dst + 1, src + 3, in.size() - 3, nullptr));
      ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
      std::vector<uint8_t> out(in.size());
      ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), dst, out.size()));
      EXPECT_EQ(out[0], 0);
      EXPECT_EQ(std::memcmp(out.data() + 1, in.data() + 3, in.size() - 3), 0);
    }
  }
}

TEST_F(DeviceTest, StridedCopiesMoveBlocks) {
  constexpr uint32_t kWidth = 24, kRows = 5, kSlices = 3, kPitch = 40, kSlice = 256;
  const npuDevPtr src = alloc(kSlice * kSlices);
  const npuDevPtr dst = alloc(kWidth * kRows * kSlices);
  std::vector<uint8_t> in(kSlice * kSlices);
  for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<uint8_t>(i * 31 + i / 7);
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, src, in.data(), in.size()));
  npuCopyInfo info{};
  info.struct_size = sizeof info;
  info.dst = dst;
  info.src = src;
  info.width_bytes = kWidth;
  info.height = kRows;
  info.depth = kSlices;
  info.dst_pitch_bytes = kWidth;
  info.src_pitch_bytes = kPitch;
  info.dst_slice_pitch_bytes = kWidth * kRows;
  info.src_slice_pitch_bytes = kSlice;
  ASSERT_NPU(NPU_OK, npuQueueCopyStrided(queue_, &info, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  std::vector<uint8_t> out(kWidth * kRows * kSlices);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), dst, out.size()));
  for (uint32_t s = 0; s < kSlices; s++) {
    for (uint32_t r = 0; r < kRows; r++) {
      EXPECT_EQ(std::memcmp(&out[(s * kRows + r) * kWidth], &in[s * kSlice + r * kPitch], kWidth),
                0)
          << s << " " << r;
    }
  }
}

TEST_F(DeviceTest, WrongCopiesAreRefused) {
  const npuDevPtr a = alloc(4096);
  const npuDevPtr b = alloc(4096);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueCopy(queue_, a, b, 4097, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueCopy(queue_, 0, b, 8, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueCopy(queue_, a, b, ~uint64_t{0}, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCopy(queue_, a + 8, a, 16, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueCopy(queue_, a, b, 0, nullptr));
  npuCopyInfo good{};
  good.struct_size = sizeof good;
  good.dst = a;
  good.src = b;
  good.width_bytes = 16;
  good.height = 4;
  good.depth = 2;
  good.dst_pitch_bytes = good.src_pitch_bytes = 32;
  good.dst_slice_pitch_bytes = good.src_slice_pitch_bytes = 256;
  EXPECT_NPU(NPU_OK, npuQueueCopyStrided(queue_, &good, nullptr));
  const auto with = [&](auto change) {
    npuCopyInfo info = good;
    change(info);
    return npuQueueCopyStrided(queue_, &info, nullptr);
  };
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](npuCopyInfo& i) { i.height = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](npuCopyInfo& i) { i.depth = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](npuCopyInfo& i) { i.dst_pitch_bytes = 15; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](npuCopyInfo& i) { i.src_pitch_bytes = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](npuCopyInfo& i) { i.height = 1; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](npuCopyInfo& i) { i.depth = 1; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             with([](npuCopyInfo& i) { i.dst_slice_pitch_bytes = 100; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, with([](npuCopyInfo& i) { i.depth = 100; }));
  EXPECT_NPU(NPU_ERROR_OVERFLOW,
             with([](npuCopyInfo& i) { i.src_slice_pitch_bytes = ~uint64_t{0}; }));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, with([](npuCopyInfo& i) {
               i.depth = 3, i.dst_slice_pitch_bytes = ~uint64_t{0} / 2 + 1;
             }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCopyStrided(queue_, nullptr, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(DeviceTest, FillsRepeatThePattern) {
  const npuDevPtr ptr = alloc(64);
  const uint64_t pattern = 0x8877665544332211;
  for (const uint32_t bytes : {1u, 2u, 4u, 8u}) {
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 0, 1, 64, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr + 8, pattern, bytes, 48, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    uint8_t out[64];
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out, ptr, sizeof out));
    for (uint32_t i = 0; i < 64; i++) {
      const uint8_t expected = i < 8 || i >= 56 ? 0 : static_cast<uint8_t>(0x11 * (1 + i % bytes));
      EXPECT_EQ(out[i], expected) << bytes << " at " << i;
    }
  }
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueFill(queue_, ptr, 0, 3, 12, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueFill(queue_, ptr, 0, 0, 12, nullptr));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuQueueFill(queue_, ptr + 2, 0, 4, 12, nullptr));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuQueueFill(queue_, ptr, 0, 8, 12, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueFill(queue_, ptr, 0, 8, 72, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 0, 8, 0, nullptr));
}

TEST_F(DeviceTest, SemaphoresOrderTwoQueues) {
  const npuDevPtr semaphore = alloc(8);
  const npuDevPtr data = alloc(64);
  npuQueue producer = make_queue();
  for (uint64_t round = 1; round <= 50; round++) {
    ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, semaphore, round, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, data + 8, data, 8, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueFill(producer, data, round * 0x0101010101010101, 8, 8, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSignal(producer, semaphore, round, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    uint64_t got = 0;
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &got, data + 8, 8));
    ASSERT_EQ(got, round * 0x0101010101010101);
  }
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuQueueSignal(queue_, semaphore + 4, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuQueueWaitSemaphore(queue_, semaphore + 1, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueSignal(queue_, 0, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueWaitSemaphore(queue_, semaphore + 8, 1, nullptr));
}

}  // namespace
}  // namespace npu::conformance
