// SPDX-License-Identifier: Apache-2.0
// Waiting for values of several queues.
#pragma once

#include <cstdint>
#include <span>

#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"
#include "libnpu/src/core/time.h"

namespace npu {

struct WaitItem {
  Queue* queue = nullptr;
  uint64_t value = 0;
};

// Until one (|all|: each) was reached, or one has failed. *out_index: the one that decided; of NPU_TIMEOUT: the first that was not reached.
Status wait_many(std::span<const WaitItem> items, bool all, const Deadline& deadline,
                 uint32_t* out_index);

}  // namespace npu
