// SPDX-License-Identifier: Apache-2.0
// Sizes that the programs of npu_ops.nfw allow: kGemmBlockRows and so on, one for each row of ops.def.
#ifndef LIBNPU_OPS_LIMITS_H_
#define LIBNPU_OPS_LIMITS_H_

#include <cstdint>

namespace npu::ops {

#define NPU_OPS_SIZE(Name, value, doc) inline constexpr uint32_t k##Name = value;
#include "uapi/spec/ops.def"

}  // namespace npu::ops

#endif  // LIBNPU_OPS_LIMITS_H_
