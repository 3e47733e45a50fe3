// SPDX-License-Identifier: Apache-2.0
// Look-up of blobs that are loaded.
#include "libnpu/src/core/code_cache.h"

#include <algorithm>
#include <string_view>

namespace npu {
namespace {

// The signature, which no two blobs share, is in the last bytes. Whether all are equal is compared.
size_t hash_of(std::span<const std::byte> blob) {
  const auto end = blob.last(std::min<size_t>(blob.size(), 128));
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(end.data()), end.size()});
}

}  // namespace

std::shared_ptr<LoadedCode> CodeCache::find_locked(std::span<const std::byte> blob, size_t hash) {
  const auto [first, last] = codes_.equal_range(hash);
  for (auto entry = first; entry != last; ++entry) {
    const std::vector<std::byte>& known = entry->second->bytes;
    if (!std::equal(blob.begin(), blob.end(), known.begin(), known.end())) continue;
    entry->second->users++;
    stats_.modules++;
    stats_.hits++;
    return entry->second;
  }
  return nullptr;
}

Result<std::shared_ptr<LoadedCode>> CodeCache::acquire(std::span<const std::byte> blob,
                                                       const Load& load) {
  const size_t hash = hash_of(blob);
  {
    std::lock_guard lock(mutex_);
    if (auto known = find_locked(blob, hash)) return known;
  }
  std::lock_guard load_lock(load_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (auto known = find_locked(blob, hash)) return known;
  }
  NPU_TRY_ASSIGN(std::shared_ptr<LoadedCode> code, load());
  code->bytes.assign(blob.begin(), blob.end());
  code->hash = hash;
  code->users = 1;
  std::lock_guard lock(mutex_);
  codes_.emplace(hash, code);
  stats_.copies++;
  stats_.modules++;
  stats_.bytes += blob.size();
  stats_.misses++;
  return code;
}

bool CodeCache::release(LoadedCode& code) {
  std::lock_guard lock(mutex_);
  stats_.modules--;
  if (--code.users != 0) return false;
  const auto [first, last] = codes_.equal_range(code.hash);
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second.get() != &code) continue;
    stats_.copies--;
    stats_.bytes -= code.bytes.size();
    codes_.erase(entry);
    break;
  }
  return true;
}

CodeCache::Stats CodeCache::stats() {
  std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace npu
