// SPDX-License-Identifier: Apache-2.0
// A counting semaphore of a tile that also knows at which virtual time each part of its count
// arrived.
//
// Invariant: the counts of the tokens add up to value(); token times never fall from the oldest to
// the newest. When all places are taken the two oldest tokens become one with the later time: a
// wait then may end later than it could, never earlier, and always at the same time for the same
// program.
#ifndef NPU_MODEL_TILE_SEMAPHORE_H_
#define NPU_MODEL_TILE_SEMAPHORE_H_

#include <algorithm>
#include <cstdint>

namespace npu::model {

class Semaphore {
 public:
  static constexpr uint32_t kMaxValue = 65535;

  uint32_t value() const { return value_; }

  void reset() {
    value_ = 0;
    head_ = 0;
    tokens_ = 0;
  }

  void set(uint32_t value, uint64_t time_ps) {
    reset();
    if (value != 0) add(value, time_ps);
  }

  // False: the count would pass kMaxValue; nothing changes then.
  bool add(uint32_t count, uint64_t time_ps) {
    if (count > kMaxValue - value_) return false;
    if (count == 0) return true;
    if (tokens_ != 0) time_ps = std::max(time_ps, time_ps_[place(tokens_ - 1)]);
    if (tokens_ == kTokens) merge_oldest();
    time_ps_[place(tokens_)] = time_ps;
    count_[place(tokens_)] = count;
    ++tokens_;
    value_ += count;
    return true;
  }

  // When the count reached |threshold|. Needs value() >= threshold.
  uint64_t time_reached_ps(uint32_t threshold) const {
    uint64_t time_ps = 0;
    for (uint32_t i = 0, sum = 0; sum < threshold; ++i) {
      sum += count_[place(i)];
      time_ps = time_ps_[place(i)];
    }
    return time_ps;
  }

  // Takes |count| away and tells when the last of it had arrived. Needs value() >= count.
  uint64_t consume(uint32_t count) {
    uint64_t time_ps = 0;
    value_ -= count;
    while (count != 0) {
      uint32_t taken = std::min(count, count_[head_]);
      time_ps = time_ps_[head_];
      count -= taken;
      count_[head_] -= taken;
      if (count_[head_] == 0) {
        head_ = place(1);
        --tokens_;
      }
    }
    return time_ps;
  }

 private:
  static constexpr uint32_t kTokens = 16;

  uint32_t place(uint32_t i) const { return (head_ + i) % kTokens; }

  void merge_oldest() {
    uint32_t second = place(1);
    count_[second] += count_[head_];
    head_ = second;
    --tokens_;
  }

  uint32_t value_ = 0;
  uint16_t head_ = 0;
  uint16_t tokens_ = 0;
  uint64_t time_ps_[kTokens];
  uint32_t count_[kTokens];
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_SEMAPHORE_H_
