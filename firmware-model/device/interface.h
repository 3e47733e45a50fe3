// SPDX-License-Identifier: Apache-2.0
// A network interface of the host, as its folder in /sys/class/net tells of it.
//
// Everything read is hostile until bounded: the folder may be another one than /sys, and an interface may go or be
// renamed at any time.
#ifndef NPU_MODEL_DEVICE_INTERFACE_H_
#define NPU_MODEL_DEVICE_INTERFACE_H_

#include <cstdint>
#include <string>

#include "uapi/npu_accel.h"

namespace npu::model {

struct InterfaceReading {
  npu_port_state state = NPU_PORT_DOWN;
  uint32_t speed_mbps = 0;  // 0: not known
  bool has_counters = false;
  uint64_t rx_bytes = 0;
  uint64_t tx_bytes = 0;
  uint64_t rx_packets = 0;
  uint64_t tx_packets = 0;
  uint64_t rx_errors = 0;
  uint64_t tx_errors = 0;
};

// Reads |folder|, "/sys/class/net/eth0". One that is not there is a port that is down, without counters.
InterfaceReading read_interface(const std::string& folder);

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_INTERFACE_H_
