// SPDX-License-Identifier: Apache-2.0
// Interrupt vectors: pending bits, mask, and the port that carries them out.
//
// Thread safety: any thread. The port is called by the thread that raises.
#ifndef NPU_MODEL_DEVICE_INTERRUPT_H_
#define NPU_MODEL_DEVICE_INTERRUPT_H_

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

 private:
  void fire(uint32_t bits) {
    for (uint32_t vector = 0; bits != 0; ++vector, bits >>= 1) {
      if ((bits & 1) != 0 && ports_.interrupt != nullptr) ports_.interrupt(ports_.ctx, vector);
    }
  }

  RegisterFile& registers_;
  const npu_device_ports& ports_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_INTERRUPT_H_
