// SPDX-License-Identifier: Apache-2.0
// The registers of BAR0: decoding of offsets by spec/regs.def, and their values.
//
// Thread safety: every function may be called by any thread; values are atomics, no lock is taken.
// A 64-bit register read as two halves is latched by the read of its low half.
#ifndef NPU_MODEL_DEVICE_REGISTERS_H_
#define NPU_MODEL_DEVICE_REGISTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "uapi/npu_regs.h"

namespace npu::model {

enum class RegisterAccess : uint8_t { RO, RW, WO, W1C };

// One access that is legal: which register, and which part of it.
struct RegisterRef {
  npu_reg reg;
  RegisterAccess access;
  uint8_t bits;        // width of the register
  uint8_t first_byte;  // 0, or 4 for the upper half
  uint8_t size_bytes;  // 4 or 8
};

// Nothing when no register lies there or the access has another width or alignment.
std::optional<RegisterRef> decode_register(uint64_t offset, uint32_t size_bytes);

class RegisterFile {
 public:
  static constexpr size_t kWindowBytes = 0x200;

  // All registers take the reset value of their row.
  RegisterFile();

  uint64_t get(npu_reg reg) const { return cell(reg).load(std::memory_order_acquire); }
  void set(npu_reg reg, uint64_t value) { cell(reg).store(value, std::memory_order_release); }
  // Each counter has one writer at a time, the command thread or the one that resets the device: no locked instruction.
  void add(npu_reg reg, uint64_t value) {
    cell(reg).store(cell(reg).load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
  void raise_to(npu_reg reg, uint64_t value);
  // Likewise, of a register with one writer at a time.
  void raise_own(npu_reg reg, uint64_t value) {
    if (cell(reg).load(std::memory_order_relaxed) < value) {
      cell(reg).store(value, std::memory_order_relaxed);
    }
  }
  uint64_t set_bits(npu_reg reg, uint64_t bits) { return cell(reg).fetch_or(bits); }
  uint64_t clear_bits(npu_reg reg, uint64_t bits) { return cell(reg).fetch_and(~bits); }

  // The part of |value|, the present value of ref.reg, that an access gets.
  uint64_t read_part(const RegisterRef& ref, uint64_t value);
  // Stores a part of a RW register.
  void write_part(const RegisterRef& ref, uint64_t value);

 private:
  std::atomic<uint64_t>& cell(npu_reg reg) { return cells_[static_cast<size_t>(reg) / 4]; }
  const std::atomic<uint64_t>& cell(npu_reg reg) const {
    return cells_[static_cast<size_t>(reg) / 4];
  }

  std::array<std::atomic<uint64_t>, kWindowBytes / 4> cells_{};
  std::array<std::atomic<uint32_t>, kWindowBytes / 4> latched_high_{};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_REGISTERS_H_
