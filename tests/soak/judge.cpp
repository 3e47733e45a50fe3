// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/judge.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "tests/soak/session.h"

namespace npu::soak {
namespace {

constexpr int64_t kTurnNs = 1'000'000'000;
// Longer than any action when all is well, and shorter than most workers live.
constexpr int64_t kSuspectNs = 5 * kTurnNs;

// Of the time that passed: where this process was stopped or starved, so were the others, and it has not looked meanwhile.
int64_t counted(int64_t passed_ns) { return std::min(passed_ns, 2 * kTurnNs); }

int64_t most_starved_of_all(const ProcessTimes& times) {
  return times.most_starved_ns([](pid_t) { return false; });
}

}  // namespace

Judge::Judge(pid_t daemon, uint32_t workers, Limits limits)
    : limits_(limits), daemon_(daemon), workers_(workers), last_ns_(now_ns()) {}

void Judge::begin(uint32_t worker, pid_t pid) {
  Watched& watched = workers_[worker];
  watched.times = std::make_unique<ProcessTimes>(pid);
  watched.patience.assign(kThreadsMost + 1, Patience(limits_.hang_ns, limits_.bound_ns()));
  watched.signs.assign(kThreadsMost + 1, 0);
}

void Judge::end(uint32_t worker) { workers_[worker].times.reset(); }

bool Judge::is_suspect(uint32_t worker) const {
  const Watched& watched = workers_[worker];
  const int64_t owed_ns = std::min(kSuspectNs, limits_.hang_ns / 2);
  return watched.times != nullptr &&
         std::any_of(watched.patience.begin(), watched.patience.end(),
                     [&](const Patience& patience) { return patience.owed_ns() >= owed_ns; });
}

std::optional<Silence> Judge::look(Board& board) {
  const int64_t now = now_ns();
  if (now - last_ns_ < kTurnNs) return std::nullopt;
  const int64_t took_ns = counted(now - last_ns_);
  last_ns_ = now;
  daemon_.look(took_ns);
  for (uint32_t i = 0; i < workers_.size(); i++) {
    if (workers_[i].times == nullptr) continue;
    if (const auto found = look_at(i, board.page(i), took_ns)) return found;
  }
  return std::nullopt;
}

std::optional<Silence> Judge::look_at(uint32_t number, const Page& page, int64_t took_ns) {
  Watched& worker = workers_[number];
  worker.times->look(took_ns);
  std::set<pid_t> sessions;
  for (const Slot& slot : page.threads) sessions.insert(slot.thread);
  // A thread's action may need the library's threads and the daemon, never another session's thread: those lack a processor all the time where there are so many of them.
  const int64_t others_ns =
      most_starved_of_all(daemon_) +
      worker.times->most_starved_ns([&](pid_t thread) { return sessions.count(thread) != 0; });
  const bool is_first_alone = !page.is_anyone_at_work();
  for (uint32_t i = 0; i <= kThreadsMost; i++) {
    const Slot& slot = i < kThreadsMost ? page.threads[i] : page.first;
    Patience& patience = worker.patience[i];
    const uint64_t signs = slot.signs.load(std::memory_order_relaxed);
    const bool owes_a_sign = i < kThreadsMost ? signs != 0 : is_first_alone;
    if (!owes_a_sign || signs != worker.signs[i]) {
      patience.see_sign();
    } else {
      patience.see_silence(took_ns, worker.times->starved_ns(slot.thread) + others_ns);
    }
    worker.signs[i] = signs;
    const Silence silence{number, i, patience.silent_ns(), patience.starved_ns()};
    if (silence.silent_ns > longest_.silent_ns) longest_ = silence;
    if (patience.is_over()) return silence;
  }
  return std::nullopt;
}

bool wait_for(pid_t pid, Limits limits, const std::function<bool()>& is_done) {
  ProcessTimes times(pid);
  Patience patience(limits.hang_ns, limits.bound_ns());
  for (int64_t last_ns = now_ns(); !is_done(); usleep(20'000)) {
    const int64_t now = now_ns();
    if (now - last_ns < kTurnNs) continue;
    times.look(counted(now - last_ns));
    patience.see_silence(counted(now - last_ns), most_starved_of_all(times));
    last_ns = now;
    if (patience.is_over()) return false;
  }
  return true;
}

}  // namespace npu::soak
