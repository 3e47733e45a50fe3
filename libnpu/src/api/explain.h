// SPDX-License-Identifier: Apache-2.0
// Makes a sentence of a queue's fault: kernel, tile, instruction, address.
#pragma once

#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu::api {

// Passes |status| on, the result of a wait for |value| (UINT64_MAX: for all); if it is a fault of work on |queue|, its detail tells where.
Status explain(Queue& queue, Status status, uint64_t value);

}  // namespace npu::api
