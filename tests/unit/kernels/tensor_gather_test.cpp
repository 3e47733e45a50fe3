// SPDX-License-Identifier: Apache-2.0
// Rows by index: gather and scatter on tensors of any strides, with tables and indices that repeat, and indices outside the table.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "libnpu/ops/error.h"
#include "tests/unit/kernels/tensor_memory.h"

namespace npu::kernels {
namespace {

constexpr npuDataType kFloats[] = {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16};

// Views of rows: any distances, columns side by side.
TensorMemory any_rows(npuDataType type, const Index& sizes, Random& random) {
  std::array<uint32_t, 4> order = {0, 1, 2, 3};
  for (uint32_t i = 3; i > 1; --i) std::swap(order[i], order[1 + random.below(i)]);
  Index pad{};
  for (uint64_t& p : pad) p = random.below(3) == 0 ? random.below(4) : 0;
  return {type, sizes, order, pad};
}

npuOpsTensorGatherInfo gather_info(const TensorMemory& x, const TensorMemory& indices,
                                   const TensorMemory& y) {
  npuOpsTensorGatherInfo g{};
  g.struct_size = sizeof(g);
  g.x = x.tensor, g.indices = indices.tensor, g.y = y.tensor;
  return g;
}

npuOpsTensorScatterInfo scatter_info(const TensorMemory& x, const TensorMemory& indices,
                                     const TensorMemory& y) {
  npuOpsTensorScatterInfo s{};
  s.struct_size = sizeof(s);
  s.x = x.tensor, s.indices = indices.tensor, s.y = y.tensor;
  return s;
}

void check_gather(TensorMemory x, TensorMemory indices, TensorMemory y, Random& random) {
  const auto height = static_cast<uint32_t>(x.tensor.sizes[1]);
  x.fill(random, 100);
  indices.for_each([&](const Index& at) { indices.set(at, random.below(height)); });
  Rig rig;
  x.put(rig);
  indices.put(rig);
  y.put(rig);
  const npuOpsTensorGatherInfo g = gather_info(x, indices, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_GATHER, &g);
  y.fetch(rig);
  ASSERT_FALSE(y.touched_outside());
  y.for_each([&](const Index& at) {
    const double row = indices.get({at[1], at[2], at[3], 0});
    ASSERT_EQ(y.get(at), x.get({at[0], static_cast<uint64_t>(row), at[2], at[3]}));
  });
}

TEST(TensorGather, EveryTypeForAnyStridesAndRepeats) {
  uint32_t seed = 1;
  for (npuDataType type : {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_INT32}) {
    const npuDataType to = type == NPU_INT32 ? NPU_INT32 : NPU_FLOAT32;
    for (int round = 0; round < 60; ++round) {
      SCOPED_TRACE(testing::Message() << "type " << type << " seed " << seed);
      Random random(seed++);
      const Index y = any_sizes(random, 40, 4000);
      Index x = any_repeat(random, y);
      x[0] = y[0], x[1] = 1 + random.below(30);
      const Index indices = {y[1], y[2], y[3], 1};
      const bool plain = round % 3 == 0;
      check_gather(plain ? TensorMemory::dense(type, x) : any_rows(type, x, random),
                   plain ? TensorMemory::dense(NPU_INT32, indices)
                         : TensorMemory::any(NPU_INT32, indices, random),
                   plain ? TensorMemory::dense(to, y) : any_rows(to, y, random), random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(TensorGather, LargeOnesAreCutIntoBlocks) {
  Random random(2);
  const auto check = [&](const Index& x, const Index& y) {
    check_gather(TensorMemory::dense(NPU_FLOAT16, x),
                 TensorMemory::dense(NPU_INT32, {y[1], y[2], y[3], 1}),
                 TensorMemory::dense(NPU_FLOAT32, y), random);
  };
  check({40000, 5, 1, 1}, {40000, 3, 1, 1});
  check({1, 300, 1, 1}, {1, 9000, 1, 1});
  check({256, 5, 7, 1}, {256, 4, 7, 1});
  check({64, 100, 1, 1}, {64, 700, 3, 2});
}

// A table [blocks, height, planes] with |gap| blocks behind each row.
void check_gather_blocks(const BlockFormat& f, uint64_t blocks, uint64_t height, uint64_t planes,
                         uint64_t gap, Index y_sizes, Random& random) {
  const uint64_t row_bytes = (blocks + gap) * f.bytes;
  const std::vector<std::byte> bytes = random_blocks(f, height * planes * (blocks + gap), random);
  std::vector<int32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  y_sizes[0] = blocks * f.elements;
  TensorMemory y = any_rows(NPU_FLOAT32, y_sizes, random);
  TensorMemory indices =
      TensorMemory::any(NPU_INT32, {y_sizes[1], y_sizes[2], y_sizes[3], 1}, random);
  indices.for_each(
      [&](const Index& at) { indices.set(at, random.below(static_cast<uint32_t>(height))); });
  Rig rig;
  y.put(rig);
  indices.put(rig);
  npuOpsTensorGatherInfo g = gather_info(y, indices, y);
  g.x.type = f.type;
  g.x.data = rig.put_i32(words);
  const uint64_t sizes[] = {y_sizes[0], height, planes, 1};
  const uint64_t strides[] = {f.bytes, row_bytes, row_bytes * height, row_bytes * height * planes};
  for (int d = 0; d < 4; ++d) g.x.sizes[d] = sizes[d], g.x.strides[d] = strides[d];
  run_tensor_op(rig, NPU_OPS_TENSOR_GATHER, &g);
  y.fetch(rig);
  ASSERT_FALSE(y.touched_outside());
  std::vector<float> row(y_sizes[0]);
  y.for_each([&](const Index& at) {
    const auto index = static_cast<uint64_t>(indices.get({at[1], at[2], at[3], 0}));
    if (at[0] == 0)
      (model::scalar_numerics().*f.decode)(
          row.data(), &bytes[(at[2] % planes * height + index) * row_bytes], blocks);
    ASSERT_EQ(y.get(at), row[at[0]]) << "row " << index << " column " << at[0];
  });
}

TEST(TensorGather, TablesInBlocksAreDecoded) {
  uint32_t seed = 500;
  for (const BlockFormat& f : kBlockFormats) {
    for (int round = 0; round < 10; ++round) {
      SCOPED_TRACE(testing::Message() << "type " << f.type << " seed " << seed);
      Random random(seed++);
      const uint64_t planes = 1 + random.below(3);
      check_gather_blocks(
          f, 1 + random.below(5), 1 + random.below(9), planes, random.below(2),
          {0, 1 + random.below(20), planes * (1 + random.below(2)), 1 + random.below(2)}, random);
      if (HasFatalFailure()) return;
    }
    Random random(seed++);
    check_gather_blocks(f, 70000 / f.elements, 3, 1, 0, {0, 1, 1, 1}, random);  // columns in parts
    check_gather_blocks(f, 70000 / f.elements, 3, 1, 1, {0, 5, 1, 1}, random);
  }
}

TEST(TensorGather, AnIndexOutsideATableInBlocksFails) {
  for (int32_t bad : {-1, 2, INT32_MAX, INT32_MIN}) {
    Rig rig;
    TensorMemory y = TensorMemory::dense(NPU_FLOAT32, {32, 1, 1, 1}),
                 indices = TensorMemory::dense(NPU_INT32, {1, 1, 1, 1});
    indices.set({0, 0, 0, 0}, bad);
    y.put(rig);
    indices.put(rig);
    npuOpsTensorGatherInfo g = gather_info(y, indices, y);
    g.x.type = NPU_Q8_0, g.x.data = rig.alloc(2 * 34), g.x.sizes[1] = 2;
    g.x.strides[0] = g.x.strides[1] = g.x.strides[2] = g.x.strides[3] = 34;
    run_tensor_op(rig, NPU_OPS_TENSOR_GATHER, &g, NPU_ST_KERNEL_BOUNDS);
  }
}

// What the table holds before; also the filler between rows must stay.
void check_scatter(TensorMemory x, TensorMemory indices, TensorMemory y, Random& random) {
  x.fill(random, 100);
  y.fill(random, 100);
  // Different indices in each column of them, where the table has rows enough.
  std::vector<uint32_t> rows(y.tensor.sizes[1]);
  std::iota(rows.begin(), rows.end(), 0);
  indices.for_each([&](const Index& at) {
    if (at[0] == 0)
      for (size_t i = rows.size(); i > 1; --i)
        std::swap(rows[i - 1], rows[random.below(static_cast<uint32_t>(i))]);
    indices.set(at, rows[at[0]]);
  });
  TensorMemory want = y;
  x.for_each([&](const Index& at) {
    const double row = indices.get({at[1], at[2], at[3], 0});
    want.set({at[0], static_cast<uint64_t>(row), at[2], at[3]}, x.get(at));
  });
  Rig rig;
  x.put(rig);
  indices.put(rig);
  y.put(rig);
  const npuOpsTensorScatterInfo s = scatter_info(x, indices, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_SCATTER, &s);
  y.fetch(rig);
  ASSERT_FALSE(y.touched_outside());
  y.for_each([&](const Index& at) { ASSERT_EQ(y.bits(at), want.bits(at)); });
}

TEST(TensorScatter, EveryTypeForAnyStridesAndRepeats) {
  uint32_t seed = 1000;
  for (npuDataType from : kFloats) {
    for (npuDataType to : kFloats) {
      for (int round = 0; round < 30; ++round) {
        const npuDataType index_type = round % 2 == 0 ? NPU_INT32 : NPU_INT64;
        SCOPED_TRACE(testing::Message() << "types " << from << " " << to << " indices "
                                        << index_type << " seed " << seed);
        Random random(seed++);
        const Index x = any_sizes(random, 40, 4000);
        Index repeat = any_repeat(random, x);
        const Index y = {x[0], x[1] + random.below(20), x[2], x[3]};
        const Index indices = {x[1], repeat[2], repeat[3], 1};
        const bool plain = round % 3 == 0;
        check_scatter(plain ? TensorMemory::dense(from, x) : any_rows(from, x, random),
                      plain ? TensorMemory::dense(index_type, indices)
                            : TensorMemory::any(index_type, indices, random),
                      plain ? TensorMemory::dense(to, y) : any_rows(to, y, random), random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(TensorScatter, LargeOnesAreCutIntoBlocks) {
  Random random(4);
  const auto check = [&](const Index& x, uint64_t height) {
    check_scatter(TensorMemory::dense(NPU_FLOAT32, x),
                  TensorMemory::dense(NPU_INT64, {x[1], 1, 1, 1}),
                  TensorMemory::dense(NPU_FLOAT16, {x[0], height, x[2], x[3]}), random);
  };
  check({40000, 3, 1, 1}, 4);
  check({1, 9000, 1, 1}, 9500);  // values of a KV cache that lies transposed: rows of one element
  check({64, 700, 2, 2}, 800);
}

TEST(TensorRows, AnIndexOutsideTheTableFails) {
  for (int64_t bad : {int64_t{-1}, int64_t{3}, int64_t{INT32_MAX}, int64_t{INT32_MIN}}) {
    TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {8, 3, 1, 1}),
                 y = TensorMemory::dense(NPU_FLOAT32, {8, 2, 1, 1});
    TensorMemory indices = TensorMemory::dense(NPU_INT32, {2, 1, 1, 1});
    indices.set({0, 0, 0, 0}, 1);
    indices.set({1, 0, 0, 0}, static_cast<double>(bad));
    Rig rig;
    x.put(rig);
    y.put(rig);
    indices.put(rig);
    const npuOpsTensorGatherInfo g = gather_info(x, indices, y);
    run_tensor_op(rig, NPU_OPS_TENSOR_GATHER, &g, NPU_ST_KERNEL_BOUNDS);
    const npuOpsTensorScatterInfo s = scatter_info(y, indices, x);
    run_tensor_op(rig, NPU_OPS_TENSOR_SCATTER, &s, NPU_ST_KERNEL_BOUNDS);
  }
}

TEST(TensorRows, AnIndexOf64BitsCountsWhole) {
  for (int64_t bad : {int64_t{-1}, int64_t{1} << 32, (int64_t{1} << 32) + 1, int64_t{1} << 31,
                      INT64_MIN, int64_t{3}}) {
    SCOPED_TRACE(bad);
    TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {8, 2, 1, 1}),
                 y = TensorMemory::dense(NPU_FLOAT16, {8, 3, 1, 1});
    TensorMemory indices = TensorMemory::dense(NPU_INT64, {2, 1, 1, 1});
    indices.set_bits({0, 0, 0, 0}, 1);
    indices.set_bits({1, 0, 0, 0}, static_cast<uint64_t>(bad));
    Rig rig;
    x.put(rig);
    y.put(rig);
    indices.put(rig);
    const npuOpsTensorScatterInfo s = scatter_info(x, indices, y);
    run_tensor_op(rig, NPU_OPS_TENSOR_SCATTER, &s, NPU_ST_KERNEL_BOUNDS);
    y.fetch(rig);
    EXPECT_FALSE(y.touched_outside());
  }
}

TEST(TensorRows, ATableWithoutRowsFailsAndNoRowsDoNothing) {
  TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {8, 0, 1, 1}),
               y = TensorMemory::dense(NPU_FLOAT32, {8, 2, 1, 1});
  TensorMemory indices = TensorMemory::dense(NPU_INT32, {2, 1, 1, 1});
  Rig rig;
  y.put(rig);
  indices.for_each([&](const Index& at) { indices.set(at, 0); });
  indices.put(rig);
  npuOpsTensorGatherInfo g = gather_info(x, indices, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_GATHER, &g, NPU_ST_KERNEL_BOUNDS);
  g = gather_info(y, indices, x);
  g.indices.sizes[0] = 0;
  ops::Plan plan;
  EXPECT_EQ(ops::plan_tensor_gather(&g, &plan), NPU_OK) << ops::error_text();
  EXPECT_EQ(plan.program, uint32_t{ops::kProgramNull});
}

// Rows into a table [blocks, height, planes] in blocks, with |gap| blocks behind each; rows that nobody names stay as they are.
void check_scatter_blocks(const BlockFormat& f, npuDataType from, npuDataType index_type,
                          const Index& x_sizes, uint64_t height, uint64_t gap, Random& random) {
  const uint64_t blocks = x_sizes[0] / f.elements, planes = x_sizes[2] * x_sizes[3];
  const uint64_t row_bytes = (blocks + gap) * f.bytes;
  std::vector<std::byte> want = random_blocks(f, height * planes * (blocks + gap), random);
  std::vector<int32_t> words(want.size() / 4);
  std::memcpy(words.data(), want.data(), want.size());
  TensorMemory x = any_rows(from, x_sizes, random);
  x.fill(random, 20);
  TensorMemory indices = TensorMemory::any(index_type, {x_sizes[1], 1, 1, 1}, random);
  std::vector<uint32_t> chosen(height);
  std::iota(chosen.begin(), chosen.end(), 0u);
  for (size_t i = height; i > 1; --i)
    std::swap(chosen[i - 1], chosen[random.below(static_cast<uint32_t>(i))]);
  indices.for_each([&](const Index& at) { indices.set(at, chosen[at[0]]); });
  Rig rig;
  x.put(rig);
  indices.put(rig);
  npuOpsTensorScatterInfo s = scatter_info(x, indices, x);
  s.y.type = f.type;
  s.y.data = rig.put_i32(words);
  const uint64_t sizes[] = {x_sizes[0], height, x_sizes[2], x_sizes[3]};
  const uint64_t strides[] = {f.bytes, row_bytes, row_bytes * height,
                              row_bytes * height * x_sizes[2]};
  for (int d = 0; d < 4; ++d) s.y.sizes[d] = sizes[d], s.y.strides[d] = strides[d];
  run_tensor_op(rig, NPU_OPS_TENSOR_SCATTER, &s);
  for (uint64_t plane = 0; plane < planes; ++plane) {
    for (uint64_t r = 0; r < x_sizes[1]; ++r) {
      std::vector<float> row(x_sizes[0]);
      for (uint64_t i = 0; i < row.size(); ++i)
        row[i] = static_cast<float>(x.get({i, r, plane % x_sizes[2], plane / x_sizes[2]}));
      const std::vector<std::byte> bytes = encoded_blocks(f, row);
      std::memcpy(&want[(plane * height + chosen[r]) * row_bytes], bytes.data(), bytes.size());
    }
  }
  const std::vector<int32_t> got = rig.get_i32(s.y.data, words.size());
  ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size()), 0);
}

TEST(TensorScatter, IntoTablesInBlocks) {
  uint32_t seed = 400;
  for (const BlockFormat& f : kBlockFormats) {
    if (f.type != NPU_Q8_0 && f.type != NPU_Q4_0) continue;
    for (npuDataType from : kFloats) {
      for (npuDataType index : {NPU_INT32, NPU_INT64}) {
        SCOPED_TRACE(testing::Message() << "to " << f.type << " from " << from << " seed " << seed);
        Random random(seed++);
        const uint64_t rows = 1 + random.below(9);
        check_scatter_blocks(f, from, index, {f.elements * 2, rows, 2, 3}, rows + 4,
                             random.below(2), random);
        check_scatter_blocks(f, from, index, {f.elements * 400, 3, 1, 1}, 5, 1, random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(TensorRows, RefusesWhatCannotBe) {
  const TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {8, 5, 2, 1}),
                     y = TensorMemory::dense(NPU_FLOAT32, {8, 3, 4, 1});
  const TensorMemory indices = TensorMemory::dense(NPU_INT32, {3, 4, 1, 1});
  const auto gather = [&](auto change) {
    npuOpsTensorGatherInfo g = gather_info(x, indices, y);
    g.x.data = g.indices.data = g.y.data = 0x10000;
    change(g);
    ops::Plan plan;
    return ops::plan_tensor_gather(&g, &plan);
  };
  EXPECT_EQ(gather([](auto&) {}), NPU_OK);
  EXPECT_EQ(gather([](auto& g) { g.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(gather([](auto& g) { g.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(gather([](auto& g) { g.x.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(gather([](auto& g) { g.indices.type = NPU_INT64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(gather([](auto& g) { g.y.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(gather([](auto& g) { g.x.sizes[0] = 7; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(gather([](auto& g) { g.x.sizes[2] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(gather([](auto& g) { g.indices.sizes[0] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(gather([](auto& g) { g.indices.sizes[1] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(gather([](auto& g) { g.indices.sizes[3] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(gather([](auto& g) { g.x.strides[0] = 8; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(gather([](auto& g) { g.x.strides[1] = 16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(gather([](auto& g) { g.y.strides[1] = 16; }), NPU_ERROR_INVALID_ARGUMENT);
  const auto scatter = [&](auto change) {
    npuOpsTensorScatterInfo s = scatter_info(y, indices, x);
    s.y.sizes[2] = 4;
    s.x.data = s.indices.data = s.y.data = 0x10000;
    change(s);
    ops::Plan plan;
    return ops::plan_tensor_scatter(&s, &plan);
  };
  EXPECT_EQ(scatter([](auto&) {}), NPU_OK);
  EXPECT_EQ(scatter([](auto& s) { s.indices.sizes[1] = 2; }), NPU_OK);
  EXPECT_EQ(scatter([](auto& s) { s.indices.sizes[1] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(scatter([](auto& s) { s.indices.sizes[1] = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(scatter([](auto& s) { s.x.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(scatter([](auto& s) { s.y.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(scatter([](auto& s) { s.y.sizes[2] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(scatter([](auto& s) { s.y.strides[2] = 8; }), NPU_ERROR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace npu::kernels
