// SPDX-License-Identifier: Apache-2.0
// Gather, scatter and argmax are exact; a conversion rounds once.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

struct Move {
  uint32_t count, cols, table_rows, block_rows, block_cols;
};
constexpr Move kMoves[] = {
    {1, 1, 1, 1, 1}, {17, 33, 40, 4, 16}, {5, 129, 9, 64, 4096}, {0, 8, 3, 4, 8}};

std::vector<int32_t> make_indices(Random& random, const Move& m, bool unique) {
  std::vector<int32_t> out(m.count);
  for (uint32_t i = 0; i < m.count; ++i) {
    out[i] = static_cast<int32_t>(unique ? (i * 7 + 3) % m.table_rows : random.below(m.table_rows));
  }
  return out;
}

Args move_args(const Move& m, uint64_t x, uint64_t y, uint64_t indices, uint32_t ldx,
               uint32_t ldy) {
  return {{"x", x},
          {"y", y},
          {"indices", indices},
          {"count", m.count},
          {"cols", m.cols},
          {"table_rows", m.table_rows},
          {"ldx", ldx},
          {"ldy", ldy},
          {"block_rows", m.block_rows},
          {"block_cols", m.block_cols}};
}

TEST(Gather, RowsArriveUnchanged) {
  uint32_t seed = 1;
  for (DType from : kElementTypes) {
    for (DType to : kElementTypes) {
      for (const Move& m : kMoves) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Random random(seed++);
        Rig rig;
        std::vector<float> table = random.values(uint64_t{m.table_rows} * (m.cols + 1), from);
        std::vector<int32_t> indices = make_indices(random, m, false);
        uint64_t y = rig.put(to, std::vector<float>(uint64_t{m.count} * (m.cols + 2), 7.0f));
        rig.run("gather_" + type_name(from) + "_" + type_name(to),
                move_args(m, rig.put(from, table), y, rig.put_i32(indices), m.cols + 1, m.cols + 2),
                {ceil_div(m.cols, m.block_cols), std::max(1u, ceil_div(m.count, m.block_rows))});
        std::vector<float> got = rig.get(to, y, uint64_t{m.count} * (m.cols + 2));
        for (uint32_t i = 0; i < m.count; ++i) {
          for (uint32_t j = 0; j < m.cols; ++j) {
            ASSERT_EQ(got[i * (m.cols + 2) + j],
                      rounded(to, table[static_cast<uint32_t>(indices[i]) * (m.cols + 1) + j]));
          }
        }
      }
    }
  }
}

TEST(Scatter, RowsArriveUnchangedAndOthersStay) {
  uint32_t seed = 100;
  for (DType from : kElementTypes) {
    for (DType to : kElementTypes) {
      for (const Move& m : kMoves) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Random random(seed++);
        Rig rig;
        std::vector<float> x = random.values(uint64_t{m.count} * m.cols, from);
        std::vector<int32_t> indices = make_indices(random, m, true);
        std::vector<float> want(uint64_t{m.table_rows} * (m.cols + 1), 7.0f);
        uint64_t y = rig.put(to, want);
        rig.run("scatter_" + type_name(from) + "_" + type_name(to),
                move_args(m, rig.put(from, x), y, rig.put_i32(indices), m.cols, m.cols + 1),
                {ceil_div(m.cols, m.block_cols), std::max(1u, ceil_div(m.count, m.block_rows))});
        for (uint32_t i = 0; i < m.count; ++i) {
          for (uint32_t j = 0; j < m.cols; ++j) {
            want[static_cast<uint32_t>(indices[i]) * (m.cols + 1) + j] =
                rounded(to, x[i * m.cols + j]);
          }
        }
        EXPECT_EQ(rig.get(to, y, want.size()), want);
      }
    }
  }
}

TEST(Gather, AnIndexOutsideTheTableFaults) {
  for (int32_t bad : {-1, 3, INT32_MAX, INT32_MIN}) {
    Rig rig;
    uint64_t x = rig.alloc(3 * 8 * 4);
    rig.run("gather_f32_f32", move_args({1, 8, 3, 1, 8}, x, x, rig.put_i32({bad}), 8, 8), {1},
            NPU_ST_KERNEL_BOUNDS);
    rig.run("scatter_f32_f32", move_args({1, 8, 3, 1, 8}, x, x, rig.put_i32({bad}), 8, 8), {1},
            NPU_ST_KERNEL_BOUNDS);
  }
}

TEST(Argmax, FindsTheFirstLargest) {
  uint32_t seed = 200;
  for (DType type : kElementTypes) {
    for (auto [rows, cols, block] :
         {std::array{1u, 1u, 1u}, {5u, 129u, 2u}, {1u, 32000u, 1u}, {17u, 33u, 100u}}) {
      Random random(seed++);
      Rig rig;
      std::vector<float> x = random.values(uint64_t{rows} * (cols + 1), type);
      uint64_t y = rig.alloc(rows * 4);
      rig.run("argmax_" + type_name(type),
              {{"x", rig.put(type, x)},
               {"y", y},
               {"rows", rows},
               {"cols", cols},
               {"ldx", cols + 1},
               {"block_rows", block}},
              {ceil_div(rows, block)});
      std::vector<int32_t> got = rig.get_i32(y, rows);
      for (uint32_t i = 0; i < rows; ++i) {
        auto begin = x.begin() + i * (cols + 1);
        EXPECT_EQ(got[i], std::max_element(begin, begin + cols) - begin) << "seed " << seed;
      }
    }
  }
}

TEST(Argmax, PassesOverNan) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Rig rig;
  uint64_t y = rig.alloc(12);
  uint64_t x =
      rig.put(DType::F32, {kNan, 2, 3, 3, kNan, kNan, kNan, kNan, -INFINITY, -INFINITY, -1, kNan});
  rig.run("argmax_f32",
          {{"x", x}, {"y", y}, {"rows", 3}, {"cols", 4}, {"ldx", 4}, {"block_rows", 3}}, {1});
  EXPECT_EQ(rig.get_i32(y, 3), (std::vector<int32_t>{2, 0, 2}));
}

}  // namespace
}  // namespace npu::kernels
