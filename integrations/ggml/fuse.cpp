// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/fuse.h"

#include <cstring>
#include <utility>

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

// A norm with the product and sum that follow it.
size_t lower_norm(std::span<const ggml_tensor* const> nodes, Lowered* out) {
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

// The rotation of queries and that of their keys.
size_t lower_ropes(std::span<const ggml_tensor* const> nodes, Lowered* out) {
  if (nodes.size() < 2 || nodes[0]->op != GGML_OP_ROPE || nodes[1]->op != GGML_OP_ROPE) return 0;
  const ggml_tensor *a = nodes[0], *b = nodes[1];
  if (a->src[1] != b->src[1] || a->src[2] != b->src[2] ||
      std::memcmp(a->op_params, b->op_params, sizeof(a->op_params)) != 0 || !lower(a, out))
    return 0;
  npuOpsTensorRopeInfo& info = out->operations[0].info.rope;
  info.x2 = operand(b->src[0]);
  info.y2 = operand(b);
  return is_accepted(*out) ? 2 : 0;
}

// --- products with the same vectors -----------------------------------------------------------------------------------

bool same_matrix(const ggml_tensor* a, const ggml_tensor* b) {
  return a->data == b->data && a->type == b->type && ggml_are_same_shape(a, b) &&
         ggml_are_same_stride(a, b);
}

// Neighbouring products, as far as one operator might take them.
class Products {
 public:
  explicit Products(std::span<const ggml_tensor* const> nodes) : nodes_(nodes) {
    info_.struct_size = sizeof(info_);
    take_norm();
    if (vectors_ == nullptr && nodes_[0]->op == GGML_OP_MUL_MAT) {
      vectors_ = nodes_[0]->src[1];
      info_.x = operand(vectors_);
    }
    while (vectors_ != nullptr && info_.count < NPU_OPS_PRODUCTS_MAX && take_product()) {
    }
  }

  // The most nodes that the library takes as one; 0 where that is not more than one.
  size_t lower(Lowered* out) {
    for (; info_.count != 0; drop_product()) {
      const size_t taken = ends_[info_.count - 1];
      if (taken < 2) break;
      if (info_.count == 2 && put_gated(taken, out)) return taken + 1;
      if (put(out)) return taken;
    }
    return 0;
  }

 private:
  void take_norm();
  bool take_product();
  void drop_product();
  bool put_gated(size_t at, Lowered* out);
  bool put(Lowered* out);

  std::span<const ggml_tensor* const> nodes_;
  const ggml_tensor* vectors_ = nullptr;
  npuOpsProductsInfo info_{};
  size_t at_ = 0;                        // the node that comes next
  size_t ends_[NPU_OPS_PRODUCTS_MAX]{};  // where the nodes of each product end
};

void Products::take_norm() {
  const ggml_tensor* norm = nodes_[0];
  if (norm->op != GGML_OP_RMS_NORM || nodes_.size() < 3) return;
  const ggml_tensor* weight = partner(nodes_[1], GGML_OP_MUL, norm);
  if (weight == nullptr) return;
  vectors_ = nodes_[1];
  info_.x = operand(norm->src[0]);
  info_.norm_weight = operand(weight);
  info_.normed = operand(vectors_);
  info_.eps = float_param(norm, 0);
  at_ = 2;
}

bool Products::take_product() {
  if (at_ == nodes_.size()) return false;
  const ggml_tensor* node = nodes_[at_];
  if (node->op != GGML_OP_MUL_MAT || !same_matrix(node->src[1], vectors_)) return false;
  const uint32_t i = info_.count;
  info_.a[i] = weights_operand(node);
  if (info_.a[i].type != info_.a[0].type || info_.a[i].tiled != info_.a[0].tiled) {
    info_.a[i] = {};
    return false;
  }
  info_.integers = ggml_is_quantized(node->src[0]->type) ? 1 : 0;
  info_.y[i] = operand(node);
  ++at_;
  if (at_ < nodes_.size()) {
    const ggml_tensor* added = partner(nodes_[at_], GGML_OP_ADD, node);
    if (added != nullptr && ggml_are_same_shape(added, node)) {
      info_.c[i] = operand(added);
      ++at_;
    }
  }
  ends_[i] = at_;
  ++info_.count;
  return true;
}

void Products::drop_product() {
  const uint32_t i = --info_.count;
  info_.a[i] = info_.c[i] = info_.y[i] = {};
}

bool Products::put(Lowered* out) {
  out->count = 1;
  out->operations[0].kind = NPU_OPS_TENSOR_PRODUCTS;
  out->operations[0].info.products = info_;
  return is_accepted(*out);
}

// With the node |at|, where that gates one product by the other.
bool Products::put_gated(size_t at, Lowered* out) {
  if (at == nodes_.size() || nodes_[at]->op != GGML_OP_GLU || nodes_[at]->src[1] == nullptr)
    return false;
  Lowered gate;
  if (!npu::ggml::lower(nodes_[at], &gate)) return false;
  const npuOpsGateInfo& g = gate.operations[0].info.gate;
  const bool swapped = g.x.data == info_.y[1].data;
  const uint32_t first = swapped ? 1 : 0;
  if (g.x.data != info_.y[first].data || g.b.data != info_.y[1 - first].data) return false;
  const npuOpsProductsInfo before = info_;
  if (swapped) {
    std::swap(info_.a[0], info_.a[1]);
    std::swap(info_.c[0], info_.c[1]);
    std::swap(info_.y[0], info_.y[1]);
  }
  info_.function = g.function;
  info_.gated = g.y;
  const bool accepted = put(out);
  info_ = before;
  return accepted;
}

}  // namespace

size_t lower_fused(std::span<const ggml_tensor* const> nodes, Lowered* out) {
  if (const size_t taken = Products(nodes).lower(out); taken != 0) return taken;
  if (const size_t taken = lower_ropes(nodes, out); taken != 0) return taken;
  return lower_norm(nodes, out);
}

}  // namespace npu::ggml
