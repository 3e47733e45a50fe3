// SPDX-License-Identifier: Apache-2.0
// Queues whose submissions become nodes of a graph.
#include "libnpu/src/core/capture.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/graph_exec.h"
#include "libnpu/src/core/queue.h"

namespace npu {
namespace {

Status not_captured(const char* what) {
  return fail(NPU_ERROR_CAPTURE_UNSUPPORTED, "%s cannot be captured", what);
}

}  // namespace

Status Queue::begin_capture() {
  auto capture = std::make_shared<Capture>(make_ref<Graph>(context_), this);
  std::lock_guard lock(mutex_);
  NPU_TRY(usable_locked());
  if (capture_ != nullptr) return not_captured("the begin of another capture of the queue");
  capture->join(Ref<Queue>::share(this));
  capture_ = std::move(capture);
  tail_.clear();
  return Status::ok();
}

Result<Ref<Graph>> Queue::end_capture() {
  std::shared_ptr<Capture> capture;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return fail(NPU_ERROR_INVALID_HANDLE, "the queue was destroyed");
    if (capture_ == nullptr || !capture_->began_with(*this)) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, capture_ == nullptr
                                                  ? "the queue is not being captured"
                                                  : "the capture began with another queue");
    }
    capture = capture_;
  }
  release_captured(*capture);
  return capture->share_graph();
}

void Queue::release_captured(Capture& capture) {
  for (const Ref<Queue>& queue : capture.take_queues()) {
    std::shared_ptr<Capture> dropped;  // ends after the lock
    std::lock_guard lock(queue->mutex_);
    if (queue->capture_.get() != &capture) continue;
    dropped = std::move(queue->capture_);
    queue->capture_ = nullptr;
    queue->tail_.clear();
  }
}

bool Queue::is_capturing() {
  std::lock_guard lock(mutex_);
  return capture_ != nullptr;
}

Status Queue::refuse_in_capture(const char* what) {
  return is_capturing() ? not_captured(what) : Status::ok();
}

Status Queue::capture_locked(std::span<const Submission> batch, uint64_t* out_value) {
  for (const Submission& one : batch) {
    NPU_TRY_ASSIGN(const uint32_t node, capture_->graph().add(one, tail_));
    tail_.assign(1, node);
    *out_value = Capture::kValueBit | node;
  }
  return Status::ok();
}

Status Queue::capture_external(std::shared_ptr<ExternalWork> work, uint64_t* out_value) {
  std::lock_guard lock(mutex_);
  NPU_TRY(usable_locked());
  if (capture_ == nullptr) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "the queue is not being captured");
  }
  NPU_TRY_ASSIGN(const uint32_t node, capture_->graph().add_external(std::move(work), tail_));
  tail_.assign(1, node);
  *out_value = Capture::kValueBit | node;
  return Status::ok();
}

bool Queue::capture_child(const std::function<std::vector<GraphNode>()>& nodes, Status* out_status,
                          uint64_t* out_value) {
  if (!is_capturing()) return false;
  std::vector<GraphNode> copy = nodes();
  std::lock_guard lock(mutex_);
  if (capture_ == nullptr) return false;
  Result<uint32_t> node = capture_->graph().add_child(std::move(copy), tail_);
  *out_status = node.status();
  if (node.is_ok()) {
    tail_.assign(1, node.value());
    *out_value = Capture::kValueBit | node.value();
  }
  return true;
}

Status Queue::join_capture(const std::shared_ptr<Capture>& capture,
                           std::span<const uint32_t> nodes) {
  std::lock_guard lock(mutex_);
  NPU_TRY(usable_locked());
  if (capture_ != nullptr && capture_ != capture) {
    return not_captured("a wait for a node of another capture");
  }
  if (capture_ == nullptr) {
    if (!capture->join(Ref<Queue>::share(this))) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "the capture of the other queue has ended");
    }
    capture_ = capture;
    tail_.clear();
  }
  tail_.insert(tail_.end(), nodes.begin(), nodes.end());
  return Status::ok();
}

Status Queue::capture_wait(Queue& other, uint64_t value) {
  std::shared_ptr<Capture> capture;
  {
    std::lock_guard lock(other.mutex_);
    capture = other.capture_;
  }
  const auto node = static_cast<uint32_t>(value & ~Capture::kValueBit);
  if (capture == nullptr || (value & ~Capture::kValueBit) > capture->graph().count() || node == 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "value 0x%llx names no node of a capture that the other queue is in",
                static_cast<unsigned long long>(value));
  }
  return join_capture(capture, {&node, 1});
}

}  // namespace npu
