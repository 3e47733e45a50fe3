// SPDX-License-Identifier: Apache-2.0
// The record of lost events.
#include "firmware-model/device/event.h"

#include <cstddef>

namespace npu::model {

EventRing::EventRing(const npu_device_ports& ports)
    : ring_(ports, [](uint64_t lost) {
        npu_event_record overflow{};
        static_assert(offsetof(npu_event_record, seq) == 0);
        overflow.type = NPU_EVENT_OVERFLOW;
        overflow.value = lost;
        return std::bit_cast<RecordRing::Record>(overflow);
      }) {}

npu_status EventRing::configure(uint64_t iova, uint64_t entries) {
  const npu_status status = ring_.configure(iova, entries);
  if (status == NPU_ST_OK) ring_.forget_lost();
  return status;
}

}  // namespace npu::model
