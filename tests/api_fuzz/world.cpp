// SPDX-License-Identifier: Apache-2.0
// Lists of objects, with what ends together.
#include "tests/api_fuzz/world.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace npu::fuzz {
namespace {

constexpr size_t kStaleMax = 64;
constexpr size_t kFdsMax = 24;

}  // namespace

void World::add(Kind kind, Entry entry) {
  const std::lock_guard lock(mutex_);
  lists_[static_cast<size_t>(kind)].live.push_back(entry);
}

void World::remove_locked(Kind kind, uint64_t handle) {
  List& list = lists_[static_cast<size_t>(kind)];
  const auto found = std::find_if(list.live.begin(), list.live.end(),
                                  [&](const Entry& entry) { return entry.handle == handle; });
  if (found != list.live.end()) list.live.erase(found);
  list.stale.push_back(handle);
  if (list.stale.size() > kStaleMax) list.stale.erase(list.stale.begin());
  for (size_t k = 0; k < kKinds; k++) {
    for (;;) {
      auto& live = lists_[k].live;
      const auto child = std::find_if(live.begin(), live.end(), [&](const Entry& entry) {
        return entry.parent == handle && entry.handle != handle;
      });
      if (child == live.end()) break;
      remove_locked(static_cast<Kind>(k), child->handle);
    }
  }
}

void World::remove(Kind kind, uint64_t handle) {
  if (handle == 0) return;
  const std::lock_guard lock(mutex_);
  remove_locked(kind, handle);
  std::erase_if(addresses_, [&](const Address& address) { return address.context == handle; });
}

Entry World::pick(Kind kind, Rng& rng, uint64_t context) {
  const std::lock_guard lock(mutex_);
  const auto& live = lists_[static_cast<size_t>(kind)].live;
  if (live.empty()) return {};
  Entry entry;
  for (int i = 0; i < 4; i++) {
    entry = rng.any(live);
    if (context == 0 || entry.context == context) break;
  }
  return entry;
}

uint64_t World::pick_stale(Kind kind, Rng& rng) {
  const std::lock_guard lock(mutex_);
  const auto& stale = lists_[static_cast<size_t>(kind)].stale;
  return stale.empty() ? 0 : rng.any(stale);
}

size_t World::count(Kind kind) {
  const std::lock_guard lock(mutex_);
  return lists_[static_cast<size_t>(kind)].live.size();
}

std::vector<Entry> World::all(Kind kind) {
  const std::lock_guard lock(mutex_);
  return lists_[static_cast<size_t>(kind)].live;
}

void World::add_address(Address address) {
  const std::lock_guard lock(mutex_);
  addresses_.push_back(address);
}

Address World::pick_address(Rng& rng, uint64_t context, const char* maker) {
  const std::lock_guard lock(mutex_);
  Address address;
  for (int i = 0; i < 12 && !addresses_.empty(); i++) {
    address = rng.any(addresses_);
    const bool ours = maker == nullptr || std::strcmp(address.maker, maker) == 0;
    if (address.context == context && ours) break;
  }
  return address;
}

bool World::take_address(size_t most, Address* out) {
  const std::lock_guard lock(mutex_);
  if (addresses_.size() <= most) return false;
  *out = addresses_.front();
  addresses_.erase(addresses_.begin());
  return true;
}

void World::add_fd(int fd) {
  const std::lock_guard lock(mutex_);
  // None of the list is closed before the end: its number would be another file's while somebody uses it.
  if (fds_.size() >= kFdsMax) {
    close(fd);
  } else {
    fds_.push_back(fd);
  }
}

int World::pick_fd(Rng& rng) {
  const std::lock_guard lock(mutex_);
  return fds_.empty() ? -1 : rng.any(fds_);
}

void World::clear() {
  const std::lock_guard lock(mutex_);
  for (List& list : lists_) list = List{};
  addresses_.clear();
  for (const int fd : fds_) close(fd);
  fds_.clear();
}

}  // namespace npu::fuzz
