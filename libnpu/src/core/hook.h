// SPDX-License-Identifier: Apache-2.0
// Hooks: who wants to know of the calls of this process. One word that every public function looks at, and 0 almost always.
//
// Thread safety: all functions. Memory ordering: none; what a hook needs it publishes itself before its bit is set.
#pragma once

#include <atomic>
#include <cstdint>

namespace npu {

enum class Hook : uint32_t {
  kSubscribers = 1 << 0,
  kActivities = 1 << 1,  // npuProfStart or NPU_TRACE
  kRecord = 1 << 2,
  kLeak = 1 << 3,
  kValidation = 1 << 4,
  kBlocking = 1 << 5,
};

class Hooks {
 public:
  static bool any() { return bits_.load(std::memory_order_relaxed) != 0; }
  static bool has(Hook hook) {
    return (bits_.load(std::memory_order_relaxed) & static_cast<uint32_t>(hook)) != 0;
  }
  static void set(Hook hook, bool on) {
    const auto bit = static_cast<uint32_t>(hook);
    if (on) {
      bits_.fetch_or(bit, std::memory_order_relaxed);
    } else {
      bits_.fetch_and(~bit, std::memory_order_relaxed);
    }
  }

 private:
  static inline constinit std::atomic<uint32_t> bits_{0};
};

}  // namespace npu
