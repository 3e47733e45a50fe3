// SPDX-License-Identifier: Apache-2.0
// What the submitting thread leaves, the turns of the watchdog's thread, and the end.
#include "libnpu/ccl/network.h"

#include <algorithm>

#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

// How long a record waits for the data that it can go with: longer than a device takes for a small message, and less than anybody waits for a word of a mismatch.
constexpr auto kTogether = std::chrono::microseconds(200);
// Between two looks at what only seldom happens: connections that are made or end.
constexpr auto kEventsEvery = std::chrono::milliseconds(1);
// Between two looks at rails; most of what they lead to is due less often.
constexpr auto kRailsEvery = std::chrono::milliseconds(5);

}  // namespace

// ---- What the submitting thread leaves here ----

bool Network::needs_no_slots(uint32_t to) const {
  return is_remote(to) && rails_.size() == 1 && !rails_[0]->fabric.needs_registration();
}

void Network::will_send(uint32_t to, uint64_t bytes, const Mark& mark, std::byte* source) {
  if (!is_remote(to)) return;
  std::lock_guard lock(mutex_);
  links_[to]->sends.push_back({bytes, mark, source});
  if (is_large(bytes) && !links_[to]->is_finished) large_++;
}

void Network::will_take(uint32_t from, uint64_t bytes, const Mark& mark) {
  if (!is_remote(from)) return;
  std::lock_guard lock(mutex_);
  links_[from]->takes.push_back({mark, is_large(bytes)});
}

void Network::tell(uint32_t to, RecordKind kind, const Record& record) {
  if (!is_remote(to)) return;
  std::lock_guard lock(mutex_);
  links_[to]->records.push_back({kind, record, Clock::now() + kTogether});
  Watchdog::get().expect();
}

// ---- The watchdog's thread ----

std::vector<int> Network::fds() const {
  std::vector<int> all;
  for (const auto& rail : rails_) {
    const std::vector<int> some = rail->fabric.fds();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

bool Network::may_sleep() {
  bool may = true;
  for (const auto& rail : rails_) may = rail->fabric.may_sleep() && may;
  return may;
}

bool Network::has_work() {
  std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (!link || link->is_finished) continue;
    if (!link->sends.empty() || link->records_unsent() != 0 || link->unsent != 0 || link->loss) {
      return true;
    }
    if (!link->frames.empty() || link->must_tell) return true;
    if (link->flushes_sent < flushes_ || link->told.flushes < link->flushes_came) return true;
    const auto credit = link->next_credit();
    if (credit && credit->taken <= link->reassembly.arrived()) return true;
  }
  return false;
}

bool Network::awaits_device() {
  std::lock_guard lock(mutex_);
  return std::any_of(links_.begin(), links_.end(), [](const auto& link) {
    return link && !link->loss && !link->is_finished &&
           (!link->sends.empty() || link->next_credit() || link->records_unsent() != 0);
  });
}

Network::Awaited Network::awaited() {
  Awaited awaited;
  std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (!link || link->loss || link->is_finished) continue;
    if (!link->sends.empty()) awaited.marks.push_back(link->sends.front().mark);
    if (const auto credit = link->next_credit()) awaited.marks.push_back(credit->mark);
    if (link->records_unsent() == 0) continue;
    const auto due = link->records[link->records_sent - link->records_acked].until;
    if (!awaited.record_due || due < *awaited.record_due) awaited.record_due = due;
  }
  std::sort(awaited.marks.begin(), awaited.marks.end(),
            [](const Mark& a, const Mark& b) { return a.order < b.order; });
  return awaited;
}

std::optional<Loss> Network::first_loss() const {
  for (const auto& link : links_) {
    if (link && link->loss && !link->is_finished) return link->loss;
  }
  return std::nullopt;
}

std::optional<Refusal> Network::progress(bool holds, bool is_pending,
                                         std::vector<Arrival>* out_arrivals, Progress* out) {
  progress_ = {};
  if (const auto now = Clock::now(); now >= events_due_) {
    events_due_ = now + kEventsEvery;
    take_events();
  }
  std::optional<Refusal> refusal = complete_all(holds, out_arrivals);
  const auto now = Clock::now();
  const bool looks = now >= rails_due_;
  if (looks) {
    rails_due_ = now + kRailsEvery;
    ports_.look();
  }
  for (const auto& link : links_) {
    if (!link) continue;
    // Also of a rank that has ended since: it waited only until all had arrived, not until it was shown.
    if (!holds && out_arrivals->empty()) show(*link);
    if (link->loss || link->is_finished) continue;
    if (looks && link->paths.size() > 1) watch_rails(*link, is_pending || flushes_ != 0);
    pump(*link);
  }
  // Nothing tells of the end of a write, and what follows in the device's queues may wait for that.
  if (std::exchange(has_written_, false) && !refusal) refusal = complete_all(holds, out_arrivals);
  *out = progress_;
  return refusal;
}

std::optional<Refusal> Network::complete_all(bool holds, std::vector<Arrival>* out_arrivals) {
  std::optional<Refusal> refusal;
  for (const auto& rail : rails_) {
    std::array<FabricCompletion, 32> completions;
    size_t got = completions.size();
    while (!refusal && got == completions.size()) {
      got = rail->fabric.next_completions(completions, rail->sending != 0);
      for (size_t i = 0; i < got && !refusal; i++) {
        progress_.has_moved = true;
        refusal = complete(completions[i], holds, out_arrivals);
      }
    }
  }
  return refusal;
}

void Network::let_go_of_sources() {
  spare_sources();
  for (const auto& link : links_) {
    if (!link) continue;
    for (const auto& path : link->paths) {
      if (path->is_at_source()) path->close(Path::State::kDown);
    }
  }
}

bool Network::has_come(std::span<const uint64_t> counts) const {
  for (const auto& link : links_) {
    if (link && !link->is_finished && link->shown < counts[link->rank]) return false;
  }
  return true;
}

bool Network::is_writing() const {
  return std::any_of(rails_.begin(), rails_.end(),
                     [](const auto& rail) { return rail->writing != 0; });
}

void Network::finish(uint32_t rank, uint64_t arrived, uint64_t taken) {
  if (!is_remote(rank)) return;
  PeerLink& link = *links_[rank];
  std::lock_guard lock(mutex_);
  if (arrived < link.next && taken <= arrived && taken > link.peer_taken) {
    link.peer_taken = taken;
    write_word(&memory_.rank(rank).board->taken[rank_], taken);
  }
  if (link.is_finished) return;
  link.is_finished = true;
  // What has not gone goes no more.
  large_ -= static_cast<uint64_t>(std::count_if(
      link.sends.begin(), link.sends.end(), [](const auto& send) { return is_large(send.bytes); }));
}

// ---- The end ----

bool Network::is_flushed() {
  if (flushes_ == 0) return false;
  std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (!link || link->is_finished || link->loss) continue;
    if (!link->sends.empty() || !link->records.empty()) return false;
    if (link->flushes_answered < flushes_ || link->peer_arrived + 1 < link->next) return false;
  }
  return true;
}

Bye Network::farewell(uint32_t to) const {
  if (!is_remote(to)) return {};
  return {links_[to]->reassembly.arrived(), taken_from(to)};
}

void Network::close() {
  std::lock_guard lock(mutex_);
  for (auto& link : links_) {
    if (!link) continue;
    for (const auto& path : link->paths) path->close(Path::State::kDown);
  }
  links_.clear();
  rails_.clear();
}

}  // namespace npu::ccl
