// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/tensor.h"

#include <algorithm>
#include <cstring>

#include "integrations/ggml/device.h"
#include "integrations/ggml/weights.h"

namespace npu::ggml {
namespace {

// Stands for the memory of a tensor that has none yet, when ggml only asks whether an operator is supported.
constexpr npuDevPtr kSomewhere = 0x100000;

npuOpsTensor as_it_lies(const ggml_tensor* tensor) {
  npuOpsTensor out{};
  out.data = tensor->data != nullptr ? to_npu(tensor->data) : kSomewhere;
  out.type = type_of(tensor->type);
  for (int dim = 0; dim < 4; ++dim) {
    out.sizes[dim] = static_cast<uint64_t>(tensor->ne[dim]);
    out.strides[dim] = tensor->nb[dim];
  }
  return out;
}

}  // namespace

npuDataType type_of(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F32:
      return NPU_FLOAT32;
    case GGML_TYPE_F16:
      return NPU_FLOAT16;
    case GGML_TYPE_BF16:
      return NPU_BFLOAT16;
    case GGML_TYPE_I32:
      return NPU_INT32;
    case GGML_TYPE_I64:
      return NPU_INT64;
    case GGML_TYPE_Q8_0:
      return NPU_Q8_0;
    case GGML_TYPE_Q4_0:
      return NPU_Q4_0;
    case GGML_TYPE_Q4_K:
      return NPU_Q4_K;
    case GGML_TYPE_Q6_K:
      return NPU_Q6_K;
    default:
      return -1;
  }
}

npuOpsTensor operand(const ggml_tensor* tensor) {
  if (tensor == nullptr) return {};
  npuOpsTensor out = as_it_lies(tensor);
  const Weights* weights = Weights::in_tiles(tensor);
  if (weights != nullptr && weights->copy() != 0)
    out.data = weights->copy() + (out.data - weights->data());
  return out;
}

npuOpsTensor weights_operand(const ggml_tensor* node) {
  if (Weights::in_tiles(node->src[0]) == nullptr || !takes_tiles(node))
    return operand(node->src[0]);
  npuOpsTensor out = as_it_lies(node->src[0]);
  out.tiled = 1;
  return out;
}

npuOpsTensor reshaped(const ggml_tensor* tensor, const uint64_t sizes[4]) {
  npuOpsTensor out = operand(tensor);
  std::copy_n(sizes, 4, out.sizes);
  uint64_t stride = tensor->nb[0];
  for (int dim = 0; dim < 4; ++dim) {
    out.strides[dim] = stride;
    stride *= sizes[dim];
  }
  return out;
}

npuOpsTensor part(npuOpsTensor t, uint64_t offset_bytes, uint32_t dim, uint64_t size) {
  t.data += offset_bytes;
  t.sizes[dim] = size;
  return t;
}

npuOpsTensor transposed(npuOpsTensor t) {
  std::swap(t.sizes[0], t.sizes[1]);
  std::swap(t.strides[0], t.strides[1]);
  return t;
}

bool match_shapes(const ggml_tensor* from, const ggml_tensor* to, npuOpsTensor* x,
                  npuOpsTensor* y) {
  *x = operand(from);
  *y = operand(to);
  if (ggml_are_same_shape(from, to)) return true;
  if (ggml_blck_size(from->type) != 1 || ggml_blck_size(to->type) != 1) return false;
  if (ggml_is_contiguous(from)) {
    *x = reshaped(from, y->sizes);
  } else if (ggml_is_contiguous(to)) {
    *y = reshaped(to, x->sizes);
  } else {
    return false;
  }
  return true;
}

float float_param(const ggml_tensor* node, int i) {
  float value;
  std::memcpy(&value, &node->op_params[i], sizeof(value));
  return value;
}

}  // namespace npu::ggml
