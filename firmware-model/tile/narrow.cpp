// SPDX-License-Identifier: Apache-2.0
// What LDC has left in L1, by range.
#include <algorithm>

#include "firmware-model/tile/group.h"

namespace npu::model {

void NarrowRanges::add(uint64_t begin, uint64_t end, uint8_t dtype) {
  if (begin == end) return;
  const Range range{begin, end, dtype};
  if (count_ < ranges_.size()) {
    ranges_[count_++] = range;
    return;
  }
  ranges_[oldest_] = range;
  oldest_ = (oldest_ + 1) % ranges_.size();
}

void NarrowRanges::forget(uint64_t begin, uint64_t end) {
  for (uint32_t i = 0; i < count_;) {
    if (ranges_[i].begin < end && begin < ranges_[i].end) {
      ranges_[i] = ranges_[--count_];
    } else {
      ++i;
    }
  }
}

uint8_t NarrowRanges::type_of(uint64_t begin, uint64_t end) const {
  for (uint32_t i = 0; i < count_; ++i) {
    if (ranges_[i].begin <= begin && end <= ranges_[i].end) return ranges_[i].dtype;
  }
  return NPU_DTYPE_F32;
}

}  // namespace npu::model
