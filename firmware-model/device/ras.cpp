// SPDX-License-Identifier: Apache-2.0
// Error records and counts.
#include "firmware-model/device/ras.h"

#include <algorithm>
#include <cstddef>

namespace npu::model {
namespace {

uint32_t severity_of(npu_error_type type) {
  switch (type) {
#define NPU_ERROR(nr, NAME, key, severity, doc) \
  case NPU_ERROR_##NAME:                        \
    return NPU_SEVERITY_##severity;
#include "uapi/spec/ras.def"
  }
  return NPU_SEVERITY_FATAL;
}

npu_error_record make_error(npu_error_type type, uint64_t time_ps, uint64_t address,
                            uint64_t count) {
  npu_error_record record{};
  static_assert(offsetof(npu_error_record, seq) == 0);
  record.type = type;
  record.severity = severity_of(type);
  record.time_ps = time_ps;
  record.address = address;
  record.unit = ~0u;
  record.count = static_cast<uint32_t>(std::min<uint64_t>(count, UINT32_MAX));
  return record;
}

}  // namespace

Ras::Ras(const RegisterFile& registers, Interrupts& interrupts, const npu_device_ports& ports)
    : registers_(registers), interrupts_(interrupts), ring_(ports, [this](uint64_t lost) {
        return std::bit_cast<RecordRing::Record>(
            make_error(NPU_ERROR_RECORDS_LOST, registers_.get(NPU_REG_TIME_PS), kNoAddress, lost));
      }) {}

void Ras::report(npu_error_type type, uint64_t address, uint32_t count, uint64_t info) {
  npu_error_record record = make_error(type, registers_.get(NPU_REG_TIME_PS), address, count);
  record.info[0] = info;
  ring_.post(record);
  interrupts_.raise(NPU_IRQ_ERROR);
}

void Ras::single_bit_errors(uint64_t offset, uint32_t count) {
  ecc_sbe_.fetch_add(count, std::memory_order_relaxed);
  report(NPU_ERROR_ECC_SBE, offset, count, 0);
}

bool Ras::double_bit_error(uint64_t offset) {
  if (!poison_.add(offset)) return false;
  ecc_dbe_.fetch_add(1, std::memory_order_relaxed);
  report(NPU_ERROR_ECC_DBE, offset & ~(PoisonMap::kGranuleBytes - 1), 1, 0);
  return true;
}

}  // namespace npu::model
