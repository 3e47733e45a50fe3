// SPDX-License-Identifier: Apache-2.0
// The end of a product: scale, bias and activation on the way out of the accumulator, or of the tile in L1 in which the sums were made, chosen by arguments.
// Thread safety: one kernel belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_EPILOGUE_H_
#define NPU_FIRMWARE_MODEL_KERNELS_EPILOGUE_H_

#include <optional>

#include "tools/isa/builder.h"

namespace npu::kernels {

struct Epilogue {
  const isa::Reg& scale;       // fp32 bits
  const isa::Reg& activation;  // enum npu_act; an unknown one traps
  const isa::Reg& has_bias;
  const isa::Buf& bias;  // [columns], fp32
  const isa::Reg& cols;
  std::optional<isa::Sem> finished = std::nullopt;  // gets 1 at the end
};

// ACCST of |acc| into |out|.
void store_accumulator(isa::Kernel& k, const isa::Tile& out, const isa::Tile& acc,
                       const Epilogue& epilogue);

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_EPILOGUE_H_
