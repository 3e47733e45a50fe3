// SPDX-License-Identifier: Apache-2.0
// The device MMU: one address space = one root page table in device memory.
//
// Thread safety: any thread; the tables may change under a walk. Memory ordering: entries are read
// with acquire; their owner writes them with release (uapi/npu_pagetable.h). flush() publishes a
// new generation: translations made before it are not used by accesses that begin after it.
#ifndef NPU_MODEL_DEVICE_MMU_H_
#define NPU_MODEL_DEVICE_MMU_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/poison.h"
#include "firmware-model/tile/tile.h"
#include "uapi/npu_pagetable.h"
#include "uapi/npu_status.h"

namespace npu::model {

// The device memory as the MMU sees it.
struct HbmWindow {
  std::byte* base = nullptr;
  uint64_t bytes = 0;
  PoisonMap* poison = nullptr;

  bool holds(const std::byte* at) const {
    const auto address = reinterpret_cast<uintptr_t>(at);
    const auto begin = reinterpret_cast<uintptr_t>(base);
    return address >= begin && address - begin < bytes;
  }
};

class PageTableSpace final : public AddressSpace {
 public:
  PageTableSpace(const HbmWindow& hbm, const npu_device_ports& ports, uint64_t root)
      : hbm_(hbm), ports_(ports), root_(root), generation_(next_generation()) {}

  bool translate(uint64_t dva, npu_fault_access access, Translation* out) const override;
  uint64_t generation() const override { return generation_.load(std::memory_order_acquire); }

  void overwritten(const std::byte* at, uint64_t bytes) const override;
  // What a fault at |dva| is called: VM_FAULT, or MEMORY_POISON.
  npu_status fault_status(uint64_t dva, npu_fault_access access) const;

  // As translate(), but looks no further than |wanted_bytes| behind dva.
  bool translate_bytes(uint64_t dva, uint64_t wanted_bytes, npu_fault_access access,
                       Translation* out) const;
  // System memory that has no host address: copies between it and |buffer| through the port. How
  // many of |wanted_bytes| were copied; 0: a fault.
  uint64_t copy_by_port(uint64_t dva, uint64_t wanted_bytes, npu_fault_access access,
                        std::byte* buffer) const;
  void flush() { generation_.store(next_generation()); }

 private:
  struct Leaf {
    std::byte* host = nullptr;
    uint64_t bytes = 0;  // contiguous in host memory and mapped, from the address on
    bool writable = false;
  };
  struct HostRun {  // what host_memory() said last
    uint64_t iova = 0;
    uint64_t bytes = 0;
    std::byte* host = nullptr;
    bool writable = false;
  };
  bool find_host(uint64_t iova, npu_fault_access access, HostRun* run, bool* writable) const;
  // Unique among all address spaces of the process: a cached translation says by its generation
  // alone whose it is.
  static uint64_t next_generation();
  bool heed_poison(npu_fault_access access, Translation* run) const;
  // |poisoned_table|: the walk ended at poison.
  bool find_page(uint64_t dva, npu_fault_access access, npu_pt_hit* out,
                 bool* poisoned_table = nullptr) const;
  bool find_leaf(uint64_t dva, npu_fault_access access, HostRun* run, Leaf* out) const;

  const HbmWindow hbm_;
  const npu_device_ports& ports_;
  const uint64_t root_;
  std::atomic<uint64_t> generation_;
};

// One translation kept by its user; found again after each flush.
class CachedTranslation {
 public:
  // The host address of [dva, dva + bytes), nullptr when a part is not mapped for |access| or the
  // piece is not contiguous. |ahead_bytes|: how much more is likely to be asked for next.
  [[gnu::always_inline]] std::byte* get(const PageTableSpace& space, uint64_t dva, uint64_t bytes,
                                        npu_fault_access access, uint64_t ahead_bytes = 0) {
    if (holds(space.generation(), dva, access) && run_.end_dva - dva >= bytes) [[likely]] {
      return run_.host + (dva - run_.begin_dva);
    }
    return look_up(space, dva, bytes, access, ahead_bytes);
  }
  // Likewise, as many of |wanted_bytes| as are contiguous; 0: a fault at dva.
  uint64_t get_run(const PageTableSpace& space, uint64_t dva, uint64_t wanted_bytes,
                   npu_fault_access access, std::byte** out);
  // |at|, which was found for writing, has been written.
  void wrote(const PageTableSpace& space, const std::byte* at, uint64_t bytes) const {
    if (!run_.readable) space.overwritten(at, bytes);
  }
  bool holds(uint64_t generation, uint64_t dva, npu_fault_access access) const {
    return generation == generation_ && dva >= run_.begin_dva && dva < run_.end_dva &&
           run_.permits(access);
  }

 private:
  bool find(const PageTableSpace& space, uint64_t dva, uint64_t wanted_bytes,
            npu_fault_access access);
  std::byte* look_up(const PageTableSpace& space, uint64_t dva, uint64_t bytes,
                     npu_fault_access access, uint64_t ahead_bytes);

  Translation run_;
  uint64_t generation_ = 0;
};

// A few of them, for a user that goes to and fro between places: a walk through the tables costs as much as a short command.
template <size_t kCount>
class CachedTranslations {
 public:
  // As above.
  std::byte* get(const PageTableSpace& space, uint64_t dva, uint64_t bytes,
                 npu_fault_access access) {
    return find(space, dva, access).get(space, dva, bytes, access);
  }
  uint64_t get_run(const PageTableSpace& space, uint64_t dva, uint64_t wanted_bytes,
                   npu_fault_access access, std::byte** out) {
    return find(space, dva, access).get_run(space, dva, wanted_bytes, access, out);
  }
  // |at|, which the last get_run() has found, has been written.
  void wrote(const PageTableSpace& space, const std::byte* at, uint64_t bytes) const {
    kept_[last_].wrote(space, at, bytes);
  }

 private:
  // The one that holds |dva|, else one to take it.
  CachedTranslation& find(const PageTableSpace& space, uint64_t dva, npu_fault_access access) {
    const uint64_t generation = space.generation();
    if (kept_[last_].holds(generation, dva, access)) return kept_[last_];
    for (size_t i = 0; i < kCount; ++i) {
      if (kept_[i].holds(generation, dva, access)) return kept_[last_ = i];
    }
    next_ = (next_ + 1) % kCount;
    return kept_[last_ = next_];
  }

  std::array<CachedTranslation, kCount> kept_;
  size_t last_ = 0;  // used
  size_t next_ = 0;  // given away
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_MMU_H_
