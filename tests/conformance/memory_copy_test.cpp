// SPDX-License-Identifier: Apache-2.0
// Copies and fills by the host: strided, sharded, between contexts; and what host pointers are known as.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class MemCopyTest : public DeviceTest {
 protected:
  static npuMemCopyInfo strided(uint64_t width, uint32_t height, uint32_t depth) {
    npuMemCopyInfo info{};
    info.struct_size = sizeof info;
    info.width_bytes = width;
    info.height = height;
    info.depth = depth;
    return info;
  }
};

TEST_F(MemCopyTest, StridedBlocksGoThereAndBack) {
  constexpr uint64_t kWidth = 12;
  constexpr uint32_t kHeight = 5;
  constexpr uint32_t kDepth = 3;
  std::vector<uint8_t> in(20 * 8 * 4);
  std::iota(in.begin(), in.end(), uint8_t{0});
  const npuDevPtr ptr = alloc(4096);
  npuMemCopyInfo info = strided(kWidth, kHeight, kDepth);
  info.src_host = in.data();
  info.src_pitch_bytes = 20;
  info.src_slice_pitch_bytes = 20 * 8;
  info.dst = ptr;
  info.dst_pitch_bytes = kWidth;
  info.dst_slice_pitch_bytes = 100;
  ASSERT_NPU(NPU_OK, npuMemCopyStrided(context_, &info));
  std::vector<uint8_t> device(300);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, device.data(), ptr, device.size()));
  const npuDevPtr other = alloc(4096);
  npuMemCopyInfo between = strided(kWidth, kHeight, kDepth);
  between.src = ptr;
  between.src_pitch_bytes = kWidth;
  between.src_slice_pitch_bytes = 100;
  between.dst = other;
  between.dst_pitch_bytes = 64;
  between.dst_slice_pitch_bytes = 512;
  ASSERT_NPU(NPU_OK, npuMemCopyStrided(context_, &between));
  std::vector<uint8_t> out(in.size(), 0xee);
  npuMemCopyInfo back = strided(kWidth, kHeight, kDepth);
  back.src = other;
  back.src_pitch_bytes = 64;
  back.src_slice_pitch_bytes = 512;
  back.dst_host = out.data();
  back.dst_pitch_bytes = 20;
  back.dst_slice_pitch_bytes = 20 * 8;
  ASSERT_NPU(NPU_OK, npuMemCopyStrided(context_, &back));
  for (uint32_t z = 0; z < 4; z++) {
    for (uint32_t y = 0; y < 8; y++) {
      for (uint32_t x = 0; x < 20; x++) {
        const size_t at = z * 160 + y * 20 + x;
        const bool inside = z < kDepth && y < kHeight && x < kWidth;
        ASSERT_EQ(out[at], inside ? in[at] : 0xee) << z << " " << y << " " << x;
        if (inside) {
          ASSERT_EQ(device[z * 100 + y * kWidth + x], in[at]);
        }
      }
    }
  }
}

TEST_F(MemCopyTest, WrongStridedCopiesAreRefused) {
  const npuDevPtr ptr = alloc(1000);
  uint8_t host[2000] = {};
  npuMemCopyInfo good = strided(10, 2, 1);
  good.src_host = host;
  good.src_pitch_bytes = 10;
  good.dst = ptr;
  good.dst_pitch_bytes = 10;
  ASSERT_NPU(NPU_OK, npuMemCopyStrided(context_, &good));
  const auto with = [&](auto change) {
    npuMemCopyInfo info = good;
    change(info);
    return npuMemCopyStrided(context_, &info);
  };
  using Info = npuMemCopyInfo;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, with([](Info& i) { i.struct_size = 8; }));
  EXPECT_NPU(NPU_ERROR_RESERVED_NOT_ZERO, with([](Info& i) { i.reserved = 1; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([&](Info& i) { i.dst_host = host; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dst = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.src_host = nullptr; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.height = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dst_pitch_bytes = 9; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dst_slice_pitch_bytes = 9; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, with([](Info& i) { i.dst_pitch_bytes = 991; }));
  EXPECT_NPU(NPU_OK, with([](Info& i) { i.dst_pitch_bytes = 990; }));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, with([](Info& i) {
               i.height = 0x7fffffff;
               i.dst_pitch_bytes = i.src_pitch_bytes = uint64_t{1} << 60;
             }));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, with([](Info& i) { i.src_pitch_bytes = ~uint64_t{0} - 100; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([&](Info& i) {
               i.src_host = nullptr;
               i.src = ptr + 15;
             }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyStrided(context_, nullptr));
}

TEST_F(MemCopyTest, FillsWithPatternsOfAllSizes) {
  const npuDevPtr ptr = alloc(100'000);
  std::vector<uint8_t> out(100'000);
  const uint8_t pattern[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  for (const uint32_t bytes : {1u, 2u, 4u, 8u, 16u}) {
    const uint64_t size = 99'968 / 16 * 16 - bytes;
    ASSERT_NPU(NPU_OK, npuMemFill(context_, ptr, pattern, 1, 100'000));
    ASSERT_NPU(NPU_OK, npuMemFill(context_, ptr + 16, pattern, bytes, size));
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), ptr, out.size()));
    for (size_t i = 0; i < out.size(); i++) {
      const bool inside = i >= 16 && i < 16 + size;
      ASSERT_EQ(out[i], inside ? pattern[(i - 16) % bytes] : 1) << bytes << " at " << i;
    }
  }
  EXPECT_NPU(NPU_OK, npuMemFill(context_, ptr, pattern, 16, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemFill(context_, ptr, pattern, 3, 9));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemFill(context_, ptr, pattern, 32, 32));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemFill(context_, ptr, pattern, 0, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemFill(context_, ptr, nullptr, 1, 1));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuMemFill(context_, ptr, pattern, 8, 12));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, npuMemFill(context_, ptr + 4, pattern, 8, 8));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFill(context_, ptr, pattern, 16, 100'016));
}

npuShardedTensor tensor(std::vector<npuShardDim> dims, const std::vector<npuShard>& shards) {
  npuShardedTensor out{};
  out.struct_size = sizeof out;
  out.element_bytes = 4;
  out.rank = static_cast<uint32_t>(dims.size());
  out.shard_count = static_cast<uint32_t>(shards.size());
  std::copy(dims.begin(), dims.end(), out.dims);
  out.shards = shards.data();
  return out;
}

TEST_F(MemCopyTest, ATensorIsSpreadOverContextsDealtOutAnewAndGathered) {
  npuContext second = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &second));
  constexpr uint64_t kRows = 10;
  constexpr uint64_t kColumns = 7;
  std::vector<uint32_t> in(kRows * kColumns);
  std::iota(in.begin(), in.end(), 1u);
  std::vector<uint32_t> out(in.size());
  const std::vector<npuShard> at_in = {{nullptr, 0, in.data()}};
  const std::vector<npuShard> at_out = {{nullptr, 0, out.data()}};
  const npuShardDim rows{kRows, 0, NPU_SHARD_NONE, 1};
  const npuShardDim columns{kColumns, 0, NPU_SHARD_NONE, 1};
  std::vector<npuShard> blocks;
  std::vector<npuShard> dealt;
  for (int i = 0; i < 4; i++) {
    npuContext home = i % 2 == 0 ? context_ : second;
    for (std::vector<npuShard>* list : {&blocks, &dealt}) {
      npuDevPtr ptr = 0;
      ASSERT_NPU(NPU_OK, npuMemAlloc(home, NPU_MEM_DEVICE, kRows * kColumns * 4, &ptr));
      list->push_back({home, ptr, nullptr});
    }
  }
  const npuShardedTensor host_in = tensor({rows, columns}, at_in);
  const npuShardedTensor host_out = tensor({rows, columns}, at_out);
  // 10 rows in 4 blocks of 3: the last has one. 7 columns dealt out by 2 to 2, rows by 1 to 2.
  const npuShardedTensor by_block = tensor({{kRows, 0, NPU_SHARD_BLOCK, 4}, columns}, blocks);
  const npuShardedTensor by_turn =
      tensor({{kRows, 1, NPU_SHARD_CYCLIC, 2}, {kColumns, 2, NPU_SHARD_CYCLIC, 2}}, dealt);
  ASSERT_NPU(NPU_OK, npuMemCopyTensor(&by_block, &host_in));
  ASSERT_NPU(NPU_OK, npuMemCopyTensor(&by_turn, &by_block));
  ASSERT_NPU(NPU_OK, npuMemCopyTensor(&host_out, &by_turn));
  EXPECT_EQ(in, out);
  std::vector<uint32_t> last(kColumns);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(second, last.data(), blocks[3].ptr, kColumns * 4));
  EXPECT_TRUE(std::equal(last.begin(), last.end(), in.begin() + 9 * kColumns));
  // Shard (1, 1): odd rows, columns 2, 3 and 6.
  std::vector<uint32_t> odd(5 * 3);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(second, odd.data(), dealt[3].ptr, odd.size() * 4));
  EXPECT_EQ(odd[0], in[1 * kColumns + 2]);
  EXPECT_EQ(odd[1], in[1 * kColumns + 3]);
  EXPECT_EQ(odd[2], in[1 * kColumns + 6]);
  EXPECT_EQ(odd[3], in[3 * kColumns + 2]);
  ASSERT_NPU(NPU_OK, npuContextDestroy(second));
}

TEST_F(MemCopyTest, WrongTensorsAreRefused) {
  std::vector<uint32_t> host(64);
  const std::vector<npuShard> at_host = {{nullptr, 0, host.data()}};
  const npuDevPtr ptr = alloc(256);
  const std::vector<npuShard> at_device = {{context_, ptr, nullptr}};
  const std::vector<npuShard> halves = {{context_, ptr, nullptr}, {context_, ptr + 128, nullptr}};
  const npuShardDim whole{64, 0, NPU_SHARD_NONE, 1};
  const npuShardedTensor good = tensor({whole}, at_host);
  const npuShardedTensor device = tensor({whole}, at_device);
  const npuShardedTensor split = tensor({{64, 0, NPU_SHARD_BLOCK, 2}}, halves);
  ASSERT_NPU(NPU_OK, npuMemCopyTensor(&device, &good));
  ASSERT_NPU(NPU_OK, npuMemCopyTensor(&split, &good));
  const auto with = [&](auto change) {
    npuShardedTensor info = split;
    change(info);
    return npuMemCopyTensor(&info, &good);
  };
  using Info = npuShardedTensor;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, with([](Info& i) { i.struct_size = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.rank = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.rank = 9; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.element_bytes = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.element_bytes = 2; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.shard_count = 1; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.shards = nullptr; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dims[0].parts = 0; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dims[0].kind = 3; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dims[0].block = 5; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([](Info& i) { i.dims[0].size = 63; }));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, with([](Info& i) { i.dims[0].size = uint64_t{1} << 62; }));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, with([](Info& i) { i.dims[0].size = 128; }));
  const std::vector<npuShard> same = {{context_, ptr, nullptr}, {context_, ptr + 4, nullptr}};
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([&](Info& i) { i.shards = same.data(); }));
  const std::vector<npuShard> nowhere = {{context_, ptr, nullptr}, {nullptr, 0, nullptr}};
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, with([&](Info& i) { i.shards = nowhere.data(); }));
  const std::vector<npuShard> stale = {{reinterpret_cast<npuContext>(queue_), ptr, nullptr},
                                       {context_, ptr + 128, nullptr}};
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, with([&](Info& i) { i.shards = stale.data(); }));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyTensor(&split, &device));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyTensor(nullptr, &device));
}

TEST_F(MemCopyTest, CopiesBetweenContexts) {
  npuContext second = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &second));
  npuDevPtr there = 0;
  ASSERT_NPU(NPU_OK, npuMemAlloc(second, NPU_MEM_DEVICE, 5000, &there));
  const npuDevPtr here = alloc(5000);
  ASSERT_NPU(NPU_OK, npuMemFill(context_, here, "\x42", 1, 5000));
  ASSERT_NPU(NPU_OK, npuMemCopyPeer(second, there, context_, here, 5000));
  std::vector<uint8_t> out(5000);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(second, out.data(), there, out.size()));
  EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](uint8_t b) { return b == 0x42; }));
  EXPECT_NPU(NPU_OK, npuMemCopyPeer(second, there, context_, here, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemCopyPeer(second, there, context_, here, 5001));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyPeer(context_, here, context_, here + 10, 100));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemCopyPeer(nullptr, there, context_, here, 1));
  ASSERT_NPU(NPU_OK, npuContextDestroy(second));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemCopyPeer(second, there, context_, here, 1));
}

TEST_F(MemCopyTest, HostPointersAreKnownOnceMappedAndForeignOnesAreNoError) {
  npuMemInfo info{};
  info.struct_size = sizeof info;
  int local = 0;
  for (const void* foreign : {static_cast<const void*>(nullptr), static_cast<const void*>(&local),
                              reinterpret_cast<const void*>(~uintptr_t{0})}) {
    info.kind = NPU_MEM_HOST;
    ASSERT_NPU(NPU_OK, npuMemQueryHost(context_, foreign, &info));
    EXPECT_EQ(info.kind, NPU_MEM_UNKNOWN);
    EXPECT_EQ(info.host, nullptr);
  }
  for (const npuMemKind kind : {NPU_MEM_HOST, NPU_MEM_DEVICE}) {
    const npuDevPtr ptr = alloc(1000, kind);
    void* host = nullptr;
    ASSERT_NPU(NPU_OK, npuMemMap(context_, ptr, 1000, &host));
    ASSERT_NPU(NPU_OK, npuMemQueryHost(context_, static_cast<char*>(host) + 999, &info));
    EXPECT_EQ(info.kind, kind);
    EXPECT_EQ(info.base, ptr);
    EXPECT_EQ(info.host, host);
    EXPECT_EQ(info.size_bytes, 1000u);
    npuMemInfo by_dva{};
    by_dva.struct_size = sizeof by_dva;
    ASSERT_NPU(NPU_OK, npuMemQuery(context_, ptr + 1, &by_dva));
    EXPECT_EQ(by_dva.host, host);
    EXPECT_EQ(by_dva.allocation_id, info.allocation_id);
    ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
    ASSERT_NPU(NPU_OK, npuMemQueryHost(context_, host, &info));
    EXPECT_EQ(info.kind, NPU_MEM_UNKNOWN);
  }
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemQueryHost(context_, &local, nullptr));
}

}  // namespace
}  // namespace npu::conformance
