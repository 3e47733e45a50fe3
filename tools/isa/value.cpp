// SPDX-License-Identifier: Apache-2.0
// Scalars of the kernel builder: the register allocator and the instructions behind the operators.
#include "tools/isa/value.h"

#include <bit>
#include <utility>

#include "tools/isa/builder.h"
#include "tools/isa/codec.h"

namespace npu::isa {
namespace {

bool fits_imm(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

Kernel* kernel_of(const Val& value) {
  if (value.reg() != nullptr) return value.reg()->kernel();
  return value.arg() != nullptr ? value.arg()->kernel() : nullptr;
}

Kernel& kernel_of(const Val& a, const Val& b) {
  Kernel* kernel = kernel_of(a) != nullptr ? kernel_of(a) : kernel_of(b);
  if (kernel == nullptr) Kernel("none").fail(a.loc(), "a Reg without a value is used");
  return *kernel;
}

}  // namespace

// --- Reg --------------------------------------------------------------------------------------------------------

Reg::Reg(const Arg& arg, Loc loc) { arg.kernel()->write(*this, Val(arg, loc)); }

Reg::Reg(Reg&& other) noexcept
    : kernel_(std::exchange(other.kernel_, nullptr)), number_(std::exchange(other.number_, 0)) {}

Reg& Reg::operator=(Reg&& value) {
  if (&value == this) return *this;
  kernel_of(value, value).write(*this, std::move(value));
  return *this;
}

Reg& Reg::operator=(const Reg& value) { return *this = Val(value); }
Reg& Reg::operator=(const Arg& value) { return *this = Val(value); }

Reg& Reg::operator=(const Val& value) {
  Kernel* kernel = kernel_ != nullptr ? kernel_ : kernel_of(value);
  if (kernel == nullptr)
    Kernel("none").fail(value.loc(), "use k.reg(constant) to make a register from a constant");
  if (value.reg() != this) kernel->write(*this, value);
  return *this;
}

Reg& Reg::operator+=(const Val& value) { return *this = Val(*this, value.loc()) + value; }
Reg& Reg::operator-=(const Val& value) { return *this = Val(*this, value.loc()) - value; }
Reg& Reg::operator*=(const Val& value) { return *this = Val(*this, value.loc()) * value; }

void Reg::free() {
  if (kernel_ != nullptr) kernel_->free_reg(number_);
  kernel_ = nullptr;
  number_ = 0;
}

uint32_t F32::bits(float value) { return std::bit_cast<uint32_t>(value); }

// --- Kernel: registers and arithmetic -------------------------------------------------------------------------------

Reg Kernel::new_reg(const Loc& loc) {
  const auto number = static_cast<uint8_t>(std::countr_one(regs_used_));
  if (number >= NPU_SCALAR_REGS)
    fail(loc, "all 31 scalar registers are in use; free some with Reg::free() or smaller scopes");
  regs_used_ |= 1u << number;
  return Reg(this, number);
}

uint8_t Kernel::use(const Val& value, Reg& temp) {
  if (value.reg() != nullptr) {
    if (value.reg()->kernel() != this) fail(value.loc(), "a Reg without a value is used");
    return value.reg()->number();
  }
  if (value.is_imm() && value.imm() == 0) return 0;
  write(temp, value);
  return temp.number();
}

void Kernel::write(Reg& reg, const Val& value) {
  npu_insn insn{};
  if (value.reg() != nullptr) {
    Reg unused;
    insn.op = NPU_OP_MOV;
    insn.r[1] = use(value, unused);
  } else if (value.arg() != nullptr) {
    const uint8_t kind = value.arg()->kind();
    insn.op = kind == NPU_ARG_I32 ? NPU_OP_ARGS : arg_size(kind) == 8 ? NPU_OP_ARG : NPU_OP_ARGW;
    insn.imm = value.arg()->offset_bytes();
  } else {
    insn.op = NPU_OP_LI;
    insn.imm = static_cast<uint32_t>(static_cast<uint64_t>(value.imm()));
  }
  if (reg.empty()) reg = new_reg(value.loc());
  insn.r[0] = reg.number();
  emit(insn, value.loc());
  if (value.is_imm() && !fits_imm(value.imm())) {
    insn.op = NPU_OP_LIH;
    insn.imm = static_cast<uint32_t>(static_cast<uint64_t>(value.imm()) >> 32);
    emit(insn, value.loc());
  }
}

// The instruction emitted last may write to another place instead, if nothing jumps in behind it.
bool Kernel::last_writes(bool tile, uint8_t number) const {
  if (slots_.empty() || slots_.back().dead || last_bound_ == slots_.size()) return false;
  const npu_insn& insn = slots_.back().insn;
  if (tile) {
    const bool makes_tile =
        insn.op == NPU_OP_TSET || insn.op == NPU_OP_TADD || insn.op == NPU_OP_TVIEW;
    return makes_tile && insn.dst == number;
  }
  return kInsnTable[insn.op].reg[0] == 'W' && insn.op != NPU_OP_LOOP && insn.op != NPU_OP_LIH &&
         insn.r[0] == number;
}

void Kernel::write(Reg& reg, Reg&& value) {
  if (reg.empty()) {
    std::swap(reg.kernel_, value.kernel_);
    std::swap(reg.number_, value.number_);
    return;
  }
  if (last_writes(false, value.number())) {
    slots_.back().insn.r[0] = reg.number();
  } else {
    write(reg, Val(value, slots_.back().loc));
  }
  value.free();
}

Reg Kernel::alu(npu_op op, const Val& a, const Val& b, uint32_t imm) {
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(op);
  insn.imm = imm;
  Reg temp_a, temp_b;
  const bool commutes = op == NPU_OP_ADD || op == NPU_OP_MUL;
  const Val& left = commutes && a.is_imm() ? b : a;
  const Val& right = commutes && a.is_imm() ? a : b;
  const int64_t constant = op == NPU_OP_SUB ? -right.imm() : right.imm();
  const bool has_form = commutes || op == NPU_OP_SUB;
  if (has_form && right.is_imm() && right.imm() != INT64_MIN && fits_imm(constant)) {
    insn.op = op == NPU_OP_MUL ? NPU_OP_MULI : NPU_OP_ADDI;
    insn.imm = static_cast<uint32_t>(static_cast<int32_t>(constant));
    insn.r[1] = use(left, temp_a);
  } else {
    insn.r[1] = use(left, temp_a);
    insn.r[2] = use(right, temp_b);
  }
  temp_a.free();
  temp_b.free();
  Reg result = new_reg(a.loc());  // may be the register of an operand that ends here
  insn.r[0] = result.number();
  emit(insn, a.loc());
  return result;
}

Reg Kernel::reg(const Val& value) {
  Reg result = new_reg(value.loc());
  write(result, value);
  return result;
}

Reg Kernel::f32(float value, Loc loc) { return reg(F32(value, loc).value()); }

Reg Kernel::sreg(npu_sreg which, Loc loc) {
  Reg result = new_reg(loc);
  npu_insn insn{};
  insn.op = NPU_OP_SREG;
  insn.r[0] = result.number();
  insn.imm = which;
  emit(insn, loc);
  return result;
}

Reg Kernel::load_scalar(npu_op op, const Val& dva, int32_t offset_bytes, const Loc& loc) {
  Reg temp;
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(op);
  insn.r[1] = use(dva, temp);
  insn.imm = static_cast<uint32_t>(offset_bytes);
  Reg result = new_reg(loc);
  insn.r[0] = result.number();
  emit(insn, loc);
  return result;
}

Reg Kernel::load_u32(const Val& dva, int32_t offset_bytes, Loc loc) {
  return load_scalar(NPU_OP_SLDW, dva, offset_bytes, loc);
}
Reg Kernel::load_i32(const Val& dva, int32_t offset_bytes, Loc loc) {
  return load_scalar(NPU_OP_SLDS, dva, offset_bytes, loc);
}

Reg Kernel::word_of(const Tile& a, Loc loc) {
  fence(loc);
  npu_insn insn{};
  insn.op = NPU_OP_TLDW;
  insn.a = a.number();
  Reg result = new_reg(loc);
  insn.r[0] = result.number();
  emit(insn, loc);
  return result;
}

// --- Operators ----------------------------------------------------------------------------------------------------------

namespace {
Reg alu(npu_op op, const Val& a, const Val& b, uint32_t imm = 0) {
  return kernel_of(a, b).alu(op, a, b, imm);
}
}  // namespace

Reg operator+(const Val& a, const Val& b) { return alu(NPU_OP_ADD, a, b); }
Reg operator-(const Val& a, const Val& b) { return alu(NPU_OP_SUB, a, b); }
Reg operator*(const Val& a, const Val& b) { return alu(NPU_OP_MUL, a, b); }
Reg operator/(const Val& a, const Val& b) { return alu(NPU_OP_DIVU, a, b); }
Reg operator%(const Val& a, const Val& b) { return alu(NPU_OP_REMU, a, b); }
Reg operator<<(const Val& a, const Val& b) { return alu(NPU_OP_SHL, a, b); }
Reg operator>>(const Val& a, const Val& b) { return alu(NPU_OP_SHR, a, b); }
Reg operator&(const Val& a, const Val& b) { return alu(NPU_OP_AND, a, b); }
Reg operator|(const Val& a, const Val& b) { return alu(NPU_OP_OR, a, b); }
Reg operator^(const Val& a, const Val& b) { return alu(NPU_OP_XOR, a, b); }
Reg operator==(const Val& a, const Val& b) { return alu(NPU_OP_CMP, a, b, NPU_CC_EQ); }
Reg operator!=(const Val& a, const Val& b) { return alu(NPU_OP_CMP, a, b, NPU_CC_NE); }
Reg operator<(const Val& a, const Val& b) { return alu(NPU_OP_CMP, a, b, NPU_CC_LT); }
Reg operator<=(const Val& a, const Val& b) { return alu(NPU_OP_CMP, a, b, NPU_CC_LE); }
Reg operator>(const Val& a, const Val& b) { return alu(NPU_OP_CMP, b, a, NPU_CC_LT); }
Reg operator>=(const Val& a, const Val& b) { return alu(NPU_OP_CMP, b, a, NPU_CC_LE); }
Reg ltu(const Val& a, const Val& b) { return alu(NPU_OP_CMP, a, b, NPU_CC_LTU); }
Reg leu(const Val& a, const Val& b) { return alu(NPU_OP_CMP, a, b, NPU_CC_LEU); }
Reg min(const Val& a, const Val& b) { return alu(NPU_OP_MIN, a, b); }
Reg max(const Val& a, const Val& b) { return alu(NPU_OP_MAX, a, b); }

Reg ceil_div(const Val& a, const Val& b) {
  Reg sum = a + b;
  sum -= 1;
  return sum / b;
}

Reg select(const Val& condition, const Val& if_true, const Val& if_false) {
  Kernel& kernel = kernel_of(condition, if_true);
  Reg temps[3];
  npu_insn insn{};
  insn.op = NPU_OP_SEL;
  insn.r[1] = kernel.use(condition, temps[0]);
  insn.r[2] = kernel.use(if_true, temps[1]);
  insn.r[3] = kernel.use(if_false, temps[2]);
  for (Reg& temp : temps) temp.free();
  Reg result = kernel.new_reg(condition.loc());
  insn.r[0] = result.number();
  kernel.emit(insn, condition.loc());
  return result;
}

}  // namespace npu::isa
