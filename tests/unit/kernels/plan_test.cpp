// SPDX-License-Identifier: Apache-2.0
// The plans of libnpuops against the programs: names, argument blocks, limits, and the blocks that the plans choose, run on the interpreter.
#include "libnpu/ops/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/rig.h"
#include "uapi/npu_isa.h"

namespace npu::kernels {
namespace {

using ops::Plan;

constexpr npuDevPtr kSome = 0x10000;

TEST(Program, EveryNumberNamesAProgramAndEveryProgramHasANumber) {
  std::map<std::string, uint32_t> names;
  for (uint32_t i = 0; i < ops::kProgramCount; ++i) {
    program(ops::program_name(i));
    names[ops::program_name(i)] = i;
  }
  EXPECT_EQ(names.size(), size_t{ops::kProgramCount});
  EXPECT_EQ(all_kernels().size(), size_t{ops::kProgramCount});
}

TEST(Program, NoneNeedsMoreThanTheSmallestDeviceHas) {
  for (const isa::Program& p : all_kernels()) {
    EXPECT_LE(p.note.l1_bytes, tiny_params().l1_bytes) << p.note.name;
    EXPECT_LE(p.note.acc_bytes, tiny_params().acc_bytes) << p.note.name;
  }
}

TEST(Type, NumbersAndBlocksAreThoseOfTheInstructionSet) {
  struct Row {
    npuDataType type;
    npu_dtype device;
    uint32_t elements, bytes, align;
  };
  const Row kRows[] = {{NPU_FLOAT32, NPU_DTYPE_F32, 1, 4, 4},
                       {NPU_BFLOAT16, NPU_DTYPE_BF16, 1, 2, 2},
                       {NPU_FLOAT16, NPU_DTYPE_F16, 1, 2, 2},
                       {NPU_INT32, NPU_DTYPE_I32, 1, 4, 4},
                       {NPU_FLOAT8_E4M3, NPU_DTYPE_E4M3, 1, 1, 1},
                       {NPU_FLOAT8_E5M2, NPU_DTYPE_E5M2, 1, 1, 1},
                       {NPU_INT8, NPU_DTYPE_I8, 1, 1, 1},
#define NPU_TEST_BLOCK(name, elements, bytes, align) \
  {NPU_##name, NPU_DTYPE_##name, elements, bytes, align},
                       NPU_BLOCK_TYPES(NPU_TEST_BLOCK)
#undef NPU_TEST_BLOCK
  };
  static_assert(std::size(kRows) == NPU_DTYPE_COUNT);
  for (const Row& row : kRows) {
    const ops::TypeLayout layout = ops::layout_of(row.type);
    EXPECT_EQ(ops::device_type(row.type), uint32_t{row.device});
    EXPECT_EQ(layout.block_elements, row.elements) << row.type;
    EXPECT_EQ(layout.block_bytes, row.bytes) << row.type;
    EXPECT_EQ(layout.align_bytes, row.align) << row.type;
  }
}

npuOpsGemmInfo gemm_info(uint32_t m, uint32_t n, uint32_t k) {
  npuOpsGemmInfo g{};
  g.struct_size = sizeof(g);
  g.m = m, g.n = n, g.k = k;
  g.a = g.b = g.c = g.d = kSome;
  g.alpha = 1;
  return g;
}

// A of equal columns times B of equal rows, whatever blocks the plan chose.
void run_equal(uint32_t m, uint32_t n, uint32_t k, npuDataType type, bool packed) {
  SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << " type " << type << " packed "
                                  << packed);
  DType dtype = type == NPU_FLOAT32 ? DType::F32 : DType::BF16;
  Rig rig;
  npuOpsGemmInfo g = gemm_info(m, n, k);
  g.type = type;
  const auto in_row = [](uint32_t i) { return static_cast<float>(1 + i % 2); };
  const auto in_col = [](uint32_t j) { return static_cast<float>(1 + j % 3); };
  std::vector<float> a(uint64_t{m} * k), b(uint64_t{n} * k);
  for (uint64_t i = 0; i < a.size(); ++i) a[i] = in_row(static_cast<uint32_t>(i / k));
  for (uint64_t i = 0; i < b.size(); ++i) b[i] = in_col(static_cast<uint32_t>(i % n));
  g.a = rig.put(dtype, a);
  g.b = rig.put(dtype, b);
  g.d = rig.put(DType::F32, std::vector<float>(uint64_t{m} * n, -1.0f));
  if (packed) {
    npuOpsGemmPackInfo p{};
    p.struct_size = sizeof(p);
    p.type = type, p.n = n, p.k = k, p.b = g.b;
    p.packed = rig.alloc(ops::packed_elements(n, k) * isa::dtype_bytes(dtype));
    Plan plan;
    ASSERT_EQ(ops::plan_gemm_pack(&p, &plan), NPU_OK) << ops::error_text();
    rig.run_plan(ops::program_name(plan.program), {plan.args, plan.block_bytes()},
                 {plan.grid[0], plan.grid[1], plan.grid[2]});
    g.b = p.packed;
    g.b_form = NPU_OPS_PACKED;
  }
  Plan plan;
  ASSERT_EQ(ops::plan_gemm(&g, &plan), NPU_OK) << ops::error_text();
  rig.run_plan(ops::program_name(plan.program), {plan.args, plan.block_bytes()},
               {plan.grid[0], plan.grid[1], plan.grid[2]});
  std::vector<float> got = rig.get(DType::F32, g.d, uint64_t{m} * n);
  for (uint32_t i = 0; i < m; ++i)
    for (uint32_t j = 0; j < n; ++j)
      ASSERT_EQ(got[uint64_t{i} * n + j], in_row(i) * in_col(j) * static_cast<float>(k));
}

TEST(GemmPlan, ItsBlocksCoverTheResult) {
  for (npuDataType type : {NPU_FLOAT32, NPU_BFLOAT16}) {
    for (bool packed : {false, true}) {
      for (auto [m, n, k] : {std::array{1u, 768u, 256u},
                             {1u, 1u, 1u},
                             {8u, 1000u, 700u},
                             {17u, 33u, 129u},
                             {300u, 520u, 300u},
                             {300u, 1100u, 200u},
                             {1000u, 16u, 40u},
                             {16u, 5000u, 3u},
                             {2u, 40u, 9000u}}) {
        run_equal(m, n, k, type, packed);
      }
    }
  }
}

TEST(GemmPlan, RefusesWhatCannotBe) {
  Plan plan;
  auto result = [&](auto change) {
    npuOpsGemmInfo g = gemm_info(4, 4, 4);
    change(g);
    return ops::plan_gemm(&g, &plan);
  };
  EXPECT_EQ(ops::plan_gemm(nullptr, &plan), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& g) { g.struct_size = UINT32_MAX; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& g) { g.type = 99; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.type = NPU_INT64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.a_form = NPU_OPS_PACKED; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.activation = -1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.m = 0x80000000u; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& g) { g.lda = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.lda = 1ull << 31; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& g) { g.a = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& g) { g.d = kSome + 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& g) { g.b = ~3ull; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& g) { g.beta = 1, g.c = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& g) { g.batch = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(
      result([](auto& g) { g.batch = 3, g.batch_stride_d = 16, g.batch_stride_a = 1ull << 63; }),
      NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& g) { g.b_form = NPU_OPS_PACKED, g.ldb = 4; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& g) { g.m = 0, g.a = g.b = g.d = 0; }), NPU_OK);
  EXPECT_NE(std::string(ops::error_text()), "");
}

TEST(Plan, ALongerStructOfALaterVersionIsTakenWhenItsTailIsZero) {
  struct {
    npuOpsGemmInfo g;
    uint64_t tail;
  } later{gemm_info(1, 1, 1), 0};
  later.g.struct_size = sizeof(later);
  Plan plan;
  EXPECT_EQ(ops::plan_gemm(&later, &plan), NPU_OK);
  later.tail = 1;
  EXPECT_EQ(ops::plan_gemm(&later, &plan), NPU_ERROR_RESERVED_NOT_ZERO);
}

// Attention over equal keys is the mean of the values: each query gives the ones that V is made of.
TEST(AttentionPlan, ItsBlocksCoverTheResult) {
  for (npuDataType type : {NPU_FLOAT32, NPU_BFLOAT16}) {
    for (auto [heads, kv_heads, q_len, kv_len, dim] : {std::array{8u, 2u, 1u, 300u, 64u},
                                                       {4u, 4u, 1u, 1u, 128u},
                                                       {2u, 1u, 140u, 400u, 48u},
                                                       {3u, 3u, 2u, 70u, 256u},
                                                       {1u, 1u, 1u, 9u, 8u}}) {
      DType dtype = type == NPU_FLOAT32 ? DType::F32 : DType::BF16;
      Rig rig;
      npuOpsAttentionInfo t{};
      t.struct_size = sizeof(t);
      t.type = type;
      t.batch = 2, t.heads = heads, t.kv_heads = kv_heads, t.q_len = q_len, t.kv_len = kv_len,
      t.head_dim = dim;
      t.causal = 1, t.scale = 0.1f;
      auto strides = [&](uint32_t h, uint32_t tokens) {
        return npuOpsStrides{uint64_t{h} * tokens * dim, dim, uint64_t{h} * dim};
      };
      t.q_strides = t.o_strides = strides(heads, q_len);
      t.k_strides = t.v_strides = strides(kv_heads, kv_len);
      auto fill = [&](uint32_t h, uint32_t tokens, float v) {
        return rig.put(dtype, std::vector<float>(uint64_t{2} * h * tokens * dim, v));
      };
      t.q = fill(heads, q_len, 0.5f), t.o = fill(heads, q_len, 7),
      t.k = fill(kv_heads, kv_len, 0.25f), t.v = fill(kv_heads, kv_len, 1);
      Plan plan;
      ASSERT_EQ(ops::plan_attention(&t, &plan), NPU_OK) << ops::error_text();
      rig.run_plan(ops::program_name(plan.program), {plan.args, plan.block_bytes()},
                   {plan.grid[0], plan.grid[1], plan.grid[2]});
      for (float v : rig.get(dtype, t.o, uint64_t{2} * heads * q_len * dim))
        ASSERT_NEAR(v, 1, 1e-5);
      t.kv_heads = kv_heads + heads;
      EXPECT_EQ(ops::plan_attention(&t, &plan), NPU_ERROR_INVALID_ARGUMENT);
      t.kv_heads = kv_heads, t.head_dim = 257;
      EXPECT_EQ(ops::plan_attention(&t, &plan), NPU_ERROR_NOT_SUPPORTED);
    }
  }
}

// Whether a query is decoded or taken with others, its window is the same. Values are their keys' numbers, and all scores are equal: the result is the mean of what is seen.
TEST(AttentionPlan, AWindowIsTheSameForOneQueryAndForMany) {
  constexpr uint32_t kKeys = 50;
  for (uint32_t q_len : {1u, 20u}) {
    for (uint32_t window : {0u, 1u, 9u, 50u, 70u}) {
      Rig rig;
      npuOpsAttentionInfo t{};
      t.struct_size = sizeof(t);
      t.batch = 1, t.heads = 2, t.kv_heads = 1, t.q_len = q_len, t.kv_len = kKeys, t.head_dim = 8;
      t.causal = 1, t.scale = 1, t.window = window;
      t.q_strides = t.o_strides = {q_len * 16, 8, 16};
      t.k_strides = t.v_strides = {kKeys * 8, 8, 8};
      std::vector<float> values;
      for (uint32_t i = 0; i < kKeys * 8; ++i) values.push_back(static_cast<float>(i / 8));
      t.q = rig.put(DType::F32, std::vector<float>(q_len * 16));
      t.o = rig.put(DType::F32, std::vector<float>(q_len * 16));
      t.k = t.v = rig.put(DType::F32, values);
      Plan plan;
      ASSERT_EQ(ops::plan_attention(&t, &plan), NPU_OK) << ops::error_text();
      rig.run_plan(ops::program_name(plan.program), {plan.args, plan.block_bytes()},
                   {plan.grid[0], plan.grid[1], plan.grid[2]});
      const uint32_t seen = window == 0 ? kKeys : std::min(window, kKeys);
      const float mean = kKeys - 1 - static_cast<float>(seen - 1) / 2;
      EXPECT_NEAR(rig.get(DType::F32, t.o, q_len * 16).back(), mean, 1e-4)
          << q_len << ", " << window;
      t.causal = 0;
      EXPECT_EQ(ops::plan_attention(&t, &plan), window != 0 ? NPU_ERROR_INVALID_ARGUMENT : NPU_OK);
    }
  }
}

npuOpsElementwiseInfo element_info(uint32_t rows, uint32_t cols) {
  npuOpsElementwiseInfo e{};
  e.struct_size = sizeof(e);
  e.rows = rows, e.cols = cols;
  return e;
}

TEST(ElementwisePlan, ItsBlocksCoverTheResult) {
  for (auto [rows, cols, pad] : {std::array{1u, 1u, 0u},
                                 {1u, 200000u, 0u},
                                 {300u, 400u, 0u},
                                 {300u, 400u, 1u},
                                 {3u, 70000u, 2u}}) {
    Rig rig;
    uint32_t ld = cols + pad;
    std::vector<float> ones(uint64_t{rows} * ld, 1.0f);
    npuOpsElementwiseInfo e = element_info(rows, cols);
    e.x = rig.put(DType::F32, ones), e.b = rig.put(DType::F32, ones),
    e.y = rig.put(DType::F32, ones);
    e.ldx = e.ldb = e.ldy = ld;
    Plan plan;
    ASSERT_EQ(ops::plan_binary(&e, &plan), NPU_OK) << ops::error_text();
    rig.run_plan(ops::program_name(plan.program), {plan.args, plan.block_bytes()},
                 {plan.grid[0], plan.grid[1], plan.grid[2]});
    std::vector<float> got = rig.get(DType::F32, e.y, ones.size());
    for (uint64_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], i % ld < cols ? 2 : 1);
  }
}

TEST(ElementwisePlan, RefusesWhatCannotBe) {
  Plan plan;
  npuOpsElementwiseInfo e = element_info(2, 2);
  e.x = e.y = kSome;
  EXPECT_EQ(ops::plan_unary(&e, &plan), NPU_OK);
  e.function = 16;
  EXPECT_EQ(ops::plan_unary(&e, &plan), NPU_ERROR_INVALID_ARGUMENT);
  e.function = 0, e.b = kSome;
  EXPECT_EQ(ops::plan_unary(&e, &plan), NPU_ERROR_INVALID_ARGUMENT);
  e.spread = NPU_OPS_SCALAR;
  EXPECT_EQ(ops::plan_binary(&e, &plan), NPU_ERROR_INVALID_ARGUMENT);
  e.spread = 4;
  EXPECT_EQ(ops::plan_binary(&e, &plan), NPU_ERROR_INVALID_ARGUMENT);
  e.spread = 0, e.out_type = NPU_BFLOAT16;
  EXPECT_EQ(ops::plan_binary(&e, &plan), NPU_ERROR_INVALID_ARGUMENT);
  e.b = 0, e.out_type = NPU_FLOAT32;
  EXPECT_EQ(ops::plan_convert(&e, &plan), NPU_ERROR_INVALID_ARGUMENT);
}

TEST(Plan, RowOperatorsCheckTheirLimits) {
  Plan plan;
  npuOpsNormInfo n{};
  n.struct_size = sizeof(n);
  n.rows = 3, n.cols = 40000, n.x = n.y = kSome;
  EXPECT_EQ(ops::plan_rms_norm(&n, &plan), NPU_ERROR_NOT_SUPPORTED);
  n.cols = 5, n.bias = kSome;
  EXPECT_EQ(ops::plan_rms_norm(&n, &plan), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(ops::plan_layer_norm(&n, &plan), NPU_OK);
  npuOpsArgmaxInfo a{};
  a.struct_size = sizeof(a);
  a.rows = 1, a.cols = 0, a.x = a.y = kSome;
  EXPECT_EQ(ops::plan_argmax(&a, &plan), NPU_ERROR_INVALID_ARGUMENT);
  a.cols = 300000;
  EXPECT_EQ(ops::plan_argmax(&a, &plan), NPU_ERROR_NOT_SUPPORTED);
  npuOpsRopeInfo r{};
  r.struct_size = sizeof(r);
  r.tokens = 2, r.heads = 2, r.head_dim = 8, r.table_rows = 4;
  r.x = r.y = r.cos_table = r.sin_table = kSome;
  r.x_token_stride = r.y_token_stride = 16, r.x_head_stride = r.y_head_stride = 8;
  EXPECT_EQ(ops::plan_rope(&r, &plan), NPU_OK) << ops::error_text();
  r.backward = 2;
  EXPECT_EQ(ops::plan_rope(&r, &plan), NPU_ERROR_INVALID_ARGUMENT);
  r.backward = 0, r.width = 7;
  EXPECT_EQ(ops::plan_rope(&r, &plan), NPU_ERROR_INVALID_ARGUMENT);
  r.width = 10;
  EXPECT_EQ(ops::plan_rope(&r, &plan), NPU_ERROR_INVALID_ARGUMENT);
}

// Every plan's argument block has the size that its program takes.
TEST(Plan, ArgumentBlocksFitTheirPrograms) {
  auto fits = [](const Plan& plan) {
    const model::Program& p = program(ops::program_name(plan.program));
    EXPECT_EQ(plan.block_bytes(), p.args_bytes) << p.name;
  };
  auto planned = [&](auto function, const auto& info) {
    Plan plan;
    EXPECT_EQ(function(&info, &plan), NPU_OK) << ops::error_text();
    EXPECT_NE(plan.program, uint32_t{ops::kProgramNull});
    fits(plan);
  };
  planned(ops::plan_gemm, gemm_info(3, 3, 3));
  npuOpsElementwiseInfo e = element_info(3, 3);
  e.x = e.y = kSome;
  planned(ops::plan_unary, e);
  e.out_type = NPU_BFLOAT16;
  planned(ops::plan_convert, e);
  e.out_type = NPU_FLOAT32, e.b = kSome;
  planned(ops::plan_binary, e);
  planned(ops::plan_silu_mul, e);
  npuOpsRowsInfo r{sizeof(r), NPU_FLOAT32, NPU_BFLOAT16, 3, 4, 5, kSome, kSome, kSome, 0, 0};
  planned(ops::plan_gather, r);
  planned(ops::plan_scatter_rows, r);
  npuOpsArgmaxInfo a{sizeof(a), NPU_FLOAT32, 3, 4, kSome, kSome, 0};
  planned(ops::plan_argmax, a);
  npuOpsNormInfo n{};
  n.struct_size = sizeof(n);
  n.rows = 3, n.cols = 4, n.x = n.y = kSome;
  planned(ops::plan_rms_norm, n);
  planned(ops::plan_layer_norm, n);
  npuOpsSoftmaxInfo s{sizeof(s), NPU_BFLOAT16, 3, 4, kSome, kSome, 0, 0, 1, 0};
  planned(ops::plan_softmax, s);
}

}  // namespace
}  // namespace npu::kernels
