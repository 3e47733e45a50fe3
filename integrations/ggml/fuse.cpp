// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/fuse.h"

#include "integrations/ggml/tensor.h"

namespace npu::ggml {
namespace {

// The other operand, where |node| is an operator |op| on |result| that takes its place.
const ggml_tensor* partner(const ggml_tensor* node, ggml_op op, const ggml_tensor* result) {
  if (node->op != op || node->src[0] != result || node->data != result->data) return nullptr;
  if (!ggml_are_same_shape(node, result) || !ggml_are_same_stride(node, result)) return nullptr;
  const ggml_tensor* other = node->src[1];
  return other != result && other->type == GGML_TYPE_F32 ? other : nullptr;
}

bool is_accepted(const Lowered& lowered) {
  const Operation& operation = lowered.operations[0];
  return npuOpsCheck(operation.kind, &operation.info) == NPU_OK;
}

}  // namespace

size_t lower_fused(std::span<const ggml_tensor* const> nodes, Lowered* out) {
  const ggml_tensor* norm = nodes[0];
  if ((norm->op != GGML_OP_RMS_NORM && norm->op != GGML_OP_NORM) || nodes.size() < 2) return 0;
  const ggml_tensor* weight = partner(nodes[1], GGML_OP_MUL, norm);
  if (weight == nullptr || !lower(norm, out)) return 0;
  npuOpsTensorNormInfo& info = out->operations[0].info.norm;
  info.y = operand(nodes[1]);
  info.weight = operand(weight);
  if (!is_accepted(*out)) return 0;
  if (nodes.size() < 3) return 2;
  const ggml_tensor* bias = partner(nodes[2], GGML_OP_ADD, nodes[1]);
  if (bias == nullptr) return 2;
  info.bias = operand(bias);
  if (is_accepted(*out)) return 3;
  info.bias = {};
  return 2;
}

}  // namespace npu::ggml
