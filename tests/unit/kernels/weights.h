// SPDX-License-Identifier: Apache-2.0
// Operands of any type, in blocks too, of any strides that such a type can have, with their elements on the host.
#pragma once

#include <optional>

#include "tests/unit/kernels/tensor_memory.h"

namespace npu::kernels {

class Weights {
 public:
  // Random elements in [-1, 1] or about that. Strides: dense, or any.
  Weights(npuDataType type, const Index& sizes, Random& random, bool dense);

  double get(const Index& at) const;
  void put(Rig& rig);
  // In tiles: of blocks without gaps.
  void put_tiled(Rig& rig);
  const npuOpsTensor& tensor() const { return floats_ ? floats_->tensor : tensor_; }
  // Floats only.
  TensorMemory& floats() { return *floats_; }

 private:
  void make_blocks(npuDataType type, const Index& sizes, Random& random, bool dense);

  std::optional<TensorMemory> floats_;
  npuOpsTensor tensor_{};
  std::vector<unsigned char> bytes_;
  std::vector<float> values_;  // of all blocks in memory, one behind the other
};

}  // namespace npu::kernels
