// SPDX-License-Identifier: Apache-2.0
// Plan of the products of tensors.
#include <cinttypes>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor.h"
#include "libnpu/ops/walk.h"

namespace npu::ops {
namespace {

bool is_integer(const npuOpsMatmulInfo& g) { return integers_of(g.integers, g.a) != 0; }

// How rows of k elements lie: the numbers that the programs read.
enum RowMode : uint32_t { kElementsSideBySide = 0, kRowsSideBySide = 1, kNeither = 2 };

struct Rows {
  npuDevPtr at = 0;
  uint64_t row_bytes = 0, col_bytes = 0, dim2_bytes = 0, dim3_bytes = 0;
  uint32_t row = 0, col = 0;  // elements
  uint32_t mode = kElementsSideBySide;
  bool tiled = false;
  TypeLayout layout{};

  uint64_t step_bytes(uint64_t elements) const {
    const uint64_t together = tiled ? NPU_OPS_TILE_ROWS : 1;
    return layout.block_elements > 1
               ? elements / layout.block_elements * layout.block_bytes * together
               : elements * col_bytes;
  }
};

npuResult too_far(const char* name, const npuOpsTensor& t) {
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%s: strides of %" PRIu64 " and %" PRIu64 " bytes are none that a tile can have",
              name, t.strides[0], t.strides[1]);
}

// Rows of blocks: side by side in each row, which begins at a whole number of blocks from the first one.
npuResult arrange_blocks(const char* name, const npuOpsTensor& t, Rows* out) {
  const TypeLayout& l = out->layout;
  uint64_t row = t.sizes[0];
  if (t.sizes[1] > 1) {
    if (t.strides[1] % l.block_bytes != 0) return too_far(name, t);
    row = t.strides[1] / l.block_bytes * l.block_elements;
  }
  if (row < t.sizes[0] || row > kCountMax) return too_far(name, t);
  out->row = static_cast<uint32_t>(row);
  return NPU_OK;
}

npuResult arrange_elements(const char* name, const npuOpsTensor& t, Rows* out) {
  const uint64_t depth = t.sizes[0], rows = t.sizes[1];
  const uint64_t col = depth > 1 ? t.strides[0] / out->layout.block_bytes : 1;
  const uint64_t row = rows > 1 ? t.strides[1] / out->layout.block_bytes : depth;
  if (col == 0 || col > kCountMax || row > kCountMax) return too_far(name, t);
  out->col_bytes = col * out->layout.block_bytes;
  if (col == 1 && row >= depth) {
    out->mode = kElementsSideBySide;
  } else if ((row == 1 || rows <= 1) && (col >= rows || depth <= 1)) {
    out->mode = kRowsSideBySide;
  } else {
    out->mode = kNeither;
  }
  out->row = static_cast<uint32_t>(row);
  out->col = static_cast<uint32_t>(out->mode == kRowsSideBySide ? std::max(col, rows) : col);
  return NPU_OK;
}

npuResult arrange(const char* name, const npuOpsTensor& t, Rows* out) {
  out->layout = layout_of(t.type);
  out->tiled = t.tiled != 0;
  if (t.sizes[0] == 0) return NPU_OK;  // nothing is read
  out->at = t.data;
  out->row_bytes = t.strides[1];
  out->dim2_bytes = t.strides[2];
  out->dim3_bytes = t.strides[3];
  return out->layout.block_elements > 1 ? arrange_blocks(name, t, out)
                                        : arrange_elements(name, t, out);
}

npuResult check_pair(const char* what, uint64_t left, uint64_t right) {
  if (left == right) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s: %" PRIu64 " and %" PRIu64, what, left, right);
}

npuResult check_plain(const npuOpsMatmulInfo& g) {
  NPU_OPS_TRY(check_pair("sizes[1] of y and b", g.y.sizes[1], g.b.sizes[1]));
  NPU_OPS_TRY(check_pair("sizes[2] of y and b", g.y.sizes[2], g.b.sizes[2]));
  NPU_OPS_TRY(check_pair("sizes[3] of y and b", g.y.sizes[3], g.b.sizes[3]));
  return check_repeats("a", g.a, "b", g.b, 2);
}

npuResult check_ids(const npuOpsMatmulInfo& g) {
  NPU_OPS_TRY(check_tensor("ids", g.ids, kI32));
  NPU_OPS_TRY(check_pair("sizes[1] of y and sizes[0] of ids", g.y.sizes[1], g.ids.sizes[0]));
  NPU_OPS_TRY(check_pair("sizes[2] of y and sizes[1] of ids", g.y.sizes[2], g.ids.sizes[1]));
  NPU_OPS_TRY(check_pair("sizes[2] of y and b", g.y.sizes[2], g.b.sizes[2]));
  for (const npuOpsTensor* t : {&g.a, &g.b, &g.y})
    NPU_OPS_TRY(check_pair("sizes[3] with ids", t->sizes[3], 1));
  NPU_OPS_TRY(check_pair("sizes[2] of ids", g.ids.sizes[2], 1));
  NPU_OPS_TRY(check_pair("sizes[3] of ids", g.ids.sizes[3], 1));
  if (is_empty(g.y) || g.b.sizes[1] != 0) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "b has no vectors");
}

npuResult check_operands(const npuOpsMatmulInfo& g) {
  NPU_OPS_TRY(check_enum("integers", g.integers, 2));
  NPU_OPS_TRY(check_tensor("a", g.a, kFloats | kBlocks | kTiled));
  NPU_OPS_TRY(check_tiled_integers(g.integers, g.a));
  NPU_OPS_TRY(check_tensor("b", g.b, kFloats));
  NPU_OPS_TRY(check_tensor("y", g.y, kF32));
  NPU_OPS_TRY(check_pair("sizes[0] of a and b", g.a.sizes[0], g.b.sizes[0]));
  NPU_OPS_TRY(check_pair("sizes[0] of y and sizes[1] of a", g.y.sizes[0], g.a.sizes[1]));
  NPU_OPS_TRY(is_absent(g.ids) ? check_plain(g) : check_ids(g));
  if (is_empty(g.y)) return NPU_OK;
  if (g.y.sizes[0] > 1 && g.y.strides[0] != 4)
    return fail(NPU_ERROR_NOT_SUPPORTED, "y: strides[0] is %" PRIu64 ", only 4 is taken",
                g.y.strides[0]);
  return check_result("y", g.y);
}

// Vectors of dimension 2 that meet the same weights become further vectors of dimension 1, where their distances allow it.
void join_vectors(npuOpsMatmulInfo* g) {
  npuOpsTensor &a = g->a, &b = g->b, &y = g->y;
  for (int round = 0; round < 2; ++round) {
    const uint64_t shared = a.sizes[2] != 0 ? b.sizes[2] / a.sizes[2] : 0;
    const uint64_t n = b.sizes[1];
    auto joins = [n](const npuOpsTensor& t) { return n == 1 || t.strides[2] == n * t.strides[1]; };
    if (shared > 1 && joins(b) && joins(y)) {
      for (npuOpsTensor* t : {&b, &y}) {
        if (n == 1) t->strides[1] = t->strides[2];
        t->sizes[1] = n * shared;
        t->sizes[2] = a.sizes[2];
        t->strides[2] *= shared;
      }
    }
    if (b.sizes[2] != 1) return;
    for (npuOpsTensor* t : {&a, &b, &y}) {
      t->sizes[2] = t->sizes[3];
      t->strides[2] = t->strides[3];
      t->sizes[3] = 1;
    }
  }
}

struct Cut {
  uint32_t m, n, k;  // as the program reads them
};

// Rows of weights for each work-group.
Cut cut_vectors(uint32_t m, uint32_t n, uint32_t k, uint64_t around, bool integers) {
  const uint32_t columns = integers ? kIntegerColumns : kColumns;
  const uint32_t worth = integers ? kIntegersWorthGroup : kElementsWorthGroup;
  const uint32_t groups = around >= kGroupsWanted ? 1 : ceil_div(kGroupsWanted, around);
  const uint32_t depth = std::max(k, 1u);
  uint32_t rows = std::max(ceil_div(m, groups), ceil_div(worth, depth));
  rows = std::min(round_up(rows, columns), kMatmulResultElements / n / columns * columns);
  return {std::min(rows, m), 1, depth};
}

Cut cut_blocks(uint32_t m, uint32_t n, uint32_t k, uint64_t around, uint32_t block_elements) {
  constexpr uint32_t kLeast = 64;
  constexpr uint32_t kElements = kGemmBlockBytes / 4;
  const uint32_t align = std::max(block_elements, 16u);
  const uint32_t most = std::min(kGemmBlockCols, kElements / align / 16 * 16);
  Cut b{std::min(round_up(m, 16), most), std::min(n, std::min(kGemmBlockRows, most)), 0};
  auto groups = [&] { return uint64_t{ceil_div(m, b.m)} * ceil_div(n, b.n) * around; };
  while (groups() < kGroupsWanted && std::max(b.m, b.n) > kLeast) {
    uint32_t& larger = b.m > b.n ? b.m : b.n;
    larger = round_up(larger / 2, 16);
  }
  const uint32_t deepest = kElements / std::max(b.m, b.n) / align * align;
  b.k = std::min(deepest, round_up(std::max(k, 1u), align));
  return b;
}

// Weights are streamed past blocks of vectors. Each block of rows rounds its vectors anew, so rows are cut last.
Cut cut_integers(uint32_t m, uint32_t n, uint32_t k, uint64_t around) {
  constexpr uint32_t kRows = 512, kLeastRows = 64, kVectors = 128, kLeastVectors = 32;
  constexpr uint32_t kElements = 2 * kGemmBlockBytes / 4, kBlock = 32;
  static_assert(kRows * kVectors <= kGemmBlockRows * kGemmBlockCols);
  Cut b{std::min(round_up(m, kIntegerColumns), kRows), std::min(n, kVectors), 0};
  auto groups = [&] { return uint64_t{ceil_div(m, b.m)} * ceil_div(n, b.n) * around; };
  while (groups() < kGroupsWanted && (b.n > kLeastVectors || b.m > kLeastRows)) {
    if (b.n > kLeastVectors)
      b.n = std::max(round_up(b.n / 2, 8), kLeastVectors);
    else
      b.m = std::max(round_up(b.m / 2, kIntegerColumns), kLeastRows);
  }
  b.k = std::min(kElements / b.n / kBlock * kBlock, round_up(std::max(k, 1u), kBlock));
  return b;
}

Cut cut_expert(uint32_t m, uint32_t k, uint64_t experts) {
  const uint32_t groups = experts >= kGroupsWanted ? 1 : ceil_div(kGroupsWanted, experts);
  const uint32_t depth = std::max(k, 1u);
  const uint32_t fit = std::min(kMatmulExpertElements / depth, kMatmulResultElements);
  return {std::min({ceil_div(m, groups), fit, m}), 1, depth};
}

// The rows of one expert are kept whole in fp32; tiles are not opened to that.
npuResult check_depth(uint32_t k, bool tiled) {
  const uint32_t limit = tiled ? kMatmulVectorElements : kMatmulExpertDepth;
  if (k <= limit) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "sizes[0] of a is %" PRIu32 "; the limit with ids is %" PRIu32, k, limit);
}

void put_rows(const Rows& r, uint32_t step, uint32_t first_mode, Plan* plan) {
  plan->add64(r.at).add64(r.row_bytes).add64(r.step_bytes(step));
  plan->add64(r.dim2_bytes).add64(r.dim3_bytes);
  plan->add32(r.row).add32(r.col).add32(first_mode + r.mode);
}

npuResult put_grid(uint64_t x, uint64_t y, uint64_t z, Plan* plan) {
  uint64_t groups;
  if (__builtin_mul_overflow(x, y, &groups) || __builtin_mul_overflow(groups, z, &groups) ||
      groups > kCountMax) {
    return fail(NPU_ERROR_NOT_SUPPORTED, "the product would take more than 2^31 work-groups");
  }
  plan->grid[0] = static_cast<uint32_t>(x);
  plan->grid[1] = static_cast<uint32_t>(y);
  plan->grid[2] = static_cast<uint32_t>(z);
  return NPU_OK;
}

}  // namespace

npuResult plan_matmul(const void* info, Plan* plan) {
  npuOpsMatmulInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check_operands(g));
  if (is_empty(g.y)) return NPU_OK;
  const bool chosen = !is_absent(g.ids);
  if (!chosen) join_vectors(&g);
  Rows a, b;
  NPU_OPS_TRY(arrange("a", g.a, &a));
  NPU_OPS_TRY(arrange("b", g.b, &b));
  const auto m = static_cast<uint32_t>(g.a.sizes[1]), k = static_cast<uint32_t>(g.a.sizes[0]);
  const auto dim1 = static_cast<uint32_t>(g.y.sizes[1]);
  const uint64_t dim2 = g.y.sizes[2], dim3 = g.y.sizes[3];
  const uint32_t type = weight_index(g.a.type);
  const bool vectors = a.mode == kElementsSideBySide && (chosen || dim1 <= kMatmulVectors) &&
                       uint64_t{chosen ? 1 : dim1} * k <= kMatmulVectorElements;
  const bool many = g.a.tiled == 0 && dim1 * dim2 > g.a.sizes[2];
  const bool experts = chosen && (!vectors || many);
  Cut cut;
  if (experts) {
    NPU_OPS_TRY(check_depth(k, g.a.tiled != 0));
    cut = cut_expert(m, k, g.a.sizes[2]);
    plan->program = kProgramMatmulExpert + type;
    NPU_OPS_TRY(put_grid(ceil_div(m, cut.m), g.a.sizes[2], 1, plan));
  } else if (vectors) {
    cut = cut_vectors(m, chosen ? 1 : dim1, k, (chosen ? dim1 : 1) * dim2 * dim3, is_integer(g));
    plan->program = kProgramMatmul + type * 2;
    NPU_OPS_TRY(put_grid(ceil_div(m, cut.m), chosen ? dim1 : dim2, chosen ? dim2 : dim3, plan));
  } else {
    cut = is_integer(g) ? cut_integers(m, dim1, k, dim2 * dim3)
                        : cut_blocks(m, dim1, k, dim2 * dim3, a.layout.block_elements);
    plan->program = kProgramMatmul + type * 2 + 1;
    NPU_OPS_TRY(put_grid(ceil_div(m, cut.m), ceil_div(dim1, cut.n), dim2 * dim3, plan));
  }
  // With ids, the places of Y in dimensions 1 and 2 are walked as dimensions 2 and 3 of one vector each.
  const uint64_t* y = g.y.strides + (chosen ? 1 : 2);
  plan->add64(g.y.data).add64(g.y.strides[1]).add64(y[0]).add64(y[1]);
  plan->add64(g.ids.data).add64(g.ids.strides[0]).add64(g.ids.strides[1]);
  if (chosen) {
    b.dim3_bytes = b.dim2_bytes;
    b.dim2_bytes = b.row_bytes;
  }
  put_rows(a, cut.k, 0, plan);
  put_rows(b, cut.k, 3 * float_index(g.b.type), plan);
  const uint64_t row = chosen || dim1 == 1 ? m : g.y.strides[1] / 4;
  plan->add32(m).add32(chosen && !experts ? 1 : dim1).add32(k).add32(row);
  plan->add32(cut.m).add32(cut.n).add32(cut.k);
  plan->add32(chosen || dim2 * dim3 > 1).add32(dim2);
  plan->add32(dim2 / std::max<uint64_t>(g.a.sizes[2], 1));
  plan->add32(dim3 / std::max<uint64_t>(g.a.sizes[3], 1));
  plan->add32(g.a.sizes[2]).add32(g.b.sizes[1]).add32(dim2);
  plan->add32(integers_of(g.integers, g.a));
  return NPU_OK;
}

std::string matmul_name(uint32_t variant) {
  return std::string(variant % 2 == 0 ? "matmul_vec_" : "matmul_mat_") + kWeightNames[variant / 2];
}

std::string matmul_expert_name(uint32_t variant) {
  return std::string("matmul_expert_") + kWeightNames[variant];
}

}  // namespace npu::ops
