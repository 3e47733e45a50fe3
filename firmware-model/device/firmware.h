// SPDX-License-Identifier: Apache-2.0
// The control firmware: where it comes from, who it says it is, and its heartbeat.
//
// Thread safety: read_firmware() any thread; Heartbeat any thread.
#ifndef NPU_MODEL_DEVICE_FIRMWARE_H_
#define NPU_MODEL_DEVICE_FIRMWARE_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "firmware-model/device/loader.h"
#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/sensor.h"
#include "uapi/npu_regs.h"
#include "uapi/npu_status.h"

namespace npu::model {

// What the model runs when no host gives it an image.
FirmwareInfo built_in_firmware();

// Copies the image out of host memory once, page by page, and checks the copy.
npu_status read_firmware(const npu_device_ports& ports, uint64_t iova, uint64_t bytes,
                         const BlobPolicy& policy, FirmwareInfo* out);

// Counts host time while firmware runs. Nothing ticks: the count is made when it is read.
class Heartbeat {
 public:
  // At least ten a second are promised.
  static constexpr int64_t kPeriodNs = 20'000'000;

  void start() { stopped_at_.store(0); }
  void stop() {
    if (stopped_at_.load() == 0) stopped_at_.store(1 + now());
  }
  uint32_t count() const {
    const uint64_t stopped = stopped_at_.load();
    return static_cast<uint32_t>(stopped != 0 ? stopped - 1 : now());
  }

 private:
  uint64_t now() const { return static_cast<uint64_t>((host_time_ns() - begin_ns_) / kPeriodNs); }

  const int64_t begin_ns_ = host_time_ns();
  std::atomic<uint64_t> stopped_at_{1};  // count + 1; 0: firmware runs
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_FIRMWARE_H_
