// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/ports.h"

#include <npu/npu_device.h>

#include <algorithm>
#include <optional>

namespace npu::ccl {

void Ports::open(npuContext context) {
  npuDevice device = nullptr;
  npuDeviceInfo info{};
  info.struct_size = sizeof(info);
  npuMlDevice opened = nullptr;
  if (npuContextGetDevice(context, &device) != NPU_OK ||
      npuDeviceGetInfo(device, &info) != NPU_OK || npuMlOpen(info.uuid, &opened) != NPU_OK) {
    return;
  }
  device_.reset(opened);
  // Events first: what changes after the answer is told by one.
  constexpr npuMlEventKind kEvents = NPU_ML_EVENT_PORT_STATE | NPU_ML_EVENT_DEVICE_RESET;
  if (npuMlSelectEvents(opened, kEvents) == NPU_OK) ask();
  if (bound_.empty()) device_.reset();
}

void Ports::ask() {
  uint32_t count = 0;
  if (npuMlGetPorts(device_.get(), &count, nullptr) != NPU_OK || count == 0) return;
  std::vector<npuMlPort> all(count);
  all[0].struct_size = sizeof(all[0]);
  if (npuMlGetPorts(device_.get(), &count, all.data()) != NPU_OK) return;
  std::erase_if(all,
                [](const npuMlPort& port) { return (port.flags & NPU_ML_PORT_IS_BOUND) == 0; });
  bound_ = std::move(all);
}

std::vector<RailAddress> Ports::rails(uint16_t version) const {
  std::vector<RailAddress> found;
  for (const npuMlPort& port : bound_) {
    if (port.state != NPU_ML_PORT_UP || found.size() == kRailsMax) continue;
    const auto at = local_address(version == 6 ? port.ipv6 : port.ipv4, version);
    if (at) found.push_back({*at, port.index});
  }
  return found;
}

void Ports::look() {
  npuMlEvent event{};
  event.struct_size = sizeof(event);
  while (device_ && npuMlWaitEvent(device_.get(), 0, &event) == NPU_OK) {
    // After a reset, and where events were lost, the state is asked for (docs/ports.md).
    if (event.lost != 0 || event.kind != NPU_ML_EVENT_PORT_STATE) ask();
    for (npuMlPort& port : bound_) {
      const bool is_meant = event.kind == NPU_ML_EVENT_PORT_STATE && port.index == event.port;
      if (is_meant) port.state = event.port_state;
    }
  }
}

bool Ports::has_link(uint32_t port) const {
  const auto found = std::find_if(bound_.begin(), bound_.end(),
                                  [&](const npuMlPort& one) { return one.index == port; });
  return found == bound_.end() || found->state == NPU_ML_PORT_UP;
}

}  // namespace npu::ccl
