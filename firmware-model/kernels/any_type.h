// SPDX-License-Identifier: Apache-2.0
// Programs whose operands have any type: the type is an argument (enum npu_dtype), and control jumps to the operation that is written for it.
// Thread safety: one kernel belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_ANY_TYPE_H_
#define NPU_FIRMWARE_MODEL_KERNELS_ANY_TYPE_H_

#include <functional>
#include <span>

#include "tools/isa/builder.h"

namespace npu::kernels {

// What LDC reads, and what STC writes from fp32; ascending.
std::span<const isa::DType> read_types();
std::span<const isa::DType> written_types();

// Runs the body of the type whose number is |code|. Any other number runs some body: operands that do not fit end the job there.
void pick(isa::Kernel& k, const isa::Reg& code, std::span<const isa::DType> types,
          const std::function<void(isa::DType)>& body);

// How results are rounded: arguments of a program. |random| is npuOpsRoundingMode of the public header; |seed| and |first| count then only.
struct RoundingArgs {
  isa::Arg type, scale_rule, overflow, random, seed, first;
};

// The place of a block in its matrix: the number of its first element, counted from |first|, and that of the columns.
struct BlockPlace {
  std::function<isa::Reg()> number;
  isa::Arg pitch;
};

// STC into outer(type) of |from|, as the arguments say.
void store_as(isa::Kernel& k, const RoundingArgs& rounding, const BlockPlace& place,
              const std::function<isa::Tile(isa::DType)>& outer, const isa::Tile& from);

// |elements| rounded up to whole blocks of |type|.
isa::Reg whole_blocks(const isa::Reg& elements, isa::DType type);

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_ANY_TYPE_H_
