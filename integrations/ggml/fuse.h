// SPDX-License-Identifier: Apache-2.0
// Neighbouring nodes that one operator computes.
#ifndef INTEGRATIONS_GGML_FUSE_H_
#define INTEGRATIONS_GGML_FUSE_H_

#include <cstddef>
#include <span>

#include "integrations/ggml/lower.h"

namespace npu::ggml {

// A norm with the product and sum that follow it; products with the same vectors, with the norm before them, the sums behind them and the gate over two of them; rotations of two
// tensors by the same angles.
// Returns how many of |nodes|, from the first one on, |out| computes; 0: none, or only the first one.
// Who reads a result in between cannot be seen from here (a graph may be a part of a larger one). So all are written, but those over which the node that follows writes.
size_t lower_fused(std::span<const ggml_tensor* const> nodes, Lowered* out);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_FUSE_H_
