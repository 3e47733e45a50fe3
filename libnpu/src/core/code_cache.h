// SPDX-License-Identifier: Apache-2.0
// CodeCache: what a context has loaded on the device, by the bytes of the blobs. Modules of equal bytes share one copy.
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "libnpu/src/core/blob.h"
#include "libnpu/src/core/status.h"

namespace npu {

// A blob on the device. Constant but for |users|, which the cache guards.
struct LoadedCode {
  uint32_t number = 0;  // of the module in the device's VM
  std::shared_ptr<const Image> image;
  std::vector<std::byte> bytes;  // a hash alone would not tell a blob from one that was altered
  size_t hash = 0;
  uint64_t users = 0;
};

class CodeCache {
 public:
  struct Stats {
    uint32_t copies = 0;
    uint64_t modules = 0;
    uint64_t bytes = 0;
    uint64_t hits = 0;
    uint64_t misses = 0;
  };
  using Load = std::function<Result<std::shared_ptr<LoadedCode>>()>;

  // One more user of this blob; |load| makes it when there is none.
  Result<std::shared_ptr<LoadedCode>> acquire(std::span<const std::byte> blob, const Load& load);
  // True: that was the last user, and the module is the caller's to unload.
  bool release(LoadedCode& code);
  Stats stats();

 private:
  std::shared_ptr<LoadedCode> find_locked(std::span<const std::byte> blob, size_t hash);

  std::mutex load_mutex_;  // before mutex_; one load at a time, so that nobody makes the same one
  std::mutex mutex_;       // of what follows
  std::unordered_multimap<size_t, std::shared_ptr<LoadedCode>> codes_;
  Stats stats_;
};

}  // namespace npu
