// SPDX-License-Identifier: Apache-2.0
// Arithmetic on virtual picoseconds. A program can make its own duration as long as it likes: time
// stops at the largest number instead of beginning anew.
#ifndef NPU_MODEL_DEVICE_VIRTUAL_TIME_H_
#define NPU_MODEL_DEVICE_VIRTUAL_TIME_H_

#include <cstdint>

namespace npu::model {

inline uint64_t later_ps(uint64_t time_ps, uint64_t duration_ps) {
  return time_ps > UINT64_MAX - duration_ps ? UINT64_MAX : time_ps + duration_ps;
}

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_VIRTUAL_TIME_H_
