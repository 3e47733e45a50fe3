// SPDX-License-Identifier: Apache-2.0
// What npuOpsGemm refuses, by npuOpsCheck, without a device: one mistake at a time in an info that is right.
#include <cstring>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

using Info = npuOpsGemmInfo;

Info mixed() {
  Info g = blank<Info>();
  g.type = NPU_BFLOAT16, g.mixed = 1, g.b_type = NPU_MXFP4;
  g.b_form = NPU_OPS_TRANSPOSED;
  g.m = 4, g.n = 40, g.k = 64, g.alpha = 1;
  g.a = g.b = g.d = 64;
  return g;
}

Info of_int8() {
  Info g = blank<Info>();
  g.type = NPU_INT8, g.out_type = NPU_INT32;
  g.m = g.n = g.k = 16, g.alpha = 1;
  g.a = g.b = g.d = 64;
  return g;
}

// The result with one change; each refusal has a sentence.
template <typename Change>
npuResult check(Info g, const Change& change) {
  change(g);
  const npuResult result = npuOpsCheck(NPU_OPS_GEMM, &g);
  EXPECT_TRUE(result == NPU_OK || npuOpsGetErrorText()[0] != '\0');
  return result;
}

TEST(GemmCheck, TypesThatAreNotTakenAreRefused) {
  EXPECT_EQ(check(mixed(), [](Info&) {}), NPU_OK);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b_type = NPU_INT64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b_type = 29; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.mixed = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.mixed = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_Q4_K; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = 8; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(of_int8(), [](Info&) {}), NPU_OK);
}

TEST(GemmCheck, BlocksLieAlongKAndAreNotPacked) {
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b_form = NPU_OPS_PLAIN; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b_form = NPU_OPS_PACKED; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.type = NPU_MX9, g.a_form = NPU_OPS_TRANSPOSED; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b_type = NPU_INT8, g.b_form = NPU_OPS_PACKED; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.ldb = 65; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.ldb = 32; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.batch = 2, g.batch_stride_b = 33; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_MXFP4, g.ldd = 40; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_MXFP4, g.ldd = 32; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b_type = NPU_Q8_0, g.b = 65; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b = UINT64_MAX; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.b = 0; }), NPU_ERROR_INVALID_ADDRESS);
  auto p = blank<npuOpsGemmPackInfo>();
  p.n = p.k = 32, p.b = p.packed = 64;
  p.type = NPU_MXFP4;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM_PACK_B, &p), NPU_ERROR_NOT_SUPPORTED);
  p.type = NPU_INT32;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM_PACK_B, &p), NPU_ERROR_NOT_SUPPORTED);
  p.type = -1;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM_PACK_B, &p), NPU_ERROR_INVALID_ARGUMENT);
}

TEST(GemmCheck, IntegersAreExactOrRefused) {
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.k = 131071; }), NPU_OK);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.k = 131072; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.alpha = 2; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.beta = 1, g.c = 64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.bias = 64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.scale_a = 64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.activation = 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.out_scale = 2; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.split_k = 2, g.workspace = 64; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.order = 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(of_int8(), [](Info& g) { g.scale_rule = 1; }), NPU_ERROR_INVALID_ARGUMENT);
}

TEST(GemmCheck, RoundingBelongsToTheTypeOfD) {
  EXPECT_EQ(check(mixed(), [](Info& g) { g.scale_rule = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.overflow = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_MXFP4, g.scale_rule = 4; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_FLOAT8_E4M3, g.overflow = 2; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(mixed(), [](Info& g) { g.out_type = NPU_FLOAT8_E4M3, g.overflow = 1; }), NPU_OK);
}

TEST(GemmCheck, TheOrderOfATreeHasItsLimits) {
  const auto tree = [] {
    Info g = mixed();
    g.order = NPU_OPS_ORDER_TREE;
    return g;
  }();
  EXPECT_EQ(check(tree, [](Info&) {}), NPU_OK);
  EXPECT_EQ(check(tree, [](Info& g) { g.order = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(tree, [](Info& g) { g.m = 17; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(tree, [](Info& g) { g.k = 65; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(tree, [](Info& g) { g.m = 1, g.k = 114688; }), NPU_OK);
  EXPECT_EQ(check(tree, [](Info& g) { g.m = 1, g.k = 114688 + 32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(tree, [](Info& g) { g.a_form = NPU_OPS_TRANSPOSED; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check(tree, [](Info& g) { g.split_k = 2, g.workspace = 64; }), NPU_ERROR_NOT_SUPPORTED);
}

TEST(GemmCheck, PartsNeedTheirWorkspace) {
  const auto split = [] {
    Info g = mixed();
    g.split_k = 4, g.workspace = 64;
    return g;
  }();
  EXPECT_EQ(check(split, [](Info&) {}), NPU_OK);
  EXPECT_EQ(check(split, [](Info& g) { g.workspace = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(check(split, [](Info& g) { g.workspace = 66; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(check(split, [](Info& g) { g.split_k = 1025; }), NPU_ERROR_NOT_SUPPORTED);
  uint64_t bytes = 99;
  Info g = split;
  EXPECT_EQ(npuOpsGemmGetWorkspaceBytes(&g, &bytes), NPU_OK);
  EXPECT_EQ(bytes, uint64_t{4} * 4 * 40 * 4);
  g.split_k = 0;
  EXPECT_EQ(npuOpsGemmGetWorkspaceBytes(&g, &bytes), NPU_OK);
  EXPECT_EQ(bytes, 0u);
  EXPECT_EQ(npuOpsGemmGetWorkspaceBytes(&g, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuOpsGemmGetWorkspaceBytes(nullptr, &bytes), NPU_ERROR_INVALID_ARGUMENT);
  g.split_k = 1024, g.m = g.n = g.batch = INT32_MAX;
  EXPECT_EQ(npuOpsGemmGetWorkspaceBytes(&g, &bytes), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(bytes, 0u);
}

TEST(GemmCheck, GroupsTakeNoBatchAndNoDistances) {
  const auto grouped = [] {
    Info g = mixed();
    g.group_count = 3, g.groups = 64;
    return g;
  }();
  EXPECT_EQ(check(grouped, [](Info&) {}), NPU_OK);
  EXPECT_EQ(check(grouped, [](Info& g) { g.groups = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(check(grouped, [](Info& g) { g.groups = 68; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(check(grouped, [](Info& g) { g.group_count = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(grouped, [](Info& g) { g.group_count = UINT32_MAX; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(check(grouped, [](Info& g) { g.batch = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(grouped, [](Info& g) { g.ldd = 40; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(grouped, [](Info& g) { g.batch_stride_a = 64; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check(grouped, [](Info& g) { g.split_k = 2, g.workspace = 64; }),
            NPU_ERROR_NOT_SUPPORTED);
}

TEST(GemmCheck, TooManyWorkGroupsAreRefused) {
  EXPECT_EQ(check(mixed(),
                  [](Info& g) {
                    g.m = g.n = 1 << 24, g.batch = 1 << 24, g.batch_stride_d = uint64_t{1} << 48;
                  }),
            NPU_ERROR_OVERFLOW);
  EXPECT_EQ(check(mixed(),
                  [](Info& g) {
                    g.m = g.n = 1 << 20, g.batch = 1 << 12, g.batch_stride_d = uint64_t{1} << 40;
                  }),
            NPU_ERROR_NOT_SUPPORTED);
}

TEST(GemmCheck, TheStructOfTheFirstReleaseIsTaken) {
  Info g = blank<Info>();
  g.struct_size = 152;
  g.m = g.n = g.k = 4, g.alpha = 1, g.a = g.b = g.d = 64;
  g.mixed = 77;  // lies behind what that release knows
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM, &g), NPU_OK) << npuOpsGetErrorText();
  g.struct_size = 148;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM, &g), NPU_ERROR_STRUCT_SIZE);
}

}  // namespace
}  // namespace npu::test
