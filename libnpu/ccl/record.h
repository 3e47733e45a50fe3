// SPDX-License-Identifier: Apache-2.0
// What a rank has called as its |sequence|-th operation (1, 2, ...).
#pragma once

#include <cstdint>

namespace npu::ccl {

struct Record {
  uint64_t sequence;
  uint64_t count;
  uint64_t counts;  // fingerprint of the counts of a v-form
  uint32_t op;
  uint32_t type;
  uint32_t reduction;
  uint32_t root;
};

}  // namespace npu::ccl
