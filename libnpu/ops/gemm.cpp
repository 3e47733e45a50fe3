// SPDX-License-Identifier: Apache-2.0
// Plans of GEMM and of the re-tiling of B.
#include <cinttypes>

#include "libnpu/ops/check.h"
#include "libnpu/ops/gemm_wide.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

// Depths of the blocks of A and B, whole 16s. The first one is half as deep as the others may be: the tensor unit waits for it, and while it multiplies it the next one comes. The
// others are of one depth, as far as that goes.
struct Depths {
  uint32_t first, others;
};

Depths choose_depths(const Blocks& b, uint32_t k, uint32_t elem_bytes) {
  const uint32_t fit = kGemmPairBytes / ((round_up(b.m, 16) + b.n) * elem_bytes) / 16 * 16;
  const uint32_t most = std::min(fit, kGemmDepthMost);
  const uint32_t first = round_up(most / 2, 16);
  if (k <= first) return {first, first};
  const uint32_t steps = ceil_div(k - first, most);
  return {first, std::max(first, round_up(ceil_div(k - first, steps), 16))};
}

// A whole number of panels of columns.
Blocks choose_blocks(const npuOpsGemmInfo& g) {
  constexpr uint32_t kSmallM = 16;
  constexpr uint32_t kLeast = 64;
  Blocks b{std::min(g.m, kGemmBlockRows), std::min(round_up(g.n, 16), kGemmBlockCols), 0};
  if (g.m <= kSmallM) {
    b.n = std::min(b.n,
                   std::clamp(round_up(ceil_div(g.n, kGroupsWanted), 16), kLeast, kGemmBlockCols));
  } else {
    auto groups = [&] { return uint64_t{ceil_div(g.m, b.m)} * ceil_div(g.n, b.n) * g.batch; };
    while (groups() < kGroupsWanted && std::max(b.m, b.n) > kLeast) {
      uint32_t& larger = b.m > b.n ? b.m : b.n;
      larger = round_up(larger / 2, 16);
    }
  }
  return b;
}

npuResult check_enums(const npuOpsGemmInfo& g) {
  NPU_OPS_TRY(check_type("type", g.type));
  NPU_OPS_TRY(check_type("out_type", g.out_type));
  NPU_OPS_TRY(check_enum("a_form", g.a_form, NPU_OPS_PACKED));
  NPU_OPS_TRY(check_enum("b_form", g.b_form, NPU_OPS_PACKED + 1));
  return check_enum("activation", g.activation, NPU_OPS_ACT_TANH + 1);
}

// The operands of A B, when they are read at all.
npuResult check_factors(npuOpsGemmInfo* g) {
  const uint32_t elem = type_bytes(g->type);
  const bool at = g->a_form == NPU_OPS_TRANSPOSED;
  const bool bt = g->b_form == NPU_OPS_TRANSPOSED;
  Extent a{
      "a", g->a, elem, at ? g->k : g->m, at ? g->m : g->k, g->lda, g->batch, g->batch_stride_a};
  NPU_OPS_TRY(check_extent(&a));
  g->lda = a.ld;
  Extent b{
      "b", g->b, elem, bt ? g->n : g->k, bt ? g->k : g->n, g->ldb, g->batch, g->batch_stride_b};
  if (g->b_form == NPU_OPS_PACKED) {
    NPU_OPS_TRY(check_zero("ldb of a packed b", g->ldb));
    b.rows = ceil_div(g->n, 16);
    b.cols = uint64_t{g->k} * 16;
  }
  NPU_OPS_TRY(check_extent(&b));
  g->ldb = g->b_form == NPU_OPS_PACKED ? 0 : b.ld;
  return NPU_OK;
}

npuResult check_results(npuOpsGemmInfo* g) {
  const uint32_t elem = type_bytes(g->out_type);
  Extent d{"d", g->d, elem, g->m, g->n, g->ldd, g->batch, g->batch_stride_d};
  NPU_OPS_TRY(check_extent(&d));
  const uint64_t matrix = (d.rows - 1) * d.ld + d.cols;
  if (g->batch > 1 && g->batch_stride_d < matrix) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "batch_stride_d: the matrices of d overlap");
  }
  g->ldd = d.ld;
  Extent bias{"bias", g->bias, 4, g->bias != 0 ? 1u : 0u, g->n, 0};
  NPU_OPS_TRY(check_extent(&bias));
  if (g->beta == 0) {
    g->c = 0;
    g->ldc = g->batch_stride_c = 0;
    return NPU_OK;
  }
  Extent c{"c", g->c, elem, g->m, g->n, g->ldc, g->batch, g->batch_stride_c};
  NPU_OPS_TRY(check_extent(&c));
  g->ldc = c.ld;
  return NPU_OK;
}

// Whether the programs of gemm.cpp do it: one launch, fp32 and bf16, and nothing that came with 0.2.
bool is_basic(const npuOpsGemmInfo& g) {
  static constexpr unsigned char kNone[sizeof(npuOpsGemmInfo) - kFirstBytes<npuOpsGemmInfo>] = {};
  const auto* later = reinterpret_cast<const unsigned char*>(&g) + kFirstBytes<npuOpsGemmInfo>;
  auto basic = [](npuDataType type) { return type == NPU_FLOAT32 || type == NPU_BFLOAT16; };
  return basic(g.type) && basic(g.out_type) && std::memcmp(later, kNone, sizeof(kNone)) == 0;
}

}  // namespace

npuResult plan_gemm(const void* info, Plan* plan) {
  npuOpsGemmInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  if (!is_basic(g)) return plan_gemm_any(g, plan);
  NPU_OPS_TRY(check_enums(g));
  for (auto [name, count] : {std::pair{"m", g.m}, {"n", g.n}, {"k", g.k}, {"batch", g.batch}}) {
    NPU_OPS_TRY(check_count(name, count));
  }
  g.batch = std::max(g.batch, 1u);
  if (g.m == 0 || g.n == 0) return NPU_OK;
  if (g.alpha == 0) g.k = 0;
  if (g.k != 0) NPU_OPS_TRY(check_factors(&g));
  NPU_OPS_TRY(check_results(&g));
  bool wide = false;
  NPU_OPS_TRY(wants_wide(g, plan->chips, &wide));
  if (wide) return plan_gemm_any(g, plan);
  const uint32_t in = type_bytes(g.type);
  const uint32_t out = type_bytes(g.out_type);
  const Blocks b = choose_blocks(g);
  const Depths depths = choose_depths(b, g.k, in);
  plan->program = kProgramGemm + type_index(g.type) * 12 + type_index(g.out_type) * 6 +
                  (g.a_form == NPU_OPS_TRANSPOSED ? 3 : 0) + static_cast<uint32_t>(g.b_form);
  plan->grid[0] = ceil_div(g.n, b.n);
  plan->grid[1] = ceil_div(g.m, b.m);
  plan->grid[2] = g.batch;
  plan->add64(g.a).add64(g.b).add64(g.c).add64(g.d).add64(g.bias);
  plan->add64(g.batch_stride_a * in).add64(g.batch_stride_b * in);
  plan->add64(g.batch_stride_c * out).add64(g.batch_stride_d * out);
  plan->add32(g.m).add32(g.n).add32(g.k).add32(g.lda).add32(g.ldb).add32(g.ldc).add32(g.ldd);
  plan->add32(b.m)
      .add32(b.n)
      .add32(depths.others)
      .add32(depths.first)
      .add_f32(g.alpha)
      .add_f32(g.beta);
  plan->add32(static_cast<uint32_t>(g.activation));
  return NPU_OK;
}

npuResult check_pack(const npuOpsGemmPackInfo& g) {
  const bool known = is_type(g.type);
  if (!known || in_blocks(g.type) || g.type == NPU_INT32 || g.type == NPU_INT64) {
    return fail(known ? NPU_ERROR_NOT_SUPPORTED : NPU_ERROR_INVALID_ARGUMENT,
                "type is %" PRId32 ": only elements of a product that are not in blocks are packed",
                g.type);
  }
  NPU_OPS_TRY(check_enum("form", g.form, NPU_OPS_PACKED));
  NPU_OPS_TRY(check_count("batch", g.batch));
  NPU_OPS_TRY(check_count("n", g.n));
  // The packed form has rows of 16 columns.
  return check_count("16 k", uint64_t{g.k} * 16);
}

npuResult plan_gemm_pack(const void* info, Plan* plan) {
  constexpr uint32_t kCols = 64;
  npuOpsGemmPackInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check_pack(g));
  g.batch = std::max(g.batch, 1u);
  const uint32_t elem = type_bytes(g.type);
  const bool transposed = g.form == NPU_OPS_TRANSPOSED;
  Extent b{"b",
           g.b,
           elem,
           transposed ? g.n : g.k,
           transposed ? g.k : g.n,
           g.ldb,
           g.batch,
           g.batch_stride_b};
  NPU_OPS_TRY(check_extent(&b));
  const uint64_t matrix = packed_elements(g.n, g.k);
  if (g.batch_stride_packed == 0) g.batch_stride_packed = matrix;
  if (g.batch > 1 && g.batch_stride_packed < matrix) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "batch_stride_packed: the packed matrices overlap");
  }
  Extent packed{"packed",           g.packed, elem,    ceil_div(g.n, 16),
                uint64_t{g.k} * 16, 0,        g.batch, g.batch_stride_packed};
  NPU_OPS_TRY(check_extent(&packed));
  if (g.n == 0 || g.k == 0) return NPU_OK;
  const uint32_t rows = kGemmBlockBytes / (kCols * elem);
  // Elements move as bits: their size decides.
  const uint32_t family =
      elem == 1 ? uint32_t{kProgramPackBytes} : kProgramPack + (elem == 2 ? 2u : 0u);
  plan->program = family + (transposed ? 1 : 0);
  plan->grid[0] = ceil_div(g.n, kCols);
  plan->grid[1] = ceil_div(g.k, rows);
  plan->grid[2] = g.batch;
  plan->add64(g.b)
      .add64(g.packed)
      .add64(g.batch_stride_b * elem)
      .add64(g.batch_stride_packed * elem);
  plan->add32(g.n).add32(g.k).add32(b.ld).add32(kCols).add32(rows);
  return NPU_OK;
}

}  // namespace npu::ops
