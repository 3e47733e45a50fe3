// SPDX-License-Identifier: Apache-2.0
// Plan of products of the same vectors, with what stands around them.
#include <cinttypes>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor.h"

namespace npu::ops {
namespace {

using Info = npuOpsProductsInfo;
static_assert(kProductsMost == NPU_OPS_PRODUCTS_MAX);

bool is_gated(const Info& g) { return !is_absent(g.gated); }
bool has_norm(const Info& g) { return !is_absent(g.norm_weight); }
bool is_integer(const Info& g) { return integers_of(g.integers, g.a[0]) != 0; }

// Elements between the rows of a matrix whose rows are the tile that a program reads or writes.
npuResult row_of(const char* name, const npuOpsTensor& t, uint32_t* row) {
  const TypeLayout l = layout_of(t.type);
  uint64_t apart = t.sizes[0];
  if (t.sizes[0] > l.block_elements && t.strides[0] != l.block_bytes)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "%s: strides[0] is %" PRIu64 ", only %" PRIu32 " is taken: elements side by side",
                name, t.strides[0], l.block_bytes);
  if (t.sizes[1] > 1) {
    if (t.strides[1] % l.block_bytes != 0)
      return fail(NPU_ERROR_NOT_SUPPORTED, "%s: strides[1] is %" PRIu64 ", no multiple of %" PRIu32,
                  name, t.strides[1], l.block_bytes);
    apart = t.strides[1] / l.block_bytes * l.block_elements;
  }
  if (apart < t.sizes[0] || apart > kCountMax)
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s: rows that are %" PRIu64 " bytes apart overlap", name,
                t.strides[1]);
  *row = static_cast<uint32_t>(apart);
  return NPU_OK;
}

// |t| is a matrix of cols x rows elements.
npuResult check_matrix(const char* name, const npuOpsTensor& t, uint32_t types, uint64_t cols,
                       uint64_t rows) {
  NPU_OPS_TRY(check_tensor(name, t, types));
  const uint64_t wanted[kDims] = {cols, rows, 1, 1};
  for (uint32_t dim = 0; dim < kDims; ++dim) {
    if (t.sizes[dim] != wanted[dim])
      return fail(NPU_ERROR_INVALID_ARGUMENT,
                  "%s: sizes[%" PRIu32 "] is %" PRIu64 ", it must be %" PRIu64, name, dim,
                  t.sizes[dim], wanted[dim]);
  }
  uint32_t row;
  return row_of(name, t, &row);
}

npuResult check_norm(const Info& g) {
  if (!has_norm(g)) return check_unnamed("normed", g.normed);
  const uint64_t k = g.x.sizes[0];
  if (k > kTensorNormWeights)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "sizes[0] of x is %" PRIu64 "; the limit with norm_weight is %" PRIu32, k,
                kTensorNormWeights);
  NPU_OPS_TRY(check_matrix("norm_weight", g.norm_weight, kF32, k, 1));
  return check_matrix("normed", g.normed, kF32, k, g.x.sizes[1]);
}

npuResult check_product(const Info& g, uint32_t i) {
  const uint64_t k = g.x.sizes[0], n = g.x.sizes[1], m = g.a[i].sizes[1];
  NPU_OPS_TRY(check_matrix("a", g.a[i], kFloats | kBlocks | kTiled, k, m));
  NPU_OPS_TRY(check_tiled_integers(g.integers, g.a[i]));
  if (g.a[i].type != g.a[0].type)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "a[0] and a[%" PRIu32 "] are of types %d and %d: all are one", i, g.a[0].type,
                g.a[i].type);
  if (g.a[i].tiled != g.a[0].tiled)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "of a[0] and a[%" PRIu32 "] one is tiled: all are, or none is", i);
  if (!is_absent(g.c[i])) NPU_OPS_TRY(check_matrix("c", g.c[i], kF32, m, n));
  if (is_gated(g) && is_absent(g.y[i])) return NPU_OK;
  return check_matrix("y", g.y[i], kF32, m, n);
}

npuResult check_gated(const Info& g) {
  if (!is_gated(g)) return check_zero("function without gated", static_cast<uint32_t>(g.function));
  if (g.count != 2)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "count is %" PRIu32 "; with gated it is 2", g.count);
  if (g.a[1].sizes[1] != g.a[0].sizes[1])
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "sizes[1] of a[0] and a[1], of which one gates the other: %" PRIu64 " and %" PRIu64,
                g.a[0].sizes[1], g.a[1].sizes[1]);
  uint32_t function;
  NPU_OPS_TRY(find_gate(g.function, &function));
  return check_matrix("gated", g.gated, kF32, g.a[0].sizes[1], g.x.sizes[1]);
}

npuResult check_vectors(const Info& g) {
  NPU_OPS_TRY(check_enum("integers", g.integers, 2));
  NPU_OPS_TRY(check_reserved(g.reserved));
  if (g.count == 0 || g.count > kProductsMost)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "count is %" PRIu32 ", it must be 1 to %" PRIu32,
                g.count, kProductsMost);
  const uint64_t k = g.x.sizes[0], n = g.x.sizes[1];
  NPU_OPS_TRY(check_matrix("x", g.x, kF32, k, n));
  if (k == 0) return fail(NPU_ERROR_NOT_SUPPORTED, "x has vectors of nothing");
  if (n > kMatmulVectors || n * k > kMatmulVectorElements)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "x has %" PRIu64 " vectors of %" PRIu64 " elements; the limits are %" PRIu32
                " vectors and %" PRIu32 " elements in all",
                n, k, kMatmulVectors, kMatmulVectorElements);
  return NPU_OK;
}

// --- what must not overlap --------------------------------------------------------------------------------------------

struct Spans {
  struct One {
    const char* name;
    Span span;
    bool is_result;
  } list[3 + 3 * kProductsMost + 1];
  uint32_t count = 0;

  void add(const char* name, const npuOpsTensor& t, bool is_result) {
    list[count++] = {name, span_of(t), is_result};
  }
};

bool same_place(const npuOpsTensor& a, const npuOpsTensor& b) {
  return a.data == b.data && (a.sizes[1] <= 1 || a.strides[1] == b.strides[1]);
}

// A work-group reads and writes while others do, in any order; only where it reads what it writes itself later on may both be in one place.
npuResult check_overlaps(const Info& g) {
  Spans all;
  all.add("x", g.x, false);
  all.add("norm_weight", g.norm_weight, false);
  all.add("normed", g.normed, true);
  all.add("gated", g.gated, true);
  for (uint32_t i = 0; i < g.count; ++i) {
    all.add("a", g.a[i], false);
    all.add("y", g.y[i], true);
    if (!same_place(g.c[i], g.y[i])) all.add("c", g.c[i], false);
  }
  for (uint32_t i = 0; i < all.count; ++i) {
    for (uint32_t j = 0; j < all.count; ++j) {
      if (i == j || !all.list[i].is_result || !all.list[i].span.overlaps(all.list[j].span))
        continue;
      return fail(NPU_ERROR_INVALID_ARGUMENT, "%s overlaps %s", all.list[i].name, all.list[j].name);
    }
  }
  return NPU_OK;
}

npuResult check(const Info& g) {
  NPU_OPS_TRY(check_vectors(g));
  for (uint32_t i = 0; i < kProductsMost; ++i) {
    if (i < g.count) {
      NPU_OPS_TRY(check_product(g, i));
      continue;
    }
    NPU_OPS_TRY(check_unnamed("a", g.a[i]));
    NPU_OPS_TRY(check_unnamed("c", g.c[i]));
    NPU_OPS_TRY(check_unnamed("y", g.y[i]));
  }
  NPU_OPS_TRY(check_norm(g));
  NPU_OPS_TRY(check_gated(g));
  return check_overlaps(g);
}

// --- the plan ---------------------------------------------------------------------------------------------------------

// Rows of weights for each work-group; |around|: matrices of which it takes so many rows. An even number of groups, since hosts have an even number of threads.
uint32_t rows_of_group(const Info& g, uint64_t m, uint64_t around) {
  const uint32_t columns = is_integer(g) ? kIntegerColumns : kColumns;
  const uint64_t worth = is_integer(g) ? kIntegersWorthGroup : kElementsWorthGroup;
  const uint64_t elements = m * g.x.sizes[0] * around;
  uint64_t groups = std::clamp<uint64_t>(elements / worth, 1, kGroupsWanted);
  groups += groups > 1 ? groups % 2 : 0;
  const uint32_t most =
      kMatmulResultElements / static_cast<uint32_t>(g.x.sizes[1]) / columns * columns;
  return std::min(round_up(ceil_div(m, groups), columns), most);
}

uint32_t row_or_zero(const npuOpsTensor& t) {
  uint32_t row = 0;
  return !is_absent(t) && row_of("", t, &row) == NPU_OK ? row : 0;
}

void put_product(const Info& g, uint32_t i, uint32_t block, Plan* plan) {
  const npuOpsTensor& a = g.a[i];
  const TypeLayout l = layout_of(a.type);
  const uint64_t row = row_or_zero(a);
  plan->add64(a.data).add64(row / l.block_elements * l.block_bytes);
  plan->add64(g.c[i].data).add64(g.y[i].data);
  plan->add32(row).add32(row_or_zero(g.c[i])).add32(row_or_zero(g.y[i]));
  plan->add32(a.sizes[1]).add32(block);
}

}  // namespace

npuResult plan_products(const void* info, Plan* plan) {
  Info g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check(g));
  if (is_empty(g.x)) return NPU_OK;
  // Groups of each matrix one behind the other; one without groups begins where the next one does, and the last ones where all end.
  uint32_t blocks[kProductsMost] = {}, first[kProductsMost + 1] = {};
  for (uint32_t i = 0; i < kProductsMost; ++i) {
    const bool shared = is_gated(g) && i == 1;
    const uint64_t m = i < g.count ? g.a[i].sizes[1] : 0;
    blocks[i] = m != 0 ? rows_of_group(g, m, is_gated(g) ? 2 : 1) : 1;
    first[i + 1] = first[i] + (shared ? 0 : ceil_div(m, blocks[i]));
  }
  const uint32_t groups = first[kProductsMost];
  if (groups == 0) return NPU_OK;
  plan->program = kProgramProducts + weight_index(g.a[0].type);
  plan->grid[0] = groups;
  plan->add64(g.x.data).add64(g.norm_weight.data).add64(g.normed.data).add64(g.gated.data);
  for (uint32_t i = 0; i < kProductsMost; ++i) put_product(g, i, blocks[i], plan);
  plan->add32(first[1]).add32(first[2]).add32(g.x.sizes[1]).add32(g.x.sizes[0]);
  plan->add32(row_or_zero(g.x)).add32(row_or_zero(g.normed)).add32(row_or_zero(g.gated));
  uint32_t function = 0;
  if (is_gated(g)) NPU_OPS_TRY(find_gate(g.function, &function));
  plan->add32(function).add32(integers_of(g.integers, g.a[0]));
  plan->add_f32(1.0f / static_cast<float>(g.x.sizes[0])).add_f32(g.eps);
  return NPU_OK;
}

std::string products_name(uint32_t variant) {
  return std::string("products_") + kWeightNames[variant];
}

}  // namespace npu::ops
