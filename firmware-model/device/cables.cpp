// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/device/cables.h"

#include "uapi/npu_accel.h"

namespace npu::model {

void Cables::plug(const Uuid& uuid, npu_device* device) {
  std::lock_guard lock(mutex_);
  devices_[uuid] = device;
}

void Cables::unplug(const Uuid& uuid) {
  std::lock_guard lock(mutex_);
  devices_.erase(uuid);
}

void Cables::carry(const npu_port_config& port, const npu_port_traffic& traffic) {
  if ((port.flags & NPU_PORT_FLAG_PEER) == 0) return;
  std::lock_guard lock(mutex_);
  const auto found = devices_.find(std::to_array(port.peer_uuid));
  if (found != devices_.end()) npu_device_port_traffic(found->second, port.peer_port, &traffic);
}

}  // namespace npu::model
