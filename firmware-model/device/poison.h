// SPDX-License-Identifier: Apache-2.0
// Which 64-byte granules of the device memory hold nothing that may be read: an uncorrectable error
// was found there. Writing or clearing a whole granule mends it.
//
// Thread safety: any thread. Who wants to read asks any() where it translates an address, so memory
// without poison costs one relaxed load a translation.
#ifndef NPU_MODEL_DEVICE_POISON_H_
#define NPU_MODEL_DEVICE_POISON_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>

namespace npu::model {

class PoisonMap {
 public:
  static constexpr uint64_t kGranuleBytes = 64;
  // More than any real part survives.
  static constexpr size_t kMaxGranules = 65536;

  bool any() const { return count_.load(std::memory_order_relaxed) != 0; }
  // The granule around |offset|. Who may hold a translation of it must drop it afterwards. False:
  // the map is full.
  bool add(uint64_t offset);
  // Granules that lie in [offset, offset + bytes) as a whole were written.
  void mend(uint64_t offset, uint64_t bytes);
  bool holds(uint64_t offset) const;
  // How many bytes from |offset| on, at most |bytes|, are of one kind; in *poisoned of which.
  uint64_t run(uint64_t offset, uint64_t bytes, bool* poisoned) const;

 private:
  mutable std::mutex mutex_;
  std::set<uint64_t> granules_;  // offset / kGranuleBytes
  std::atomic<size_t> count_{0};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_POISON_H_
