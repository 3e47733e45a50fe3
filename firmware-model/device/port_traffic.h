// SPDX-License-Identifier: Apache-2.0
// What copies of NET queues put on the ports of a device, and how long that takes.
//
// Thread safety: any thread. A port's rate is set by Ports, under its owner's lock; carry() goes by what it finds first. Counters only grow.
#ifndef NPU_MODEL_DEVICE_PORT_TRAFFIC_H_
#define NPU_MODEL_DEVICE_PORT_TRAFFIC_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "firmware-model/device/npu_device.h"
#include "uapi/npu_accel.h"

namespace npu::model {

// Bytes of a packet that are no payload, on the wire of a RoCE v2 network: preamble 8, Ethernet header 14, frame check 4 and gap 12 (IEEE 802.3), IPv4 20, UDP 8, base transport header 12 and
// check 4 (InfiniBand Architecture, annex A17). The 16 bytes of address and length in the first packet of a write are left out.
inline constexpr uint32_t kPacketOverheadBytes = 82;

class PortTraffic {
 public:
  using Tell = std::function<void(uint32_t port, const npu_port_traffic& part)>;

  // Of a port whose link is up; 0: it carries nothing.
  void set_mbps(uint32_t port, uint32_t mbps) { lines_[port].mbps.store(mbps); }

  // True if a port of |mask| is up.
  bool has_link(uint64_t mask) const;
  // Payload that leaves and that comes in by the ports of |mask|, in packets of |mtu_bytes|: divided among those that are up as their rates are; both directions flow at a time. Each port's part is
  // told. The time on the wire in picoseconds; nothing: no link is up, and nothing was carried.
  std::optional<uint64_t> carry(uint64_t mask, uint32_t mtu_bytes, uint64_t tx_bytes,
                                uint64_t rx_bytes, const Tell& tell);

  void add(uint32_t port, const npu_port_traffic& part);
  npu_port_traffic read(uint32_t port) const;

 private:
  struct Line {
    std::atomic<uint32_t> mbps{0};
    std::atomic<uint64_t> tx_bytes{0}, rx_bytes{0}, tx_packets{0}, rx_packets{0};
  };
  std::array<Line, NPU_MAX_PORTS> lines_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_PORT_TRAFFIC_H_
