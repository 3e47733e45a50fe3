// SPDX-License-Identifier: Apache-2.0
// The copy engine: strided copies and fills between device addresses, with their cost in virtual
// time.
//
// Thread safety: one thread at a time (the command processor). Memory may change meanwhile; ranges
// of one copy that overlap only in physical memory give an unspecified result, nothing worse.
#ifndef NPU_MODEL_DEVICE_DMA_H_
#define NPU_MODEL_DEVICE_DMA_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "firmware-model/device/mmu.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_status.h"

namespace npu::model {

struct DmaResult {
  npu_status status = NPU_ST_OK;
  uint64_t fault_dva = 0;
  npu_fault_access access = NPU_ACCESS_NONE;
  uint64_t hbm_bytes = 0;  // read and written in device memory
  uint64_t host_bytes = 0;
  uint64_t sent_bytes = 0;  // out of device memory, to somewhere else
  uint64_t received_bytes = 0;
  uint64_t duration_ps = 0;
};

// Whose memory a transfer works on and what may end it.
struct DmaJob {
  const PageTableSpace& space;
  const std::atomic<bool>& cancel;
  uint64_t budget;       // one operation for each 64 bytes
  bool crosses = false;  // one end has to be device memory, the other one not
};

class Dma {
 public:
  Dma(const npu_profile& profile, const HbmWindow& hbm) : profile_(profile), hbm_(hbm) {}

  // NPU_ST_BAD_COMMAND for shapes that npu_queue.h forbids; reserved fields are the caller's part.
  DmaResult copy(const DmaJob& job, const npu_cmd_copy& command);
  DmaResult fill(const DmaJob& job, const npu_cmd_fill& command);
  // Virtual time of moving so many bytes.
  uint64_t duration_ps(uint64_t hbm_bytes, uint64_t host_bytes) const;

 private:
  bool copy_row(const DmaJob& job, uint64_t src, uint64_t dst, uint64_t bytes, DmaResult* result);
  bool fill_row(const DmaJob& job, uint64_t dst, uint64_t bytes, uint64_t pattern,
                DmaResult* result);
  void count(const std::byte* at, uint64_t bytes, DmaResult* result) const;
  std::byte* bounce();
  // Memory without a host address. How many bytes; 0: a fault.
  uint64_t read_by_port(const DmaJob& job, uint64_t src, uint64_t wanted_bytes, std::byte** out);
  uint64_t write_by_port(const DmaJob& job, uint64_t dst, uint64_t wanted_bytes,
                         const std::byte* from, DmaResult* result);

  const npu_profile& profile_;
  const HbmWindow hbm_;
  CachedTranslations<4> src_;
  CachedTranslations<4> dst_;
  std::unique_ptr<std::byte[]> bounce_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_DMA_H_
