// SPDX-License-Identifier: Apache-2.0
// Many queues, one eventfd: each queue's driver adds to it.
#include "libnpu/src/core/wait_many.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "libnpu/src/backend/event_fd.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"

namespace npu {
namespace {

// As long as asking the driver takes; and as long as one may have the CPU that the others need to get on, where a sleep asks nobody.
constexpr int64_t kSpinMostNs = 20'000;
constexpr int64_t kSelfishSpinNs = 2'000;

// The device interrupts at this as long as it lives.
class Sleeper {
 public:
  Sleeper(std::shared_ptr<Ring> ring, uint64_t count) : ring_(std::move(ring)), count_(count) {
    has_cause_ = ring_->begin_sleep(count_, &at_);
  }
  ~Sleeper() { ring_->end_sleep(count_); }
  Sleeper(const Sleeper&) = delete;

  bool has_cause() const { return has_cause_; }
  SleepWord at() const { return at_; }

 private:
  const std::shared_ptr<Ring> ring_;
  const uint64_t count_;
  SleepWord at_;
  bool has_cause_ = false;
};

class ManyWait {
 public:
  ManyWait(std::span<const WaitItem> items, bool all) : items_(items), all_(all) {
    for (uint32_t i = 0; i < items.size(); i++) pending_.push_back(i);
  }

  // NPU_NOT_READY: not over. |look|(item) tells of one.
  template <typename Look>
  Status look_at_all(Look&& look, uint32_t* out_index) {
    for (size_t at = 0; at < pending_.size();) {
      const uint32_t index = pending_[at];
      const Status status = look(items_[index]);
      if (status.code() == NPU_NOT_READY) {
        at++;
        continue;
      }
      *out_index = index;
      if (!status.is_ok() || !all_) return status;
      pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (pending_.empty()) return Status::ok();
    *out_index = pending_.front();
    return Status(NPU_NOT_READY);
  }

  // Sleeps until one may have got on. False, at once: only the driver can tell.
  bool sleep(int64_t timeout_ns) {
    Backend& backend = items_[pending_.front()].queue->context().vm().backend();
    if (!backend.may_sleep_for_any()) return false;  // before interrupts are asked for in vain
    std::deque<Sleeper> sleepers;
    std::vector<SleepWord> words;
    for (const uint32_t index : pending_) {
      uint64_t count = 0;
      std::shared_ptr<Ring> ring = items_[index].queue->ring_for(items_[index].value, &count);
      if (ring == nullptr) return false;
      words.push_back(sleepers.emplace_back(std::move(ring), count).at());
      if (!sleepers.back().has_cause()) return true;
    }
    return backend.sleep_for_any(words, timeout_ns);
  }

  bool is_in_callback() const {
    return std::any_of(pending_.begin(), pending_.end(), [&](uint32_t index) {
      return &items_[index].queue->context() == Callbacks::of_this_thread();
    });
  }
  bool is_lost() const {
    return std::any_of(pending_.begin(), pending_.end(), [&](uint32_t index) {
      return items_[index].queue->context().vm().backend().is_lost();
    });
  }

 private:
  const std::span<const WaitItem> items_;
  const bool all_;
  std::vector<uint32_t> pending_;
};

Status poll_item(const WaitItem& item) { return item.queue->poll(item.value); }

// Looks at least once.
Status spin(ManyWait& wait, const Deadline& end, uint32_t* out_index) {
  Status status;
  do {
    status = wait.look_at_all(poll_item, out_index);
  } while (status.code() == NPU_NOT_READY && end.left_ns() > 0);
  return status;
}

// NPU_NOT_READY: it cannot be done so.
Status sleep_on_words(ManyWait& wait, const Deadline& deadline, uint32_t* out_index) {
  for (;;) {
    const int64_t left_ns = deadline.left_ns();
    if (left_ns == 0) return Status(NPU_TIMEOUT);
    const bool has_slept = wait.sleep(left_ns);
    const Status status = wait.look_at_all(poll_item, out_index);
    if (status.code() != NPU_NOT_READY || !has_slept) return status;
  }
}

Status sleep_on_eventfd(ManyWait& wait, const Deadline& deadline, uint32_t* out_index) {
  Status status = spin(wait, Deadline::in(std::min(kSpinMostNs, deadline.left_ns())), out_index);
  if (status.code() != NPU_NOT_READY) return status;
  NPU_TRY_ASSIGN(EventFd event, EventFd::create());
  while (status.code() == NPU_NOT_READY) {
    Watch watch;
    const auto watch_item = [&](const WaitItem& item) {
      return item.queue->watch(item.value, event.get(), &watch);
    };
    status = wait.look_at_all(watch_item, out_index);
    if (status.code() != NPU_NOT_READY) return status;
    bool woken = false;
    while (!woken) {
      const int64_t left_ns = deadline.left_ns();
      if (left_ns == 0) return Status(NPU_TIMEOUT);
      woken = event.wait(std::min(left_ns, kSleepSliceNs)) || wait.is_lost();
    }
    status = wait.look_at_all(poll_item, out_index);
  }
  return status;
}

}  // namespace

Status wait_many(std::span<const WaitItem> items, bool all, const Deadline& deadline,
                 uint32_t* out_index) {
  ManyWait wait(items, all);
  Status status = spin(wait, Deadline::in(std::min(kSelfishSpinNs, deadline.left_ns())), out_index);
  if (status.code() != NPU_NOT_READY) return status;
  if (deadline.is_poll()) return Status(NPU_TIMEOUT);
  if (wait.is_in_callback()) {
    return fail(NPU_ERROR_IN_CALLBACK, "a host function cannot wait for queues of its own context");
  }
  status = sleep_on_words(wait, deadline, out_index);
  if (status.code() != NPU_NOT_READY) return status;
  return sleep_on_eventfd(wait, deadline, out_index);
}

}  // namespace npu
