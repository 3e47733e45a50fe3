// SPDX-License-Identifier: Apache-2.0
// ggml's tensors as operands of libnpuops.
#ifndef INTEGRATIONS_GGML_TENSOR_H_
#define INTEGRATIONS_GGML_TENSOR_H_

#include <ggml.h>
#include <npu/npu_tensor.h>

#include <cstdint>

namespace npu::ggml {

// -1: a type that the device does not have; every operator refuses it.
npuDataType type_of(ggml_type type);

// A NULL tensor is an absent operand. Of weights in tiles it is the copy by rows, where there is one (weights.h).
npuOpsTensor operand(const ggml_tensor* tensor);
// Operand 0 of a product, in tiles where it has them and the product takes them.
npuOpsTensor weights_operand(const ggml_tensor* node);

// The same elements in the order of memory with other sizes; the tensor must be contiguous.
npuOpsTensor reshaped(const ggml_tensor* tensor, const uint64_t sizes[4]);
// The part of |t| that begins |offset_bytes| behind its begin, with |size| indices in dimension |dim|.
npuOpsTensor part(npuOpsTensor t, uint64_t offset_bytes, uint32_t dim, uint64_t size);
npuOpsTensor transposed(npuOpsTensor t);

// Gives x and y the same shape where one of them is contiguous. False: they differ, and neither is.
bool match_shapes(const ggml_tensor* from, const ggml_tensor* to, npuOpsTensor* x, npuOpsTensor* y);

// Operator parameters: 32-bit words, integers or floats.
inline int32_t int_param(const ggml_tensor* node, int i) { return node->op_params[i]; }
float float_param(const ggml_tensor* node, int i);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_TENSOR_H_
