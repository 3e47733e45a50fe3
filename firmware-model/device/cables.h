// SPDX-License-Identifier: Apache-2.0
// The cables between ports of devices in one process: what one end sends, the other one counts as received.
//
// Thread safety: any thread. unplug() returns when nobody tells that device of anything any more.
#ifndef NPU_MODEL_DEVICE_CABLES_H_
#define NPU_MODEL_DEVICE_CABLES_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

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

// The ends of the cables at one device: for its owner, who plugs it in when it is there and unplugs it before it goes. Without cables all this does nothing.
class CableEnds {
 public:
  CableEnds() = default;
  CableEnds(std::shared_ptr<Cables> cables, const Cables::Uuid& uuid,
            std::vector<npu_port_config> ports)
      : cables_(std::move(cables)), uuid_(uuid), ports_(std::move(ports)) {}

  void plug(npu_device* device) {
    if (cables_ != nullptr) cables_->plug(uuid_, device);
  }
  void unplug() {
    if (cables_ != nullptr) cables_->unplug(uuid_);
  }
  // |port|: one of the device's.
  void carry(uint32_t port, const npu_port_traffic& traffic) {
    if (cables_ != nullptr) cables_->carry(ports_[port], traffic);
  }

 private:
  std::shared_ptr<Cables> cables_;
  Cables::Uuid uuid_{};
  std::vector<npu_port_config> ports_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_CABLES_H_
