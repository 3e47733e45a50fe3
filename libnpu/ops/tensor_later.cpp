// SPDX-License-Identifier: Apache-2.0
// Plans that are being written: each moves to a file of its own, this one goes away.
#include "libnpu/ops/check.h"
#include "libnpu/ops/plan.h"
namespace npu::ops {
#define LATER(name) \
  npuResult name(const void*, Plan*) { return fail(NPU_ERROR_NOT_SUPPORTED, "later"); }

LATER(plan_tensor_attention)
}  // namespace npu::ops
