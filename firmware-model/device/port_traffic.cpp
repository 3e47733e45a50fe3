// SPDX-License-Identifier: Apache-2.0
// How bytes are divided among ports.
#include "firmware-model/device/port_traffic.h"

#include <algorithm>
#include <numeric>

namespace npu::model {
namespace {

using Wide = unsigned __int128;
using Rates = std::array<uint64_t, NPU_MAX_PORTS>;  // Mb/s; 0: not one of the ports, or no link

// Takes a port's part from what is left, so that the last port gets the rest.
uint64_t take_share(uint64_t* left_bytes, uint64_t mbps, uint64_t left_mbps) {
  const auto part = static_cast<uint64_t>(Wide{*left_bytes} * mbps / left_mbps);
  *left_bytes -= part;
  return part;
}

uint64_t packets_of(uint64_t bytes, uint32_t mtu_bytes) {
  return bytes / mtu_bytes + (bytes % mtu_bytes != 0);
}

// A bit takes 10^6 / Mb/s picoseconds.
uint64_t wire_ps(uint64_t bytes, uint64_t packets, uint64_t mbps) {
  const Wide bits = 8 * (Wide{bytes} + Wide{packets} * kPacketOverheadBytes);
  return static_cast<uint64_t>((bits * 1'000'000 + mbps - 1) / mbps);
}

}  // namespace

bool PortTraffic::has_link(uint64_t mask) const {
  for (uint32_t port = 0; port < NPU_MAX_PORTS; ++port) {
    if ((mask >> port & 1) != 0 && lines_[port].mbps.load() != 0) return true;
  }
  return false;
}

std::optional<uint64_t> PortTraffic::carry(uint64_t mask, uint32_t mtu_bytes, uint64_t tx_bytes,
                                           uint64_t rx_bytes, const Tell& tell) {
  Rates rates{};
  for (uint32_t port = 0; port < NPU_MAX_PORTS; ++port) {
    if ((mask >> port & 1) != 0) rates[port] = lines_[port].mbps.load();
  }
  uint64_t left_mbps = std::accumulate(rates.begin(), rates.end(), uint64_t{0});
  if (left_mbps == 0) return std::nullopt;
  uint64_t longest_ps = 0;
  for (uint32_t port = 0; port < NPU_MAX_PORTS; ++port) {
    const uint64_t mbps = rates[port];
    if (mbps == 0) continue;
    npu_port_traffic part{};
    part.tx_bytes = take_share(&tx_bytes, mbps, left_mbps);
    part.rx_bytes = take_share(&rx_bytes, mbps, left_mbps);
    part.tx_packets = packets_of(part.tx_bytes, mtu_bytes);
    part.rx_packets = packets_of(part.rx_bytes, mtu_bytes);
    left_mbps -= mbps;
    longest_ps = std::max({longest_ps, wire_ps(part.tx_bytes, part.tx_packets, mbps),
                           wire_ps(part.rx_bytes, part.rx_packets, mbps)});
    add(port, part);
    tell(port, part);
  }
  return longest_ps;
}

void PortTraffic::add(uint32_t port, const npu_port_traffic& part) {
  Line& line = lines_[port];
  line.tx_bytes += part.tx_bytes;
  line.rx_bytes += part.rx_bytes;
  line.tx_packets += part.tx_packets;
  line.rx_packets += part.rx_packets;
}

npu_port_traffic PortTraffic::read(uint32_t port) const {
  const Line& line = lines_[port];
  return {line.tx_bytes.load(), line.rx_bytes.load(), line.tx_packets.load(),
          line.rx_packets.load()};
}

}  // namespace npu::model
