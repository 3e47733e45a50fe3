// SPDX-License-Identifier: Apache-2.0
// Canonical walks, and the choice of blocks: of all pairs of dimensions that every operand can show as a tile, the one that costs least.
#include "libnpu/ops/walk.h"

#include <bit>
#include <cinttypes>
#include <limits>

#include "libnpu/ops/limits.h"

namespace npu::ops {
namespace {

// Columns of a block in which some operand lies turned: both sides of a turn stay in a few cache lines.
constexpr uint32_t kTurnedCols = 256;
// Columns are cut at multiples of this: types in blocks stay whole, and so do vectors.
constexpr uint32_t kColsMultiple = 256;
static_assert(kElementwiseElements % kColsMultiple == 0 &&
              kGroupElementsWanted % kColsMultiple == 0);

// How an operand lies in blocks of rows x cols; false: it cannot be one tile.
bool place_of(uint64_t rows, uint64_t cols, uint32_t elem_bytes, Repeat repeat, TilePlace* place) {
  const int shift = std::countr_zero(elem_bytes);
  const uint64_t row = place->row_bytes >> shift;
  const uint64_t col = place->col_bytes >> shift;
  const bool same_rows = rows > 1 && row == 0;
  const bool same_cols = cols > 1 && col == 0;
  place->mode = kTileRows;
  place->spread = kSpreadNone;
  place->pitch = 1;
  if (same_rows || same_cols) {
    if (repeat == kRepeatNever || repeat == kInBlocks) return false;
    if (same_rows && (same_cols || repeat == kRepeatColumn)) return false;
    if (repeat == kRepeatColumn) place->mode = kTileColumn;
    if (repeat == kRepeatSpread) place->spread = same_rows ? kSpreadRow : kSpreadCol;
    (same_rows ? rows : cols) = 1;
  }
  if (repeat == kInBlocks && (cols == 1 || col != 1)) return false;
  if (cols == 1 || col == 1) {
    if (rows > 1 && row < cols) return false;
    place->pitch = static_cast<uint32_t>(rows > 1 ? row : cols);
    return rows == 1 || row <= kCountMax;
  }
  if (rows > 1 && (row != 1 || col < rows)) return false;
  place->mode = kTileColumns;
  place->pitch = static_cast<uint32_t>(col);
  return col <= kCountMax;
}

// Columns that a block has at most.
uint32_t most_cols(const Plane& p) {
  bool turned = false;
  for (uint32_t o = 0; o < p.operands; ++o) turned |= p.places[o].mode == kTileColumns;
  if (!turned || p.rows == 1) return kElementwiseElements;
  return std::max(kTurnedCols, kElementwiseElements / p.rows / kColsMultiple * kColsMultiple);
}

// Nanoseconds that a block's operand takes on the device model, roughly: only the order of the candidates matters.
uint64_t cost_of(const TilePlace& place, uint64_t rows, uint64_t cols, uint32_t elem_bytes) {
  const uint64_t spread = place.spread == kSpreadNone ? 0 : rows * 15;
  if (place.spread == kSpreadRow) rows = 1;
  if (place.spread == kSpreadCol) cols = 1;
  const uint64_t moved = rows * (8 + cols * elem_bytes / 16);
  if (place.mode == kTileRows) return spread + moved;
  if (place.mode == kTileColumn) return 3 * moved + rows * 16 * std::bit_width(cols);
  return spread + (rows + 15) / 16 * 16 * cols;
}

// Of one element. Of the dimensions around a plane there are as many as it does not take.
double cost_of(const Walk& walk, const Plane& p) {
  constexpr uint64_t kBlock = 1000;
  const uint32_t cols = std::min(p.cols, most_cols(p));
  const uint32_t rows = std::min(p.rows, kElementwiseElements / cols);
  uint64_t block = kBlock;
  for (uint32_t o = 0; o < p.operands; ++o)
    block += cost_of(p.places[o], rows, cols, walk.elem_bytes[o]);
  return static_cast<double>(block) / (static_cast<double>(rows) * cols);
}

// A plane with |row| as rows and |col| as columns; false: some operand cannot be a tile of it.
bool place_all(const Walk& walk, const WalkDim& row, const WalkDim& col, uint32_t repeating,
               Repeat repeat, Plane* p) {
  p->operands = walk.operands;
  p->rows = static_cast<uint32_t>(row.size);
  p->cols = static_cast<uint32_t>(col.size);
  for (uint32_t o = 0; o < walk.operands; ++o) {
    TilePlace* place = &p->places[o];
    place->row_bytes = row.bytes[o];
    place->col_bytes = col.bytes[o];
    if (!place_of(p->rows, p->cols, walk.elem_bytes[o], o == repeating ? repeat : kRepeatNever,
                  place))
      return false;
  }
  return true;
}

}  // namespace

void Walk::add(const WalkDim& dim) {
  if (dim.size != 1) dims[count++] = dim;
}

void Walk::merge() {
  const uint32_t last = operands - 1;
  std::sort(dims, dims + count,
            [&](const WalkDim& a, const WalkDim& b) { return a.bytes[last] < b.bytes[last]; });
  uint32_t kept = 0;
  for (uint32_t i = 1; i < count; ++i) {
    WalkDim& inner = dims[kept];
    bool joins = inner.size * dims[i].size <= kCountMax;
    for (uint32_t o = 0; o < operands; ++o) {
      uint64_t span;
      joins &=
          !__builtin_mul_overflow(inner.size, inner.bytes[o], &span) && dims[i].bytes[o] == span;
    }
    if (joins) {
      inner.size *= dims[i].size;
    } else {
      dims[++kept] = dims[i];
    }
  }
  if (count != 0) count = kept + 1;
}

bool Walk::is_flat() const {
  if (count > 1) return false;
  for (uint32_t o = 0; o < operands && count == 1; ++o)
    if (dims[0].bytes[o] != elem_bytes[o]) return false;
  return true;
}

uint64_t Walk::elements() const {
  uint64_t product = 1;
  for (uint32_t i = 0; i < count; ++i) product *= dims[i].size;
  return product;
}

Walk walk_of(std::initializer_list<const npuOpsTensor*> tensors) {
  Walk walk;
  const npuOpsTensor& y = **(tensors.end() - 1);
  for (const npuOpsTensor* t : tensors)
    walk.elem_bytes[walk.operands++] = layout_of(t->type).block_bytes;
  for (uint32_t d = 0; d < kDims; ++d) {
    uint64_t once = y.sizes[d];
    for (const npuOpsTensor* t : tensors) once = std::min(once, t->sizes[d]);
    WalkDim inner{once, {}};
    WalkDim again{y.sizes[d] / once, {}};
    uint32_t o = 0;
    for (const npuOpsTensor* t : tensors) {
      const bool repeats = t->sizes[d] != y.sizes[d];
      inner.bytes[o] = t->strides[d];
      again.bytes[o++] = repeats ? 0 : once * t->strides[d];
    }
    walk.add(inner);
    walk.add(again);
  }
  walk.merge();
  return walk;
}

npuResult check_result(const char* name, const npuOpsTensor& y) {
  if (is_empty(y)) return NPU_OK;
  uint32_t order[kDims] = {0, 1, 2, 3};
  std::sort(order, order + kDims,
            [&](uint32_t a, uint32_t b) { return y.strides[a] < y.strides[b]; });
  uint64_t end = layout_of(y.type).block_bytes;
  for (uint32_t d : order) {
    if (y.sizes[d] == 1) continue;
    if (y.strides[d] < end)
      return fail(NPU_ERROR_INVALID_ARGUMENT,
                  "%s overlaps itself: strides[%" PRIu32 "] is %" PRIu64
                  ", the dimensions inside it span %" PRIu64 " bytes",
                  name, d, y.strides[d], end);
    end += (y.sizes[d] - 1) * y.strides[d];
  }
  return NPU_OK;
}

npuResult walk_around(const Walk& walk, const WalkDim* rows, const WalkDim* cols, Blocks* out) {
  uint64_t outer = 1;
  for (const WalkDim* dim = walk.dims; dim != walk.dims + walk.count; ++dim) {
    if (dim == rows || dim == cols) continue;
    out->around[out->around_count++] = *dim;
    outer *= dim->size;
    if (outer > kCountMax) return fail(NPU_ERROR_NOT_SUPPORTED, "more than 2^31 blocks");
  }
  if (out->around_count > kWalkDims)
    return fail(NPU_ERROR_NOT_SUPPORTED, "strides of 2^31 elements or more in too many dimensions");
  out->outer = static_cast<uint32_t>(outer);
  return NPU_OK;
}

npuResult choose_blocks(const Walk& walk, uint32_t repeating, Repeat repeat, Blocks* out) {
  const WalkDim one{1, {}};
  const WalkDim *best_row = nullptr, *best_col = nullptr;
  double least = std::numeric_limits<double>::infinity();
  auto consider = [&](const WalkDim& row, const WalkDim& col) {
    Plane p;
    if (!place_all(walk, row, col, repeating, repeat, &p)) return;
    const double cost = cost_of(walk, p);
    if (cost >= least) return;
    least = cost, best_row = &row, best_col = &col;
    static_cast<Plane&>(*out) = p;
  };
  const WalkDim* const end = walk.dims + walk.count;
  if (walk.count == 0) consider(one, one);
  for (const WalkDim* col = walk.dims; col != end; ++col) {
    consider(one, *col);
    for (const WalkDim* row = walk.dims; row != end; ++row)
      if (row != col) consider(*row, *col);
  }
  if (best_col == nullptr)
    return fail(NPU_ERROR_NOT_SUPPORTED, "strides of 2^31 elements or more on every side");
  return walk_around(walk, best_row, best_col, out);
}

void share_blocks(uint32_t limit_rows, Blocks* blocks) {
  Blocks& b = *blocks;
  const uint32_t widest = most_cols(b);
  const uint32_t pieces = ceil_div(kGroupsWanted, b.outer);
  b.block_cols = std::min(b.cols, widest);
  b.block_rows = 1;
  if (b.rows == 1) {
    const uint32_t shared = round_up(ceil_div(b.cols, pieces), kColsMultiple);
    b.block_cols = std::min(b.cols, std::clamp(shared, kGroupElementsWanted, widest));
  } else {
    const uint32_t most = std::min(limit_rows, kElementwiseElements / b.block_cols);
    const uint32_t worth = ceil_div(kGroupElementsWanted, b.block_cols);
    b.block_rows =
        std::min(b.rows, std::clamp(std::max(ceil_div(b.rows, pieces), worth), 1u, most));
  }
  const uint64_t blocks_all =
      uint64_t{ceil_div(b.cols, b.block_cols)} * ceil_div(b.rows, b.block_rows) * b.outer;
  const uint32_t worth = ceil_div(kGroupElementsWanted, uint64_t{b.block_cols} * b.block_rows);
  b.outer_per_group = std::min(b.outer, std::max(worth, ceil_div(blocks_all, kGroupsWanted)));
}

npuResult add_blocks(const Blocks& b, std::initializer_list<uint64_t> bases, Plan* plan) {
  plan->grid[0] = ceil_div(b.cols, b.block_cols);
  plan->grid[1] = ceil_div(b.rows, b.block_rows);
  plan->grid[2] = ceil_div(b.outer, b.outer_per_group);
  uint64_t groups = uint64_t{plan->grid[0]} * plan->grid[1];
  if (__builtin_mul_overflow(groups, plan->grid[2], &groups) || groups > kCountMax)
    return fail(NPU_ERROR_NOT_SUPPORTED, "more than 2^31 work-groups");
  uint32_t o = 0;
  for (uint64_t base : bases) {
    plan->add64(base).add64(b.places[o].row_bytes).add64(b.places[o].col_bytes);
    ++o;
  }
  for (uint32_t d = 0; d < kWalkDims; ++d)
    for (o = 0; o < b.operands; ++o) plan->add64(d < b.around_count ? b.around[d].bytes[o] : 0);
  plan->add32(b.rows).add32(b.cols).add32(b.block_rows).add32(b.block_cols);
  plan->add32(b.outer).add32(b.outer_per_group);
  for (uint32_t d = 0; d < kWalkDims; ++d) plan->add32(d < b.around_count ? b.around[d].size : 1);
  for (o = 0; o < b.operands; ++o) plan->add32(b.places[o].pitch).add32(b.places[o].mode);
  return NPU_OK;
}

void add_run(uint64_t elements, Plan* plan) {
  const uint32_t shared = round_up(ceil_div(elements, kGroupsWanted), 16);
  const uint32_t block = std::clamp(shared, kGroupElementsWanted, kElementwiseElements);
  plan->grid[0] = ceil_div(elements, block);
  plan->add32(elements).add32(block);
}

}  // namespace npu::ops
