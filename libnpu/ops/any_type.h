// SPDX-License-Identifier: Apache-2.0
// Checks of the operands whose type the programs look up when they run (firmware-model/kernels/any_type.h).
#ifndef LIBNPU_OPS_ANY_TYPE_H_
#define LIBNPU_OPS_ANY_TYPE_H_

#include "libnpu/ops/check.h"

namespace npu::ops {

npuResult check_read_type(const char* name, npuDataType type);
// With the rounding that belongs to it.
npuResult check_written_type(const char* name, npuDataType type, npuOpsScaleRule rule,
                             uint32_t overflow, const npuOpsRounding& rounding);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_ANY_TYPE_H_
