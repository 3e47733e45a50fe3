// SPDX-License-Identifier: Apache-2.0
// The order of a graph's nodes, changed before ggml gives them memory.
#ifndef INTEGRATIONS_GGML_ORDER_H_
#define INTEGRATIONS_GGML_ORDER_H_

#include <ggml.h>

#include <span>

namespace npu::ggml {

// Brings products with the same vectors together, so that one operator can compute them: models have the rotation of the queries between the product for them and that for the keys, and
// memory that is given away in that order is used again too early. Each node still comes behind those that it reads; what is written into a tensor by way of a view stays where it was
// against those that read the tensor.
void gather_products(std::span<ggml_tensor*> nodes);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_ORDER_H_
