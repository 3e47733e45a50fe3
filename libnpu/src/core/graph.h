// SPDX-License-Identifier: Apache-2.0
// Graph: nodes of work and what each depends on. A node depends on older ones only, so the order of ids is an order of execution.
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "libnpu/src/core/external_work.h"
#include "libnpu/src/core/module.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

enum class NodeKind : uint32_t {
  kKernel,
  kCopy,
  kFill,
  kSignal,
  kWait,
  kTimestamp,
  kEmpty,
  kHost,
  kExternal,
  kChild
};
const char* node_kind_name(NodeKind kind);
NodeKind node_kind_of(const Submission& one);

struct GraphNode {
  NodeKind kind = NodeKind::kEmpty;
  npu_cmd command{};
  Ref<Kernel> kernel;
  std::vector<std::byte> args;
  HostCall host;
  std::shared_ptr<const ExternalWork> external;
  uint32_t child_nodes = 0;  // of a child: as many that follow belong to it
  std::vector<uint32_t> deps;

  // True: it becomes a command of the list.
  bool is_command() const {
    return kind != NodeKind::kHost && kind != NodeKind::kExternal && kind != NodeKind::kChild;
  }
};

class Graph final : public Object {
 public:
  static constexpr Kind kKind = Kind::kGraph;
  static constexpr uint32_t kNodesMax = 1 << 20;

  explicit Graph(Ref<Context> context) : Object(kKind), context_(std::move(context)) {}

  Context& context() const { return *context_; }

  Result<uint32_t> add(const Submission& one, std::span<const uint32_t> deps);
  Result<uint32_t> add_external(std::shared_ptr<ExternalWork> work, std::span<const uint32_t> deps);
  Result<uint32_t> add_child(std::vector<GraphNode> nodes, std::span<const uint32_t> deps);
  std::vector<GraphNode> nodes();
  uint32_t count();

  std::string to_json();
  std::string to_dot();

 private:
  ~Graph() override = default;
  Result<uint32_t> add_node(GraphNode node);
  Status check_locked(size_t more, std::span<const uint32_t> deps);

  const Ref<Context> context_;
  std::mutex mutex_;
  std::vector<GraphNode> nodes_;
};

}  // namespace npu
