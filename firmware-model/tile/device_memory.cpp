// SPDX-License-Identifier: Apache-2.0
// Look-up of translations and copies that may cross from one run of memory to the next.
#include "firmware-model/tile/device_memory.h"

#include <algorithm>
#include <cstring>

#include "firmware-model/tile/guest_access.h"

namespace npu::model {

std::byte* DeviceMemory::find_slowly(uint64_t dva, npu_fault_access access, uint64_t* bytes) {
  uint32_t hit = 0;
  while (hit < kRuns && !usable(runs_[hit], dva, access)) ++hit;
  if (hit == kRuns) {
    Translation found;
    if (!space_->translate(dva, access, &found) || !usable(found, dva, access)) return nullptr;
    hit = victim_;
    victim_ = (victim_ + 1) % kRuns;
    runs_[hit] = found;
  }
  last_ = hit;
  *bytes = runs_[hit].end_dva - dva;
  return runs_[hit].host + (dva - runs_[hit].begin_dva);
}

bool DeviceMemory::read(uint64_t dva, std::byte* to, uint64_t bytes, uint64_t* fault_dva) {
  const GuestAccess access;
  while (bytes != 0) {
    uint64_t contiguous = 0;
    const std::byte* from = find(dva, NPU_ACCESS_READ, &contiguous);
    if (from == nullptr) {
      *fault_dva = dva;
      return false;
    }
    uint64_t part = std::min(bytes, contiguous);
    std::memcpy(to, from, part);
    to += part;
    dva += part;
    bytes -= part;
  }
  return true;
}

bool DeviceMemory::write(uint64_t dva, const std::byte* from, uint64_t bytes, uint64_t* fault_dva) {
  const GuestAccess access;
  while (bytes != 0) {
    uint64_t contiguous = 0;
    std::byte* to = find(dva, NPU_ACCESS_WRITE, &contiguous);
    if (to == nullptr) {
      *fault_dva = dva;
      return false;
    }
    uint64_t part = std::min(bytes, contiguous);
    std::memcpy(to, from, part);
    if (!runs_[last_].readable) space_->overwritten(to, part);
    from += part;
    dva += part;
    bytes -= part;
  }
  return true;
}

}  // namespace npu::model
