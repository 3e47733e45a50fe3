// SPDX-License-Identifier: Apache-2.0
// How small a caller's struct may be: its size in the first release that had it. Never edited, only added to: a program that was built then passes that size for ever. Members that were
// added later begin behind it; for such a program they are 0 on input and not written on output.
#pragma once

#include <npu/npu.h>

#include <cstdint>

namespace npu::api {

template <typename T>
inline constexpr uint32_t kFirstSize = 0;

#define NPU_FIRST_SIZE(type, bytes)                   \
  template <>                                         \
  inline constexpr uint32_t kFirstSize<type> = bytes; \
  static_assert(sizeof(type) >= (bytes), #type " has shrunk")

// 0.1
NPU_FIRST_SIZE(npuVersions, 24);
NPU_FIRST_SIZE(npuDeviceInfo, 152);
NPU_FIRST_SIZE(npuErrorInfo, 848);
NPU_FIRST_SIZE(npuMemInfo, 32);
NPU_FIRST_SIZE(npuKernelInfo, 96);
NPU_FIRST_SIZE(npuArgInfo, 48);
NPU_FIRST_SIZE(npuQueueInfo, 16);
NPU_FIRST_SIZE(npuLaunchInfo, 32);
NPU_FIRST_SIZE(npuCopyInfo, 64);
NPU_FIRST_SIZE(npuTiming, 24);
NPU_FIRST_SIZE(npuFault, 176);

// 0.2
NPU_FIRST_SIZE(npuMemPoolInfo, 24);
NPU_FIRST_SIZE(npuMemPoolStats, 80);
NPU_FIRST_SIZE(npuMemCopyInfo, 88);
NPU_FIRST_SIZE(npuShardedTensor, 216);
NPU_FIRST_SIZE(npuMemStats, 424);
NPU_FIRST_SIZE(npuCommand, 64);
NPU_FIRST_SIZE(npuModuleCacheStats, 40);
NPU_FIRST_SIZE(npuOccupancy, 24);
NPU_FIRST_SIZE(npuProfInfo, 16);
NPU_FIRST_SIZE(npuProfActivity, 184);
NPU_FIRST_SIZE(npuProfClock, 32);
NPU_FIRST_SIZE(npuProfCounter, 40);
NPU_FIRST_SIZE(npuProfObject, 104);

#undef NPU_FIRST_SIZE

}  // namespace npu::api
