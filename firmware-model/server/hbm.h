// SPDX-License-Identifier: Apache-2.0
// The device memory as the server sees it: which parts belong to objects, and what backs them.
//
// Invariant: every free byte reads as zero and costs nothing. Thread safety: one owner; device
// threads read and write the memory itself.
#ifndef NPU_MODEL_SERVER_HBM_H_
#define NPU_MODEL_SERVER_HBM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "firmware-model/server/buddy.h"

namespace npu::model::server {

// A contiguous piece of device memory.
struct Extent {
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

struct HbmRequest {
  uint64_t bytes = 0;       // multiple of 64 KiB, or of 2 MiB when huge
  unsigned align_log2 = 0;  // more than 16: one piece that begins at a multiple of it
  bool contiguous = false;
  bool huge = false;  // every piece is made of whole 2 MiB pages
};

class Hbm {
 public:
  Hbm(std::byte* base, uint64_t bytes) : base_(base), buddy_(bytes) {}

  // 0 or ENOSPC. One piece when there is one, else as few as the free blocks allow.
  int allocate(const HbmRequest& request, std::vector<Extent>* out);
  // Puts a shared file over the extents, in order. 0 or ENOMEM; then nothing has changed.
  int attach(int fd, const std::vector<Extent>& extents);
  // No access to the extents may be under way (QUIESCE). They read as zero afterwards.
  void release(const std::vector<Extent>& extents);

  std::byte* at(uint64_t offset) const { return base_ + offset; }
  uint64_t total_bytes() const { return buddy_.total_bytes(); }
  uint64_t free_bytes() const { return buddy_.free_bytes(); }

 private:
  bool allocate_one(const HbmRequest& request, std::vector<Extent>* out);
  bool allocate_pieces(const HbmRequest& request, std::vector<Extent>* out);
  bool make_fresh(const Extent& extent);

  std::byte* base_;
  Buddy buddy_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_HBM_H_
