// SPDX-License-Identifier: Apache-2.0
// Which function of the arithmetic belongs to which type in blocks.
#include "firmware-model/tile/blocks.h"

#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/mx_layout.h"

namespace npu::model {
namespace {

using BlockMXFP8_E4M3 = MxE4m3;
using BlockMXFP8_E5M2 = MxE5m2;
using BlockMXFP6_E2M3 = MxE2m3;
using BlockMXFP6_E3M2 = MxE3m2;
using BlockMXFP4 = MxE2m1;
using BlockMXINT8 = MxInt8;
using BlockMX9 = Mx9;
using BlockMX6 = Mx6;
using BlockMX4 = Mx4;

template <class Block>
constexpr size_t bytes_of() {
  if constexpr (requires { Block::kBytes; }) {
    return Block::kBytes;
  } else {
    static_assert(alignof(Block) <= 2);
    return sizeof(Block);
  }
}
#define NPU_CHECK_BLOCK(name, elements, bytes, align) \
  static_assert(bytes_of<Block##name>() == (bytes) && Block##name::kElements == (elements));
NPU_BLOCK_TYPES(NPU_CHECK_BLOCK)
#undef NPU_CHECK_BLOCK

Mx mx_type(uint8_t dtype) {
  static_assert(NPU_DTYPE_COUNT - NPU_DTYPE_MXFP8_E4M3 == static_cast<int>(Mx::kCount));
  return static_cast<Mx>(dtype - NPU_DTYPE_MXFP8_E4M3);
}

}  // namespace

void decode(const Numerics& numerics, uint8_t dtype, float* to, const std::byte* from, uint64_t n) {
  if (npu_dtype_in_blocks(dtype) == 0) return widen(numerics, dtype, to, from, n);
  const uint64_t blocks = n >> unit_of(dtype).shift;
  switch (dtype) {
    case NPU_DTYPE_Q8_0:
      return numerics.decode_q8_0(to, from, blocks);
    case NPU_DTYPE_Q4_0:
      return numerics.decode_q4_0(to, from, blocks);
    case NPU_DTYPE_Q4_K:
      return numerics.decode_q4_k(to, from, blocks);
    case NPU_DTYPE_Q6_K:
      return numerics.decode_q6_k(to, from, blocks);
    default:
      return numerics.decode_mx(mx_type(dtype), to, from, blocks);
  }
}

void encode(const Numerics& numerics, uint8_t dtype, std::byte* to, const float* from, uint64_t n,
            const Rounding& rounding, uint64_t i) {
  const uint64_t blocks = n >> unit_of(dtype).shift;
  if (dtype == NPU_DTYPE_Q8_0) return numerics.encode_q8_0(to, from, blocks);
  if (dtype == NPU_DTYPE_Q4_0) return numerics.encode_q4_0(to, from, blocks);
  if (!rounding.random) return numerics.encode_mx(mx_type(dtype), rounding.rule, to, from, blocks);
  numerics.encode_mx_random(mx_type(dtype), rounding.rule, to, from, blocks, rounding.of_row(i));
}

}  // namespace npu::model
