// SPDX-License-Identifier: Apache-2.0
// Which ranks share memory: those that say the same host.
#pragma once

#include <array>
#include <cstdint>

namespace npu::ccl {

using HostId = std::array<uint8_t, 16>;

// Of the running kernel, the network namespace (Unix sockets have names in it) and the user; or of NPU_CCL_HOST_ID: any text, or "rank" (each rank counts as a host of its own),
// or "rank/N" (N ranks in a row count as a host).
HostId host_of(uint32_t rank);

}  // namespace npu::ccl
