// SPDX-License-Identifier: Apache-2.0
// What the programs on tensors share: runs of elements, walks over operands of any strides, and the choice among many functions.
//
// The host side is libnpu/ops/walk.h: it cuts a problem into blocks and writes the arguments in the order of the arg_* calls here.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_TENSOR_WALK_H_
#define NPU_FIRMWARE_MODEL_KERNELS_TENSOR_WALK_H_

#include <initializer_list>
#include <optional>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {

inline constexpr uint32_t kBlockElements = kElementwiseElements;
inline constexpr int kTileColumn = 2;  // TileMode of walk.h
inline std::string tensor_type_name(isa::DType type) {
  return type == isa::DType::F16 ? "f16" : type_name(type);
}
inline constexpr isa::DType kTensorTypes[] = {isa::DType::F32, isa::DType::BF16, isa::DType::F16};

// to (L1) = from (HBM), in another type where they differ.
inline isa::Op move_in(isa::Kernel& k, const isa::Tile& to, const isa::Tile& from) {
  return to.dtype() == from.dtype() ? k.ld(to, from) : k.ldc(to, from);
}

// A run of elements that lie side by side in every operand: a work-group takes |block| of them. Few instructions: this is the case of an LLM's decode step.
class Run {
 public:
  Run(const std::string& name, std::initializer_list<const char*> operands) : k(name) {
    for (const char* operand : operands) base_.push_back(k.arg_dva(operand));
    count_.emplace(k.arg_u32("count"));
    block_.emplace(k.arg_u32("block"));
  }
  // After all arguments.
  void place() {
    one = k.reg(1);
    isa::Reg block = *block_;
    at_ = k.group_x() * block;
    count = min(isa::Val(*count_ - at_), block);
    k.chain(true);
  }
  isa::Tile outer(uint32_t operand, isa::DType type) {
    isa::Reg at = at_ * isa::dtype_bytes(type);
    at += base_[operand];
    return k.tile_hbm(type, at, one, count);
  }
  isa::Tile inner(isa::DType type, const isa::Buf& buf) { return k.tile_l1(type, buf, one, count); }
  // The operand, of |type| in memory, as |as|.
  isa::Tile load(uint32_t operand, isa::DType type, isa::DType as, const isa::Buf& buf) {
    isa::Tile tile = inner(as, buf);
    move_in(k, tile, outer(operand, type));
    return tile;
  }
  isa::Tile load(uint32_t operand, isa::DType type, const isa::Buf& buf) {
    return load(operand, type, type, buf);
  }
  void store(uint32_t operand, const isa::Tile& tile) { k.st(outer(operand, tile.dtype()), tile); }

  isa::Kernel k;
  isa::Reg one, count;  // rows and columns of this group's part

 private:
  std::vector<isa::Arg> base_;
  std::optional<isa::Arg> count_, block_;
  isa::Reg at_;
};

// Blocks of rows and columns of operands with any strides, and the dimensions around them.
class TensorWalk {
 public:
  TensorWalk(const std::string& name, std::initializer_list<const char*> operands) : k(name) {
    for (const char* operand : operands) {
      const std::string prefix = operand;
      operands_.push_back(
          {k.arg_dva(prefix), k.arg_u64(prefix + "_row"), k.arg_u64(prefix + "_col")});
    }
    for (uint32_t d = 0; d < kWalkDims; ++d) {
      for (size_t o = 0; o < operands_.size(); ++o)
        operands_[o].around.push_back(
            k.arg_u64(operands.begin()[o] + ("_around" + std::to_string(d))));
    }
    for (const char* number :
         {"rows", "cols", "block_rows", "block_cols", "outer", "outer_per_group"})
      numbers_.push_back(k.arg_u32(number));
    for (uint32_t d = 0; d < kWalkDims; ++d)
      sizes_.push_back(k.arg_u32("size" + std::to_string(d)));
    for (size_t o = 0; o < operands_.size(); ++o) {
      const std::string prefix = operands.begin()[o];
      operands_[o].pitch.push_back(k.arg_u32(prefix + "_pitch"));
      operands_[o].mode.push_back(k.arg_u32(prefix + "_mode"));
    }
  }

  // Before run(): the operand is of a type in blocks, of whose elements none has an address.
  void set_blocks(uint32_t operand, isa::DType type) {
    operands_[operand].shape = isa::block_shape(type);
  }
  // After all arguments: body() for each place of the dimensions around the block.
  template <typename Body>
  void run(const Body& body) {
    place();
    isa::Reg first = k.group_z() * numbers_[5];
    isa::Reg times = min(isa::Val(numbers_[4] - first), numbers_[5]);
    k.chain(true);
    k.for_range(std::move(times), [&](const isa::Reg& i) {
      for (Operand& o : operands_) o.at = o.begin;
      isa::Reg rest = first + i;
      step(0, rest);
      rest.free();
      body();
    });
  }

  isa::Tile inner(isa::DType type, const isa::Buf& buf) { return k.tile_l1(type, buf, rows, cols); }
  // The block of |operand|, of |type| in memory, or the |rows| x |cols| of it that it has itself, to |to|, dense in L1.
  void load(uint32_t operand, isa::DType type, const isa::Tile& to, const isa::Val& rows,
            const isa::Val& cols) {
    const Operand& o = operands_[operand];
    isa::Reg pitch = o.pitch[0];
    k.if_(
        isa::Reg(o.mode[0]),
        [&] { move_in(k, to, k.tile_hbm(type, o.at, cols, rows, pitch)).trans(); },
        [&] { move_in(k, to, k.tile_hbm(type, o.at, rows, cols, pitch)); });
  }
  void load(uint32_t operand, const isa::Tile& to) { load(operand, to.dtype(), to, rows, cols); }
  // As load(), where the operand may also have one column, which all columns of the block repeat. |to| begins at |buf|; |l2| holds a block.
  void load_or_spread(uint32_t operand, isa::DType type, const isa::Tile& to, const isa::Buf& buf,
                      const isa::Buf& l2) {
    isa::Reg column = isa::Reg(operands_[operand].mode[0]) == kTileColumn;
    k.if_(
        std::move(column), [&] { spread(operand, type, to, buf, l2); },
        [&] { load(operand, type, to, rows, cols); });
  }
  void store(uint32_t operand, const isa::Tile& from) {
    const Operand& o = operands_[operand];
    isa::Reg pitch = o.pitch[0];
    k.if_(
        isa::Reg(o.mode[0]),
        [&] { k.st(k.tile_hbm(from.dtype(), o.at, cols, rows, pitch), from).trans(); },
        [&] { k.st(k.tile_hbm(from.dtype(), o.at, rows, cols, pitch), from); });
  }
  // The operand is of |type|, whose elements share scales: its columns lie side by side.
  void store_blocks(uint32_t operand, isa::DType type, const isa::Tile& from) {
    isa::Reg pitch = operands_[operand].pitch[0];
    k.stc(k.tile_hbm(type, operands_[operand].at, rows, cols, pitch), from);
  }
  // Device address of the operand's block.
  const isa::Reg& at(uint32_t operand) const { return operands_[operand].at; }
  const isa::Arg& pitch(uint32_t operand) const { return operands_[operand].pitch[0]; }

  isa::Kernel k;
  isa::Reg rows, cols;  // of this group's blocks
  isa::Reg col0;        // the first column

 private:
  struct Operand {
    isa::Arg base, row_bytes, col_bytes;
    std::vector<isa::Arg> around{}, pitch{}, mode{};
    isa::Reg begin{}, at{};
    isa::BlockShape shape{1, 0};
  };

  void place() {
    isa::Reg row0 = k.group_y() * numbers_[2];
    col0 = k.group_x() * numbers_[3];
    rows = min(isa::Val(numbers_[0] - row0), numbers_[2]);
    cols = min(isa::Val(numbers_[1] - col0), numbers_[3]);
    for (Operand& o : operands_) {
      o.begin = row0 * o.row_bytes;
      if (o.shape.elements == 1) {
        o.begin += col0 * o.col_bytes;
      } else {
        o.begin += col0 / o.shape.elements * o.shape.bytes;
      }
      o.begin += o.base;
    }
  }
  // Copies move bits of any type, which the vector unit would not: the columns in L2 double until they are all there.
  void spread(uint32_t operand, isa::DType type, const isa::Tile& to, const isa::Buf& buf,
              const isa::Buf& l2) {
    const Operand& o = operands_[operand];
    isa::Reg pitch = o.pitch[0];
    isa::Tile column = k.tile_l1(to.dtype(), buf, rows, 1);
    isa::Tile all = k.tile_l2(to.dtype(), l2, rows, cols);
    move_in(k, column, k.tile_hbm(type, o.at, rows, 1, pitch));
    k.st(all.view(0, 0, rows, 1), column);
    isa::Reg have = k.reg(1);
    k.while_([&] { return have < cols; },
             [&] {
               isa::Reg more = min(isa::Val(cols - have), have);
               isa::Tile piece = k.tile_l1(to.dtype(), buf, rows, more);
               k.ld(piece, all.view(0, 0, rows, more));
               k.st(all.view(0, have, rows, more), piece);
               have += more;
             });
    k.ld(to, all);
  }
  // Adds what |rest|, the place counted from dimension |d| on, means for each operand. Places are often 0: then there is nothing more to add.
  void step(uint32_t d, isa::Reg& rest) {
    const bool last = d + 1 == kWalkDims;
    k.if_(rest, [&] {
      isa::Reg size = sizes_[d];
      isa::Reg index = last ? rest + 0 : rest % size;
      for (Operand& o : operands_) o.at += index * o.around[d];
      index.free();
      if (last) return;
      rest = rest / size;
      size.free();
      step(d + 1, rest);
    });
  }

  std::vector<Operand> operands_;
  std::vector<isa::Arg> numbers_, sizes_;
};

// emit(i) for the |i| of [first, last) that |number| holds; a number beyond them runs one of them.
template <typename Emit>
void choose(isa::Kernel& k, const isa::Reg& number, uint32_t first, uint32_t last,
            const Emit& emit) {
  if (last - first == 1) return emit(first);
  const uint32_t middle = first + (last - first) / 2;
  k.if_(
      number < middle, [&] { choose(k, number, first, middle, emit); },
      [&] { choose(k, number, middle, last, emit); });
}

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_TENSOR_WALK_H_
