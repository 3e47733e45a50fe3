// SPDX-License-Identifier: Apache-2.0
// Numbers 0 .. n-1 of something the device has a fixed count of.
//
// Thread safety: none, the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_NUMBER_POOL_H_
#define NPU_MODEL_SERVER_NUMBER_POOL_H_

#include <cstdint>
#include <vector>

namespace npu::model::server {

class NumberPool {
 public:
  void reset(uint32_t count) {
    free_.clear();
    for (uint32_t i = count; i > 0; --i) free_.push_back(i - 1);
    count_ = count;
  }
  bool take(uint32_t* out) {
    if (free_.empty()) return false;
    *out = free_.back();
    free_.pop_back();
    return true;
  }
  void give(uint32_t number) { free_.push_back(number); }
  uint32_t used() const { return count_ - static_cast<uint32_t>(free_.size()); }
  uint32_t count() const { return count_; }

 private:
  std::vector<uint32_t> free_;
  uint32_t count_ = 0;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_NUMBER_POOL_H_
