// SPDX-License-Identifier: Apache-2.0
// Tensors of any strides in the memory of a Rig, with their elements on the host, and plans that run on them.
#pragma once

#include <array>
#include <functional>
#include <optional>

#include "libnpu/ops/plan.h"
#include "tests/unit/kernels/rig.h"

namespace npu::kernels {

using Index = std::array<uint64_t, 4>;

// What a store as |type| makes of |value|, as a number.
double stored(npuDataType type, double value);
// The largest relative error of one rounding to |type|, and the largest absolute one of a subnormal result.
double rounding_of(npuDataType type);
double tiny_of(npuDataType type);

class TensorMemory {
 public:
  // |order|: dimensions from the innermost in memory to the outermost; |pad|: elements that lie behind the last one of each dimension.
  TensorMemory(npuDataType type, const Index& sizes, const std::array<uint32_t, 4>& order,
               const Index& pad);
  static TensorMemory dense(npuDataType type, const Index& sizes) {
    return {type, sizes, {0, 1, 2, 3}, {}};
  }
  // Any order, any padding; the innermost dimension may have a distance too.
  static TensorMemory any(npuDataType type, const Index& sizes, Random& random);

  double get(const Index& at) const;  // |at| is taken modulo the sizes
  void set(const Index& at, double value);
  uint64_t bits(const Index& at) const;
  void set_bits(const Index& at, uint64_t bits);
  void fill(Random& random, double scale);
  void for_each(const std::function<void(const Index&)>& body) const;

  void put(Rig& rig);          // into new memory
  void fetch(const Rig& rig);  // from there
  // Whether a byte that belongs to no element has changed.
  bool touched_outside() const;

  npuOpsTensor tensor{};

 private:
  uint64_t offset(const Index& at) const;

  std::vector<unsigned char> bytes_;
};

// Sizes up to |most| each, often 1, with about |elements| at most.
Index any_sizes(Random& random, uint32_t most, uint64_t elements);
// In some dimensions a divisor of the size.
Index any_repeat(Random& random, const Index& sizes);

// A type in blocks, and the definition of how a device decodes it.
struct BlockFormat {
  npuDataType type;
  uint64_t elements, bytes;
  void (*model::Numerics::*decode)(float*, const std::byte*, size_t);
  std::vector<size_t> halves;  // where scales in fp16 are
};
extern const std::vector<BlockFormat> kBlockFormats;
// Random blocks with finite scales, and zeros up to a multiple of 4 bytes.
std::vector<std::byte> random_blocks(const BlockFormat& f, uint64_t blocks, Random& random);

// |count| elements as the device writes them into blocks of |f|, Q8_0 or Q4_0.
std::vector<std::byte> encoded_blocks(const BlockFormat& f, const std::vector<float>& elements);

// Plans the operator and runs it on the interpreter; the test fails where the plan is refused.
void run_tensor_op(Rig& rig, npuOpsKind kind, const void* info, npu_status expect = NPU_ST_OK);

}  // namespace npu::kernels
