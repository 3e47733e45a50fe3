// SPDX-License-Identifier: Apache-2.0
// Host functions in queue order.
#include <bit>
#include <utility>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/queue.h"

namespace npu {

uint64_t Queue::push_host_call_locked(const HostCall& call) {
  const uint64_t ticket = ring_->take_gate_ticket();
  npu_cmd_sem wait{};
  wait.op = NPU_CMD_SEM_WAIT;
  wait.sem_op = NPU_SEM_WAIT_GE;
  wait.sem_dva = ring_->gate_dva();
  wait.value = ticket;
  const uint64_t value = push_locked({.command = std::bit_cast<npu_cmd>(wait), .host = call});
  calls_.push_back({value, ticket, ring_, call});
  return value;
}

bool Queue::has_host_calls() {
  std::lock_guard lock(mutex_);
  return !calls_.empty();
}

uint64_t Queue::next_host_call() {
  std::lock_guard lock(mutex_);
  return calls_.empty() ? 0 : calls_.front().value;
}

npuResult Queue::call_status(const PendingCall& call) {
  {
    std::lock_guard lock(mutex_);
    if (closed_ || call.ring != ring_) return NPU_ERROR_CANCELED;
    if (options_.goes_on && call.value - 1 <= ended_locked()) return NPU_OK;
    if (call.value == base_ + 1) return NPU_OK;  // what a reset has cancelled before is no matter
  }
  const npuResult code = poll(call.value - 1).code();
  return code == NPU_ERROR_INVALID_HANDLE ? static_cast<npuResult>(NPU_ERROR_CANCELED) : code;
}

// Only one thread takes calls away, that of the callbacks, so the first one stays the first one.
bool Queue::run_host_call() {
  PendingCall call;
  {
    std::lock_guard lock(mutex_);
    if (calls_.empty()) return false;
    call = calls_.front();
  }
  const npuResult status = call_status(call);
  if (status == NPU_NOT_READY) return false;
  {
    std::lock_guard lock(mutex_);
    calls_.pop_front();
  }
  call.call.function(status, call.call.user_data);
  std::lock_guard lock(mutex_);
  if (!closed_ && call.ring == ring_) ring_->open_gate(call.ticket);
  return true;
}

}  // namespace npu
