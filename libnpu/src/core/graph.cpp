// SPDX-License-Identifier: Apache-2.0
// Adding of nodes.
#include "libnpu/src/core/graph.h"

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"

namespace npu {

const char* node_kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::kKernel:
      return "kernel";
    case NodeKind::kCopy:
      return "copy";
    case NodeKind::kFill:
      return "fill";
    case NodeKind::kSignal:
      return "signal";
    case NodeKind::kWait:
      return "wait";
    case NodeKind::kTimestamp:
      return "timestamp";
    case NodeKind::kHost:
      return "host";
    case NodeKind::kExternal:
      return "submission";
    case NodeKind::kChild:
      return "child";
    case NodeKind::kEmpty:
      break;
  }
  return "empty";
}

NodeKind node_kind_of(const Submission& one) {
  if (one.host.function != nullptr) return NodeKind::kHost;
  switch (one.command.op) {
    case NPU_CMD_LAUNCH:
      return NodeKind::kKernel;
    case NPU_CMD_COPY:
      return NodeKind::kCopy;
    case NPU_CMD_FILL:
      return NodeKind::kFill;
    case NPU_CMD_SEM_SIGNAL:
      return NodeKind::kSignal;
    case NPU_CMD_SEM_WAIT:
      return NodeKind::kWait;
    case NPU_CMD_TIMESTAMP:
      return NodeKind::kTimestamp;
    default:
      return NodeKind::kEmpty;
  }
}

Status Graph::check_locked(size_t more, std::span<const uint32_t> deps) {
  if (nodes_.size() + more > kNodesMax) {
    return fail(NPU_ERROR_OVERFLOW, "a graph has at most %u nodes", kNodesMax);
  }
  for (const uint32_t id : deps) {
    if (id != 0 && id <= nodes_.size()) continue;
    return fail(NPU_ERROR_INVALID_ARGUMENT, "deps names node %u, the graph has 1 to %zu", id,
                nodes_.size());
  }
  return Status::ok();
}

Result<uint32_t> Graph::add(const Submission& one, std::span<const uint32_t> deps) {
  GraphNode node;
  node.kind = node_kind_of(one);
  node.command = one.command;
  node.host = one.host;
  if (node.kind == NodeKind::kKernel) {
    const auto* args = static_cast<const std::byte*>(one.args);
    node.args.assign(args, args + one.args_bytes);
    node.kernel = Ref<Kernel>::share(const_cast<Kernel*>(one.kernel));
  }
  node.deps.assign(deps.begin(), deps.end());
  return add_node(std::move(node));
}

Result<uint32_t> Graph::add_external(std::shared_ptr<ExternalWork> work,
                                     std::span<const uint32_t> deps) {
  GraphNode node;
  node.kind = NodeKind::kExternal;
  node.external = work;
  node.deps.assign(deps.begin(), deps.end());
  NPU_TRY_ASSIGN(const uint32_t id, add_node(std::move(node)));
  work->own();
  return id;
}

Result<uint32_t> Graph::add_node(GraphNode node) {
  std::lock_guard lock(mutex_);
  NPU_TRY(check_locked(1, node.deps));
  nodes_.push_back(std::move(node));
  return static_cast<uint32_t>(nodes_.size());
}

Result<uint32_t> Graph::add_child(std::vector<GraphNode> nodes, std::span<const uint32_t> deps) {
  GraphNode head;
  head.kind = NodeKind::kChild;
  head.child_nodes = static_cast<uint32_t>(nodes.size());
  head.deps.assign(deps.begin(), deps.end());
  std::lock_guard lock(mutex_);
  NPU_TRY(check_locked(nodes.size() + 1, deps));
  nodes_.push_back(std::move(head));
  const auto first = static_cast<uint32_t>(nodes_.size());
  for (GraphNode& node : nodes) {
    for (uint32_t& id : node.deps) id += first;
    if (node.deps.empty()) node.deps.push_back(first);
    nodes_.push_back(std::move(node));
  }
  return first;
}

std::vector<GraphNode> Graph::nodes() {
  std::lock_guard lock(mutex_);
  return nodes_;
}

uint32_t Graph::count() {
  std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(nodes_.size());
}

}  // namespace npu
