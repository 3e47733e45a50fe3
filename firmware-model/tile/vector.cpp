// SPDX-License-Identifier: Apache-2.0
// The vector unit, element by element.
//
// A conversion from fp32 to fp32 moves bits; every other result has only the canonical NaN.
#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/rounding.h"
#include "firmware-model/tile/rows.h"

namespace npu::model {
namespace {

constexpr uint32_t kNear = kInL1 | kInAcc;

// Resolves d and a of equal shape.
bool resolve_pair(Exec& exec, uint32_t dtypes, Operand* d, Operand* a) {
  if (!exec.resolve(kDst, {kNear, dtypes}, d) || !exec.resolve(kA, {kNear, dtypes}, a)) {
    return false;
  }
  return d->same_shape(*a) || exec.mismatch();
}

// Resolves b or c as |spread| wants it, for a destination of d's shape; |scalar| is its register
// operand.
bool resolve_spread(Exec& exec, OperandSlot slot, uint32_t spread, int scalar, const Operand& d,
                    Source* out) {
  out->spread = static_cast<uint8_t>(spread);
  if (spread == NPU_BCAST_SCALAR) {
    out->value = exec.scalar_f32(scalar);
    return true;
  }
  if (!exec.resolve(slot, {kNear, kFloat}, &out->tile)) return false;
  uint32_t rows = spread == NPU_BCAST_ROW ? 1 : d.rows;
  uint32_t cols = spread == NPU_BCAST_COL ? 1 : d.cols;
  return (out->tile.rows == rows && out->tile.cols == cols) || exec.mismatch();
}

uint32_t spread_b(const Exec& exec) {
  return (exec.insn.flags & NPU_F_BCAST_B_MASK) >> NPU_F_BCAST_B_SHIFT;
}

uint32_t spread_c(const Exec& exec) {
  return (exec.insn.flags & NPU_F_BCAST_C_MASK) >> NPU_F_BCAST_C_SHIFT;
}

// Rounds to 24 significant bits so that the last one tells whether bits were lost: a second
// rounding, to fewer bits, then comes out as a single one would.
int32_t round_to_odd(int32_t value) {
  uint32_t magnitude = value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value);
  int excess = 32 - std::countl_zero(magnitude) - 24;
  if (excess <= 0) return value;
  uint32_t lost = magnitude & ((1u << excess) - 1);
  magnitude = (magnitude >> excess | (lost != 0)) << excess;
  return static_cast<int32_t>(value < 0 ? 0u - magnitude : magnitude);
}

// i32 to fp32 as an intermediate for a destination of 16 or 8 bits.
void widen_i32_odd(const Numerics& numerics, float* to, const std::byte* from, size_t n) {
  int32_t rounded[64];
  for (size_t done = 0; done < n; done += std::size(rounded)) {
    size_t part = std::min(std::size(rounded), n - done);
    std::memcpy(rounded, from + done * sizeof(int32_t), part * sizeof(int32_t));
    for (size_t i = 0; i < part; ++i) rounded[i] = round_to_odd(rounded[i]);
    numerics.i32_to_f32(to + done, rounded, part);
  }
}

void convert_i32(Exec& exec, const Operand& d, const Operand& a) {
  const bool overflows = (exec.insn.flags & NPU_F_OVERFLOW) != 0;
  const Numerics& numerics = exec.numerics();
  float* whole_row = staging_f32(exec, 0);
  for (uint64_t i = 0; i < d.rows; ++i) {
    if (d.elem_bytes < sizeof(uint32_t)) {
      widen_i32_odd(numerics, whole_row, a.row(i), a.cols);
    } else {
      numerics.i32_to_f32(whole_row, reinterpret_cast<const int32_t*>(a.row(i)), a.cols);
    }
    narrow(numerics, d.dtype, d.row(i), whole_row, d.cols, overflows);
  }
}

// Rounding is up to this function where it is not what the walk over the rows does by itself.
void convert_rows(Exec& exec, const Operand& d, const Source& a, const Rounding& rounding) {
  const auto copy = [](float* to, const Input* in, size_t n, uint64_t, uint64_t) {
    if (to != in[0].values) std::memcpy(to, in[0].values, n * sizeof(float));
  };
  if (rounding.plain()) return for_each_row(exec, d, &a, 1, true, copy);
  for (uint64_t i = 0; i < d.rows; ++i) {
    float* wide = staging_f32(exec, 0);  // a row is read whole before its results are written
    widen(exec.numerics(), a.tile.dtype, wide, a.tile.row(i), d.cols);
    rounding.narrow_row(exec.numerics(), d.dtype, d.row(i), wide, d.cols, i);
  }
}

// d = the fp32 |value| in d's type, everywhere.
template <typename T>
void fill_rows(const Operand& d, T value) {
  for (uint64_t i = 0; i < d.rows; ++i) {
    std::fill_n(reinterpret_cast<T*>(d.row(i)), d.cols, value);
  }
}

// Columns of one row that MASK lets through, as distances from the first column; 128 bits because p
// and q are exact sums of 64-bit numbers.
struct Window {
  int64_t first;
  int64_t last;
};

int64_t clamp_column(__int128 column) {
  constexpr __int128 kLimit = int64_t{1} << 32;  // beyond every column of a tile
  return static_cast<int64_t>(std::clamp(column, -kLimit, kLimit));
}

Window mask_window(const Exec& exec, uint64_t row) {
  auto scalar = [&](int i) { return __int128{static_cast<int64_t>(exec.scalar[i])}; };
  uint16_t flags = exec.insn.flags;
  __int128 p = scalar(0) + row;
  __int128 q = scalar(1);
  __int128 first = 0;
  __int128 last = __int128{1} << 32;
  if ((flags & NPU_F_WINDOW) != 0) first = p - scalar(2) + 1 - q;
  if ((flags & NPU_F_CAUSAL) != 0) last = p - q;
  if ((flags & NPU_F_LENGTH) != 0) last = std::min(last, scalar(3) - 1 - q);
  return {clamp_column(first), clamp_column(last)};
}

// first, first + step, ... modulo 2^64.
template <typename T>
void count_up(std::byte* to, uint64_t first, uint64_t step, uint64_t n) {
  for (uint64_t j = 0; j < n; ++j, first += step) {
    T value;
    if constexpr (std::is_same_v<T, float>) {
      value = static_cast<float>(static_cast<int64_t>(first));
    } else {
      value = static_cast<T>(first);
    }
    std::memcpy(to + j * sizeof(value), &value, sizeof(value));
  }
}

}  // namespace

bool cvt(Exec& exec) {
  Operand d;
  Source a;
  Rounding rounding;
  if (!resolve_pair(exec, kAnyType, &d, &a.tile) || !resolve_rounding(exec, d, a.tile, &rounding)) {
    return false;
  }
  account_vector(exec, d.elements());
  if (d.empty()) return true;
  const bool moves_bits = d.dtype == a.tile.dtype && d.elem_bytes == sizeof(uint32_t);
  if (moves_bits) {
    for (uint64_t i = 0; i < d.rows; ++i) {
      std::memmove(d.row(i), a.tile.row(i), uint64_t{d.cols} * d.elem_bytes);
    }
  } else if (a.tile.dtype == NPU_DTYPE_I32) {
    convert_i32(exec, d, a.tile);
  } else {
    convert_rows(exec, d, a, rounding);
  }
  return true;
}

bool unary(Exec& exec) {
  Operand d;
  Source a;
  if (!resolve_pair(exec, kFloat, &d, &a.tile)) return false;
  account_vector(exec, d.elements());
  const Numerics& numerics = exec.numerics();
  auto op = static_cast<UnaryOp>(exec.insn.op - NPU_OP_NEG);
  for_each_row(exec, d, &a, 1, true, [&](float* to, const Input* in, size_t n, uint64_t, uint64_t) {
    numerics.unary(op, to, in[0].values, n);
  });
  return true;
}

bool binary(Exec& exec) {
  Operand d;
  Source sources[2];
  if (!resolve_pair(exec, kFloat, &d, &sources[0].tile) ||
      !resolve_spread(exec, kB, spread_b(exec), 0, d, &sources[1])) {
    return false;
  }
  account_vector(exec, d.elements());
  const Numerics& numerics = exec.numerics();
  auto op = static_cast<BinaryOp>(exec.insn.op - NPU_OP_VADD);
  for_each_row(exec, d, sources, 2, true,
               [&](float* to, const Input* in, size_t n, uint64_t, uint64_t) {
                 if (in[1].values != nullptr) {
                   numerics.binary(op, to, in[0].values, in[1].values, n);
                 } else {
                   numerics.binary_scalar(op, to, in[0].values, in[1].value, n);
                 }
               });
  return true;
}

bool vfma(Exec& exec) {
  Operand d;
  Source sources[3];
  if (!resolve_pair(exec, kFloat, &d, &sources[0].tile) ||
      !resolve_spread(exec, kB, spread_b(exec), 0, d, &sources[1]) ||
      !resolve_spread(exec, kC, spread_c(exec), 1, d, &sources[2])) {
    return false;
  }
  account_vector(exec, d.elements());
  const Numerics& numerics = exec.numerics();
  for_each_row(
      exec, d, sources, 3, true, [&](float* to, const Input* in, size_t n, uint64_t, uint64_t) {
        numerics.fma(to, in[0].values, in[1].values, in[1].value, in[2].values, in[2].value, n);
      });
  return true;
}

bool vfill(Exec& exec) {
  Operand d;
  if (!exec.resolve(kDst, {kNear, kAnyType}, &d)) return false;
  account_vector(exec, d.elements());
  if (d.empty()) return true;
  float value = exec.imm_f32();
  alignas(uint32_t) std::byte element[sizeof(uint32_t)] = {};
  narrow(exec.numerics(), d.dtype, element, &value, 1);
  if (d.elem_bytes == 1) {
    fill_rows(d, static_cast<uint8_t>(element[0]));
  } else if (d.elem_bytes == sizeof(uint16_t)) {
    uint16_t bits;
    std::memcpy(&bits, element, sizeof(bits));
    fill_rows(d, bits);
  } else {
    uint32_t bits;
    std::memcpy(&bits, element, sizeof(bits));
    fill_rows(d, bits);
  }
  return true;
}

bool iota(Exec& exec) {
  Operand d;
  if (!exec.resolve(kDst, {kNear, kF32 | kI32}, &d)) return false;
  account_vector(exec, d.elements());
  const uint64_t step = exec.scalar[2];
  for (uint64_t i = 0; i < d.rows; ++i) {
    const uint64_t first = exec.scalar[0] + i * exec.scalar[1];
    if (d.dtype == NPU_DTYPE_I32) {
      count_up<uint32_t>(d.row(i), first, step, d.cols);
    } else {
      count_up<float>(d.row(i), first, step, d.cols);
    }
  }
  return true;
}

bool mask(Exec& exec) {
  Operand d;
  Source a;
  if (!resolve_pair(exec, kFloat, &d, &a.tile)) return false;
  account_vector(exec, d.elements());
  const Numerics& numerics = exec.numerics();
  float value = exec.imm_f32();
  for_each_row(exec, d, &a, 1, false,
               [&](float* to, const Input* in, size_t n, uint64_t i, uint64_t j) {
                 Window window = mask_window(exec, i);
                 numerics.mask_row(to, in[0].values, n, static_cast<int64_t>(j), window.first,
                                   window.last, value);
               });
  return true;
}

}  // namespace npu::model
