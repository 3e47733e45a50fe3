// SPDX-License-Identifier: Apache-2.0
// What a queue notes of its commands while activities are collected.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <utility>

#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/module.h"
#include "libnpu/src/core/queue.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

constexpr int64_t kPsPerNs = 1000;

int64_t length_ns(const npuProfActivity& record) {
  return record.end_ps < record.start_ps
             ? 0
             : static_cast<int64_t>((record.end_ps - record.start_ps) / kPsPerNs);
}

void set_name(npuProfActivity* record, const char* name) {
  std::snprintf(record->name, sizeof record->name, "%s", name);
}

}  // namespace

void describe_command(const npu_cmd& command, const Kernel* kernel, npuProfActivity* out) {
  switch (command.op) {
    case NPU_CMD_LAUNCH: {
      const auto launch = std::bit_cast<npu_cmd_launch>(command);
      out->kind = NPU_PROF_KERNEL;
      out->grid_x = launch.grid_x;
      out->grid_y = launch.grid_y;
      out->grid_z = launch.grid_z;
      out->bytes = launch.args_bytes;
      return set_name(out, kernel != nullptr ? kernel->image().note.name : "");
    }
    case NPU_CMD_COPY: {
      const auto copy = std::bit_cast<npu_cmd_copy>(command);
      out->kind = NPU_PROF_COPY;
      out->bytes = copy.width_bytes * copy.height * copy.depth;
      return set_name(out, "copy");
    }
    case NPU_CMD_FILL: {
      const auto fill = std::bit_cast<npu_cmd_fill>(command);
      out->kind = NPU_PROF_FILL;
      out->bytes = fill.width_bytes * fill.height;
      return set_name(out, "fill");
    }
    case NPU_CMD_EXEC:
      out->kind = NPU_PROF_GRAPH;
      out->node_id = std::bit_cast<npu_cmd_exec>(command).count;
      return set_name(out, "graph");
    case NPU_CMD_MODULE_LOAD:
      out->kind = NPU_PROF_MODULE;
      out->bytes = std::bit_cast<npu_cmd_module>(command).blob_bytes;
      return set_name(out, "module load");
    case NPU_CMD_MODULE_UNLOAD:
      out->kind = NPU_PROF_MODULE;
      return set_name(out, "module unload");
    default:
      break;
  }
  constexpr const char* kNames[] = {"wait", "signal", "time stamp"};
  const uint32_t number = command.op - uint32_t{NPU_CMD_SEM_WAIT};
  out->kind = NPU_PROF_SYNC;
  set_name(out, number < std::size(kNames) ? kNames[number] : "nothing");
}

void take_work(const npu_completion& done, npuProfActivity* out) {
  if (out->kind != NPU_PROF_KERNEL || done.status != NPU_OK) return;
  const auto launch = std::bit_cast<npu_launch_completion>(done);
  out->mac_ops = launch.mac_ops;
  out->tensor_ps = NPU_TENSOR_PS(launch.tensor_ps_low, launch.tensor_ps_high);
  out->hbm_read_bytes = launch.hbm_read_bytes;
  out->hbm_write_bytes = launch.hbm_write_bytes;
}

void QueueActivity::note(Queue& queue, const Submission& one, uint64_t seq, uint64_t value) {
  Pending& pending = pending_.emplace_back();
  pending.seq = seq;
  npuProfActivity& record = pending.record;
  record.struct_size = sizeof record;
  record.device_index = queue.context().device().info().index;
  record.queue = reinterpret_cast<npuQueue>(static_cast<uintptr_t>(queue.handle()));
  record.value = value;
  record.submitted_ns = record.queued_ns = Deadline::now_ns();
  if (const Call* call = Call::current(); call != nullptr) {
    record.correlation_id = call->id();
    record.thread_id = call->thread_id();
    record.queued_ns = call->enter_ns();
  }
  describe_command(one.command, one.kernel, &record);
  if (one.host.function != nullptr) {
    record.kind = NPU_PROF_HOST;
    set_name(&record, "host function");
  }
  if (one.notes != nullptr) pending.nodes = one.notes->nodes;
}

void QueueActivity::hand_over_nodes(const Pending& pending, const npu_completion& exec) {
  const npuProfActivity& graph = pending.record;
  uint64_t dropped = 0;
  for (size_t i = 0; i < pending.nodes->count(); i++) {
    npuProfActivity node = graph;
    node.grid_x = node.grid_y = node.grid_z = 0;
    if (!pending.nodes->read(i, exec, &node)) {
      dropped++;
      continue;
    }
    const uint64_t from_ps = std::max(node.start_ps, graph.start_ps) - graph.start_ps;
    const int64_t node_ns = length_ns(node);
    node.host_start_ns = graph.host_start_ns + static_cast<int64_t>(from_ps / kPsPerNs);
    node.host_end_ns = node.host_start_ns + node_ns;
    node.kind = NPU_PROF_GRAPH_NODE;
    Activities::add(node);
  }
  Activities::add_dropped(dropped);
}

// A command begins when it was submitted and the one before it has ended (npu_prof.h).
void QueueActivity::hand_over(Pending& pending, const npu_completion& done) {
  npuProfActivity& record = pending.record;
  record.result = done.status;
  record.start_ps = done.start_ps;
  record.end_ps = done.end_ps;
  take_work(done, &record);
  record.host_start_ns = std::max(record.submitted_ns, last_end_ns_);
  record.host_end_ns = last_end_ns_ = record.host_start_ns + length_ns(record);
  Activities::add(record);
  if (pending.nodes != nullptr) hand_over_nodes(pending, done);
}

void QueueActivity::harvest(const Ring& ring, uint64_t count) {
  uint64_t dropped = 0;
  while (!pending_.empty() && pending_.front().seq < count) {
    npu_completion done;
    if (ring.record_of(pending_.front().seq, &done)) {
      hand_over(pending_.front(), done);
    } else {
      dropped++;
    }
    pending_.pop_front();
  }
  Activities::add_dropped(dropped);
}

void QueueActivity::end(const Ring& ring, uint64_t count) {
  harvest(ring, count);
  for (Pending& pending : pending_) {
    pending.record.result = NPU_ERROR_CANCELED;
    pending.record.host_start_ns = pending.record.host_end_ns = pending.record.submitted_ns;
    Activities::add(pending.record);
  }
  pending_.clear();
}

void Queue::note_locked(const Submission& one, uint64_t seq) {
  if (one.command.op == NPU_CMD_SEM_WAIT || one.uses_semaphores) last_wait_ = base_ + seq + 1;
  if (Hooks::has(Hook::kValidation)) note_uses_locked(one, base_ + seq + 1);
  if (!Hooks::has(Hook::kActivities)) return;
  if (activity_ == nullptr) {
    activity_ = std::make_unique<QueueActivity>();
    Activities::enter_queue(this);
  }
  if (seq >= ring_->entries()) {
    activity_->harvest(*ring_, std::min(seq - ring_->entries() + 1, ended_locked() - base_));
  }
  activity_->note(*this, one, seq, base_ + seq + 1);
}

void Queue::note_uses_locked(const Submission& one, uint64_t value) {
  if (uses_ == nullptr) uses_ = std::make_unique<QueueAccesses>();
  npuProfActivity described{};
  describe_command(one.command, one.kernel, &described);
  std::string what = described.name;
  if (one.kernel != nullptr) what = "kernel '" + what + "'";
  uses_->note(
      value, last_wait_, ended_locked(), std::move(what),
      one.notes != nullptr ? one.notes->uses : accesses_of(one.command, one.kernel, one.args));
}

std::optional<UsedBy> Queue::find_use(const Access& range) {
  std::lock_guard lock(mutex_);
  if (uses_ == nullptr || is_stopped_locked()) return std::nullopt;
  return uses_->find(range, ended_locked());
}

bool Queue::has_open_wait() {
  std::lock_guard lock(mutex_);
  return last_wait_ > ended_locked();
}

uint64_t Queue::noted_until() {
  std::lock_guard lock(mutex_);
  return activity_ != nullptr && !is_stopped_locked() ? activity_->last_value() : 0;
}

void Queue::harvest(bool forget_rest) {
  std::lock_guard lock(mutex_);
  if (activity_ == nullptr) return;
  const uint64_t ended = ended_locked() - base_;
  if (is_stopped_locked()) {
    activity_->end(*ring_, ended);
  } else {
    activity_->harvest(*ring_, ended);
  }
  if (forget_rest) activity_.reset();
}

// With NPU_LAUNCH_BLOCKING: whether the call may wait for |value|. Not where that would depend on a later call.
bool Queue::can_block_locked(std::span<const Submission> batch, uint64_t value) {
  const bool works = std::any_of(batch.begin(), batch.end(), [](const Submission& one) {
    return one.command.op == NPU_CMD_LAUNCH || one.command.op == NPU_CMD_COPY ||
           one.command.op == NPU_CMD_FILL || one.command.op == NPU_CMD_EXEC;
  });
  return works && last_wait_ <= std::min(value, ended_locked()) && Call::current() != nullptr &&
         Callbacks::of_this_thread() == nullptr;
}

void Queue::end_notes_locked() {
  if (activity_ != nullptr) activity_->end(*ring_, ended_locked() - base_);
}

}  // namespace npu
