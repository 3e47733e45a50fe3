// SPDX-License-Identifier: Apache-2.0
// Plans of GEMMs of any types, in parts and in groups (firmware-model/kernels/gemm_any.cpp).
#include <cinttypes>
#include <tuple>

#include "libnpu/ops/any_type.h"
#include "libnpu/ops/check.h"
#include "libnpu/ops/gemm_wide.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

// The programs, in the order of their numbers.
enum Kind : uint32_t { kAny, kSameF32, kSameBf16, kSameF16, kFp8, kInt8, kTree, kParts };
constexpr const char* kKindNames[] = {"any", "f32", "bf16", "f16", "fp8", "i8", "tree", "parts"};

constexpr uint32_t kPartsMax = 1024;
constexpr uint32_t kIntegerDepth = 131071;  // (-128)^2 times so many stays below 2^31

struct Product {
  npuOpsGemmInfo g;
  npuDataType b_type, c_type;
  Kind kind;
  TypeLayout a, b, d;
  uint32_t align;  // of K: both operands' blocks
  uint32_t parts;  // of K
  uint32_t part_k;

  bool grouped() const { return g.group_count != 0; }
  bool integers() const { return kind == kInt8; }
};

Kind kind_of(const npuOpsGemmInfo& g, npuDataType b_type) {
  if (g.type == NPU_INT8 && b_type == NPU_INT8) return kInt8;
  if (g.order == NPU_OPS_ORDER_TREE) return kTree;
  if (is_fp8(g.type) && is_fp8(b_type)) return kFp8;
  if (g.type != b_type) return kAny;
  if (g.type == NPU_FLOAT32) return kSameF32;
  if (g.type == NPU_BFLOAT16) return kSameBf16;
  return g.type == NPU_FLOAT16 ? kSameF16 : kAny;
}

npuResult check_members(const npuOpsGemmInfo& g) {
  NPU_OPS_TRY(check_enum("a_form", g.a_form, NPU_OPS_PACKED));
  NPU_OPS_TRY(check_enum("b_form", g.b_form, NPU_OPS_PACKED + 1));
  NPU_OPS_TRY(check_enum("activation", g.activation, NPU_OPS_ACT_TANH + 1));
  NPU_OPS_TRY(check_enum("mixed", g.mixed, 2));
  NPU_OPS_TRY(check_enum("order", g.order, NPU_OPS_ORDER_TREE + 1));
  if (g.mixed == 0) NPU_OPS_TRY(check_zero("b_type", static_cast<uint32_t>(g.b_type)));
  for (auto [name, count] : {std::pair{"m", g.m},
                             {"n", g.n},
                             {"k", g.k},
                             {"batch", g.batch},
                             {"group_count", g.group_count}}) {
    NPU_OPS_TRY(check_count(name, count));
  }
  if (g.split_k > kPartsMax)
    return fail(NPU_ERROR_NOT_SUPPORTED, "split_k is %" PRIu32 ", at most %" PRIu32 " is taken",
                g.split_k, kPartsMax);
  return NPU_OK;
}

npuResult check_types(const Product& p) {
  NPU_OPS_TRY(check_read_type("type", p.g.type));
  NPU_OPS_TRY(check_read_type("b_type", p.b_type));
  if (p.g.out_type != NPU_INT32)
    return check_written_type("out_type", p.g.out_type, p.g.scale_rule, p.g.overflow, p.g.rounding);
  if (!p.integers())
    return fail(NPU_ERROR_NOT_SUPPORTED, "out_type NPU_INT32 needs A and B of NPU_INT8");
  const npuOpsGemmInfo& g = p.g;
  if (g.alpha != 1 || g.beta != 0 || g.bias != 0 || g.scale_a != 0 || g.scale_b != 0 ||
      g.activation != NPU_OPS_ACT_NONE || (g.out_scale != 0 && g.out_scale != 1)) {
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "a result of NPU_INT32 takes no alpha but 1, no C, bias, scale or activation");
  }
  NPU_OPS_TRY(check_zero("scale_rule", static_cast<uint32_t>(g.scale_rule)));
  NPU_OPS_TRY(check_zero("overflow", g.overflow));
  return check_rounding(g.rounding, "out_type", g.out_type);
}

npuResult check_forms(const Product& p) {
  const npuOpsGemmInfo& g = p.g;
  if (p.a.block_elements > 1 && g.a_form != NPU_OPS_PLAIN)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "a is in blocks, which lie along k: a_form must be NPU_OPS_PLAIN");
  if (p.b.block_elements > 1 && g.b_form != NPU_OPS_TRANSPOSED)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "b is in blocks, which lie along k: b_form must be NPU_OPS_TRANSPOSED");
  if (g.b_form == NPU_OPS_PACKED && (p.kind == kAny || p.kind == kTree))
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "a packed b needs an a of the same type (FP8: either), and the order of a chain");
  return NPU_OK;
}

npuResult check_order(const Product& p) {
  const npuOpsGemmInfo& g = p.g;
  if (g.order != NPU_OPS_ORDER_TREE) return NPU_OK;
  if (p.integers())
    return fail(NPU_ERROR_NOT_SUPPORTED, "sums of integers have no order: NPU_OPS_ORDER_CHAIN");
  if (g.a_form != NPU_OPS_PLAIN || g.b_form != NPU_OPS_TRANSPOSED)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "NPU_OPS_ORDER_TREE needs k contiguous: a_form PLAIN and b_form TRANSPOSED");
  const uint64_t depth = uint64_t{ceil_div(g.k, p.a.block_elements)} * p.a.block_elements;
  if (g.m > kMatmulVectors || g.m * depth > kMatmulVectorElements)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "NPU_OPS_ORDER_TREE takes up to %" PRIu32 " rows and %" PRIu32
                " elements of a, not %" PRIu32 " rows of %" PRIu64,
                kMatmulVectors, kMatmulVectorElements, g.m, depth);
  if (g.k % p.b.block_elements != 0)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "NPU_OPS_ORDER_TREE: k is %" PRIu32 ", no multiple of b's block of %" PRIu32, g.k,
                p.b.block_elements);
  return NPU_OK;
}

npuResult check_split(const Product& p) {
  const npuOpsGemmInfo& g = p.g;
  if (p.integers() && g.k > kIntegerDepth)
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "k is %" PRIu32 "; sums of products of NPU_INT8 have room for %" PRIu32, g.k,
                kIntegerDepth);
  if (g.split_k <= 1) return NPU_OK;
  if (p.integers() || p.kind == kTree || p.grouped())
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "split_k does not go with NPU_INT8 for both, NPU_OPS_ORDER_TREE or groups");
  return NPU_OK;
}

npuResult check_groups(const Product& p) {
  const npuOpsGemmInfo& g = p.g;
  if (!p.grouped()) return check_zero("groups without group_count", g.groups);
  if (g.batch > 1) return fail(NPU_ERROR_INVALID_ARGUMENT, "batch is not 1, with groups");
  for (uint64_t distance : {g.lda, g.ldb, g.ldc, g.ldd, g.batch_stride_a, g.batch_stride_b,
                            g.batch_stride_c, g.batch_stride_d}) {
    NPU_OPS_TRY(check_zero("a distance beside groups", distance));
  }
  Extent groups{"groups", g.groups, sizeof(npuOpsGemmGroup), g.group_count, 1, 0};
  groups.align_bytes = 8;
  return check_extent(&groups);
}

// A row of |cols| elements of |layout|, |rows| of them, as an extent of whole blocks. *ld and *stride become bytes-free counts of elements.
npuResult check_matrix(const char* name, npuDevPtr at, const TypeLayout& layout, uint64_t rows,
                       uint64_t cols, const Product& p, uint64_t* ld, uint64_t stride) {
  const uint32_t block = layout.block_elements;
  if (*ld % block != 0 || stride % block != 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: distances of %" PRIu64 " and %" PRIu64
                " are no multiples of the block of %" PRIu32,
                name, *ld, stride, block);
  Extent e{name,
           at,
           layout.block_bytes,
           p.grouped() ? 1 : rows,
           p.grouped() ? 1 : (cols + block - 1) / block,
           *ld / block,
           p.g.batch,
           stride / block,
           layout.align_bytes};
  NPU_OPS_TRY(check_extent(&e));
  if (e.ld * block > kCountMax)
    return fail(NPU_ERROR_OVERFLOW, "%s: rows of %" PRIu64 " elements are too long", name,
                e.ld * block);
  *ld = p.grouped() ? 0 : e.ld * block;
  return NPU_OK;
}

npuResult check_operands(Product* p) {
  npuOpsGemmInfo& g = p->g;
  if (g.k != 0) {
    const bool at = g.a_form == NPU_OPS_TRANSPOSED, bt = g.b_form == NPU_OPS_TRANSPOSED;
    NPU_OPS_TRY(
        check_matrix("a", g.a, p->a, at ? g.k : g.m, at ? g.m : g.k, *p, &g.lda, g.batch_stride_a));
    const bool packed = g.b_form == NPU_OPS_PACKED;
    if (packed) NPU_OPS_TRY(check_zero("ldb of a packed b", g.ldb));
    const uint64_t rows = packed ? ceil_div(g.n, 16) : bt ? g.n : g.k;
    const uint64_t cols = packed ? uint64_t{g.k} * 16 : bt ? g.k : g.n;
    NPU_OPS_TRY(check_matrix("b", g.b, p->b, rows, cols, *p, &g.ldb, g.batch_stride_b));
    if (packed) g.ldb = 0;
  }
  NPU_OPS_TRY(check_matrix("d", g.d, p->d, g.m, g.n, *p, &g.ldd, g.batch_stride_d));
  const uint64_t last = uint64_t{ceil_div(g.n, p->d.block_elements)} * p->d.block_elements;
  if (g.batch > 1 && g.batch_stride_d < (uint64_t{g.m} - 1) * g.ldd + last)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "batch_stride_d: the matrices of d overlap");
  if (g.beta == 0) {
    g.c = 0;
    g.ldc = g.batch_stride_c = 0;
  } else {
    NPU_OPS_TRY(
        check_matrix("c", g.c, layout_of(p->c_type), g.m, g.n, *p, &g.ldc, g.batch_stride_c));
  }
  for (auto [name, at, count] : {std::tuple{"bias", g.bias, g.n},
                                 {"scale_a", g.scale_a, g.m},
                                 {"scale_b", g.scale_b, g.n}}) {
    Extent line{name, at, 4, at != 0 ? 1u : 0u, p->grouped() ? 1 : count, 0};
    NPU_OPS_TRY(check_extent(&line));
  }
  return NPU_OK;
}

// Everything but addresses.
npuResult read_product(const npuOpsGemmInfo& info, Product* p) {
  p->g = info;
  npuOpsGemmInfo& g = p->g;
  NPU_OPS_TRY(check_members(g));
  p->b_type = g.mixed != 0 ? g.b_type : g.type;
  p->kind = kind_of(g, p->b_type);
  NPU_OPS_TRY(check_types(*p));
  p->a = layout_of(g.type);
  p->b = layout_of(p->b_type);
  p->d = layout_of(g.out_type);
  const bool wide = g.out_type == NPU_BFLOAT16 || g.out_type == NPU_FLOAT16;
  p->c_type = wide ? g.out_type : NPU_FLOAT32;
  g.batch = std::max(g.batch, 1u);
  if (g.alpha == 0) g.k = 0;
  NPU_OPS_TRY(check_forms(*p));
  NPU_OPS_TRY(check_order(*p));
  NPU_OPS_TRY(check_split(*p));
  NPU_OPS_TRY(check_groups(*p));
  p->align = std::max(p->a.block_elements, p->b.block_elements);
  p->parts = g.k == 0 ? 1 : std::max(g.split_k, 1u);
  p->part_k = p->parts == 1 ? g.k : round_up(ceil_div(g.k, p->parts), std::max(p->align, 16u));
  return NPU_OK;
}

// As choose_blocks of gemm.cpp, with blocks of D and of K whole.
Blocks choose_blocks(const Product& p) {
  constexpr uint32_t kSmallM = 16;
  constexpr uint32_t kLeast = 64;
  const npuOpsGemmInfo& g = p.g;
  const uint32_t columns = std::max(p.d.block_elements, 16u);
  const uint32_t align = std::max(p.align, 16u);
  const uint32_t elem_bytes = p.kind == kAny || p.kind == kTree ? 4 : p.a.block_bytes;
  const uint32_t fit = kGemmBlockBytes / (align * elem_bytes);
  Blocks b{std::min({g.m, kGemmBlockRows, fit}),
           std::min({round_up(g.n, columns), kGemmBlockCols, fit}), 0};
  const uint32_t shared = round_up(ceil_div(g.n, kGroupsWanted), columns);
  if (g.m <= kSmallM) {
    b.n = std::min(b.n, std::clamp(shared, kLeast, kGemmBlockCols));
  } else {
    const uint64_t around = uint64_t{g.batch} * p.parts * std::max(g.group_count, 1u);
    auto groups = [&] { return uint64_t{ceil_div(g.m, b.m)} * ceil_div(g.n, b.n) * around; };
    while (groups() < kGroupsWanted && std::max(b.m, b.n) > kLeast) {
      uint32_t& larger = b.m > b.n ? b.m : b.n;
      larger = round_up(larger / 2, columns);
    }
  }
  const uint32_t widest = std::max(round_up(b.m, 16), round_up(b.n, 16));
  b.k = kGemmBlockBytes / (widest * elem_bytes) / align * align;
  b.k = std::min(b.k, round_up(std::max(g.k, 1u), align));
  return b;
}

uint64_t bytes_of(uint64_t elements, const TypeLayout& layout) {
  return elements / layout.block_elements * layout.block_bytes;
}

// The larger blocks, where the device that |chips| tells of gains by them.
std::optional<WideBlocks> wide_blocks(const Product& p, ChipSource* chips) {
  const npuOpsGemmInfo& g = p.g;
  if (chips == nullptr || p.grouped() || p.kind >= kTree || !may_be_wide(g.m, g.n))
    return std::nullopt;
  const uint32_t columns = std::max(p.d.block_elements, 16u);
  const uint32_t result_bytes = ceil_div(p.d.block_bytes, p.d.block_elements);
  const ProductShape shape{g.m,
                           g.n,
                           std::min(g.k, p.part_k),
                           uint64_t{g.batch} * p.parts,
                           g.type,
                           p.b_type,
                           p.kind == kAny ? 4 : p.a.block_bytes,
                           std::max(p.align, 16u),
                           columns,
                           result_bytes,
                           g.out_type == NPU_INT32};
  return choose_wide(shape, choose_blocks(p), chips->chip());
}

npuResult put_product(const Product& p, uint64_t z, Plan* plan) {
  const npuOpsGemmInfo& g = p.g;
  const std::optional<WideBlocks> wide = wide_blocks(p, plan->chips);
  const Blocks b = wide ? wide->block : choose_blocks(p);
  const uint64_t x = ceil_div(g.n, b.n), y = ceil_div(g.m, b.m);
  if (z > kCountMax || x * y > kCountMax || x * y * z > kCountMax)
    return fail(NPU_ERROR_NOT_SUPPORTED, "the product would take more than 2^31 work-groups");
  plan->program =
      kProgramGemmAny + (p.kind == kParts ? 2u * kParts : p.kind * 2 + (p.grouped() ? 1u : 0u));
  plan->grid[0] = static_cast<uint32_t>(x);
  plan->grid[1] = static_cast<uint32_t>(y);
  plan->grid[2] = static_cast<uint32_t>(z);
  plan->add64(g.a).add64(g.b).add64(g.c).add64(g.d).add64(g.bias).add64(g.scale_a).add64(g.scale_b);
  plan->add64(bytes_of(g.batch_stride_a, p.a)).add64(bytes_of(g.batch_stride_b, p.b));
  plan->add64(bytes_of(g.batch_stride_c, layout_of(p.c_type)));
  plan->add64(bytes_of(g.batch_stride_d, p.d)).add64(g.groups);
  plan->add64(g.rounding.seed).add64(g.rounding.first);
  plan->add32(g.m).add32(g.n).add32(g.k).add32(g.lda).add32(g.ldb).add32(g.ldc).add32(g.ldd);
  plan->add32(device_type(g.type)).add32(device_type(p.b_type)).add32(device_type(p.c_type));
  plan->add32(device_type(g.out_type)).add32(static_cast<uint32_t>(g.scale_rule)).add32(g.overflow);
  plan->add32(static_cast<uint32_t>(g.rounding.mode));
  plan->add32(static_cast<uint32_t>(g.a_form)).add32(static_cast<uint32_t>(g.b_form));
  plan->add32(p.a.block_elements).add32(p.a.block_bytes);
  plan->add32(p.b.block_elements).add32(p.b.block_bytes);
  plan->add32(p.d.block_elements).add32(p.d.block_bytes);
  plan->add32(type_bytes(p.c_type)).add32(p.align).add32(b.m).add32(b.n).add32(b.k);
  plan->add32(p.parts).add32(p.part_k).add_f32(g.alpha).add_f32(g.beta);
  plan->add_f32(g.out_scale != 0 ? g.out_scale : 1.0f).add32(static_cast<uint32_t>(g.activation));
  if (!wide) return NPU_OK;
  plan->program = kProgramGemmWide + uint32_t{p.kind};
  plan->add32(wide->block_bytes).add32(wide->acc_rows);
  return NPU_OK;
}

npuResult check_workspace(const Product& p) {
  Extent e{"workspace",
           p.g.workspace,
           4,
           p.g.m,
           p.g.n,
           0,
           uint64_t{p.g.batch} * p.parts,
           uint64_t{p.g.m} * p.g.n};
  return check_extent(&e);
}

npuResult read_whole(const npuOpsGemmInfo& info, Product* p) {
  NPU_OPS_TRY(read_product(info, p));
  if (p->g.m == 0 || p->g.n == 0) return NPU_OK;
  NPU_OPS_TRY(check_operands(p));
  return p->parts > 1 ? check_workspace(*p) : NPU_OK;
}

// The second launch of a product in parts: adds their sums up, and does all that comes behind.
npuResult plan_parts(const void* info, Plan* plan) {
  npuOpsGemmInfo g;
  Product p;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(read_whole(g, &p));
  p.kind = kParts;
  p.g.a = p.g.workspace;
  p.g.type = p.b_type = NPU_FLOAT32;
  p.a = p.b = layout_of(NPU_FLOAT32);
  p.align = 1;
  return put_product(p, p.g.batch, plan);
}

}  // namespace

npuResult plan_gemm_any(const npuOpsGemmInfo& info, Plan* plan) {
  Product p;
  NPU_OPS_TRY(read_whole(info, &p));
  npuOpsGemmInfo& g = p.g;
  if (g.m == 0 || g.n == 0) return NPU_OK;
  if (p.grouped()) return put_product(p, g.group_count, plan);
  if (p.parts == 1) return put_product(p, g.batch, plan);
  plan->then = plan_parts;
  g.d = g.workspace;
  g.out_type = NPU_FLOAT32;
  p.d = layout_of(NPU_FLOAT32);
  g.ldd = g.n;
  g.batch_stride_d = uint64_t{g.m} * g.n;
  g.c = g.bias = g.scale_a = g.scale_b = 0;
  g.alpha = g.out_scale = 1;
  g.beta = 0;
  g.activation = NPU_OPS_ACT_NONE;
  g.scale_rule = 0;
  g.overflow = 0;
  g.rounding = {};
  return put_product(p, uint64_t{g.batch} * p.parts, plan);
}

npuResult wants_wide(const npuOpsGemmInfo& info, ChipSource* chips, bool* out) {
  *out = false;
  if (chips == nullptr || !may_be_wide(info.m, info.n)) return NPU_OK;
  Product p;
  NPU_OPS_TRY(read_whole(info, &p));
  *out = wide_blocks(p, chips).has_value();
  return NPU_OK;
}

npuResult gemm_workspace_bytes(const npuOpsGemmInfo& info, uint64_t* out) {
  Product p;
  NPU_OPS_TRY(read_product(info, &p));
  if (p.parts == 1) return NPU_OK;
  if (__builtin_mul_overflow(uint64_t{p.g.m} * p.g.n, uint64_t{p.g.batch} * p.parts * 4, out)) {
    *out = 0;
    return fail(NPU_ERROR_OVERFLOW, "the workspace would be larger than the address space");
  }
  return NPU_OK;
}

std::string gemm_any_name(uint32_t variant) {
  return std::string("gemm_") + kKindNames[variant / 2] + (variant % 2 != 0 ? "_grouped" : "");
}

std::string gemm_wide_name(uint32_t variant) {
  return std::string("gemm_") + kKindNames[variant] + "_wide";
}

std::string pack_bytes_name(uint32_t variant) {
  return std::string("gemm_pack_bytes_") + (variant != 0 ? "t" : "n");
}

}  // namespace npu::ops
