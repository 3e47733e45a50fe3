// SPDX-License-Identifier: Apache-2.0
// The cables between ports of devices in one process: what one end sends, the other one counts as received.
//
// Thread safety: any thread. unplug() returns when nobody tells that device of anything any more.
#ifndef NPU_MODEL_DEVICE_CABLES_H_
#define NPU_MODEL_DEVICE_CABLES_H_

#include <array>
#include <cstdint>
#include <map>
#include <mutex>

#include "firmware-model/device/npu_device.h"

namespace npu::model {

class Cables {
 public:
  using Uuid = std::array<uint8_t, 16>;

  // |device| hears of what comes for |uuid|.
  void plug(const Uuid& uuid, npu_device* device);
  void unplug(const Uuid& uuid);
  // |traffic| has crossed |port|, as that end counts it. Where nobody is at the other end, nothing happens.
  void carry(const npu_port_config& port, const npu_port_traffic& traffic);

 private:
  std::mutex mutex_;
  std::map<Uuid, npu_device*> devices_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_CABLES_H_
