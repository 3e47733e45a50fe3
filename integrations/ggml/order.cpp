// SPDX-License-Identifier: Apache-2.0
#include "integrations/ggml/order.h"

#include <npu/npu_tensor.h>

#include <algorithm>

namespace npu::ggml {
namespace {

// Nodes between two products of a layer's attention are some ten; where a graph has none to find, each product looks so far.
constexpr size_t kReach = 24;

const ggml_tensor* base_of(const ggml_tensor* tensor) {
  return tensor->view_src != nullptr ? tensor->view_src : tensor;
}

// A product with weights that no node makes, which is written to memory of its own.
bool is_product(const ggml_tensor* node) {
  return node->op == GGML_OP_MUL_MAT && node->view_src == nullptr &&
         node->src[0]->op == GGML_OP_NONE;
}

// Nodes from |at| on that are one product: its sum with weights belongs to it.
size_t length_of(std::span<ggml_tensor* const> nodes, size_t at) {
  if (at + 1 == nodes.size()) return 1;
  const ggml_tensor* next = nodes[at + 1];
  const bool adds = next->op == GGML_OP_ADD && next->src[0] == nodes[at] &&
                    next->src[1]->op == GGML_OP_NONE && next->view_src == nullptr;
  return adds ? 2 : 1;
}

// Whether |node| writes into memory that |reader| reads. Nodes that only look at it do not, which is not asked: they are in nobody's way often enough.
bool writes_what_is_read(const ggml_tensor* node, const ggml_tensor* reader) {
  if (node->view_src == nullptr) return false;
  for (const ggml_tensor* source : reader->src)
    if (source != nullptr && base_of(source) == node->view_src) return true;
  return false;
}

bool may_pass(std::span<ggml_tensor* const> jumped, std::span<ggml_tensor* const> moved) {
  for (const ggml_tensor* reader : moved)
    for (const ggml_tensor* node : jumped)
      if (writes_what_is_read(node, reader)) return false;
  return true;
}

// Brings the products that go with the one at |at| behind it; returns where they end.
size_t gather(std::span<ggml_tensor*> nodes, size_t at) {
  const ggml_tensor* first = nodes[at];
  size_t end = at + length_of(nodes, at);
  const size_t last = std::min(nodes.size(), at + kReach);
  uint32_t count = 1;
  for (size_t i = end; i < last && count < NPU_OPS_PRODUCTS_MAX; ++i) {
    const ggml_tensor* node = nodes[i];
    if (!is_product(node) || node->src[1] != first->src[1] ||
        node->src[0]->type != first->src[0]->type)
      continue;
    const size_t length = length_of(nodes, i);
    if (!may_pass(nodes.subspan(end, i - end), nodes.subspan(i, length))) continue;
    std::rotate(nodes.begin() + static_cast<ptrdiff_t>(end),
                nodes.begin() + static_cast<ptrdiff_t>(i),
                nodes.begin() + static_cast<ptrdiff_t>(i + length));
    end += length;
    i += length - 1;
    ++count;
  }
  return end;
}

}  // namespace

void gather_products(std::span<ggml_tensor*> nodes) {
  for (size_t at = 0; at < nodes.size();) at = is_product(nodes[at]) ? gather(nodes, at) : at + 1;
}

}  // namespace npu::ggml
