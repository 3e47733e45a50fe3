// SPDX-License-Identifier: Apache-2.0
// Reservations and pieces mapped in them.
#include <algorithm>
#include <numeric>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr uint64_t kGranule = NPU_MEM_GRANULE_BYTES;

class MemMapTest : public DeviceTest {
 protected:
  uint64_t held_bytes() {
    npuMemStats stats{};
    stats.struct_size = sizeof stats;
    EXPECT_NPU(NPU_OK, npuMemGetStats(context_, &stats));
    return stats.device_bytes;
  }
  npuDevPtr reserve(uint64_t size, uint64_t align = 0) {
    npuDevPtr dva = 0;
    EXPECT_NPU(NPU_OK, npuMemReserve(context_, size, align, &dva));
    return dva;
  }
  npuMemHandle create(uint64_t size, npuMemKind kind = NPU_MEM_DEVICE) {
    npuMemHandle handle = nullptr;
    EXPECT_NPU(NPU_OK, npuMemCreate(context_, kind, size, &handle));
    return handle;
  }
};

TEST_F(MemMapTest, ReservationsAreAlignedAndDoNotOverlap) {
  std::vector<std::pair<npuDevPtr, uint64_t>> ranges;
  for (const uint64_t align :
       {uint64_t{0}, uint64_t{1} << 16, uint64_t{1} << 25, uint64_t{1} << 30, uint64_t{1} << 21}) {
    const uint64_t size = 3 * kGranule + (align & (uint64_t{1} << 30));
    const npuDevPtr dva = reserve(size, align);
    ASSERT_NE(dva, 0u);
    EXPECT_EQ(dva % std::max<uint64_t>(align, 1 << 21), 0u) << align;
    for (const auto& [begin, bytes] : ranges)
      EXPECT_TRUE(dva + size <= begin || begin + bytes <= dva);
    ranges.emplace_back(dva, size);
  }
  for (const auto& [begin, bytes] : ranges) {
    EXPECT_NPU(NPU_OK, npuMemReleaseReservation(context_, begin));
    EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemReleaseReservation(context_, begin));
  }
}

TEST_F(MemMapTest, PiecesSideBySideAreOneRangeForCopiesAndLaunches) {
  const npuDevPtr dva = reserve(64 * kGranule);
  npuMemHandle first = create(kGranule);
  npuMemHandle second = create(2 * kGranule, NPU_MEM_HOST);
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva, first, 0, kGranule, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueFill(queue_, dva, 0, 1, 2 * kGranule, nullptr));
  // It grows in place.
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva + kGranule, second, 0, 2 * kGranule, 0));
  std::vector<uint32_t> in(3 * kGranule / 4);
  std::iota(in.begin(), in.end(), 0u);
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, dva, in.data(), 3 * kGranule));
  const npuDevPtr copy = alloc(3 * kGranule);
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, copy, dva, 3 * kGranule, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, dva + kGranule - 4, 0, 4, 8, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  std::vector<uint32_t> out(in.size());
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), copy, 3 * kGranule));
  EXPECT_EQ(in, out);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), dva, 3 * kGranule));
  in[kGranule / 4 - 1] = in[kGranule / 4] = 0;
  EXPECT_EQ(in, out);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS,
             npuMemCopyToHost(context_, out.data(), dva + kGranule, 2 * kGranule + 1));
}

TEST_F(MemMapTest, AKernelReadsAcrossTheSeam) {
  const npuDevPtr dva = reserve(2 * kGranule);
  npuMemHandle one = create(kGranule);
  npuMemHandle two = create(kGranule);
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva, one, 0, kGranule, 0));
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva + kGranule, two, 0, kGranule, 0));
  const float marks[2] = {3.0f, 4.0f};
  for (const uint64_t at : {kGranule - 4, kGranule}) {
    const PokeArgs poke{dva + at, marks[at == kGranule], 0};
    ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &poke, sizeof poke));
  }
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  float found[2] = {};
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, found, dva + kGranule - 4, 8));
  EXPECT_EQ(found[0], 3.0f);
  EXPECT_EQ(found[1], 4.0f);
}

TEST_F(MemMapTest, OneMemoryAtTwoAddressesIsTheSameMemory) {
  const npuDevPtr dva = reserve(8 * kGranule);
  npuMemHandle handle = create(2 * kGranule);
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva, handle, 0, 2 * kGranule, 0));
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva + 4 * kGranule, handle, kGranule, kGranule,
                                 NPU_MEM_READONLY));
  const uint64_t mark = 0x1234567890abcdef;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, dva + kGranule + 16, mark, 8, 8, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  uint64_t seen = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &seen, dva + 4 * kGranule + 16, 8));
  EXPECT_EQ(seen, mark);
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuQueueFill(queue_, dva + 4 * kGranule, 0, 8, 8, nullptr));
  // The handle may go first.
  ASSERT_NPU(NPU_OK, npuMemDestroy(handle));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE,
             npuMemMapAt(context_, dva + 6 * kGranule, handle, 0, kGranule, 0));
  ASSERT_NPU(NPU_OK, npuMemUnmapAt(context_, dva, 2 * kGranule));
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &seen, dva + 4 * kGranule + 16, 8));
  EXPECT_EQ(seen, mark);
}

TEST_F(MemMapTest, DeviceWritesThroughAReadOnlyMappingFault) {
  const npuDevPtr dva = reserve(kGranule);
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva, create(kGranule), 0, kGranule, NPU_MEM_READONLY));
  const PokeArgs poke{dva, 1.0f, 0};
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &poke, sizeof poke));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueSync(queue_, kLongNs));
}

TEST_F(MemMapTest, UnmappedMemoryGoesBackAndItsAddressIsNone) {
  // What the context holds, and not what the device has left: that changes when somebody else gives back.
  const uint64_t before = held_bytes();
  const npuDevPtr dva = reserve(1024 * kGranule);
  npuMemHandle handle = create(64 * kGranule);
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva, handle, 0, 64 * kGranule, 0));
  EXPECT_EQ(held_bytes(), before + 64 * kGranule);
  ASSERT_NPU(NPU_OK, npuMemDestroy(handle));
  EXPECT_EQ(held_bytes(), before + 64 * kGranule);
  ASSERT_NPU(NPU_OK, npuMemUnmapAt(context_, dva, 64 * kGranule));
  EXPECT_EQ(held_bytes(), before);
  npuMemInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuMemQuery(context_, dva, &info));
  EXPECT_EQ(info.kind, NPU_MEM_UNKNOWN);
  uint8_t byte = 0;
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemCopyToHost(context_, &byte, dva, 1));
  const PeekArgs peek{dva, alloc(4)};
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("peek"), &peek, sizeof peek));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueSync(queue_, kLongNs));
}

TEST_F(MemMapTest, WrongReservationsAreRefused) {
  npuDevPtr dva = 1;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemReserve(context_, 0, 0, &dva));
  EXPECT_EQ(dva, 0u);
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuMemReserve(context_, 100, 0, &dva));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, npuMemReserve(context_, ~uint64_t{0xffff}, 0, &dva));
  EXPECT_NPU(NPU_ERROR_OUT_OF_ADDRESS_SPACE, npuMemReserve(context_, uint64_t{1} << 47, 0, &dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemReserve(context_, kGranule, 3, &dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT,
             npuMemReserve(context_, kGranule, uint64_t{1} << 41, &dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemReserve(context_, kGranule, 0, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemReleaseReservation(context_, alloc(64)));
  npuMemHandle handle = nullptr;
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuMemCreate(context_, NPU_MEM_DEVICE, 100, &handle));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCreate(context_, NPU_MEM_DEVICE, 0, &handle));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCreate(context_, 7, kGranule, &handle));
  EXPECT_NPU(NPU_ERROR_OVERFLOW,
             npuMemCreate(context_, NPU_MEM_DEVICE, ~uint64_t{0xffff}, &handle));
  EXPECT_EQ(handle, nullptr);
  EXPECT_NPU(NPU_OK, npuMemDestroy(nullptr));
}

TEST_F(MemMapTest, WrongMappingsAreRefusedAndChangeNothing) {
  const npuDevPtr dva = reserve(4 * kGranule);
  npuMemHandle handle = create(2 * kGranule);
  const auto map = [&](npuDevPtr at, uint64_t offset, uint64_t size, uint32_t flags = 0) {
    return npuMemMapAt(context_, at, handle, offset, size, flags);
  };
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, map(dva, 0, 0));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, map(dva + 4096, 0, kGranule));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, map(dva, 4096, kGranule));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, map(dva, 0, kGranule + 1));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, map(dva, 0, 3 * kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, map(dva, ~uint64_t{0xffff}, 2 * kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, map(dva, 0, kGranule, 2));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, map(dva - kGranule, 0, 2 * kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, map(dva + 3 * kGranule, 0, 2 * kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, map(~uint64_t{0xffff}, 0, 2 * kGranule));
  EXPECT_NPU(NPU_OK, map(dva + kGranule, 0, 2 * kGranule));
  EXPECT_NPU(NPU_ERROR_BUSY, map(dva, 0, 2 * kGranule));
  EXPECT_NPU(NPU_ERROR_BUSY, map(dva + 2 * kGranule, 0, 2 * kGranule));
  EXPECT_NPU(NPU_OK, map(dva, 0, kGranule));
  EXPECT_NPU(NPU_ERROR_BUSY, npuMemReleaseReservation(context_, dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemUnmapAt(context_, dva + kGranule, kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemUnmapAt(context_, dva + 2 * kGranule, kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemUnmapAt(context_, dva + 3 * kGranule, kGranule));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, npuMemUnmapAt(context_, dva, ~uint64_t{0}));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemUnmapAt(context_, dva, 0));
  EXPECT_NPU(NPU_OK, npuMemUnmapAt(context_, dva, 4 * kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemUnmapAt(context_, dva, 4 * kGranule));
  npuContext stranger = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &stranger));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemMapAt(stranger, dva, handle, 0, kGranule, 0));
  ASSERT_NPU(NPU_OK, npuContextDestroy(stranger));
  EXPECT_NPU(NPU_OK, npuMemReleaseReservation(context_, dva));
}

TEST_F(MemMapTest, TheHostSeesOnePieceAtATime) {
  const npuDevPtr dva = reserve(2 * kGranule);
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva, create(kGranule), 0, kGranule, 0));
  ASSERT_NPU(NPU_OK, npuMemMapAt(context_, dva + kGranule, create(kGranule), 0, kGranule, 0));
  void* host = nullptr;
  EXPECT_NPU(NPU_OK, npuMemMap(context_, dva + kGranule, kGranule, &host));
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuMemMap(context_, dva, 2 * kGranule, &host));
  EXPECT_EQ(host, nullptr);
}

}  // namespace
}  // namespace npu::conformance
