// SPDX-License-Identifier: Apache-2.0
// The event ring: what the device tells its driver about queues.
//
// Thread safety and memory ordering: those of RecordRing.
#ifndef NPU_MODEL_DEVICE_EVENT_H_
#define NPU_MODEL_DEVICE_EVENT_H_

#include <cstdint>

#include "firmware-model/device/record_ring.h"
#include "uapi/npu_regs.h"

namespace npu::model {

class EventRing {
 public:
  explicit EventRing(const npu_device_ports& ports);

  // As RecordRing; what was lost before belongs to the old ring.
  npu_status configure(uint64_t iova, uint64_t entries);
  void post(const npu_event_record& record) { ring_.post(record); }

 private:
  RecordRing ring_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_EVENT_H_
