// SPDX-License-Identifier: Apache-2.0
// Device memory as the DMA engines and SLDW reach it: an AddressSpace with its most recent
// translations kept at hand.
//
// Thread safety: belongs to one Worker. begin_access() must come before each operation's accesses:
// it drops translations whose generation has passed.
#ifndef NPU_MODEL_TILE_DEVICE_MEMORY_H_
#define NPU_MODEL_TILE_DEVICE_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "firmware-model/tile/tile.h"

namespace npu::model {

class DeviceMemory {
 public:
  // What is known of another space is dropped by the first access: many a work-group makes none.
  void attach(const AddressSpace* space) {
    if (space == space_) return;
    space_ = space;
    generation_ = kNoGeneration;
  }

  void begin_access() {
    uint64_t generation = space_->generation();
    if (generation == generation_) return;
    drop();
    generation_ = generation;
  }

  // Host memory at |dva| and, in *bytes, how much of it is contiguous. nullptr: a fault at |dva|.
  std::byte* find(uint64_t dva, npu_fault_access access, uint64_t* bytes) {
    const Translation& last = runs_[last_];
    if (!usable(last, dva, access)) return find_slowly(dva, access, bytes);
    *bytes = last.end_dva - dva;
    return last.host + (dva - last.begin_dva);
  }

  // Host memory of the whole range, or nullptr when it faults, is spread over several runs, or must
  // go through write().
  std::byte* find_whole(uint64_t dva, uint64_t range_bytes, npu_fault_access access) {
    uint64_t bytes = 0;
    std::byte* host = find(dva, access, &bytes);
    return host != nullptr && bytes >= range_bytes && runs_[last_].readable ? host : nullptr;
  }

  // Whether the run that was used last lies in the host's memory.
  bool last_on_host() const { return runs_[last_].on_host; }

  // Copies between a scratchpad and a range that does not wrap. False: a fault, *fault_dva says
  // where.
  bool read(uint64_t dva, std::byte* to, uint64_t bytes, uint64_t* fault_dva);
  bool write(uint64_t dva, const std::byte* from, uint64_t bytes, uint64_t* fault_dva);

 private:
  static constexpr uint32_t kRuns = 8;
  static constexpr uint64_t kNoGeneration = UINT64_MAX;  // is never reached

  static bool usable(const Translation& run, uint64_t dva, npu_fault_access access) {
    return dva >= run.begin_dva && dva < run.end_dva && run.permits(access);
  }

  void drop() {
    runs_.fill(Translation{});
    last_ = 0;
    victim_ = 0;
  }

  std::byte* find_slowly(uint64_t dva, npu_fault_access access, uint64_t* bytes);

  const AddressSpace* space_ = nullptr;
  uint64_t generation_ = kNoGeneration;
  uint32_t last_ = 0;    // run that answered most recently
  uint32_t victim_ = 0;  // run to be replaced next
  std::array<Translation, kRuns> runs_{};
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_DEVICE_MEMORY_H_
