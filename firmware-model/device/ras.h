// SPDX-License-Identifier: Apache-2.0
// Errors of the device itself: the error ring, the counts, and the poison that an uncorrectable
// memory error leaves.
//
// Thread safety: any thread.
#ifndef NPU_MODEL_DEVICE_RAS_H_
#define NPU_MODEL_DEVICE_RAS_H_

#include <atomic>
#include <cstdint>

#include "firmware-model/device/interrupt.h"
#include "firmware-model/device/poison.h"
#include "firmware-model/device/record_ring.h"
#include "firmware-model/device/registers.h"
#include "uapi/npu_regs.h"

namespace npu::model {

class Ras {
 public:
  static constexpr uint64_t kNoAddress = ~uint64_t{0};

  Ras(const RegisterFile& registers, Interrupts& interrupts, const npu_device_ports& ports);

  // As RecordRing; what was lost before is told in the new ring.
  npu_status configure_ring(uint64_t iova, uint64_t entries) {
    return ring_.configure(iova, entries);
  }
  // Writes a record of its usual severity and raises NPU_IRQ_ERROR.
  void report(npu_error_type type, uint64_t address, uint32_t count, uint64_t info);

  // Errors of the memory at an HBM offset.
  void single_bit_errors(uint64_t offset, uint32_t count);
  // False: there is more poison already than this device keeps.
  bool double_bit_error(uint64_t offset);
  uint64_t ecc_sbe() const { return ecc_sbe_.load(std::memory_order_relaxed); }
  uint64_t ecc_dbe() const { return ecc_dbe_.load(std::memory_order_relaxed); }

  PoisonMap& poison() { return poison_; }

 private:
  const RegisterFile& registers_;
  Interrupts& interrupts_;
  RecordRing ring_;
  PoisonMap poison_;
  std::atomic<uint64_t> ecc_sbe_{0};
  std::atomic<uint64_t> ecc_dbe_{0};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_RAS_H_
