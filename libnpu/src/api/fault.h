// SPDX-License-Identifier: Apache-2.0
// Faults in the words of the public API.
#pragma once

#include <npu/npu_queue.h>

#include "libnpu/src/core/context.h"

namespace npu::api {

npuFault translate_fault(Context& context, const Fault& fault);

}  // namespace npu::api
