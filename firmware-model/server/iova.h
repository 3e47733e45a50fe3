// SPDX-License-Identifier: Apache-2.0
// Host memory that the device may reach: bus address (iova) to host pointer, the server's IOMMU.
//
// Thread safety: add and remove belong to the I/O thread, find to any device thread.
#ifndef NPU_MODEL_SERVER_IOVA_H_
#define NPU_MODEL_SERVER_IOVA_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>

namespace npu::model::server {

class IovaMap {
 public:
  // Gives [host, host + bytes) a bus address, a multiple of 64 KiB (2 MiB for large ranges).
  // 0 or ENOSPC.
  int add(std::byte* host, uint64_t bytes, bool writable, uint64_t* out_iova);
  // Takes back what add() gave. The device must not be using it (QUIESCE).
  void remove(uint64_t iova);

  // The pointer behind |iova|, and how many bytes follow it in one piece; null: no such address, or
  // not for writing.
  void* find(uint64_t iova, bool write, uint64_t* out_bytes) const;

  size_t size() const;

 private:
  struct Range {
    uint64_t bytes;
    std::byte* host;
    bool writable;
  };

  bool place(uint64_t begin, uint64_t end, uint64_t bytes, uint64_t align, uint64_t* out) const;

  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Range> ranges_;
  uint64_t next_ = kBegin;  // where the search for a gap starts

  static constexpr uint64_t kBegin = 1ull << 32;
  static constexpr uint64_t kEnd = 1ull << 47;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_IOVA_H_
