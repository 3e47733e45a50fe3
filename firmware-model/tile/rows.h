// SPDX-License-Identifier: Apache-2.0
// Walks the rows of tiles for operations that compute in fp32: widens what is narrower, rounds the
// result, keeps overlapping tiles well-defined.
//
// When the destination overlaps a source in another way than element upon element, rows are done
// one after the other and each row's sources are read whole before its results are written; so the
// outcome does not depend on how many elements the arithmetic takes at once.
#ifndef NPU_MODEL_TILE_ROWS_H_
#define NPU_MODEL_TILE_ROWS_H_

#include <algorithm>
#include <cstring>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/operand.h"

namespace npu::model {

// Of a dtype of one byte.
inline Small small_of(uint8_t dtype) {
  if (dtype == NPU_DTYPE_E4M3) return Small::kE4m3;
  return dtype == NPU_DTYPE_E5M2 ? Small::kE5m2 : Small::kI8;
}

// Of every dtype that is not in blocks; what is not a float counts as 32 bits.
inline Elem elem_of(uint8_t dtype) {
  switch (dtype) {
    case NPU_DTYPE_BF16:
      return Elem::kBf16;
    case NPU_DTYPE_F16:
      return Elem::kF16;
    case NPU_DTYPE_E4M3:
      return Elem::kE4m3;
    case NPU_DTYPE_E5M2:
      return Elem::kE5m2;
    case NPU_DTYPE_I8:
      return Elem::kI8;
    default:
      return Elem::kF32;
  }
}

// Moves |n| elements of |dtype| to fp32. fp32 moves as bits.
inline void widen(const Numerics& numerics, uint8_t dtype, float* to, const std::byte* from,
                  size_t n) {
  if (dtype == NPU_DTYPE_F32) {
    std::memmove(to, from, n * sizeof(float));
  } else if (dtype == NPU_DTYPE_BF16) {
    numerics.widen_bf16(to, reinterpret_cast<const uint16_t*>(from), n);
  } else if (dtype == NPU_DTYPE_F16) {
    numerics.widen_f16(to, reinterpret_cast<const uint16_t*>(from), n);
  } else if (dtype == NPU_DTYPE_I32) {
    numerics.i32_to_f32(to, reinterpret_cast<const int32_t*>(from), n);
  } else {
    numerics.widen_small(small_of(dtype), to, reinterpret_cast<const uint8_t*>(from), n);
  }
}

// Rounds |n| fp32 values to |dtype|. fp32 moves as bits. |overflows|: what FP8 has no room for does not saturate.
inline void narrow(const Numerics& numerics, uint8_t dtype, std::byte* to, const float* from,
                   size_t n, bool overflows = false) {
  if (dtype == NPU_DTYPE_F32) {
    std::memmove(to, from, n * sizeof(float));
  } else if (dtype == NPU_DTYPE_BF16) {
    numerics.narrow_bf16(reinterpret_cast<uint16_t*>(to), from, n);
  } else if (dtype == NPU_DTYPE_F16) {
    numerics.narrow_f16(reinterpret_cast<uint16_t*>(to), from, n);
  } else if (dtype == NPU_DTYPE_I32) {
    numerics.f32_to_i32(reinterpret_cast<int32_t*>(to), from, n);
  } else {
    numerics.narrow_small(small_of(dtype), reinterpret_cast<uint8_t*>(to), from, n, overflows);
  }
}

inline float* staging_f32(Exec& exec, int i) {
  return reinterpret_cast<float*>(exec.group.staging[i].data());
}

// A source of an operation on elements, and how it is spread over the destination.
struct Source {
  Operand tile;
  uint8_t spread = NPU_BCAST_FULL;  // enum npu_bcast
  float value = 0;                  // of NPU_BCAST_SCALAR
};

// Part of one row of a source: values, or one value for all where |values| is nullptr.
struct Input {
  const float* values = nullptr;
  float value = 0;
};

struct RowWalk {
  uint64_t rows;
  uint64_t cols;
  uint64_t step;  // columns done at once
  bool direct;    // results go straight to the destination
};

// Columns that are widened at once: small enough for four buffers to stay in a first-level cache.
inline constexpr uint64_t kStepCols = 2048;

inline RowWalk plan_rows(const Operand& d, const Source* sources, int count, bool join_rows) {
  bool disturbed = false;
  join_rows = join_rows && d.contiguous();
  for (int s = 0; s < count; ++s) {
    const Source& source = sources[s];
    if (source.spread == NPU_BCAST_SCALAR) continue;
    bool full = source.spread == NPU_BCAST_FULL;
    disturbed |= full ? may_disturb(d, source.tile) : may_overlap(d, source.tile);
    join_rows = join_rows && full && source.tile.contiguous();
  }
  RowWalk walk{d.rows, d.cols, kStepCols, !disturbed && d.dtype == NPU_DTYPE_F32};
  if (disturbed) {
    walk.step = d.cols;
  } else if (join_rows) {
    walk.rows = 1;
    walk.cols = d.elements();
  }
  if (walk.direct && std::all_of(sources, sources + count, [](const Source& source) {
        return source.spread != NPU_BCAST_FULL || source.tile.dtype == NPU_DTYPE_F32;
      })) {
    walk.step = walk.cols;
  }
  return walk;
}

// The part of |source| that belongs to row |i|, columns |j| to |j| + |n| of the destination.
inline Input input_of(Exec& exec, const Source& source, int s, uint64_t i, uint64_t j, size_t n) {
  if (source.spread == NPU_BCAST_SCALAR) return {nullptr, source.value};
  const Operand& t = source.tile;
  if (source.spread == NPU_BCAST_COL) {
    float value = 0;
    widen(exec.numerics(), t.dtype, &value, t.row(i), 1);
    return {nullptr, value};
  }
  const std::byte* from = t.row(source.spread == NPU_BCAST_ROW ? 0 : i) + j * t.elem_bytes;
  if (t.dtype == NPU_DTYPE_F32) return {reinterpret_cast<const float*>(from), 0};
  widen(exec.numerics(), t.dtype, staging_f32(exec, s), from, n);
  return {staging_f32(exec, s), 0};
}

// Calls fn(to, inputs, n, i, j) for each part of each row: fn computes |n| results for row i from
// column j on. At most three sources. Rows may be joined to one when |join_rows|; i is 0 then.
template <typename Fn>
void for_each_row(Exec& exec, const Operand& d, const Source* sources, int count, bool join_rows,
                  const Fn& fn) {
  constexpr int kOutput = 3;
  if (d.empty()) return;
  RowWalk walk = plan_rows(d, sources, count, join_rows);
  for (uint64_t i = 0; i < walk.rows; ++i) {
    for (uint64_t j = 0; j < walk.cols; j += walk.step) {
      size_t n = std::min(walk.step, walk.cols - j);
      Input inputs[3];
      for (int s = 0; s < count; ++s) inputs[s] = input_of(exec, sources[s], s, i, j, n);
      std::byte* place = d.row(i) + j * d.elem_bytes;
      float* to = walk.direct ? reinterpret_cast<float*>(place) : staging_f32(exec, kOutput);
      fn(to, inputs, n, i, j);
      if (!walk.direct) narrow(exec.numerics(), d.dtype, place, to, n);
    }
  }
}

// Work of the vector unit on |elements|: counters and latency.
inline void account_vector(Exec& exec, uint64_t elements) {
  Group& group = exec.group;
  group.result->stats.vector_ops = add_capped(group.result->stats.vector_ops, elements);
  exec.latency_ps = group.timing.vector_ps(elements, vector_cost(exec.insn.op));
}

// Counts multiply-adds of operands of the types |a| and |b|, and returns how long the tensor unit takes for them.
inline uint64_t count_products(Exec& exec, uint64_t mac_ops, uint8_t a, uint8_t b) {
  GroupStats& stats = exec.group.result->stats;
  const uint64_t parts = exec.group.timing.mac_parts(mac_ops, a, b);
  stats.mac_ops = add_capped(stats.mac_ops, mac_ops);
  stats.mac_parts = add_capped(stats.mac_parts, parts);
  return exec.group.timing.mm_ps(parts);
}

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_ROWS_H_
