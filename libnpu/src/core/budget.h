// SPDX-License-Identifier: Apache-2.0
// Budget: what a context holds of device and host memory and of queues, for what use, and how much of each it may hold. Counts whole buffer objects: what the device
// gave, not what the caller asked for.
// Thread safety: all functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "libnpu/src/core/region.h"
#include "libnpu/src/core/status.h"

namespace npu {

// Order of npuMemUse.
enum class Use { kAllocations, kPools, kHandles, kImports, kRegistered, kQueues, kCount };

class Budget {
 public:
  static constexpr uint64_t kNoLimit = UINT64_MAX;

  struct Usage {
    uint64_t bytes = 0;
    uint64_t peak_bytes = 0;
    uint64_t objects = 0;
  };
  struct Total {
    uint64_t limit = kNoLimit;
    uint64_t used = 0;
    uint64_t peak = 0;
  };

  // NPU_ERROR_QUOTA, and nothing is charged, when it would pass the limit.
  Status charge(Region region, Use use, uint64_t bytes);
  void refund(Region region, Use use, uint64_t bytes);
  Status charge_queue();
  void refund_queue();

  // A limit below what is held now only stops what comes later.
  void limit_memory(Region region, uint64_t bytes);
  void limit_queues(uint64_t count);

  Usage usage(Region region, Use use);
  Total memory(Region region);
  Total queues();

 private:
  static constexpr size_t kUses = static_cast<size_t>(Use::kCount);
  static size_t index(Region region) { return region == Region::kHbm ? 0 : 1; }

  std::mutex mutex_;
  std::array<Total, 2> totals_;
  std::array<std::array<Usage, kUses>, 2> usage_;
  Total queues_;
};

}  // namespace npu
