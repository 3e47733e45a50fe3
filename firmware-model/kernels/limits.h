// SPDX-License-Identifier: Apache-2.0
// Sizes of the blocks that the programs keep in a tile's scratchpads: kGemmBlockRows and so on, one for each row of ops.def.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_LIMITS_H_
#define NPU_FIRMWARE_MODEL_KERNELS_LIMITS_H_

#include <cstdint>

namespace npu::kernels {

#define NPU_OPS_SIZE(Name, value, doc) inline constexpr uint32_t k##Name = value;
#include "uapi/spec/ops.def"

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_LIMITS_H_
