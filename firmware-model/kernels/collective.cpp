// SPDX-License-Identifier: Apache-2.0
// npu-ccl-kernels-gen FILE: the reductions of libnpuccl, one program for each type and operation, in a blob of their own: every rank loads them, and
// some small programs are checked faster than the operators' hundreds.
//
// A program reduces up to kOperandsMax vectors element by element, by the canonical tree over the operands' index (libnpu/ccl/schedule/canonical.h),
// in fp32 with one rounding at the end, which saturates in FP8 and int8; int32 modulo 2^32. The result goes to up to as many places. The host side is libnpu/ccl/reducer.cpp.
#include <bit>
#include <cstdio>
#include <optional>

#include "firmware-model/kernels/kernels.h"
#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"

namespace {

using namespace npu::isa;

constexpr uint32_t kOperandsMax = 16;
constexpr uint32_t kLevels = 5;  // log2(kOperandsMax) + 1
constexpr uint32_t kBlockElements = 8192;

using Fold = Op (Kernel::*)(const Tile&, const Tile&, const BOperand&, Loc);
struct FoldRow {
  const char* name;
  Fold fold;
  void (*fold_i32)(Reg& sum, const Reg& next);
};
// In the order of libnpu/ccl/reducer.cpp.
constexpr FoldRow kFolds[] = {
    {"sum", &Kernel::vadd, [](Reg& sum, const Reg& next) { sum += next; }},
    {"prod", &Kernel::vmul, [](Reg& sum, const Reg& next) { sum *= next; }},
    {"min", &Kernel::vmin, [](Reg& sum, const Reg& next) { sum = min(sum, next); }},
    {"max", &Kernel::vmax, [](Reg& sum, const Reg& next) { sum = max(sum, next); }},
};

struct TypeRow {
  const char* name;
  DType type;
};
constexpr TypeRow kTypes[] = {{"f32", DType::F32},   {"bf16", DType::BF16}, {"f16", DType::F16},
                              {"e4m3", DType::E4M3}, {"e5m2", DType::E5M2}, {"i8", DType::I8}};

// The arguments, and the part of the vectors that this work-group takes.
class Vectors {
 public:
  explicit Vectors(const std::string& name) : k(name) {
    for (uint32_t i = 0; i < kOperandsMax; ++i) to.push_back(k.arg_dva("to" + std::to_string(i)));
    for (uint32_t i = 0; i < kOperandsMax; ++i)
      from.push_back(k.arg_dva("from" + std::to_string(i)));
    for (const char* number : {"count", "operands", "wide", "to_is_wide", "scales", "targets"})
      numbers.push_back(k.arg_u32(number));
    scale.emplace(k.arg_f32("scale"));
  }
  void place() {
    at = k.group_x() * kBlockElements;
    count = min(Val(numbers[0] - at), kBlockElements);
    one = k.reg(1);
    operands = numbers[1];
    targets = numbers[5];
    k.chain(true);
  }
  Tile outer(DType type, const Arg& base) {
    Reg dva = at * dtype_bytes(type);
    dva += base;
    return k.tile_hbm(type, dva, one, count);
  }
  Tile inner(const Buf& buf, DType type = DType::F32) { return k.tile_l1(type, buf, one, count); }

  // One inside the other, as in fold_from().
  void store(DType type, const Tile& result, uint32_t target = 0) {
    if (target == kOperandsMax) return;
    const auto rest = [&] {
      k.st(outer(type, to[target]), result);
      store(type, result, target + 1);
    };
    if (target == 0) return rest();
    k.if_(targets > static_cast<int>(target), rest);
  }

  Kernel k;
  std::optional<Arg> scale;
  std::vector<Arg> to, from;
  std::vector<Arg>
      numbers;  // count, operands, wide (a bit for each operand in fp32), to_is_wide, scales, targets
  Reg at, count, one, operands, targets;
};

// A binary counter of partial results: level j holds the tree over 2^j operands. Operand i carries over as many levels as i has trailing ones.
class Counter {
 public:
  Counter(Vectors& v, const FoldRow& row, DType type) : v_(v), row_(row), type_(type) {
    for (uint32_t j = 0; j < kLevels; ++j) levels_.push_back(v.k.l1(kBlockElements * 4));
    raw_ = v.k.l1(kBlockElements * 4);
  }
  void push(uint32_t operand) {
    const uint32_t carries = static_cast<uint32_t>(std::countr_one(operand));
    Tile next = v_.inner(carries == 0 ? levels_[0] : raw_);
    load(operand, next);
    for (uint32_t j = 0; j < carries; ++j) {
      Tile left = v_.inner(levels_[j]);
      Tile right = v_.inner(j == 0 ? raw_ : levels_[j - 1]);
      Tile sum = v_.inner(j + 1 == carries ? levels_[carries] : levels_[j]);
      fold(sum, left, right);
    }
  }
  // Two or four operands are what most reductions have: their sum is in one level, and is not moved about.
  void finish() {
    Kernel& k = v_.k;
    const auto others = [&] {
      k.if_(
          v_.operands == 4, [&] { store(levels_[2]); }, [&] { store(merged()); });
    };
    k.if_(
        v_.operands == 2, [&] { store(levels_[1]); }, others);
  }

 private:
  // The levels that are in use, from the smallest: each goes to the left of what was merged so far.
  const Buf& merged() {
    Kernel& k = v_.k;
    Tile sum = v_.inner(raw_);
    Reg begun = k.reg(0);
    for (uint32_t j = 0; j < kLevels; ++j) {
      k.if_(v_.operands & (1u << j), [&] {
        Tile level = v_.inner(levels_[j]);
        k.if_(
            begun, [&] { fold(sum, level, sum); }, [&] { k.cvt(sum, level); });
        begun = 1;
      });
    }
    return raw_;
  }
  void store(const Buf& from) {
    Kernel& k = v_.k;
    Tile sum = v_.inner(from);
    k.if_(Reg(v_.numbers[4]), [&] { k.vmul(sum, sum, BOperand(*v_.scale)); });
    if (type_ == DType::F32) {
      v_.store(type_, sum);
      return;
    }
    k.if_(
        Reg(v_.numbers[3]), [&] { k.st(v_.outer(DType::F32, v_.to[0]), sum); },
        [&] {
          Tile rounded = v_.inner(levels_[0], type_);
          k.cvt(rounded, sum);
          v_.store(type_, rounded);
        });
  }
  void fold(const Tile& sum, const Tile& left, const Tile& right) {
    (v_.k.*row_.fold)(sum, left, BOperand(right), Loc::current());
  }
  void load(uint32_t operand, const Tile& to) {
    Kernel& k = v_.k;
    if (type_ == DType::F32) {
      k.ld(to, v_.outer(type_, v_.from[operand]));
      return;
    }
    Reg wide = v_.numbers[2];
    k.if_(
        wide & (1u << operand), [&] { k.ld(to, v_.outer(DType::F32, v_.from[operand])); },
        [&] { k.ldc(to, v_.outer(type_, v_.from[operand])); });
  }

  Vectors& v_;
  const FoldRow& row_;
  DType type_;
  std::vector<Buf> levels_;
  Buf raw_;
};

// One inside the other, as in fold_from(): a small reduction is mostly branches otherwise.
void push_from(Vectors& v, Counter& counter, uint32_t operand) {
  if (operand == kOperandsMax) return;
  v.k.if_(v.operands > static_cast<int>(operand), [&] {
    counter.push(operand);
    push_from(v, counter, operand + 1);
  });
}

Program reduce(const TypeRow& type, const FoldRow& row) {
  Vectors v(std::string("reduce_") + row.name + "_" + type.name);
  Counter counter(v, row, type.type);
  v.place();
  counter.push(0);
  push_from(v, counter, 1);
  counter.finish();
  return v.k.finish();
}

// x as a signed 32-bit number.
Reg wrapped(const Reg& x) {
  Reg low = x & 0xffffffffu;
  low = low ^ 0x80000000u;
  low -= 0x80000000u;
  return low;
}

// x / n, rounded towards zero.
Reg divided(const Reg& x, const Reg& n) {
  Reg negative = x < 0;
  Reg zero = x - x;
  Reg size = select(negative, Val(zero - x), x);
  size = size / n;
  return select(negative, Val(zero - size), size);
}

// One inside the other: an element costs a branch for each operand that there is, not for each that there could be.
void fold_from(Vectors& v, const FoldRow& row, const Reg& offset, Reg& sum, uint32_t operand) {
  if (operand == kOperandsMax) return;
  v.k.if_(v.operands > static_cast<int>(operand), [&] {
    Reg next = v.k.load_i32(offset + v.from[operand]);
    row.fold_i32(sum, next);
    fold_from(v, row, offset, sum, operand + 1);
  });
}

// The vector unit has no integers: element by element through the scalar unit. With |scales| the sum is divided by the bits of |scale|.
Program reduce_i32(const FoldRow& row) {
  Vectors v(std::string("reduce_") + row.name + "_i32");
  Kernel& k = v.k;
  Buf results = k.l1(kBlockElements * 4);
  v.place();
  Reg scales = v.numbers[4];
  Reg divisor = *v.scale;
  Reg offset = v.at * 4;
  Reg cell = k.reg(results);
  k.for_range(v.count, [&](const Reg&) {
    Reg sum = k.load_i32(offset + v.from[0]);
    fold_from(v, row, offset, sum, 1);
    k.if_(scales, [&] {
      sum = wrapped(sum);
      sum = divided(sum, divisor);
    });
    Tile element = k.tile_l1(DType::I32, cell, 1, 1);
    k.iota(element, sum, 0, 0);
    offset += 4;
    cell += 4;
  });
  v.store(DType::I32, v.inner(results, DType::I32));
  return k.finish();
}

npu::kernels::Programs all_reductions() {
  npu::kernels::Programs out;
  for (const FoldRow& row : kFolds) {
    for (const TypeRow& type : kTypes) out.push_back(reduce(type, row));
    out.push_back(reduce_i32(row));
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: npu-ccl-kernels-gen FILE\n");
    return kExitUsage;
  }
  const auto elf = write_elf(all_reductions());
  if (!elf) return report("npu-ccl-kernels-gen", elf.error());
  if (const auto failure = write_whole_file(argv[1], *elf))
    return report("npu-ccl-kernels-gen", failure->text);
  return kExitDone;
}
