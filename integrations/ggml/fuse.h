// SPDX-License-Identifier: Apache-2.0
// Neighbouring nodes that one operator computes.
#ifndef INTEGRATIONS_GGML_FUSE_H_
#define INTEGRATIONS_GGML_FUSE_H_

#include <cstddef>
#include <span>

#include "integrations/ggml/lower.h"

namespace npu::ggml {

// A norm with the products and sums that follow it. Returns how many of |nodes|, from the first one on, |out| computes; 0: none.
// A result in between is not written. Who reads it cannot be seen from here (a graph may be a part of a larger one), but it may be left out where the node that follows writes over it.
size_t lower_fused(std::span<const ggml_tensor* const> nodes, Lowered* out);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_FUSE_H_
