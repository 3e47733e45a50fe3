// SPDX-License-Identifier: Apache-2.0
// Tables of signals and end times.
#include "firmware-model/device/signal_times.h"

#include <algorithm>

namespace npu::model {

bool wait_holds(uint32_t op, uint64_t present, uint64_t value) {
  switch (op) {
    case NPU_SEM_WAIT_GE:
      return present >= value;
    case NPU_SEM_WAIT_EQ:
      return present == value;
    default:
      return present != value;
  }
}

uint64_t EndTimes::at(uint64_t completed) const {
  if (completed == 0 || count_ == 0) return 0;
  const uint64_t oldest = count_ > kKept ? count_ - kKept : 0;
  const uint64_t index = std::clamp(completed - 1, oldest, count_ - 1);
  return ring_[index % kKept];
}

void SignalTimes::record(const std::byte* word, uint64_t value, uint64_t time_ps, uint64_t owner) {
  std::lock_guard lock(mutex_);
  auto [entry, added] = words_.try_emplace(word);
  entry->second.ring[entry->second.count++ % kSignalsPerWord] = {value, time_ps};
  entry->second.owner = owner;
  if (!added) return;
  order_.push_back(word);
  if (order_.size() > kWords) {
    words_.erase(order_.front());
    order_.pop_front();
  }
}

uint64_t SignalTimes::find(const std::byte* word, uint32_t op, uint64_t present,
                           uint64_t value) const {
  std::lock_guard lock(mutex_);
  if (const auto queue = completed_words_.find(word); queue != completed_words_.end()) {
    return queue->second->at(op == NPU_SEM_WAIT_GE ? value : present);
  }
  const auto found = words_.find(word);
  if (found == words_.end()) return 0;
  const History& history = found->second;
  const uint64_t kept = std::min<uint64_t>(history.count, kSignalsPerWord);
  uint64_t time_ps = 0;
  // From the newest signal back to the first one of the unbroken run that fulfils the condition.
  for (uint64_t back = 1; back <= kept; ++back) {
    const Signal& signal = history.ring[(history.count - back) % kSignalsPerWord];
    // Somebody else wrote the word since: its value has no device time.
    if (back == 1 && signal.value != present) break;
    if (!wait_holds(op, signal.value, value)) break;
    time_ps = signal.time_ps;
  }
  return time_ps;
}

void SignalTimes::forget_owner(uint64_t owner) {
  std::lock_guard lock(mutex_);
  std::erase_if(order_, [&](const std::byte* word) { return words_[word].owner == owner; });
  std::erase_if(words_, [&](const auto& entry) { return entry.second.owner == owner; });
}

void SignalTimes::watch_completed(const std::byte* word, const EndTimes* times) {
  std::lock_guard lock(mutex_);
  completed_words_[word] = times;
}

void SignalTimes::unwatch_completed(const std::byte* word, const EndTimes* times) {
  std::lock_guard lock(mutex_);
  const auto found = completed_words_.find(word);
  if (found != completed_words_.end() && found->second == times) completed_words_.erase(found);
}

}  // namespace npu::model
