// SPDX-License-Identifier: Apache-2.0
// LD, ST, GATHER, SCATTER: which element ends where, over types, layouts, strides and borders of
// memory runs.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "machine.h"

namespace npu::model {
namespace {

constexpr uint64_t kPieces = 0x50000000;  // mapped in runs of 4096 bytes

void map_pieces(Machine& m) {
  for (uint64_t i = 0; i < 64; ++i) m.memory.map(kPieces + i * 4096, 4096);
}

template <typename T>
std::vector<T> counted(size_t n) {
  std::vector<T> v(n);
  std::iota(v.begin(), v.end(), T{1});
  return v;
}

struct Copy {
  uint64_t rows;
  uint64_t cols;
  uint64_t in_stride;
  uint64_t l1_stride;
  uint64_t out_stride;
  uint64_t in_base;
  uint64_t out_base;
};

// HBM -> L1 -> HBM; every element arrives, and nothing beside the tile is written.
template <typename T>
void expect_round_trip(const Copy& c, uint8_t dtype) {
  SCOPED_TRACE(testing::Message() << c.rows << "x" << c.cols << " strides " << c.in_stride << " "
                                  << c.l1_stride << " " << c.out_stride << " type " << int{dtype});
  Machine m;
  map_pieces(m);
  auto in = counted<T>(c.rows * c.in_stride + 1);
  m.memory.put(c.in_base, in);
  size_t out_size = c.rows * c.out_stride + 1;
  m.memory.put(c.out_base, std::vector<T>(out_size, T{0}));
  Kernel k;
  k.hbm(0, c.in_base, c.rows, c.cols, dtype, c.in_stride);
  k.l1(1, 64, c.rows, c.cols, dtype, c.l1_stride);
  k.hbm(2, c.out_base, c.rows, c.cols, dtype, c.out_stride);
  k.op(NPU_OP_LD, 1, 0).signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_ST, 2, 1).wait0 = NPU_WAIT(0, 1, 1);
  GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_EQ(result.stats.hbm_read_bytes, c.rows * c.cols * sizeof(T));
  EXPECT_EQ(result.stats.hbm_write_bytes, c.rows * c.cols * sizeof(T));
  std::vector<T> expected(out_size, T{0});
  for (uint64_t i = 0; i < c.rows; ++i) {
    for (uint64_t j = 0; j < c.cols; ++j) expected[i * c.out_stride + j] = in[i * c.in_stride + j];
  }
  EXPECT_EQ(m.memory.get<T>(c.out_base, out_size), expected);
}

TEST(Dma, RowTilesArriveForEveryStride) {
  std::mt19937_64 random(7);
  std::vector<std::pair<uint64_t, uint64_t>> shapes = {{0, 0},  {0, 5},  {5, 0},   {1, 1},
                                                       {1, 37}, {37, 1}, {16, 16}, {19, 53}};
  for (auto [rows, cols] : shapes) {
    for (int i = 0; i < 4; ++i) {
      auto stride = [&] { return std::max<uint64_t>(1, cols + (i % 2 == 0 ? 0 : random() % 9)); };
      Copy c{rows,
             cols,
             stride(),
             stride(),
             stride(),
             i < 2 ? kIn : kPieces + 4,
             i < 2 ? kOut : kPieces + 0x20000 + 8};
      expect_round_trip<uint32_t>(c, NPU_DTYPE_F32);
      expect_round_trip<uint16_t>(c, NPU_DTYPE_BF16);
    }
  }
}

TEST(Dma, ATileThatCrossesRunsOfMemoryIsCopiedWhole) {
  expect_round_trip<uint32_t>({1, 3000, 3000, 3000, 3000, kPieces + 4000, kPieces + 0x20000 + 100},
                              NPU_DTYPE_I32);
  expect_round_trip<uint32_t>({30, 100, 100, 128, 100, kPieces + 4000, kPieces + 0x20000 + 100},
                              NPU_DTYPE_F32);
  expect_round_trip<uint16_t>({30, 100, 117, 100, 200, kPieces + 4000, kPieces + 0x20000 + 100},
                              NPU_DTYPE_F16);
}

uint64_t panel_place(uint64_t i, uint64_t j, uint64_t stride) {
  return j / 16 * stride * 16 + i * 16 + j % 16;
}

// LD ROW to PANEL (or its transpose), looked at through L1 as a flat row; then ST back to ROW.
template <typename T>
void expect_panels(uint64_t rows, uint64_t cols, bool transposed, uint8_t dtype, uint64_t base) {
  SCOPED_TRACE(testing::Message() << rows << "x" << cols << (transposed ? " transposed" : ""));
  Machine m;
  map_pieces(m);
  uint64_t in_stride = (transposed ? rows : cols) + 3;
  uint64_t in_rows = transposed ? cols : rows;
  auto in = counted<T>(in_rows * in_stride + 1);
  m.memory.put(base, in);
  uint64_t stride = rows + 2;
  uint64_t panels = (cols + 15) / 16;
  Kernel k;
  k.hbm(0, base, in_rows, transposed ? rows : cols, dtype, in_stride);
  k.set(1, {NPU_SPACE_L1, dtype, NPU_LAYOUT_PANEL}, 0, rows, cols, stride);
  k.l1(2, 0, 1, panels * stride * 16, dtype);
  k.hbm(3, kOut, 1, panels * stride * 16, dtype);
  k.hbm(4, kIn2, rows, cols, dtype);
  // What lies in L1 before tells written zeros from untouched places.
  k.li_f32(1, 1.0f);
  k.op(NPU_OP_VFILL, 2).imm = 0x3f800000;
  k.op(NPU_OP_LD, 1, 0).flags = transposed ? NPU_F_TRANS : 0;
  k.op(NPU_OP_ST, 3, 2);
  k.op(NPU_OP_ST, 4, 1);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto l1 = m.memory.get<T>(kOut, panels * stride * 16);
  auto back = m.memory.get<T>(kIn2, rows * cols);
  for (uint64_t i = 0; i < rows; ++i) {
    for (uint64_t j = 0; j < panels * 16; ++j) {
      T value = j >= cols ? T{0} : transposed ? in[j * in_stride + i] : in[i * in_stride + j];
      ASSERT_EQ(l1[panel_place(i, j, stride)], value) << i << "," << j;
      if (j >= cols) continue;
      ASSERT_EQ(back[i * cols + j], value) << i << "," << j;
    }
  }
}

TEST(Dma, PanelsHoldSixteenColumnsAndZeroesBehindTheLast) {
  for (bool transposed : {false, true}) {
    for (auto [rows, cols] :
         std::vector<std::pair<int, int>>{{1, 1}, {3, 16}, {16, 17}, {33, 45}}) {
      for (uint64_t base : {kIn, kPieces + 4080}) {
        expect_panels<uint32_t>(rows, cols, transposed, NPU_DTYPE_F32, base);
        expect_panels<uint16_t>(rows, cols, transposed, NPU_DTYPE_BF16, base);
      }
    }
  }
}

TEST(Dma, TransposesInBothDirections) {
  for (uint64_t base : {kIn, kPieces + 4080}) {
    for (auto [rows, cols] : std::vector<std::pair<int, int>>{{1, 1}, {2, 7}, {16, 16}, {35, 18}}) {
      Machine m;
      map_pieces(m);
      auto in = counted<uint32_t>(rows * cols);
      m.memory.put(base, in);
      uint64_t out = base == kIn ? kOut : kPieces + 0x20000;
      Kernel k;
      k.hbm(0, base, rows, cols);
      k.l1(1, 0, cols, rows);
      k.op(NPU_OP_LD, 1, 0).flags = NPU_F_TRANS;
      k.hbm(2, out, cols, rows);
      k.op(NPU_OP_ST, 2, 1);
      k.hbm(3, out + 0x8000, rows, cols);
      k.op(NPU_OP_ST, 3, 1).flags = NPU_F_TRANS;
      ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
      auto turned = m.memory.get<uint32_t>(out, rows * cols);
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < cols; ++j) ASSERT_EQ(turned[j * rows + i], in[i * cols + j]);
      }
      EXPECT_EQ(m.memory.get<uint32_t>(out + 0x8000, rows * cols), in);
    }
  }
}

TEST(Dma, StoringAPanelTransposedGivesRows) {
  Machine m;
  auto in = counted<uint16_t>(20 * 35);
  m.memory.put(kIn, in);
  Kernel k;
  k.hbm(0, kIn, 20, 35, NPU_DTYPE_F16);
  k.set(1, {NPU_SPACE_L1, NPU_DTYPE_F16, NPU_LAYOUT_PANEL}, 0, 20, 35);
  k.hbm(2, kOut, 35, 20, NPU_DTYPE_F16);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_ST, 2, 1).flags = NPU_F_TRANS;
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto out = m.memory.get<uint16_t>(kOut, 35 * 20);
  for (int i = 0; i < 20; ++i) {
    for (int j = 0; j < 35; ++j) ASSERT_EQ(out[j * 20 + i], in[i * 35 + j]);
  }
}

TEST(Dma, PanelsMoveBetweenHbmAndL1AsTheyAre) {
  Machine m;
  map_pieces(m);
  auto in = counted<uint32_t>(3 * 20 * 16);
  m.memory.put(kPieces + 4000, in);
  TileSpec panel{NPU_SPACE_HBM, NPU_DTYPE_F32, NPU_LAYOUT_PANEL};
  Kernel k;
  k.set(0, panel, kPieces + 4000, 18, 40, 20);
  k.set(1, {NPU_SPACE_L1, NPU_DTYPE_F32, NPU_LAYOUT_PANEL}, 0, 18, 40, 19);
  k.set(2, panel, kPieces + 0x20000 + 4000, 18, 40, 20);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_ST, 2, 1);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto out = m.memory.get<uint32_t>(kPieces + 0x20000 + 4000, 3 * 20 * 16);
  for (int i = 0; i < 18; ++i) {
    for (int j = 0; j < 48; ++j) {
      ASSERT_EQ(out[panel_place(i, j, 20)], j < 40 ? in[panel_place(i, j, 20)] : 0u);
    }
  }
}

TEST(Dma, TheClusterScratchpadCarriesTilesBetweenTilesOfAGroup) {
  Machine m;
  m.memory.put(kIn, counted<uint32_t>(64));
  Kernel k(2);
  k.set(0, {NPU_SPACE_L2}, 128, 8, 8);
  k.l1(1, 0, 8, 8);
  k.hbm(2, kIn, 8, 8);
  k.hbm(3, kOut, 8, 8);
  k.only(0);
  k.op(NPU_OP_LD, 1, 2);
  k.op(NPU_OP_ST, 0, 1);
  k.end_only();
  k.op(NPU_OP_BARRIER);
  k.only(1);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_ST, 3, 1);
  k.end_only();
  GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<uint32_t>(kOut, 64), counted<uint32_t>(64));
  EXPECT_EQ(result.stats.hbm_read_bytes, 256u);  // L2 traffic is none of HBM's
}

TEST(Dma, GatherTakesRowsByIndexAndScatterPutsThemBack) {
  Machine m;
  map_pieces(m);
  std::vector<int32_t> index = {4, 0, 4, 19, 7};
  auto table = counted<uint16_t>(20 * 200);
  m.memory.put(kPieces + 2, table);
  m.memory.put(kIn, index);
  m.memory.put(kOut, std::vector<uint16_t>(20 * 16, 0));
  Kernel k;
  k.hbm(0, kIn, 1, 5, NPU_DTYPE_I32);
  k.l1(1, 4096, 1, 5, NPU_DTYPE_I32);
  k.hbm(2, kPieces + 2, 20, 10, NPU_DTYPE_BF16, 200);
  k.l1(3, 0, 5, 10, NPU_DTYPE_BF16, 12);
  k.hbm(4, kOut, 20, 10, NPU_DTYPE_BF16, 16);
  k.op(NPU_OP_LD, 1, 0);
  k.op(NPU_OP_GATHER, 3, 2, 1);
  k.op(NPU_OP_SCATTER, 4, 3, 1);
  GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_EQ(result.stats.hbm_write_bytes, 100u);
  std::vector<uint16_t> expected(20 * 16, 0);
  for (int32_t row : index) {
    for (int j = 0; j < 10; ++j) expected[row * 16 + j] = table[row * 200 + j];
  }
  EXPECT_EQ(m.memory.get<uint16_t>(kOut, 20 * 16), expected);
}

TEST(Dma, ANewOwnerSeesZeroesInEveryScratchpad) {
  Machine m;
  Kernel fill;
  fill.l1(0, 0, 1, 1000);
  fill.acc(1, 0, 1, 1000);
  fill.set(2, {NPU_SPACE_L2}, 0, 1, 1000);
  fill.op(NPU_OP_VFILL, 0).imm = 0x3f800000;
  fill.op(NPU_OP_VFILL, 1).imm = 0x3f800000;
  fill.op(NPU_OP_ST, 2, 0);
  ASSERT_EQ(m.run(fill.done()).fault.status, NPU_ST_OK);

  m.launch.owner = 2;
  Kernel spy;
  spy.l1(0, 0, 1, 1000);
  spy.acc(1, 0, 1, 1000);
  spy.set(2, {NPU_SPACE_L2}, 0, 1, 1000);
  spy.l1(3, 8192, 1, 1000);
  for (int i = 0; i < 3; ++i) spy.hbm(4 + i, kOut + 4096 * i, 1, 1000);
  spy.op(NPU_OP_ST, 4, 0);
  spy.op(NPU_OP_ACCST, 3, 1);
  spy.op(NPU_OP_ST, 5, 3);
  spy.op(NPU_OP_LD, 3, 2);
  spy.op(NPU_OP_ST, 6, 3);
  m.memory.put(kOut, std::vector<float>(3072, 9.0f));
  ASSERT_EQ(m.run(spy.done()).fault.status, NPU_ST_OK);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(m.memory.get<float>(kOut + 4096 * i, 1000), std::vector<float>(1000, 0.0f));
  }
}

}  // namespace
}  // namespace npu::model
