// SPDX-License-Identifier: Apache-2.0
// Entry and exit of watched calls.
#include "libnpu/src/core/call.h"

#include <algorithm>
#include <atomic>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/recorder.h"
#include "libnpu/src/core/subscriber.h"
#include "libnpu/src/core/time.h"

namespace npu {
namespace {

std::atomic<uint64_t> g_next_id{1};
thread_local Call* t_call = nullptr;

}  // namespace

Call* Call::current() { return t_call; }

uint64_t Call::next_id() { return g_next_id.load(std::memory_order_relaxed); }

bool Call::in_callback() { return Subscribers::of_this_thread(); }

Birth Call::birth_now() {
  const Call* call = t_call;
  return call != nullptr ? Birth{call->function_, call->id_, call->enter_ns_} : Birth{};
}

void Call::enter(const char* function, const char* arg_names, std::span<const CallArg> args) {
  function_ = function;
  arg_names_ = arg_names;
  arg_count_ = std::min(args.size(), kArgsMost);
  std::copy_n(args.begin(), arg_count_, args_);
  id_ = g_next_id.fetch_add(1, std::memory_order_relaxed);
  thread_id_ = npu::thread_id();
  enter_ns_ = leave_ns_ = Deadline::now_ns();
  result_ = NPU_OK;
  queue_ = nullptr;
  value_ = 0;
  outer_ = t_call;
  if (Hooks::has(Hook::kSubscribers)) Subscribers::tell(*this, false);
  enter_ns_ = Deadline::now_ns();  // what subscribers did is not the call's time
  t_call = this;
}

void Call::leave(npuResult result) {
  const Ref<Queue> held = Ref<Queue>::adopt(queue_);  // of set_submitted()
  leave_ns_ = Deadline::now_ns();
  result_ = result;
  t_call = outer_;
  if (Hooks::has(Hook::kActivities)) {
    Activities::add_call(*this);
    Activities::keep_trace_fresh(false);
  }
  if (Hooks::has(Hook::kRecord)) Recorder::write(*this);
  if (Hooks::has(Hook::kSubscribers)) Subscribers::tell(*this, true);
}

void Call::set_submitted(Queue* queue, uint64_t value) {
  queue->retain();
  if (queue_ != nullptr) queue_->release();
  queue_ = queue;
  value_ = value;
}

}  // namespace npu
