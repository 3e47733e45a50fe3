// SPDX-License-Identifier: Apache-2.0
// Merging of dimensions, choice of rows, blocks, and the arguments that follow.
#include "libnpu/ops/tensor_rows.h"

#include <cinttypes>
#include <numeric>
#include <utility>

#include "libnpu/ops/limits.h"

namespace npu::ops {

RowWalk::RowWalk(const npuOpsTensor& x, const npuOpsTensor& y) {
  sides_[0] = side_of(x);
  sides_[1] = side_of(y);
  std::copy_n(y.sizes + 1, kOuter, sizes_);
}

void RowWalk::add_repeat(const npuOpsTensor& t) { sides_[count_++] = side_of(t); }

RowWalk::Side RowWalk::side_of(const npuOpsTensor& t) {
  Side side;
  if (is_absent(t)) return side;
  side.absent = false;
  side.at = t.data;
  side.elem_bytes = layout_of(t.type).block_bytes;
  side.cols = t.sizes[0];
  side.column_bytes = t.sizes[0] > 1 ? t.strides[0] : side.elem_bytes;
  std::copy_n(t.sizes + 1, kOuter, side.sizes);
  for (uint32_t dim = 0; dim < kOuter; ++dim)
    side.strides[dim] = side.sizes[dim] > 1 ? t.strides[dim + 1] : 0;
  return side;
}

// Whether index i_outer * size + i_inner of one merged dimension finds the same rows.
bool RowWalk::merges(const Side& side, uint32_t inner, uint32_t outer) const {
  if (side.sizes[inner] == 1 && side.sizes[outer] == 1) return true;
  if (side.sizes[inner] != sizes_[inner]) return false;
  uint64_t whole;
  return side.sizes[outer] == 1 ||
         (!__builtin_mul_overflow(side.strides[inner], sizes_[inner], &whole) &&
          side.strides[outer] == whole);
}

// |outer| becomes a dimension of size 1, as a result.
bool RowWalk::try_merge(uint32_t inner, uint32_t outer) {
  if (sizes_[outer] == 1 || sizes_[inner] == 1 || sizes_[inner] * sizes_[outer] > kCountMax)
    return false;
  for (uint32_t i = 0; i < count_; ++i) {
    if (!sides_[i].absent && !merges(sides_[i], inner, outer)) return false;
  }
  for (uint32_t i = 0; i < count_; ++i) {
    sides_[i].sizes[inner] *= std::exchange(sides_[i].sizes[outer], 1);
    sides_[i].strides[outer] = 0;
  }
  sizes_[inner] *= std::exchange(sizes_[outer], 1);
  return true;
}

void RowWalk::swap_dims(uint32_t a, uint32_t b) {
  std::swap(sizes_[a], sizes_[b]);
  for (uint32_t i = 0; i < count_; ++i) {
    std::swap(sides_[i].sizes[a], sides_[i].sizes[b]);
    std::swap(sides_[i].strides[a], sides_[i].strides[b]);
  }
}

// Whether rows along |dim| can be one tile of the device: a stride that is no smaller than what it steps over.
bool RowWalk::is_tile(const Side& side, uint32_t dim) const {
  if (side.absent || side.sizes[dim] == 1) return true;
  const uint64_t step = side.strides[dim];
  if (side.column_bytes != side.elem_bytes) return step == side.elem_bytes;
  return step >= side.cols * side.elem_bytes && step / side.elem_bytes <= kCountMax;
}

bool RowWalk::is_tile(uint32_t dim) const {
  return std::all_of(sides_, sides_ + count_, [&](const Side& side) { return is_tile(side, dim); });
}

npuResult RowWalk::set_tile(const char* name, Side* side) {
  side->upright = side->column_bytes != side->elem_bytes;
  if (!side->upright) {
    const bool apart = tiled_ && side->sizes[0] > 1;
    side->ld = apart ? side->strides[0] / side->elem_bytes : side->cols;
    return NPU_OK;
  }
  side->ld = side->column_bytes / side->elem_bytes;
  if (side->ld != 0 && side->ld <= kCountMax) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%s: columns at a distance of %" PRIu64 " bytes are not taken", name,
              side->column_bytes);
}

npuResult RowWalk::arrange(Order order) {
  if (order == Order::kFree) {
    for (uint32_t a = 0; a < kOuter; ++a) {
      for (uint32_t b = 0; b < kOuter; ++b) {
        // A dimension that has grown may now merge with one that was passed over.
        if (a != b && try_merge(a, b)) a = b = 0;
      }
    }
    uint32_t best = 0;
    auto better = [&](uint32_t dim) {
      return is_tile(dim) != is_tile(best) ? is_tile(dim) : sizes_[dim] > sizes_[best];
    };
    for (uint32_t dim = 1; dim < kOuter; ++dim) {
      if (sizes_[dim] > 1 && (sizes_[best] == 1 || better(dim))) best = dim;
    }
    swap_dims(0, best);
    if (sizes_[1] == 1) swap_dims(1, 2);
  }
  tiled_ = is_tile(0);
  for (uint32_t i = 2; i < count_; ++i) {
    if (sides_[i].column_bytes != sides_[i].elem_bytes)
      return fail(NPU_ERROR_NOT_SUPPORTED,
                  "columns of an operand that repeats must lie side by side, not %" PRIu64
                  " bytes apart",
                  sides_[i].column_bytes);
  }
  NPU_OPS_TRY(set_tile("x", &sides_[0]));
  NPU_OPS_TRY(set_tile("y", &sides_[1]));
  for (uint32_t i = 2; i < count_; ++i) NPU_OPS_TRY(set_tile("an operand", &sides_[i]));
  return NPU_OK;
}

RowWalk::Kind RowWalk::kind_of(const Side& side) const {
  if (side.absent) return Kind::kAbsent;
  return side.sizes[0] == 1 ? Kind::kOneRow : Kind::kByRows;
}

uint64_t RowWalk::largest_block(uint32_t elements, uint32_t repeat_elements) const {
  if (!tiled_) return 1;
  const uint64_t cols = std::max<uint64_t>(sides_[0].cols, 1);
  uint64_t most = std::min<uint64_t>(elements / cols, kRowsMax);
  for (uint32_t i = 0; i < 2; ++i) {
    if (sides_[i].upright) most = std::min(most, sides_[i].ld);
  }
  for (uint32_t i = 2; i < count_; ++i) {
    if (kind_of(sides_[i]) == Kind::kByRows)
      most = std::min<uint64_t>(most, repeat_elements / cols);
  }
  return std::max<uint64_t>(most, 1);
}

npuResult RowWalk::cut(uint32_t elements, uint32_t repeat_elements) {
  const uint64_t planes = sizes_[1] * sizes_[2];
  const uint64_t cols = std::max<uint64_t>(sides_[0].cols, 1);
  const uint64_t shared = ceil_div(sizes_[0], ceil_div(kGroupsWanted, planes));
  const uint64_t worth = ceil_div(kGroupElementsWanted, cols);
  uint64_t block =
      std::clamp<uint64_t>(std::max(shared, worth), 1, largest_block(elements, repeat_elements));
  // No block crosses an end of an operand that repeats inside of the rows.
  uint64_t period = 0;
  for (uint32_t i = 2; i < count_; ++i) {
    const uint64_t size = sides_[i].sizes[0];
    if (kind_of(sides_[i]) == Kind::kByRows && size < sizes_[0]) period = std::gcd(period, size);
  }
  if (period != 0) {
    block = std::min(block, period);
    while (period % block != 0) --block;
  }
  block_ = static_cast<uint32_t>(block);
  uint64_t groups;
  if (!__builtin_mul_overflow(uint64_t{ceil_div(sizes_[0], block)}, planes, &groups) &&
      groups <= kCountMax)
    return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%" PRIu64 " x %" PRIu64 " x %" PRIu64 " rows with these strides are too many",
              sizes_[0], sizes_[1], sizes_[2]);
}

void RowWalk::put(Plan* plan) const {
  plan->grid[0] = ceil_div(sizes_[0], block_);
  plan->grid[1] = static_cast<uint32_t>(sizes_[1]);
  plan->grid[2] = static_cast<uint32_t>(sizes_[2]);
  const Side& x = sides_[0];
  const Side& y = sides_[1];
  plan->add64(x.at).add64(y.at);
  for (const Side* side : {&x, &y})
    plan->add64(side->strides[0]).add64(side->strides[1]).add64(side->strides[2]);
  const bool apart = sizes_[1] > 1 || sizes_[2] > 1 || x.upright || y.upright;
  plan->add32(sizes_[0]).add32(x.cols).add32(block_).add32(apart).add32(x.ld).add32(y.ld);
  plan->add32(x.upright).add32(y.upright);
}

void RowWalk::put_repeat(uint32_t i, Plan* plan) const {
  const Side& side = sides_[2 + i];
  plan->add64(side.at).add64(side.strides[0]).add64(side.strides[1]).add64(side.strides[2]);
  plan->add32(static_cast<uint32_t>(kind_of(side))).add32(side.ld);
  plan->add32(side.sizes[0]).add32(side.sizes[1]).add32(side.sizes[2]);
}

}  // namespace npu::ops
