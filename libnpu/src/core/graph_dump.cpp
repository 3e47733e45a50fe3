// SPDX-License-Identifier: Apache-2.0
// Graphs as text. A node that depends on a child is shown as depending on the child's head, which stands for all of it.
#include <bit>
#include <cinttypes>
#include <cstdio>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/graph.h"
#include "libnpu/src/core/json.h"
#include "libnpu/src/core/text.h"

namespace npu {
namespace {

std::string hex(const char* name, uint64_t value) {
  return formatted(", \"%s\": \"0x%" PRIx64 "\"", name, value);
}
std::string decimal(const char* name, uint64_t value) {
  return formatted(", \"%s\": %" PRIu64, name, value);
}

std::string kernel_json(const GraphNode& node) {
  const auto launch = std::bit_cast<npu_cmd_launch>(node.command);
  return ", \"kernel\": " + json_quoted(node.kernel->image().note.name) +
         formatted(", \"grid\": [%u, %u, %u]", launch.grid_x, launch.grid_y, launch.grid_z) +
         decimal("args_bytes", node.args.size());
}

std::string copy_json(const GraphNode& node) {
  const auto copy = std::bit_cast<npu_cmd_copy>(node.command);
  return hex("dst", copy.dst_dva) + hex("src", copy.src_dva) +
         decimal("width_bytes", copy.width_bytes) + decimal("height", copy.height) +
         decimal("depth", copy.depth);
}

std::string fill_json(const GraphNode& node) {
  const auto fill = std::bit_cast<npu_cmd_fill>(node.command);
  return hex("dst", fill.dst_dva) + hex("pattern", fill.pattern) +
         decimal("pattern_bytes", fill.pattern_bytes) + decimal("size_bytes", fill.width_bytes);
}

std::string semaphore_json(const GraphNode& node) {
  const auto semaphore = std::bit_cast<npu_cmd_sem>(node.command);
  return hex("semaphore", semaphore.sem_dva) + decimal("value", semaphore.value);
}

std::string details_json(const GraphNode& node) {
  switch (node.kind) {
    case NodeKind::kKernel:
      return kernel_json(node);
    case NodeKind::kCopy:
      return copy_json(node);
    case NodeKind::kFill:
      return fill_json(node);
    case NodeKind::kSignal:
    case NodeKind::kWait:
      return semaphore_json(node);
    case NodeKind::kTimestamp:
      return hex("dst", std::bit_cast<npu_cmd_timestamp>(node.command).dst_dva);
    case NodeKind::kExternal:
      return ", \"name\": " + json_quoted(node.external->name().c_str());
    case NodeKind::kChild:
      return decimal("child_nodes", node.child_nodes);
    default:
      return {};
  }
}

}  // namespace

std::string Graph::to_json() {
  std::string text = "{\"nodes\": [";
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < nodes_.size(); i++) {
    const GraphNode& node = nodes_[i];
    text += i == 0 ? "\n" : ",\n";
    text += formatted("  {\"id\": %zu, \"kind\": \"%s\", \"deps\": [", i + 1,
                      node_kind_name(node.kind));
    for (size_t k = 0; k < node.deps.size(); k++) {
      text += formatted(k == 0 ? "%u" : ", %u", node.deps[k]);
    }
    text += "]" + details_json(node) + "}";
  }
  return text + "\n]}\n";
}

std::string Graph::to_dot() {
  std::string text = "digraph npu {\n  node [shape=box];\n";
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < nodes_.size(); i++) {
    const GraphNode& node = nodes_[i];
    std::string label = formatted("%zu: %s", i + 1, node_kind_name(node.kind));
    if (node.kind == NodeKind::kKernel) label += std::string(" ") + node.kernel->image().note.name;
    if (node.kind == NodeKind::kExternal) label += " " + node.external->name();
    text += formatted("  n%zu [label=", i + 1) + json_quoted(label.c_str()) + "];\n";
    for (const uint32_t id : node.deps) text += formatted("  n%u -> n%zu;\n", id, i + 1);
  }
  return text + "}\n";
}

}  // namespace npu
