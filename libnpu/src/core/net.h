// SPDX-License-Identifier: Apache-2.0
// What a queue of class NET is made with: the ports of one device that lead to another one.
// Thread safety: any thread.
#pragma once

#include <cstdint>

#include "libnpu/src/core/device.h"
#include "libnpu/src/core/status.h"
#include "uapi/npu_accel.h"

namespace npu {

// port_mask 0: all that lead to |peer|. mtu_bytes 0: that of RoCE on jumbo frames.
Result<npu_queue_net> net_parameters(Device& device, const Device& peer, uint64_t port_mask,
                                     uint32_t mtu_bytes);

}  // namespace npu
