// SPDX-License-Identifier: Apache-2.0
// The loop of a context's callback thread.
#include "libnpu/src/core/callback.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/time.h"

namespace npu {
namespace {

thread_local const Context* t_context = nullptr;

}  // namespace

const Context* Callbacks::of_this_thread() { return t_context; }

Status Callbacks::prepare() {
  std::lock_guard lock(mutex_);
  if (stop_) return fail(NPU_ERROR_INVALID_HANDLE, "the context was destroyed");
  if (thread_.joinable()) return Status::ok();
  auto event = EventFd::create();
  if (!event.is_ok()) return event.status();
  event_.emplace(event.take());
  const SignalBlock signals;  // they are the business of the program's own threads
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    event_.reset();
    return fail_errno(NPU_ERROR_OUT_OF_HOST_MEMORY, error.code().value(),
                      "starting the thread of host functions failed");
  }
  return Status::ok();
}

void Callbacks::post(Ref<Queue> queue) {
  {
    std::lock_guard lock(mutex_);
    if (!done_) {
      news_.push_back(std::move(queue));
      event_->add();
      return;
    }
  }
  cancel_rest(*queue);
}

void Callbacks::cancel_rest(Queue& queue) {
  std::lock_guard lock(rest_mutex_);
  const Context* const outside = std::exchange(t_context, &context_);
  while (queue.run_host_call()) {
  }
  t_context = outside;
}

void Callbacks::stop() {
  std::thread thread;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    if (!thread_.joinable()) return;
    thread.swap(thread_);
    event_->add();
  }
  thread.join();
}

// True: the end was asked for, and nothing is left to do.
bool Callbacks::take_news(std::vector<Entry>* entries) {
  std::lock_guard lock(mutex_);
  for (Ref<Queue>& queue : news_) {
    const bool known = std::any_of(entries->begin(), entries->end(), [&](const Entry& entry) {
      return entry.queue.get() == queue.get();
    });
    if (!known) entries->push_back({std::move(queue), 0, {}});
  }
  news_.clear();
  done_ = stop_ && entries->empty();
  return done_;
}

// One function of each queue that has come to its own, so that no queue keeps the others waiting.
bool Callbacks::run_some(std::vector<Entry>* entries) {
  bool any = false;
  std::erase_if(*entries, [&](Entry& entry) {
    any |= entry.queue->run_host_call();
    return !entry.queue->has_host_calls();
  });
  return any;
}

// True when a queue has moved meanwhile. |again|: what was asked for may have been answered without being over.
bool Callbacks::arm(std::vector<Entry>* entries, bool again) {
  bool moved = false;
  for (Entry& entry : *entries) {
    const uint64_t value = entry.queue->next_host_call();
    if (value == entry.watched && !again) continue;
    Watch fresh;
    const Status status = entry.queue->watch(value - 1, event_->get(), &fresh);
    moved |= status.code() != NPU_NOT_READY && status.code() != NPU_ERROR_QUOTA;
    entry.watched = value;
    entry.watch = std::move(fresh);
  }
  return moved;
}

void Callbacks::run() {
  t_context = &context_;
  std::vector<Entry> entries;
  bool again = false;
  for (;;) {
    if (take_news(&entries)) return;
    if (entries.empty()) {
      event_->wait(INT64_MAX);
      continue;
    }
    if (run_some(&entries) || entries.empty()) continue;
    if (arm(&entries, again)) continue;
    again = !event_->wait(kSleepSliceNs);
  }
}

}  // namespace npu
