// SPDX-License-Identifier: Apache-2.0
// AddressMap: which elements of a rank's buffers are the same memory. The one place that knows the in-place rules.
#pragma once

#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

class AddressMap {
 public:
  AddressMap(const Problem& problem, uint32_t rank);

  // A place as (memory, offset): equal if and only if it is the same memory. |Place::buffer| names the memory.
  Place locate(Place place) const;

 private:
  bool joined_ = false;  // input and output are one memory
  uint64_t input_shift_ = 0;
  uint64_t output_shift_ = 0;
};

}  // namespace npu::ccl
