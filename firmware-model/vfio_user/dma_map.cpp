// SPDX-License-Identifier: Apache-2.0
// Checks of a DMA_MAP, the interval map, and the way back.
#include "firmware-model/vfio_user/dma_map.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <atomic>
#include <mutex>
#include <utility>

namespace npu::model::vfio_user {
namespace {

// The kernel lets a process have 65530 mappings (vm.max_map_count). With more regions than this, in
// all devices of the process together, the further ones are reached in band.
constexpr int kMaxMappings = 32768;
std::atomic<int> g_mappings{0};

// Page size of a file that is memory, 0 when it is storage: an access to that may wait for a disk,
// a network or a process of the client.
uint64_t memory_page_bytes(int fd) {
  struct statfs info {};
  if (fstatfs(fd, &info) != 0) return 0;
  const auto type = static_cast<unsigned long>(info.f_type);
  if (type == TMPFS_MAGIC) return DmaMap::kPageBytes;
  return type == HUGETLBFS_MAGIC ? static_cast<uint64_t>(info.f_bsize) : 0;
}

}  // namespace

DmaMap::~DmaMap() {
  for (auto& [iova, region] : regions_) free_region(region);
  for (Retired& retired : retired_) free_region(retired.region);
}

void DmaMap::free_region(Region& region) {
  region.guard.release();
  if (region.mapping == nullptr) return;
  munmap(region.mapping, region.mapping_bytes);
  region.mapping = nullptr;
  g_mappings.fetch_sub(1);
}

int DmaMap::map_file(const Request& request, const UniqueFd& fd, Region* out) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return errno;
  if (!S_ISREG(info.st_mode) && !S_ISCHR(info.st_mode)) return EINVAL;
  if (request.offset % kPageBytes != 0) return EINVAL;
  const uint64_t page_bytes = S_ISREG(info.st_mode) ? memory_page_bytes(fd.get()) : 0;
  // What may only be written is left to the client's own copy: pages here are readable or nothing.
  if (page_bytes == 0 || !request.readable) return 0;
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  if (request.offset > file_bytes || request.bytes > file_bytes - request.offset) return EINVAL;
  return map_pages(request, fd.get(), page_bytes, out);
}

// The whole pages of the file around the range; nothing when the process has too many mappings.
int DmaMap::map_pages(const Request& request, int fd, uint64_t page_bytes, Region* out) {
  const uint64_t before = request.offset % page_bytes;
  const uint64_t bytes = (before + request.bytes + page_bytes - 1) / page_bytes * page_bytes;
  if (g_mappings.fetch_add(1) >= kMaxMappings) {
    g_mappings.fetch_sub(1);
    return 0;
  }
  const int protection = PROT_READ | (request.writable ? PROT_WRITE : 0);
  void* mapping = mmap(nullptr, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd,
                       static_cast<off_t>(request.offset - before));
  const int err = mapping == MAP_FAILED ? errno : 0;
  if (err == 0 && out->guard.watch(mapping, bytes, notify_fd_)) {
    madvise(mapping, bytes, MADV_DONTDUMP);
    out->mapping = mapping;
    out->mapping_bytes = bytes;
    out->host = static_cast<std::byte*>(mapping) + before;
    return 0;
  }
  if (err == 0) munmap(mapping, bytes);
  g_mappings.fetch_sub(1);
  return err != 0 ? err : ENOMEM;
}

int DmaMap::check(const Request& request) const {
  if (request.bytes == 0 || (request.iova | request.bytes) % kPageBytes != 0 ||
      request.iova > UINT64_MAX - request.bytes) {
    return EINVAL;
  }
  if (!request.readable && !request.writable) return EINVAL;
  if (regions_.size() >= kMaxMaps) return ENOSPC;
  const auto next = regions_.lower_bound(request.iova);
  if (next != regions_.end() && next->first - request.iova < request.bytes) return EEXIST;
  if (next != regions_.begin()) {
    const auto& [begin, before] = *std::prev(next);
    if (request.iova - begin < before.bytes) return EEXIST;
  }
  return 0;
}

void DmaMap::insert(const Request& request, Region region) {
  region.bytes = request.bytes;
  region.readable = request.readable;
  region.writable = request.writable;
  std::unique_lock lock(mutex_);
  regions_.insert_or_assign(request.iova, std::move(region));
}

int DmaMap::map(const Request& request, UniqueFd fd) {
  if (const int err = check(request); err != 0) return err;
  Region region;
  region.has_descriptor = fd.valid();
  const int err = fd.valid() ? map_file(request, fd, &region) : 0;
  if (err == 0) insert(request, std::move(region));
  return err;
}

int DmaMap::map_peer(const Request& request, std::shared_ptr<const Aperture> peer) {
  if (const int err = check(request); err != 0) return err;
  Region region;
  const int err = reach_peer(request, std::move(peer), &region);
  if (err == 0) insert(request, std::move(region));
  return err;
}

int DmaMap::reach_peer(const Request& request, std::shared_ptr<const Aperture> peer, Region* out) {
  out->peer_base = request.iova - request.offset;
  const int err = request.readable ? map_pages(request, peer->fd(), kPageBytes, out) : 0;
  if (err != 0 || out->host == nullptr) return err;
  out->peer = std::move(peer);
  ++peers_;
  return 0;
}

int DmaMap::drop_peers() {
  int result = ENOENT;
  if (peers_ == 0) return result;
  for (auto& [iova, region] : regions_) {
    if (region.peer == nullptr || region.peer->base() == region.peer_base) continue;
    Region gone;
    {
      std::unique_lock lock(mutex_);
      gone = std::move(region);
      region = Region{};
      region.bytes = gone.bytes;
      region.readable = gone.readable;
      region.writable = gone.writable;
    }
    const int err = detach(std::move(gone));
    if (result != ENOMEM) result = err;
  }
  return result;
}

void DmaMap::adopt_peers(const FindPeer& find) {
  for (auto& [iova, region] : regions_) {
    if (region.has_descriptor || region.host != nullptr || !region.readable) continue;
    Request request{iova, region.bytes, 0, region.readable, region.writable};
    std::shared_ptr<const Aperture> peer = find(iova, region.bytes, &request.offset);
    if (peer == nullptr || request.offset % kPageBytes != 0) continue;
    Region found;
    // Else it stays in band.
    if (reach_peer(request, std::move(peer), &found) == 0 && found.host != nullptr)
      insert(request, std::move(found));
  }
}

int DmaMap::detach(Region region) {
  if (region.mapping == nullptr) return 0;
  if (region.peer != nullptr) --peers_;
  const bool safe = replace_by_zeros(region.mapping, region.mapping_bytes);
  // What could not be replaced stays until the device has gone.
  retired_.push_back({safe ? 0 : UINT64_MAX, std::move(region)});
  return safe ? 0 : ENOMEM;
}

int DmaMap::unmap(uint64_t iova, uint64_t bytes) {
  const auto found = regions_.find(iova);
  if (found == regions_.end() || found->second.bytes != bytes) return ENOENT;
  Region region = std::move(found->second);
  {
    std::unique_lock lock(mutex_);
    regions_.erase(found);
  }
  return detach(std::move(region));
}

int DmaMap::unmap_all() {
  std::map<uint64_t, Region> gone;
  {
    std::unique_lock lock(mutex_);
    gone.swap(regions_);
  }
  int result = 0;
  for (auto& [iova, region] : gone) {
    if (const int err = detach(std::move(region)); err != 0) result = err;
  }
  return result;
}

void DmaMap::retire(uint64_t ticket) {
  for (Retired& retired : retired_) {
    if (retired.ticket == 0) retired.ticket = ticket;
  }
}

void DmaMap::drain(uint64_t quiesced) {
  std::erase_if(retired_, [quiesced](Retired& retired) {
    if (retired.ticket == 0 || retired.ticket > quiesced) return false;
    free_region(retired.region);
    return true;
  });
}

void* DmaMap::find(uint64_t iova, bool write, uint64_t* out_bytes) const {
  std::shared_lock lock(mutex_);
  const auto next = regions_.upper_bound(iova);
  if (next == regions_.begin()) return nullptr;
  const auto& [begin, region] = *std::prev(next);
  const uint64_t inside = iova - begin;
  if (inside >= region.bytes || region.host == nullptr || (write && !region.writable)) {
    return nullptr;
  }
  *out_bytes = region.bytes - inside;
  return region.host + inside;
}

bool DmaMap::reach(uint64_t iova, uint64_t bytes, bool write) const {
  std::shared_lock lock(mutex_);
  auto next = regions_.upper_bound(iova);
  if (bytes == 0 || next == regions_.begin()) return false;
  for (auto at = std::prev(next); at != regions_.end(); ++at) {
    const auto& [begin, region] = *at;
    if (begin > iova || iova - begin >= region.bytes) return false;
    if (write ? !region.writable : !region.readable) return false;
    const uint64_t part = region.bytes - (iova - begin);
    if (part >= bytes) return true;
    iova += part;
    bytes -= part;
  }
  return false;
}

size_t DmaMap::size() const {
  std::shared_lock lock(mutex_);
  return regions_.size();
}

}  // namespace npu::model::vfio_user
