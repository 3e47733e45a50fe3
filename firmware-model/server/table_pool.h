// SPDX-License-Identifier: Apache-2.0
// Small pieces of device memory for page tables: 4096, 256 and 128 bytes out of 64 KiB chunks.
//
// Thread safety: none, the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_TABLE_POOL_H_
#define NPU_MODEL_SERVER_TABLE_POOL_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "firmware-model/server/hbm.h"
#include "uapi/npu_pagetable.h"

namespace npu::model::server {

class TablePool {
 public:
  explicit TablePool(Hbm* hbm) : hbm_(hbm) {}

  // 0, ENOSPC, or EINVAL for a size that no table has.
  int allocate(uint32_t bytes, uint64_t* out_offset);
  // The device must not be walking the piece any more.
  void release(uint64_t offset, uint32_t bytes);

  uint64_t chunk_bytes() const { return chunks_.size() * Buddy::kGranuleBytes; }

 private:
  struct Chunk {
    uint32_t piece_bytes = 0;
    uint32_t used = 0;
    std::vector<bool> taken;
  };

  Hbm* hbm_;
  std::map<uint64_t, Chunk> chunks_;                             // by offset
  std::array<std::set<uint64_t>, NPU_PT_SIZE_CLASSES> partial_;  // chunks with a free piece
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_TABLE_POOL_H_
