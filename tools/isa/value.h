// SPDX-License-Identifier: Apache-2.0
// Scalars of the kernel builder: registers that free themselves, arguments, constants, and arithmetic on them.
// Thread safety: one kernel belongs to one thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <source_location>

namespace npu::isa {

class Kernel;
class Arg;
class Val;
using Loc = std::source_location;

// A scalar register (64 bits) of the program. Moves hand the register on; the destructor frees it. Assignment writes INTO
// the register that the variable has, so `x = x + 1` in a loop body does what it says.
class Reg {
 public:
  Reg() = default;  // has no register; the first assignment takes one over
  Reg(const Arg& arg, Loc loc = Loc::current());  // loads the argument
  Reg(Reg&& other) noexcept;
  Reg(const Reg&) = delete;
  Reg& operator=(Reg&& value);
  Reg& operator=(const Reg& value);
  Reg& operator=(const Arg& value);
  Reg& operator=(const Val& value);
  Reg& operator+=(const Val& value);
  Reg& operator-=(const Val& value);
  Reg& operator*=(const Val& value);
  ~Reg() { free(); }

  void free();  // gives the register back before the end of the scope
  bool empty() const { return kernel_ == nullptr; }
  uint8_t number() const { return number_; }
  Kernel* kernel() const { return kernel_; }

 private:
  friend class Kernel;
  Reg(Kernel* kernel, uint8_t number) : kernel_(kernel), number_(number) {}

  Kernel* kernel_ = nullptr;
  uint8_t number_ = 0;
};

// A kernel argument. Each use as a value emits a load; `Reg m = k.arg_u32("m");` loads once.
class Arg {
 public:
  Kernel* kernel() const { return kernel_; }
  uint32_t offset_bytes() const { return offset_bytes_; }
  uint8_t kind() const { return kind_; }  // enum npu_arg_kind

 private:
  friend class Kernel;
  Arg(Kernel* kernel, uint32_t offset_bytes, uint8_t kind)
      : kernel_(kernel), offset_bytes_(offset_bytes), kind_(kind) {}

  Kernel* kernel_;
  uint32_t offset_bytes_;
  uint8_t kind_;
};

// A piece of L1, L2 or the accumulator. Use it as its byte offset.
struct Buf {
  uint32_t offset_bytes = 0;
  uint32_t size_bytes = 0;
};

// An operand: register, argument (loaded where it is used) or constant. Refers to the register; do not keep one.
class Val {
 public:
  template <std::integral T>
  Val(T value, Loc loc = Loc::current()) : imm_(static_cast<int64_t>(value)), loc_(loc) {}
  Val(const Reg& reg, Loc loc = Loc::current()) : reg_(&reg), loc_(loc) {}
  Val(const Arg& arg, Loc loc = Loc::current()) : arg_(&arg), loc_(loc) {}
  Val(const Buf& buf, Loc loc = Loc::current()) : imm_(buf.offset_bytes), loc_(loc) {}

  const Reg* reg() const { return reg_; }
  const Arg* arg() const { return arg_; }
  bool is_imm() const { return reg_ == nullptr && arg_ == nullptr; }
  int64_t imm() const { return imm_; }
  const Loc& loc() const { return loc_; }

 private:
  const Reg* reg_ = nullptr;
  const Arg* arg_ = nullptr;
  int64_t imm_ = 0;
  Loc loc_;
};

// An fp32 operand: a constant, or a register or argument that holds the 32 bits.
class F32 {
 public:
  template <std::floating_point T>
  F32(T value, Loc loc = Loc::current()) : value_(bits(static_cast<float>(value)), loc) {}
  F32(const Reg& reg, Loc loc = Loc::current()) : value_(reg, loc) {}
  F32(const Arg& arg, Loc loc = Loc::current()) : value_(arg, loc) {}

  const Val& value() const { return value_; }
  static uint32_t bits(float value);

 private:
  Val value_;
};

// Integer arithmetic modulo 2^64. At least one side is a Reg or an Arg. / and % are unsigned; >> shifts zeros in.
Reg operator+(const Val& a, const Val& b);
Reg operator-(const Val& a, const Val& b);
Reg operator*(const Val& a, const Val& b);
Reg operator/(const Val& a, const Val& b);
Reg operator%(const Val& a, const Val& b);
Reg operator<<(const Val& a, const Val& b);
Reg operator>>(const Val& a, const Val& b);
Reg operator&(const Val& a, const Val& b);
Reg operator|(const Val& a, const Val& b);
Reg operator^(const Val& a, const Val& b);

// 1 or 0. < <= > >= compare signed numbers; ltu and leu unsigned ones.
Reg operator==(const Val& a, const Val& b);
Reg operator!=(const Val& a, const Val& b);
Reg operator<(const Val& a, const Val& b);
Reg operator<=(const Val& a, const Val& b);
Reg operator>(const Val& a, const Val& b);
Reg operator>=(const Val& a, const Val& b);
Reg ltu(const Val& a, const Val& b);
Reg leu(const Val& a, const Val& b);

Reg min(const Val& a, const Val& b);       // signed
Reg max(const Val& a, const Val& b);       // signed
Reg ceil_div(const Val& a, const Val& b);  // unsigned
Reg select(const Val& condition, const Val& if_true, const Val& if_false);

}  // namespace npu::isa
