// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/net.h"

#include <cstring>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

constexpr uint32_t kMtuBytes = 4096;

Result<uint64_t> ports_to(Device& device, const Device& peer) {
  npu_port_info ports[NPU_MAX_PORTS] = {};
  uint32_t count = NPU_MAX_PORTS;
  if (const int error = query_some(device.backend(), NPU_QUERY_PORTS, ports, &count); error != 0) {
    return fail_call(error, "listing the ports");
  }
  uint64_t mask = 0;
  for (uint32_t i = 0; i < count && i < NPU_MAX_PORTS; i++) {
    const bool leads = (ports[i].flags & NPU_PORT_FLAG_PEER) != 0 &&
                       std::memcmp(ports[i].peer_uuid, peer.info().uuid, NPU_UUID_BYTES) == 0;
    if (leads && ports[i].index < NPU_MAX_PORTS) mask |= uint64_t{1} << ports[i].index;
  }
  return mask;
}

}  // namespace

Result<npu_queue_net> net_parameters(Device& device, const Device& peer, uint64_t port_mask,
                                     uint32_t mtu_bytes) {
  npu_queue_net net{};
  net.mtu_bytes = mtu_bytes == 0 ? kMtuBytes : mtu_bytes;
  if (net.mtu_bytes < NPU_NET_MTU_MIN || net.mtu_bytes > NPU_NET_MTU_MAX) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "mtu_bytes is %u, it must be 0 or from %u to %u",
                mtu_bytes, NPU_NET_MTU_MIN, NPU_NET_MTU_MAX);
  }
  NPU_TRY_ASSIGN(const uint64_t all, ports_to(device, peer));
  if (all == 0) {
    return fail(NPU_ERROR_NOT_FOUND,
                "no network port of this device leads to |peer|; see npu-smi link");
  }
  if ((port_mask & ~all) != 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "port_mask is 0x%llx, only ports of 0x%llx lead to |peer|",
                static_cast<unsigned long long>(port_mask), static_cast<unsigned long long>(all));
  }
  net.port_mask = port_mask == 0 ? all : port_mask;
  std::memcpy(net.remote_uuid, peer.info().uuid, NPU_UUID_BYTES);
  return net;
}

}  // namespace npu
