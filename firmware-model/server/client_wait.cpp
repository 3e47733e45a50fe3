// SPDX-License-Identifier: Apache-2.0
// WAIT and NOTIFY.
//
// Lost wake-ups: a wait first asks to hear of its queues and arms their interrupts, then looks at its conditions, then sleeps. Words that no
// queue of the wait announces (written by a CPU, or by another process's queue) are looked at again after 1 ms, 2 ms, ... 64 ms.
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>

#include "firmware-model/server/client.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {
namespace {

constexpr int64_t kPollFirstNs = 1'000'000;
constexpr int64_t kPollLastNs = 64'000'000;

// An eventfd is an anonymous inode; its link name is the only thing that tells it from others.
bool is_eventfd(int fd) {
  char path[32];
  char name[32] = "";
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(path, name, sizeof(name) - 1);
  return n > 0 && std::strcmp(name, "anon_inode:[eventfd]") == 0;
}

}  // namespace

int Client::make_condition(const npu_cond& cond, Condition* out) const {
  const int err = -npu_validate_cond(&cond, &device_->limits());
  if (err != 0) return err;
  out->cond = cond;
  if (cond.queue_id != 0) {
    const Queue* queue = find_queue(cond.queue_id);
    if (queue == nullptr) return ENOENT;
    out->queue = queue->view();
  }
  if (cond.op == NPU_COND_QUEUE_IDLE) return 0;
  out->bo = find_bo(cond.bo_handle);
  if (out->bo == nullptr) return ENOENT;
  if (npu_validate_span(cond.offset, 8, out->bo->bytes()) != 0) return EINVAL;
  out->word = reinterpret_cast<const uint64_t*>(out->bo->host(cond.offset));
  return 0;
}

bool Client::is_over(Wait* wait, int64_t now_ns, int* out_result) {
  const bool all = (wait->args.flags & NPU_WAIT_FLAG_ALL) != 0;
  size_t held = 0;
  uint32_t first = ~0u;
  for (uint32_t i = 0; i < wait->conditions.size(); ++i) {
    const CondState state = wait->conditions[i].evaluate();
    if (state == CondState::kQueueDead) {
      wait->args.first_index = i;
      wait->args.status = wait->conditions[i].queue->status.load(std::memory_order_relaxed);
      *out_result = ECANCELED;
      return true;
    }
    if (state == CondState::kFalse) continue;
    first = std::min(first, i);
    if (++held == wait->conditions.size() || !all) {
      wait->args.first_index = first;
      *out_result = 0;
      return true;
    }
  }
  if (wait->args.deadline_ns > now_ns) return false;
  wait->args.first_index = first;
  *out_result = ETIME;
  return true;
}

void Client::watch(Wait* wait) {
  for (const Condition& condition : wait->conditions) {
    if (condition.queue != nullptr) {
      wait->watched.push_back(condition.queue);
    } else {
      wait->polled = true;
    }
  }
  if (wait->polled) {
    for (const auto& [id, queue] : queues_) wait->watched.push_back(queue->view());
  }
  for (const auto& queue : wait->watched) device_->events().watch(queue, 1);
}

void Client::unwatch(const Wait& wait) {
  for (const auto& queue : wait.watched) device_->events().watch(queue, -1);
}

void Client::arm(const Wait& wait) {
  for (const Condition& condition : wait.conditions) {
    if (condition.queue == nullptr) continue;
    const uint64_t at = condition.wake_at();
    arm_interrupt(condition.queue->ctrl, at != 0 ? at : condition.queue->completed() + 1);
  }
  if (!wait.polled) return;
  for (const auto& queue : wait.watched) arm_interrupt(queue->ctrl, queue->completed() + 1);
}

int Client::wait(Call& call, npu_wait& args) {
  std::vector<npu_cond> conds;
  int err = call.read_array(args.conds, &conds);
  if (err != 0) return err;
  Wait wait;
  wait.args = args;
  wait.conditions.resize(conds.size());
  for (size_t i = 0; i < conds.size(); ++i) {
    err = make_condition(conds[i], &wait.conditions[i]);
    if (err != 0) return err;
  }
  const int64_t now_ns = monotonic_ns();
  int result = 0;
  bool over = is_over(&wait, now_ns, &result);
  if (!over) {
    watch(&wait);
    arm(wait);
    over = is_over(&wait, now_ns, &result);
    if (over) unwatch(wait);
  }
  if (over) {
    args = wait.args;
    return result;
  }
  if (wait.polled) poll_soon(now_ns);
  waits_.push_back(std::move(wait));
  later_ = &waits_.back().call;
  host_->timer_changed();
  return kLater;
}

void Client::look_at_waits(int64_t now_ns) {
  for (auto at = waits_.begin(); at != waits_.end();) {
    int result = 0;
    bool over = is_over(&*at, now_ns, &result);
    if (!over) {
      arm(*at);
      over = is_over(&*at, now_ns, &result);
    }
    if (!over) {
      ++at;
      continue;
    }
    unwatch(*at);
    host_->send(at->call->reply(result, &at->args, sizeof(at->args)));
    at = waits_.erase(at);
  }
  host_->timer_changed();
}

int Client::notify(Call& call, npu_notify& args) {
  if ((args.flags & NPU_NOTIFY_ADD) != 0) return add_notification(call, args);
  const auto found = notifications_.find(args.cookie);
  if (found == notifications_.end()) return ENOENT;
  device_->events().remove(found->second);
  notifications_.erase(found);
  account_->refund(Resource::kNotifies, 1);
  return 0;
}

int Client::add_notification(Call& call, const npu_notify& args) {
  drop_spent();
  if (notifications_.count(args.cookie) != 0) return EBUSY;
  auto notification = std::make_shared<Notification>();
  int err = make_condition(args.cond, &notification->condition);
  if (err != 0) return err;
  err = call.take_fd(args.fd, &notification->fd);
  if (err != 0) return err;
  if (!is_eventfd(notification->fd.get())) return EINVAL;
  if (!account_->charge(Resource::kNotifies, 1)) return EDQUOT;
  notification->cookie = args.cookie;
  notification->oneshot = (args.flags & NPU_NOTIFY_ONESHOT) != 0;
  notifications_.emplace(args.cookie, notification);
  device_->events().add(notification);
  if (notification->condition.queue == nullptr) poll_soon(monotonic_ns());
  return 0;
}

bool Client::polls() const {
  if (!suspensions_.empty()) return true;
  const bool wait =
      std::any_of(waits_.begin(), waits_.end(), [](const Wait& w) { return w.polled; });
  return wait || std::any_of(notifications_.begin(), notifications_.end(), [](const auto& entry) {
           return entry.second->condition.queue == nullptr;
         });
}

void Client::poll_soon(int64_t now_ns) {
  poll_period_ns_ = kPollFirstNs;
  poll_due_ns_ = now_ns + poll_period_ns_;
  host_->timer_changed();
}

void Client::poll_notifications() {
  for (const auto& [cookie, notification] : notifications_) device_->events().look_at(notification);
  drop_spent();
}

void Client::drop_spent() {
  for (auto at = notifications_.begin(); at != notifications_.end();) {
    if (!device_->events().spent(at->second)) {
      ++at;
      continue;
    }
    device_->events().remove(at->second);
    account_->refund(Resource::kNotifies, 1);
    at = notifications_.erase(at);
  }
}

void Client::tick(int64_t now_ns) {
  if (now_ns >= poll_due_ns_) {
    poll_notifications();
    look_at_suspensions();
    poll_period_ns_ = std::min(poll_period_ns_ * 2, kPollLastNs);
    poll_due_ns_ = polls() ? now_ns + poll_period_ns_ : INT64_MAX;
  }
  look_at_waits(now_ns);
  if (now_ns >= starved_due_ns_) look_at_starved(now_ns);
  if (now_ns >= watchdog_due_ns_) run_watchdogs(now_ns);
  for (auto at = perf_.begin(); at != perf_.end();) {
    at = at->tick(now_ns) ? std::next(at) : perf_.erase(at);
  }
}

int64_t Client::next_due_ns() const {
  int64_t due = std::min({poll_due_ns_, watchdog_due_ns_, starved_due_ns_});
  for (const Wait& wait : waits_) due = std::min<int64_t>(due, wait.args.deadline_ns);
  for (const PerfStream& stream : perf_) due = std::min(due, stream.due_ns());
  return due;
}

}  // namespace npu::model::server
