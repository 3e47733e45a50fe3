// SPDX-License-Identifier: Apache-2.0
// Interrupt vectors: pending bits, mask, and the port that carries them out.
//
// Thread safety: any thread. The port is called by the thread that raises.
#ifndef NPU_MODEL_DEVICE_INTERRUPT_H_
#define NPU_MODEL_DEVICE_INTERRUPT_H_

#include <atomic>
#include <cstdint>

#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/registers.h"

namespace npu::model {

class Interrupts {
 public:
  Interrupts(RegisterFile& registers, const npu_device_ports& ports)
      : registers_(registers), ports_(ports) {}

  // Marks NPU_IRQ_* bits as pending and fires the vectors of those that are not masked.
  void raise(uint32_t bits) {
    registers_.set_bits(NPU_REG_IRQ_STATUS, bits);
    fire(bits & static_cast<uint32_t>(registers_.get(NPU_REG_IRQ_MASK)));
  }

  void acknowledge(uint32_t bits) { registers_.clear_bits(NPU_REG_IRQ_STATUS, bits); }

  // What was pending while it was masked fires when it is unmasked.
  void set_mask(uint32_t mask) {
    const uint32_t old = static_cast<uint32_t>(registers_.get(NPU_REG_IRQ_MASK));
    registers_.set(NPU_REG_IRQ_MASK, mask);
    fire(mask & ~old & static_cast<uint32_t>(registers_.get(NPU_REG_IRQ_STATUS)));
  }

  // The next |count| vectors do not fire.
  void lose(uint32_t count) { lost_.store(count, std::memory_order_relaxed); }

  // Whether or not there is anything to report.
  void fire_vector(uint32_t vector) {
    if (ports_.interrupt != nullptr) ports_.interrupt(ports_.ctx, vector);
  }

 private:
  void fire(uint32_t bits) {
    for (uint32_t vector = 0; bits != 0; ++vector, bits >>= 1) {
      if ((bits & 1) != 0 && !take_lost()) fire_vector(vector);
    }
  }

  bool take_lost() {
    uint32_t left = lost_.load(std::memory_order_relaxed);
    while (left != 0) {
      if (lost_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }

  RegisterFile& registers_;
  const npu_device_ports& ports_;
  std::atomic<uint32_t> lost_{0};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_INTERRUPT_H_
