// SPDX-License-Identifier: Apache-2.0
// Session: library, device, context and queue for one measurement, on the road that it names.
#pragma once

#include <npu/npu.h>

#include <cstdint>
#include <string>
#include <vector>

namespace npu::bench {

// Ends the program with the library's own words when |result| is an error: a benchmark that failed has no number.
void check(npuResult result);

class Session {
 public:
  // |road| as in NPU_DEVICE; |spin_us| as in NPU_WAIT_SPIN_US, negative: the library's choice.
  explicit Session(const std::string& road, int spin_us = -1);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  npuDevice device = nullptr;
  npuContext context = nullptr;
  npuQueue queue = nullptr;
};

// The kernel that does nothing, of the operators' blob.
npuKernel load_null_kernel(npuContext context);

// Numbers in [-1, 1).
std::vector<float> random_floats(uint32_t seed, size_t count);

// NPU_DEVICE as the program was started with it, or "model".
std::string default_road();
// The device model with the profile of the default road: "inproc" and "inproc:tiny", "model" and "model:tiny".
std::string model_road(const std::string& kind);

}  // namespace npu::bench
