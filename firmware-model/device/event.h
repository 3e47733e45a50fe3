// SPDX-License-Identifier: Apache-2.0
// The event ring: records that the device writes into host memory for its driver.
//
// Thread safety: any thread. Memory ordering: a record is written whole, then its seq with release;
// the driver loads seq with acquire.
#ifndef NPU_MODEL_DEVICE_EVENT_H_
#define NPU_MODEL_DEVICE_EVENT_H_

#include <cstdint>
#include <mutex>

#include "firmware-model/device/npu_device.h"
#include "uapi/npu_regs.h"
#include "uapi/npu_status.h"

namespace npu::model {

class EventRing {
 public:
  explicit EventRing(const npu_device_ports& ports) : ports_(ports) {}

  // |entries| 0 takes the ring away; after the return nothing is written to the old one.
  npu_status configure(uint64_t iova, uint64_t entries);
  // Writes one record; its seq is set here. Without a ring, or when its memory has gone, the record
  // is counted as lost: an OVERFLOW record then comes before the next one.
  void post(const npu_event_record& record);

 private:
  bool write(npu_event_record record);

  const npu_device_ports& ports_;
  std::mutex mutex_;
  uint64_t iova_ = 0;
  uint64_t entries_ = 0;
  uint64_t written_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_EVENT_H_
