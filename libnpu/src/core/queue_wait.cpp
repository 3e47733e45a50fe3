// SPDX-License-Identifier: Apache-2.0
// Waiting for values of a queue: spin a little where that pays, then sleep; and the decisions about queues that were waited for on the device.
#include <algorithm>
#include <thread>
#include <vector>

#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/capture.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/queue.h"

namespace npu {
namespace {

void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// After so long a spin lets others have the CPU between two looks: whoever is to finish the command may need this very one.
constexpr int64_t kSelfishSpinNs = 2'000;

// Between two looks at what a sleeping queue waits for.
constexpr int64_t kSliceFirstNs = 1'000'000;
constexpr int64_t kSliceLastNs = 64'000'000;

// Each look takes the line that the device writes after every command away from it: the more commands are left, the fewer looks.
constexpr uint32_t kPausesMost = 32;
constexpr uint32_t kPausesPerClockRead = 32;

// True when |count| commands have ended within |most_ns| of |begin_ns|; about how long that took in |out_ns|.
bool spin_for(const Ring& ring, uint64_t count, int64_t begin_ns, int64_t most_ns,
              int64_t* out_ns) {
  *out_ns = 0;
  bool has_yielded = false;
  for (uint32_t pauses = 0;;) {
    const uint64_t done = ring.completed();
    if (done >= count || ring.failure().status != 0) {
      // Who gave the CPU away may have got it back late.
      if (has_yielded) *out_ns = Deadline::now_ns() - begin_ns;
      return true;
    }
    const bool is_here = ring.device_is_here();
    if (!is_here) {
      const auto before_next = static_cast<uint32_t>(std::min<uint64_t>(count - done, kPausesMost));
      for (uint32_t i = 0; i < before_next; i++) pause_cpu();
      pauses += before_next;
      if (pauses < kPausesPerClockRead) continue;
    }
    pauses = 0;
    *out_ns = Deadline::now_ns() - begin_ns;
    if (*out_ns >= most_ns) return false;
    if (!is_here && *out_ns < kSelfishSpinNs) continue;
    std::this_thread::yield();
    has_yielded = true;
  }
}

}  // namespace

Status Queue::peek(uint64_t value) {
  std::lock_guard lock(mutex_);
  if (Capture::is_value(value) && capture_ != nullptr) {
    return fail(NPU_ERROR_CAPTURE_UNSUPPORTED, "a wait of the host cannot be captured");
  }
  if (value > base_ + ring_->submitted()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "value %llu was never submitted to the queue, whose last is %llu",
                static_cast<unsigned long long>(value),
                static_cast<unsigned long long>(base_ + ring_->submitted()));
  }
  return dependencies_.empty() ? look_locked(value) : Status(NPU_NOT_READY);
}

Status Queue::wait(uint64_t value, const Deadline& deadline) {
  const Status now = peek(value);
  if (now.code() != NPU_NOT_READY) return now;
  if (dependency_count_.load(std::memory_order_relaxed) != 0) {
    return wait_with_dependencies(value, deadline);
  }
  return wait_here(value, deadline);
}

// Sleeps once, for the value itself, and not once for each link of a chain. A dependency that fails does not end such a sleep: it is found by a look in between, hence the slices.
Status Queue::wait_with_dependencies(uint64_t value, const Deadline& deadline) {
  // A host function may not wait, but is told of what has failed already.
  bool looks_first = Callbacks::of_this_thread() == context_.get();
  for (int64_t slice_ns = kSliceFirstNs;; slice_ns = std::min(slice_ns * 2, kSliceLastNs)) {
    const int64_t left_ns = deadline.left_ns();
    if (left_ns != 0 && !looks_first) {
      const Status here = wait_here(value, Deadline::in(std::min(slice_ns, left_ns)));
      // Reached: whether well, the dependencies tell.
      if (!here.is_ok() && here.code() != NPU_TIMEOUT) return here;
    }
    const Status settled = settle(value, Deadline::in(0));
    if (settled.is_ok()) return wait_here(value, deadline);
    if (settled.code() != NPU_TIMEOUT || left_ns == 0) return settled;
    looks_first = false;
  }
}

Status Queue::wait_all(const Deadline& deadline) {
  NPU_TRY(refuse_in_capture("a wait of the host"));
  return wait(submitted(), deadline);
}

Status Queue::poll(uint64_t value) {
  const Status status = wait(value, Deadline::in(0));
  return status.code() == NPU_TIMEOUT ? Status(NPU_NOT_READY) : status;
}

std::shared_ptr<Ring> Queue::ring_for(uint64_t value, uint64_t* out_count) {
  std::lock_guard lock(mutex_);
  if (!dependencies_.empty() || value <= base_) return nullptr;
  *out_count = value - base_;
  return ring_;
}

Status Queue::wait_here(uint64_t value, const Deadline& deadline) {
  bool has_begun = false, spins = false;
  int64_t begin_ns = 0;  // of the wait; 0: it ended during the spin
  for (;;) {
    std::shared_ptr<Ring> ring;
    uint64_t count = 0;
    {
      std::lock_guard lock(mutex_);
      const Status status = look_locked(value);
      if (status.code() != NPU_NOT_READY) {
        if (begin_ns != 0) spin_choice_.ended(spins, Deadline::now_ns() - begin_ns);
        return status;
      }
      ring = ring_;
      count = value - base_;
    }
    int64_t left_ns = deadline.left_ns();
    if (left_ns > 0 && Callbacks::of_this_thread() == context_.get()) {
      return fail(NPU_ERROR_IN_CALLBACK,
                  "value %llu has not completed, and cannot while the host function waits for it",
                  static_cast<unsigned long long>(value));
    }
    if (!has_begun && left_ns > 0) {
      has_begun = true;
      spins = spin_choice_.spins();
      begin_ns = Deadline::now_ns();
      if (spins) {
        const int64_t most_ns = std::min(spin_choice_.spin_ns(), left_ns);
        int64_t spun_ns = 0;
        if (spin_for(*ring, count, begin_ns, most_ns, &spun_ns)) {
          spin_choice_.ended(true, spun_ns);
          begin_ns = 0;
        }
        continue;
      }
    }
    SleepEnd end = SleepEnd::kTimeout;
    if (left_ns > 0) {
      if (Hooks::has(Hook::kActivities)) Activities::keep_trace_fresh(true);
      end = ring->sleep_until(count, left_ns);
    } else if (context_->vm().backend().is_lost()) {
      end = SleepEnd::kLost;
    } else {
      // How long the end would have taken is not known, but it was not seen.
      if (spins) spin_choice_.ended(true, spin_choice_.spin_ns() + 1);
      return Status(NPU_TIMEOUT);
    }
    if (end == SleepEnd::kLost) notice_loss();
  }
}

void Queue::notice_loss() {
  std::lock_guard lock(mutex_);
  if (failure_.code == NPU_OK) failure_ = {NPU_ERROR_DEVICE_LOST, ended_locked() + 1};
}

bool Queue::first_dependency(uint64_t value, Dependency* out) {
  std::lock_guard lock(mutex_);
  if (dependencies_.empty() || dependencies_.front().own_value > value) return false;
  *out = dependencies_.front();
  return true;
}

// Depth first with a stack of its own, since chains between queues can be as long as their rings. A dependency names a value that was submitted before it,
// so the walk ends.
Status Queue::settle(uint64_t value, const Deadline& deadline) {
  std::vector<Dependency> path;
  for (;;) {
    Queue* queue = path.empty() ? this : path.back().other.get();
    const uint64_t wanted = path.empty() ? value : path.back().value;
    Dependency dependency;
    if (queue->first_dependency(wanted, &dependency)) {
      path.push_back(std::move(dependency));
      continue;
    }
    if (path.empty()) return Status::ok();
    const Status result = queue->wait_here(wanted, deadline);
    if (result.code() == NPU_TIMEOUT) return result;
    dependency = std::move(path.back());
    path.pop_back();
    Queue* owner = path.empty() ? this : path.back().other.get();
    NPU_TRY(owner->end_dependency(dependency, result, deadline));
  }
}

Status Queue::end_dependency(const Dependency& dependency, Status result,
                             const Deadline& deadline) {
  FaultOrigin origin;
  if (!result.is_ok()) {
    origin = dependency.other->origin_of(dependency.value, result.code());
    // What this queue did before it came to the wait is done properly first.
    const Status before = wait_here(dependency.own_value - 1, deadline);
    if (before.code() == NPU_TIMEOUT) return before;
  }
  std::deque<Dependency>
      dropped;  // ends after the lock: it may hold the last reference to another queue
  std::shared_ptr<Ring> stopped;
  {
    std::lock_guard lock(mutex_);
    const bool known = !dependencies_.empty() &&
                       dependencies_.front().own_value == dependency.own_value &&
                       dependencies_.front().other.get() == dependency.other.get();
    if (!known) return Status::ok();  // another thread was faster
    if (result.is_ok()) {
      dropped.push_back(std::move(dependencies_.front()));
      dependencies_.pop_front();
    } else {
      dropped.swap(dependencies_);
      ring_->stop();
      stopped = ring_;
      if (failure_.code == NPU_OK) {
        failure_ = {NPU_ERROR_DEPENDENCY_FAILED, dependency.own_value, origin};
      }
    }
    dependency_count_.store(static_cast<uint32_t>(dependencies_.size()), std::memory_order_relaxed);
  }
  if (stopped != nullptr) stopped->wake_all();
  return Status::ok();
}

}  // namespace npu
