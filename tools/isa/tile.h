// SPDX-License-Identifier: Apache-2.0
// Tiles of the kernel builder: a tile is a descriptor register of the program that frees itself.
// Thread safety: one kernel belongs to one thread.
#pragma once

#include <cstdint>

#include "tools/isa/value.h"
#include "uapi/npu_isa.h"

namespace npu::isa {

enum class DType : uint8_t {
  F32 = NPU_DTYPE_F32,
  BF16 = NPU_DTYPE_BF16,
  F16 = NPU_DTYPE_F16,
  I32 = NPU_DTYPE_I32,
  E4M3 = NPU_DTYPE_E4M3,
  E5M2 = NPU_DTYPE_E5M2,
  I8 = NPU_DTYPE_I8,
  // In blocks: in HBM, by rows, for ldc(), mms() and stc() only.
  Q8_0 = NPU_DTYPE_Q8_0,
  Q4_0 = NPU_DTYPE_Q4_0,
  Q4_K = NPU_DTYPE_Q4_K,
  Q6_K = NPU_DTYPE_Q6_K,
  MXFP8_E4M3 = NPU_DTYPE_MXFP8_E4M3,
  MXFP8_E5M2 = NPU_DTYPE_MXFP8_E5M2,
  MXFP6_E2M3 = NPU_DTYPE_MXFP6_E2M3,
  MXFP6_E3M2 = NPU_DTYPE_MXFP6_E3M2,
  MXFP4 = NPU_DTYPE_MXFP4,
  MXINT8 = NPU_DTYPE_MXINT8,
  MX9 = NPU_DTYPE_MX9,
  MX6 = NPU_DTYPE_MX6,
  MX4 = NPU_DTYPE_MX4,
};
static_assert(static_cast<int>(DType::MX4) + 1 == NPU_DTYPE_COUNT);

enum class Space : uint8_t {
  Hbm = NPU_SPACE_HBM,
  L1 = NPU_SPACE_L1,
  L2 = NPU_SPACE_L2,
  Acc = NPU_SPACE_ACC,
};

enum class Layout : uint8_t { Row = NPU_LAYOUT_ROW, Panel = NPU_LAYOUT_PANEL };

enum class Act : uint8_t {
  None = NPU_ACT_NONE,
  Relu = NPU_ACT_RELU,
  Gelu = NPU_ACT_GELU,
  Silu = NPU_ACT_SILU,
  GeluErf = NPU_ACT_GELU_ERF,
  Sigmoid = NPU_ACT_SIGMOID,
  Tanh = NPU_ACT_TANH,
};

// How a block gets its scale, see enum npu_scale_rule.
enum class ScaleRule : uint8_t {
  Floor = NPU_SCALE_RULE_FLOOR,
  Ceil = NPU_SCALE_RULE_CEIL,
  Even = NPU_SCALE_RULE_EVEN,
  Wide = NPU_SCALE_RULE_WIDE,
};

constexpr bool in_blocks(DType dtype) {
  return ((0u NPU_BLOCK_TYPES(NPU_BLOCK_TYPE_BIT)) >> static_cast<uint8_t>(dtype) & 1) != 0;
}
constexpr bool is_fp8(DType dtype) { return dtype == DType::E4M3 || dtype == DType::E5M2; }
constexpr bool is_floating(DType dtype) {
  return dtype != DType::I32 && dtype != DType::I8 && !in_blocks(dtype);
}

// Of one element; 0 for a type in blocks.
constexpr uint32_t dtype_bytes(DType dtype) {
  if (in_blocks(dtype)) return 0;
  if (is_fp8(dtype) || dtype == DType::I8) return 1;
  return dtype == DType::BF16 || dtype == DType::F16 ? 2 : 4;
}

// Elements and bytes of what a type's memory consists of: a block, or one element.
struct BlockShape {
  uint32_t elements;
  uint32_t bytes;
};
constexpr BlockShape block_shape(DType dtype) {
  switch (dtype) {
#define NPU_BLOCK_SHAPE(name, elements, bytes, align) \
  case DType::name:                                   \
    return {elements, bytes};
    NPU_BLOCK_TYPES(NPU_BLOCK_SHAPE)
#undef NPU_BLOCK_SHAPE
    default:
      return {1, dtype_bytes(dtype)};
  }
}

// A descriptor register and what the builder knows of it. Engines take a copy of a descriptor when an operation is issued, so a
// tile may be changed or freed at once after it was used. Assignment writes INTO the descriptor that the variable has.
class Tile {
 public:
  Tile(Tile&& other) noexcept;
  Tile(const Tile&) = delete;
  Tile& operator=(Tile&& value);
  Tile& operator=(const Tile& value);
  ~Tile() { free(); }

  void advance(const Val& bytes, Loc loc = Loc::current());      // moves the base in place
  Tile moved(const Val& bytes, Loc loc = Loc::current()) const;  // a copy with its base moved
  Tile view(const Val& row, const Val& col, const Val& rows, const Val& cols,
            Loc loc = Loc::current()) const;
  // The same descriptor register with new base and shape; space, type and layout stay. stride: 0 = dense.
  void set(const Val& base, const Val& rows, const Val& cols, const Val& stride = 0,
           Loc loc = Loc::current());

  void free();
  uint8_t number() const { return number_; }
  Space space() const { return space_; }
  DType dtype() const { return dtype_; }
  Layout layout() const { return layout_; }
  Kernel* kernel() const { return kernel_; }

 private:
  friend class Kernel;
  Tile(Kernel* kernel, uint8_t number, Space space, DType dtype, Layout layout)
      : kernel_(kernel), number_(number), space_(space), dtype_(dtype), layout_(layout) {}

  Kernel* kernel_ = nullptr;
  uint8_t number_ = 0;
  Space space_ = Space::L1;
  DType dtype_ = DType::F32;
  Layout layout_ = Layout::Row;
};

// Second operand of a vector operation: a tile of the same shape, row(t) = [1, n], col(t) = [m, 1], or an fp32 scalar.
class BOperand {
 public:
  BOperand(const Tile& tile) : tile_(&tile), bcast_(NPU_BCAST_FULL), scalar_(0) {}
  BOperand(const Tile& tile, npu_bcast bcast) : tile_(&tile), bcast_(bcast), scalar_(0) {}
  template <std::floating_point T>
  BOperand(T value, Loc loc = Loc::current()) : BOperand(F32(value, loc)) {}
  BOperand(const Reg& bits, Loc loc = Loc::current()) : BOperand(F32(bits, loc)) {}
  BOperand(const Arg& bits, Loc loc = Loc::current()) : BOperand(F32(bits, loc)) {}
  BOperand(const F32& scalar) : bcast_(NPU_BCAST_SCALAR), scalar_(scalar.value()) {}

  const Tile* tile() const { return tile_; }
  npu_bcast bcast() const { return bcast_; }
  const Val& scalar() const { return scalar_; }

 private:
  const Tile* tile_ = nullptr;
  npu_bcast bcast_;
  Val scalar_;
};

inline BOperand row(const Tile& tile) { return {tile, NPU_BCAST_ROW}; }
inline BOperand col(const Tile& tile) { return {tile, NPU_BCAST_COL}; }

}  // namespace npu::isa
