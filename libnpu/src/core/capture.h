// SPDX-License-Identifier: Apache-2.0
// Capture: a graph that grows while submissions to some queues are turned into its nodes.
// Thread safety: all functions. Lock order: a queue's mutex, then the mutexes here and of the graph; end() takes queues' mutexes with none of these held.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "libnpu/src/core/graph.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"

namespace npu {

class Capture {
 public:
  Capture(Ref<Graph> graph, Queue* origin) : graph_(std::move(graph)), origin_(origin) {}

  // A value that stands for a node; no timeline of a queue gets so far.
  static constexpr uint64_t kValueBit = uint64_t{1} << 63;
  static bool is_value(uint64_t value) { return (value & kValueBit) != 0; }

  Graph& graph() const { return *graph_; }
  Ref<Graph> share_graph() const { return graph_; }
  bool began_with(const Queue& queue) const { return origin_ == &queue; }

  // False: it has ended.
  bool join(Ref<Queue> queue) {
    std::lock_guard lock(mutex_);
    if (ended_) return false;
    queues_.push_back(std::move(queue));
    return true;
  }
  // All queues of it, and no more.
  std::vector<Ref<Queue>> take_queues() {
    std::lock_guard lock(mutex_);
    ended_ = true;
    return std::exchange(queues_, {});
  }

 private:
  const Ref<Graph> graph_;
  Queue* const origin_;
  std::mutex mutex_;
  bool ended_ = false;
  std::vector<Ref<Queue>> queues_;
};

}  // namespace npu
