// SPDX-License-Identifier: Apache-2.0
// A launch of one work-group, filled in.
#pragma once

#include <npu/npu_queue.h>

#include <cstdint>

namespace npu::test {

inline npuLaunchInfo launch_info(const void* args, uint32_t args_bytes) {
  npuLaunchInfo info{};
  info.struct_size = sizeof info;
  info.grid_x = info.grid_y = info.grid_z = 1;
  info.args = args;
  info.args_bytes = args_bytes;
  return info;
}

}  // namespace npu::test
