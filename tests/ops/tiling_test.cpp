// SPDX-License-Identifier: Apache-2.0
// Weights in tiles on the host: every byte has one place, and what cannot be tiled is refused.
#include <npu/npu_tensor.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <random>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

constexpr uint64_t kRows = 48, kCols = 96, kBlocks = kCols / 32;
constexpr uint32_t kSeed = 20261128;

struct Layout {
  npuDataType type;
  uint64_t block_bytes;
  uint64_t bytes() const { return kRows * kBlocks * block_bytes; }
};
constexpr Layout kLayouts[] = {{NPU_Q8_0, 34}, {NPU_Q4_0, 18}};

std::vector<uint8_t> random_memory(uint64_t bytes) {
  std::mt19937 engine(kSeed);
  std::vector<uint8_t> memory(bytes);
  for (uint8_t& byte : memory) byte = static_cast<uint8_t>(engine());
  return memory;
}

// Where byte |byte| of block |block| of row |row| lies among tiles.
uint64_t place(const Layout& l, uint64_t row, uint64_t block, uint64_t byte) {
  const uint64_t tile = (row / 16 * kBlocks + block) * 16 * l.block_bytes, lane = row % 16;
  if (byte < 2) return tile + 2 * lane + byte;
  return tile + 32 + (byte - 2) / 4 * 64 + 4 * lane + (byte - 2) % 4;
}

TEST(Tiling, EachByteHasItsPlace) {
  for (const Layout& l : kLayouts) {
    const std::vector<uint8_t> rows = random_memory(l.bytes());
    std::vector<uint8_t> tiles(l.bytes());
    NPU_ASSERT_OK(npuOpsTileWeights(l.type, kRows, kCols, rows.data(), tiles.data()));
    for (uint64_t i = 0; i < l.bytes(); ++i) {
      const uint64_t block = i / l.block_bytes;
      ASSERT_EQ(tiles[place(l, block / kBlocks, block % kBlocks, i % l.block_bytes)], rows[i])
          << "byte " << i << ", type " << l.type << ", seed " << kSeed;
    }
  }
}

TEST(Tiling, ThereAndBackInPlaceIsNothing) {
  for (const Layout& l : kLayouts) {
    const std::vector<uint8_t> rows = random_memory(l.bytes());
    std::vector<uint8_t> apart(l.bytes()), memory = rows;
    NPU_ASSERT_OK(npuOpsTileWeights(l.type, kRows, kCols, rows.data(), apart.data()));
    NPU_ASSERT_OK(npuOpsTileWeights(l.type, kRows, kCols, memory.data(), memory.data()));
    EXPECT_EQ(memory, apart) << "type " << l.type;
    NPU_ASSERT_OK(npuOpsUntileWeights(l.type, kRows, kCols, memory.data(), memory.data()));
    EXPECT_EQ(memory, rows) << "type " << l.type << ", seed " << kSeed;
  }
}

TEST(Tiling, APartOf16RowsIsTiledAlone) {
  const Layout& l = kLayouts[0];
  const uint64_t part = 16 * kBlocks * l.block_bytes;
  std::vector<uint8_t> whole = random_memory(l.bytes()), parts = whole;
  NPU_ASSERT_OK(npuOpsTileWeights(l.type, kRows, kCols, whole.data(), whole.data()));
  for (uint64_t at = 0; at < l.bytes(); at += part)
    NPU_ASSERT_OK(npuOpsTileWeights(l.type, 16, kCols, parts.data() + at, parts.data() + at));
  EXPECT_EQ(whole, parts) << "seed " << kSeed;
}

TEST(Tiling, WhatHasNoTilesIsRefused) {
  std::vector<uint8_t> memory(kLayouts[0].bytes());
  uint8_t* const at = memory.data();
  const auto tile = [&](npuDataType type, uint64_t rows, uint64_t cols, const void* src,
                        void* dst) { return npuOpsTileWeights(type, rows, cols, src, dst); };
  EXPECT_EQ(tile(NPU_FLOAT32, 16, 32, at, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q4_K, 16, 256, at, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(-1, 16, 32, at, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, 15, 32, at, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, 16, 33, at, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, 16, 32, nullptr, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, 16, 32, at, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, 16, 32, at, at + 543), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, 16, 32, at + 1, at), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(tile(NPU_Q8_0, uint64_t{1} << 60, 32, at, at), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(tile(NPU_Q8_0, 16 * (UINT64_MAX / 544), 32, at, at), NPU_ERROR_OVERFLOW);
  EXPECT_NE(std::strstr(npuOpsGetErrorText(), "address space"), nullptr) << npuOpsGetErrorText();
  EXPECT_TRUE(std::all_of(memory.begin(), memory.end(), [](uint8_t x) { return x == 0; }));
  EXPECT_EQ(tile(NPU_Q8_0, 0, 32, nullptr, nullptr), NPU_OK);
  EXPECT_EQ(tile(NPU_Q8_0, 16, 0, nullptr, nullptr), NPU_OK);
}

}  // namespace
}  // namespace npu::test
