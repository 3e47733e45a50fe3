// SPDX-License-Identifier: Apache-2.0
// New communicators out of an old one: its ranks exchange what they want over their control connections, and those who belong together meet as for a new id, which the first of them has made.
#pragma once

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {

struct Split {
  CommunicatorPtr parent;
  std::vector<bool> members;  // who takes part in the exchange
  Exchange mine;
};

npuResult begin_split(const CommunicatorPtr& parent, const std::vector<bool>& members,
                      uint32_t color, uint32_t key, Split* out);
// Waits for the others. Nothing in |out|: NPU_CCL_NO_COLOR.
npuResult end_split(const Split& split, CommunicatorPtr* out);

}  // namespace npu::ccl
