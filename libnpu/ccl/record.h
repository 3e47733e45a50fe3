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

// Where the buffers that the others touch lie in windows; zeros: nowhere, the operation does not go through windows.
struct Placed {
  uint32_t send_window;
  uint32_t recv_window;
  uint64_t send_offset;  // bytes
  uint64_t recv_offset;
  bool operator==(const Placed&) const = default;
};

// A collective as ranks of one host see it. Between hosts there are no windows. As long as a line of the cache: whoever reads it takes it from another CPU.
struct Called {
  Record record;
  Placed placed;
};
static_assert(sizeof(Called) == 64);

}  // namespace npu::ccl
