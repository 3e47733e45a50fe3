// SPDX-License-Identifier: Apache-2.0
// An engine operation in execution, and its operands after they were checked: from descriptor to
// host memory.
//
// Every run-time rule of a descriptor is checked in resolve(), with arithmetic that cannot wrap;
// handlers only compare shapes with each other.
#ifndef NPU_MODEL_TILE_OPERAND_H_
#define NPU_MODEL_TILE_OPERAND_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "firmware-model/tile/group.h"

namespace npu::model {

// Masks for resolve(): bit = number in npu_isa.h.
inline constexpr uint32_t kInHbm = 1u << NPU_SPACE_HBM;
inline constexpr uint32_t kInL1 = 1u << NPU_SPACE_L1;
inline constexpr uint32_t kInL2 = 1u << NPU_SPACE_L2;
inline constexpr uint32_t kInAcc = 1u << NPU_SPACE_ACC;
inline constexpr uint32_t kF32 = 1u << NPU_DTYPE_F32;
inline constexpr uint32_t kI32 = 1u << NPU_DTYPE_I32;
inline constexpr uint32_t kI8 = 1u << NPU_DTYPE_I8;
inline constexpr uint32_t kFp8 = 1u << NPU_DTYPE_E4M3 | 1u << NPU_DTYPE_E5M2;
inline constexpr uint32_t kFloat = kF32 | 1u << NPU_DTYPE_BF16 | 1u << NPU_DTYPE_F16 | kFp8;
inline constexpr uint32_t kAnyType = kFloat | kI32 | kI8;
inline constexpr uint32_t kBlocks = 0 NPU_BLOCK_TYPES(NPU_BLOCK_TYPE_BIT);  // LDC, MMS, STC only
inline constexpr uint32_t kRow = 1u << NPU_LAYOUT_ROW;
inline constexpr uint32_t kPanel = 1u << NPU_LAYOUT_PANEL;

struct Rules {
  uint32_t spaces;
  uint32_t dtypes;
  uint32_t layouts = kRow;
};

struct Operand {
  std::byte* host = nullptr;  // of element (0, 0); nullptr in HBM
  uint64_t base = 0;          // device address or byte offset
  uint64_t extent_bytes = 0;  // from the first to behind the last byte that the layout spans
  uint32_t rows = 0;
  uint32_t cols = 0;
  uint32_t stride = 0;
  uint8_t space = 0;
  uint8_t dtype = 0;
  uint8_t layout = 0;
  uint8_t elem_bytes = 0;   // of a block, for a type in blocks
  uint8_t block_shift = 0;  // log2 of a block's elements

  bool empty() const { return rows == 0 || cols == 0; }
  uint64_t elements() const { return uint64_t{rows} * cols; }
  uint64_t data_bytes() const { return (elements() >> block_shift) * elem_bytes; }
  uint64_t row_bytes() const { return uint64_t{cols >> block_shift} * elem_bytes; }
  uint64_t stride_bytes() const { return uint64_t{stride >> block_shift} * elem_bytes; }
  // All elements lie one behind the other.
  bool contiguous() const { return layout == NPU_LAYOUT_ROW && (stride == cols || rows <= 1); }
  bool same_shape(const Operand& other) const { return rows == other.rows && cols == other.cols; }
  std::byte* row(uint64_t i) const { return host + i * stride_bytes(); }
  float* f32() const { return reinterpret_cast<float*>(host); }
};

// Whether |write| may change an element of |read| other than the one at the same place: true is
// always safe.
bool may_disturb(const Operand& write, const Operand& read);
// Whether the two share a byte; true is always safe.
bool may_overlap(const Operand& x, const Operand& y);

enum OperandSlot : uint8_t { kDst = 0, kA = 1, kB = 2, kC = 3 };

// What a dtype's memory consists of: elements, or blocks of 2^shift of them.
struct Unit {
  uint8_t bytes;
  uint8_t align_bytes;
  uint8_t shift;
};

constexpr std::array<Unit, 256> make_units() {
  std::array<Unit, 256> units;
  units.fill({4, 4, 0});
  for (const uint8_t half : {NPU_DTYPE_BF16, NPU_DTYPE_F16}) units[half] = {2, 2, 0};
  for (const uint8_t byte : {NPU_DTYPE_E4M3, NPU_DTYPE_E5M2, NPU_DTYPE_I8}) units[byte] = {1, 1, 0};
#define NPU_BLOCK_UNIT(name, elements, bytes, align)                                \
  static_assert(std::has_single_bit(unsigned{elements}) && (bytes) % (align) == 0); \
  units[NPU_DTYPE_##name] = {bytes, align, std::countr_zero(unsigned{elements})};
  NPU_BLOCK_TYPES(NPU_BLOCK_UNIT)
#undef NPU_BLOCK_UNIT
  return units;
}

// A table: this is asked for every operand of every operation.
inline constexpr std::array<Unit, 256> kUnits = make_units();
inline Unit unit_of(uint8_t dtype) { return kUnits[dtype]; }

// One operation while its handler runs.
struct Exec {
  Group& group;
  Tile& tile;
  const npu_insn& insn;
  const npu_tdesc* desc[4];
  const uint64_t* scalar;
  uint64_t latency_ps = 0;  // set by the handler

  const Numerics& numerics() const { return *group.numerics; }
  // The fp32 whose bits are in scalar register operand |i|.
  float scalar_f32(int i) const;
  float imm_f32() const;

  bool fail(npu_status status, uint64_t value = 0, npu_fault_access access = NPU_ACCESS_NONE) {
    return group.fail(tile, insn, status, value, access);
  }
  bool mismatch() { return fail(NPU_ST_KERNEL_OPERANDS); }
  // Checks the descriptor against |rules|, its alignment and the bounds of its space. False: a
  // fault was recorded.
  bool resolve(OperandSlot slot, const Rules& rules, Operand* out);

 private:
  bool place_in_scratchpad(OperandSlot slot, Operand* operand);
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_OPERAND_H_
