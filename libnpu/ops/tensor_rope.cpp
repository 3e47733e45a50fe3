// SPDX-License-Identifier: Apache-2.0
// Plan of the rotary position embedding of tensors.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <iterator>
#include <numbers>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor.h"

namespace npu::ops {
namespace {

constexpr uint32_t kRopeAxes = 4;
constexpr uint32_t kRopeForms = 5;  // programs of one type

// Elements that the frequencies are spread over.
uint32_t spread_of(const npuOpsTensorRopeInfo& r) {
  return r.axes == NPU_OPS_ROPE_RESTARTED ? r.width / 2 : r.width;
}

// Which frequencies YaRN leaves as they are: the ramp goes from 0 at pair |low| to 1 at pair |high|, or jumps behind |low| where that is not below.
struct Ramp {
  double low, high;
};

// The pair that turns |turns| times over the context; -infinity where there is none.
double pair_of(double turns, const npuOpsTensorRopeInfo& r) {
  return spread_of(r) * std::log(r.context / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(double{r.base}));
}

Ramp ramp_of(const npuOpsTensorRopeInfo& r) {
  return {std::max(0.0, std::floor(pair_of(r.beta_fast, r))),
          std::min(spread_of(r) - 1.0, std::ceil(pair_of(r.beta_slow, r)))};
}

npuResult check_rope_operands(const npuOpsTensorRopeInfo& r) {
  NPU_OPS_TRY(check_tensor("x", r.x, kF32 | type_bit(NPU_FLOAT16)));
  NPU_OPS_TRY(check_tensor("y", r.y, kF32 | type_bit(NPU_FLOAT16)));
  NPU_OPS_TRY(check_tensor("positions", r.positions, kI32));
  NPU_OPS_TRY(check_same_sizes("x", r.x, "y", r.y));
  if (r.x.type != r.y.type) return fail(NPU_ERROR_NOT_SUPPORTED, "x and y must have the same type");
  auto is_list = [](const npuOpsTensor& t) {
    return t.sizes[1] == 1 && t.sizes[2] == 1 && t.sizes[3] == 1;
  };
  const uint64_t count = r.x.sizes[2] * (r.axes == NPU_OPS_ROPE_ONE_AXIS ? 1 : kRopeAxes);
  if (!is_list(r.positions) || r.positions.sizes[0] != count)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "positions must be a list of %" PRIu64 " numbers",
                count);
  if (is_absent(r.factors)) return NPU_OK;
  NPU_OPS_TRY(check_tensor("factors", r.factors, kF32));
  if (is_list(r.factors) && r.factors.sizes[0] >= r.width / 2 &&
      (r.width <= 2 || r.factors.strides[0] == 4))
    return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT,
              "factors must be a dense list of at least %" PRIu32 " numbers, one for each pair",
              r.width / 2);
}

npuResult check_axes(const npuOpsTensorRopeInfo& r) {
  NPU_OPS_TRY(check_enum("axes", r.axes, NPU_OPS_ROPE_RESTARTED + 1));
  uint64_t run = 0;
  for (uint32_t section : r.sections) run += section;
  if (r.axes == NPU_OPS_ROPE_ONE_AXIS) return check_zero("the sum of sections", run);
  if (run == 0 || run > kCountMax)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "the sum of sections is %" PRIu64, run);
  if (r.half != 1)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "pairs of several axes are halves: half must be 1");
  if (r.positions.strides[0] == 4) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED, "positions of several axes must be dense");
}

npuResult check_angles(const npuOpsTensorRopeInfo& r) {
  if (!(r.base > 0) || !std::isfinite(r.base) || !std::isfinite(r.freq_scale))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "base is %g, freq_scale %g", double{r.base},
                double{r.freq_scale});
  if (r.ext_factor == 0) return NPU_OK;
  const Ramp ramp = ramp_of(r);
  if (r.freq_scale > 0 && std::isfinite(ramp.low) && !std::isnan(ramp.high)) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT,
              "YaRN needs a positive freq_scale, beta_fast and beta_slow, and a base other than 1");
}

npuResult check_rope(const npuOpsTensorRopeInfo& r) {
  NPU_OPS_TRY(check_reserved(r.reserved));
  NPU_OPS_TRY(check_enum("half", r.half, 2));
  NPU_OPS_TRY(check_enum("backward", r.backward, 2));
  NPU_OPS_TRY(check_rope_operands(r));
  NPU_OPS_TRY(check_axes(r));
  NPU_OPS_TRY(check_angles(r));
  if (r.width == 0 || r.width % 2 != 0 || uint64_t{r.offset} + r.width > r.x.sizes[0])
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "width is %" PRIu32 " from %" PRIu32
                " on: it must be even, and end within sizes[0], which is %" PRIu64,
                r.width, r.offset, r.x.sizes[0]);
  if (r.x.sizes[0] > kRopeHead)
    return fail(NPU_ERROR_NOT_SUPPORTED, "sizes[0] is %" PRIu64 "; the limit is %" PRIu32,
                r.x.sizes[0], kRopeHead);
  for (const npuOpsTensor* t : {&r.x, &r.y}) {
    if (t->strides[0] != layout_of(t->type).block_bytes)
      return fail(NPU_ERROR_NOT_SUPPORTED, "elements of a head must lie side by side");
  }
  return NPU_OK;
}

// Whether the rows along |dim| can be one tile of the device.
bool is_tile(const npuOpsTensor& t, uint32_t dim) {
  const uint64_t elem_bytes = layout_of(t.type).block_bytes;
  return t.sizes[dim] == 1 ||
         (t.strides[dim] >= t.sizes[0] * elem_bytes && t.strides[dim] / elem_bytes <= kCountMax);
}

// Which dimension the rows of a block go along, and how many they are.
struct Cut {
  bool by_tokens;
  uint32_t block;
};

Cut choose_cut(const npuOpsTensorRopeInfo& r) {
  const uint64_t heads = r.x.sizes[1];
  const uint64_t tokens = r.x.sizes[2];
  const auto dim = static_cast<uint32_t>(r.x.sizes[0]);
  const uint32_t most = std::min(kRopeElements / dim, kRopeRows);
  const bool heads_fit = is_tile(r.x, 1) && is_tile(r.y, 1);
  const bool tokens_fit = is_tile(r.x, 2) && is_tile(r.y, 2);
  const bool one_axis = r.axes == NPU_OPS_ROPE_ONE_AXIS;
  if (one_axis && heads_fit && (tokens < heads || !tokens_fit))
    return {false, static_cast<uint32_t>(std::min<uint64_t>(heads, most))};
  if (!tokens_fit) return {true, 1};
  const uint64_t shared = ceil_div(tokens, ceil_div(kGroupsWanted, r.x.sizes[3]));
  const uint64_t worth = ceil_div(kGroupElementsWanted, dim * heads);
  return {true, static_cast<uint32_t>(std::clamp<uint64_t>(std::max(shared, worth), 1, most))};
}

// The second tensor as the first one of an operator of its own.
npuOpsTensorRopeInfo second_of(const npuOpsTensorRopeInfo& r) {
  npuOpsTensorRopeInfo second = r;
  second.x = r.x2;
  second.y = r.y2;
  second.x2 = second.y2 = {};
  return second;
}

npuResult check_second(const npuOpsTensorRopeInfo& r, const Cut& cut) {
  if (is_absent(r.x2)) {
    NPU_OPS_TRY(check_unnamed("x2", r.x2));
    return check_unnamed("y2", r.y2);
  }
  NPU_OPS_TRY(check_rope(second_of(r)));
  for (uint32_t dim : {0, 2, 3}) {
    if (r.x2.sizes[dim] != r.x.sizes[dim])
      return fail(NPU_ERROR_INVALID_ARGUMENT,
                  "x and x2 differ in dimension %" PRIu32 ": %" PRIu64 " and %" PRIu64, dim,
                  r.x.sizes[dim], r.x2.sizes[dim]);
  }
  if (r.x2.type != r.x.type || r.x2.sizes[1] > r.x.sizes[1])
    return fail(NPU_ERROR_NOT_SUPPORTED, "x2 has another type than x, or more heads");
  if (cut.by_tokens || cut.block < r.x.sizes[1] || !is_tile(r.x2, 1) || !is_tile(r.y2, 1))
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "x2 is taken where a work-group turns all heads of a token");
  // One work-group has read X when it turns the second tensor; of several, each its own token.
  const bool one_group = r.x.sizes[2] * r.x.sizes[3] == 1;
  if (!span_of(r.y).overlaps(span_of(r.x2)) && !span_of(r.y).overlaps(span_of(r.y2)) &&
      (one_group || !span_of(r.y2).overlaps(span_of(r.x))))
    return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "y overlaps x2 or y2, or y2 overlaps x");
}

void add_side(const npuOpsTensor& t, Plan* plan) {
  plan->add64(t.data);
  for (uint32_t dim = 1; dim < kDims; ++dim) plan->add64(t.sizes[dim] > 1 ? t.strides[dim] : 0);
}

// Elements between the rows of a block.
uint64_t ld_of(const npuOpsTensor& t, const Cut& cut) {
  const uint32_t dim = cut.by_tokens ? 2 : 1;
  const bool apart = t.sizes[dim] > 1 && cut.block > 1;
  return apart ? t.strides[dim] / layout_of(t.type).block_bytes : t.sizes[0];
}

void add_angles(const npuOpsTensorRopeInfo& r, Plan* plan) {
  const double scale = r.freq_scale;
  const double way = r.backward != 0 ? -1 : 1;
  double ramp_scale = 0, ramp_begin = 0, slope = 0, base = scale, amplitude = r.attn_factor;
  if (r.ext_factor != 0) {
    const Ramp ramp = ramp_of(r);
    ramp_scale = 1 / std::max(0.001, ramp.high - ramp.low);
    ramp_begin = -ramp.low * ramp_scale;
    slope = -r.ext_factor * (1 - scale);
    base = scale - slope;
    amplitude *= 1 + 0.1 * std::log(1 / scale);
  }
  auto add = [&](double value) { plan->add_f32(static_cast<float>(value)); };
  add(-2 * std::log(double{r.base}) / spread_of(r));
  plan->add32(slope != 0 || base != 1 || way < 0).add32(amplitude != 1);
  add(ramp_scale);
  add(ramp_begin);
  add(way * slope);
  add(way * base);
  add(amplitude);
}

// The pairs of axes 0 to 2 in a run; the last axis has the rest. Restarted, it is told where its section is, too.
void add_axes(const npuOpsTensorRopeInfo& r, Plan* plan) {
  uint32_t run = 0;
  for (uint32_t section : r.sections) run += section;
  const bool interleaved = r.axes == NPU_OPS_ROPE_INTERLEAVED;
  const uint32_t stride = interleaved ? kRopeAxes - 1 : 1;
  plan->add32(r.axes == NPU_OPS_ROPE_RESTARTED).add32(std::max(run, 1u)).add32(stride);
  uint32_t begin = 0;
  for (uint32_t axis = 0; axis < kRopeAxes; ++axis) {
    if (interleaved) {
      const uint64_t end = std::min<uint64_t>(uint64_t{stride} * r.sections[axis], run);
      plan->add32(axis).add32(end > axis ? ceil_div(end - axis, stride) : 0);
    } else {
      plan->add32(begin).add32(r.sections[axis]);
      begin += r.sections[axis];
    }
  }
}

}  // namespace

npuResult plan_tensor_rope(const void* info, Plan* plan) {
  npuOpsTensorRopeInfo r;
  NPU_OPS_TRY(read_info(info, &r));
  NPU_OPS_TRY(check_rope(r));
  if (is_empty(r.x)) return NPU_OK;
  const Cut cut = choose_cut(r);
  NPU_OPS_TRY(check_second(r, cut));
  const uint64_t rows = r.x.sizes[cut.by_tokens ? 2 : 1];
  const uint32_t blocks = ceil_div(rows, cut.block);
  plan->grid[0] = cut.by_tokens ? blocks : static_cast<uint32_t>(r.x.sizes[2]);
  plan->grid[1] = cut.by_tokens ? 1 : blocks;
  plan->grid[2] = static_cast<uint32_t>(r.x.sizes[3]);
  uint64_t groups = uint64_t{plan->grid[0]} * plan->grid[1];
  if (__builtin_mul_overflow(groups, plan->grid[2], &groups) || groups > kCountMax)
    return fail(NPU_ERROR_NOT_SUPPORTED, "too many tokens and batches for one operator");
  plan->program = kProgramTensorRope + (r.x.type == NPU_FLOAT16 ? kRopeForms : 0);
  const bool one_axis = r.axes == NPU_OPS_ROPE_ONE_AXIS;
  plan->program += one_axis ? (cut.by_tokens ? 2 : 0) + r.half : kRopeForms - 1;
  add_side(r.x, plan);
  add_side(r.y, plan);
  const uint64_t step = r.positions.sizes[0] > 1 ? r.positions.strides[0] : 4;
  plan->add64(r.positions.data).add64(r.factors.data).add64(step);
  plan->add32(ld_of(r.x, cut)).add32(ld_of(r.y, cut)).add32(rows).add32(cut.block);
  plan->add32(r.x.sizes[1]).add32(r.x.sizes[0]).add32(r.width / 2).add32(step / 4);
  plan->add32(r.offset);
  add_angles(r, plan);
  add_axes(r, plan);
  add_side(r.x2, plan);
  add_side(r.y2, plan);
  const bool second = !is_absent(r.x2);
  plan->add32(second ? ld_of(r.x2, cut) : 0).add32(second ? ld_of(r.y2, cut) : 0);
  plan->add32(second ? r.x2.sizes[1] : 0);
  return NPU_OK;
}

std::string tensor_rope_name(uint32_t variant) {
  constexpr const char* kForms[] = {"_heads_pair", "_heads_half", "_tokens_pair", "_tokens_half",
                                    "_axes_half"};
  static_assert(std::size(kForms) == kRopeForms);
  return std::string("tensor_rope_") + (variant < kRopeForms ? "f32" : "f16") +
         kForms[variant % kRopeForms];
}

}  // namespace npu::ops
