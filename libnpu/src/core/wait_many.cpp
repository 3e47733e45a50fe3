// SPDX-License-Identifier: Apache-2.0
// Many queues, one eventfd: each queue's driver adds to it.
#include "libnpu/src/core/wait_many.h"

#include <algorithm>
#include <vector>

#include "libnpu/src/backend/event_fd.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"

namespace npu {
namespace {

constexpr int64_t kSpinMostNs = 20'000;

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

}  // namespace

Status wait_many(std::span<const WaitItem> items, bool all, const Deadline& deadline,
                 uint32_t* out_index) {
  ManyWait wait(items, all);
  const Deadline spin_end = Deadline::in(std::min(kSpinMostNs, deadline.left_ns()));
  Status status;
  do {
    status = wait.look_at_all(poll_item, out_index);
    if (status.code() != NPU_NOT_READY) return status;
  } while (spin_end.left_ns() > 0);
  if (deadline.is_poll()) return Status(NPU_TIMEOUT);
  if (wait.is_in_callback()) {
    return fail(NPU_ERROR_IN_CALLBACK, "a host function cannot wait for queues of its own context");
  }
  NPU_TRY_ASSIGN(EventFd event, EventFd::create());
  for (;;) {
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
    if (status.code() != NPU_NOT_READY) return status;
  }
}

}  // namespace npu
