// SPDX-License-Identifier: Apache-2.0
// Makes a sentence of a queue's fault: kernel, tile, instruction, address.
#pragma once

#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu::api {

// Passes |status| on; if it is a fault of work on |queue|, its detail tells where.
Status explain(Queue& queue, Status status);

}  // namespace npu::api
