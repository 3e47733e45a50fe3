// SPDX-License-Identifier: Apache-2.0
// What a wait on a counting semaphore tells.
#include "firmware-model/tile/order.h"

namespace npu::model {

void SemaphoreOrder::clear(uint32_t units) {
  signals_.clear();
  folded_.clear(units);
  folded_count_ = 0;
  consumed_ = 0;
}

void SemaphoreOrder::signal(const Clocks& knows, uint32_t unit, uint32_t count, uint32_t units) {
  if (count == 0) return;
  if (signals_.size() == kMaxSignals) {
    signals_[1].count += signals_[0].count;
    signals_.erase(signals_.begin());
  }
  Signal& added = signals_.emplace_back();
  added.knows.copy(knows, units);
  added.unit = unit;
  added.count = count;
}

// Counts that may have come when signal |i| had not; |before| are those of older ones. The order of signals_ is one in which they may come, so none of the older ones
// comes after |i| of necessity.
uint64_t SemaphoreOrder::counts_without(size_t i, uint64_t before) const {
  const Signal& one = signals_[i];
  uint64_t counts = before;
  for (size_t j = i + 1; j < signals_.size(); ++j) {
    const bool follows = signals_[j].knows.at(one.unit) >= one.knows.at(one.unit);
    if (!follows) counts += signals_[j].count;
  }
  return counts;
}

void SemaphoreOrder::wait(uint32_t threshold, bool consume, Clocks* knows, uint32_t units) {
  const uint64_t needed = consumed_ + threshold;
  knows->join(folded_, units);
  uint64_t before = folded_count_;
  for (size_t i = 0; i < signals_.size() && before < needed; ++i) {
    if (counts_without(i, before) < needed) knows->join(signals_[i].knows, units);
    before += signals_[i].count;
  }
  if (!consume) return;
  consumed_ = needed;
  fold(units);
}

// Later waits need more than what was consumed, so what that tells they all tell.
void SemaphoreOrder::fold(uint32_t units) {
  size_t folded = 0;
  while (folded < signals_.size() && folded_count_ + signals_[folded].count <= consumed_ &&
         counts_without(folded, folded_count_) < consumed_) {
    folded_.join(signals_[folded].knows, units);
    folded_count_ += signals_[folded].count;
    ++folded;
  }
  signals_.erase(signals_.begin(), signals_.begin() + static_cast<ptrdiff_t>(folded));
}

}  // namespace npu::model
