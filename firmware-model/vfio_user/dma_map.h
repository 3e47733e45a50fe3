// SPDX-License-Identifier: Apache-2.0
// The client's memory as the device sees it: bus addresses (iova) that the client has mapped, with a
// host pointer where it gave a descriptor.
//
// An unmap never waits for the device. The mapping is replaced by zero pages in one step of the
// kernel, after which no access of the device, not even one that has begun, reaches the client's
// memory; the address range itself is given back when the device has let go of it (QUIESCED).
// Thread safety: find() and reach() any thread, everything else the I/O thread.
#ifndef NPU_MODEL_VFIO_USER_DMA_MAP_H_
#define NPU_MODEL_VFIO_USER_DMA_MAP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/bus.h"
#include "firmware-model/vfio_user/bus_guard.h"

namespace npu::model::vfio_user {

using server::UniqueFd;

class DmaMap {
 public:
  static constexpr uint64_t kPageBytes = 4096;
  static constexpr size_t kMaxMaps = 65535;  // the default of the protocol

  // |notify_fd| is written when a client has shrunk a file of a mapping.
  explicit DmaMap(int notify_fd) : notify_fd_(notify_fd) {}
  ~DmaMap();
  DmaMap(const DmaMap&) = delete;
  DmaMap& operator=(const DmaMap&) = delete;

  struct Request {
    uint64_t iova = 0;
    uint64_t bytes = 0;
    uint64_t offset = 0;  // in the descriptor
    bool readable = false;
    bool writable = false;
  };
  // 0 or errno. Without a descriptor, or with one whose file system may block an access, the range
  // is reached in band only.
  int map(const Request& request, UniqueFd fd);
  // A range that is memory of another device, |peer|, from request.offset on, for as long as that
  // stays at its place (drop_peers). 0 or errno.
  int map_peer(const Request& request, std::shared_ptr<const Aperture> peer);
  // Exactly one mapped range. 0 or errno; ENOMEM: the kernel refuses, the device must be stopped
  // before the memory is safe from it.
  int unmap(uint64_t iova, uint64_t bytes);
  int unmap_all();
  // Takes away what belonged to devices that have left their place since: such ranges are reached
  // in band from now on. 0; ENOENT: there was nothing to be taken; ENOMEM as above.
  int drop_peers();
  // What map_peer() would have done for ranges that came without a descriptor, had |find| (as
  // BusPort's) known them then: a client tells of memory before, or without, the device that has it.
  using FindPeer = std::function<std::shared_ptr<const Aperture>(uint64_t iova, uint64_t bytes,
                                                                 uint64_t* out_offset)>;
  void adopt_peers(const FindPeer& find);

  // Ranges that were unmapped since the last retire() belong to |ticket|; drain() frees those whose
  // ticket the device has reached.
  void retire(uint64_t ticket);
  bool has_retired() const { return !retired_.empty(); }
  void drain(uint64_t quiesced);

  // A pointer for the device, and how many bytes follow it in one piece; nullptr: no such address,
  // not permitted, or in band only.
  void* find(uint64_t iova, bool write, uint64_t* out_bytes) const;
  // Whether the whole range is mapped with this permission, in band or not.
  bool reach(uint64_t iova, uint64_t bytes, bool write) const;
  size_t size() const;

 private:
  struct Region {
    uint64_t bytes = 0;
    std::byte* host = nullptr;  // nullptr: in band only
    bool readable = false;
    bool writable = false;
    // Whole pages of the file around the region, which may be huge ones.
    void* mapping = nullptr;
    size_t mapping_bytes = 0;
    BusGuard guard;
    bool has_descriptor = false;           // nobody else's memory, even if it is reached in band
    std::shared_ptr<const Aperture> peer;  // whose memory it is; nullptr: the client's
    uint64_t peer_base = 0;                // where that was when it was mapped
  };
  struct Retired {
    uint64_t ticket = 0;  // 0: not known yet
    Region region;
  };

  int check(const Request& request) const;
  void insert(const Request& request, Region region);
  // As map_peer(), as far as the region; without a host pointer it is reached in band.
  int reach_peer(const Request& request, std::shared_ptr<const Aperture> peer, Region* out);
  int map_file(const Request& request, const UniqueFd& fd, Region* out);
  int map_pages(const Request& request, int fd, uint64_t page_bytes, Region* out);
  int detach(Region region);
  static void free_region(Region& region);

  const int notify_fd_;
  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Region> regions_;  // by iova
  std::vector<Retired> retired_;
  size_t peers_ = 0;  // regions that are memory of other devices
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_DMA_MAP_H_
