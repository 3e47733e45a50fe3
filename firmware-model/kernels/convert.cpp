// SPDX-License-Identifier: Apache-2.0
// Y = scale X in another type, for all types that the DMA engines read and write: a work-group takes block_cols columns (x) of block_rows rows (y), both whole blocks.
#include "firmware-model/kernels/any_type.h"
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

class Convert {
 public:
  Program build();

 private:
  Reg place(const Arg& base, const Arg& ld, const Arg& unit, const Arg& unit_bytes);
  void load(const Reg& pitch);
  void clear_rest(const Reg& pitch);

  Kernel k_{"convert_any"};
  Arg x_ = k_.arg_dva("x"), y_ = k_.arg_dva("y");
  Arg seed_ = k_.arg_u64("seed"), first_ = k_.arg_u64("first");
  Arg rows_arg_ = k_.arg_u32("rows"), cols_arg_ = k_.arg_u32("cols");
  Arg ldx_ = k_.arg_u32("ldx"), ldy_ = k_.arg_u32("ldy");
  Arg block_rows_ = k_.arg_u32("block_rows"), block_cols_ = k_.arg_u32("block_cols");
  Arg x_type_ = k_.arg_u32("x_type");
  RoundingArgs rounding_{k_.arg_u32("y_type"),
                         k_.arg_u32("scale_rule"),
                         k_.arg_u32("overflow"),
                         k_.arg_u32("random"),
                         seed_,
                         first_};
  Arg x_unit_ = k_.arg_u32("x_unit"), x_unit_bytes_ = k_.arg_u32("x_unit_bytes");
  Arg y_unit_ = k_.arg_u32("y_unit"), y_unit_bytes_ = k_.arg_u32("y_unit_bytes");
  Arg align_ = k_.arg_u32("align");  // the larger unit
  Arg scale_ = k_.arg_f32("scale");
  Buf l1_ = k_.l1(kElementwiseElements * 4);
  Reg row0_, col0_, rows_, cols_;
};

Reg Convert::place(const Arg& base, const Arg& ld, const Arg& unit, const Arg& unit_bytes) {
  Reg at = ld / unit;
  at *= row0_;
  at += col0_ / unit;
  at *= unit_bytes;
  at += base;
  return at;
}

void Convert::load(const Reg& pitch) {
  Reg at = place(x_, ldx_, x_unit_, x_unit_bytes_);
  Reg ld = ldx_;
  Reg type = x_type_;
  pick(k_, type, read_types(), [&](DType t) {
    Reg whole = whole_blocks(cols_, t);
    k_.ldc(k_.tile_l1(DType::F32, l1_, rows_, whole, pitch), k_.tile_hbm(t, at, rows_, whole, ld));
  });
}

// What lies behind the row is nothing that a block of Y may look at.
void Convert::clear_rest(const Reg& pitch) {
  k_.if_(pitch != cols_, [&] {
    Reg at = cols_ * 4;
    at += l1_.offset_bytes;
    Reg rest = pitch - cols_;
    k_.vfill(k_.tile_l1(DType::F32, at, rows_, rest, pitch), 0.0f);
  });
}

Program Convert::build() {
  row0_ = k_.group_y() * block_rows_;
  col0_ = k_.group_x() * block_cols_;
  rows_ = min(Val(rows_arg_ - row0_), block_rows_);
  cols_ = min(Val(cols_arg_ - col0_), block_cols_);
  Reg pitch = ceil_div(cols_, align_);
  pitch *= align_;
  load(pitch);
  k_.fence();
  clear_rest(pitch);
  Reg factor = scale_;
  k_.if_(factor != F32::bits(1.0f), [&] {
    Tile elements = k_.tile_l1(DType::F32, l1_, rows_, cols_, pitch);
    k_.vmul(elements, elements, factor);
  });
  k_.fence();
  Reg at = place(y_, ldy_, y_unit_, y_unit_bytes_);
  Reg ld = ldy_;
  Reg whole = ceil_div(cols_, y_unit_);
  whole *= y_unit_;
  auto number = [&] {
    Reg place = row0_ * cols_arg_;
    place += col0_;
    return place;
  };
  store_as(
      k_, rounding_, {number, cols_arg_},
      [&](DType type) { return k_.tile_hbm(type, at, rows_, whole, ld); },
      k_.tile_l1(DType::F32, l1_, rows_, whole, pitch));
  return k_.finish();
}

}  // namespace

void add_convert_any(Programs& out) { out.push_back(Convert().build()); }

}  // namespace npu::kernels
