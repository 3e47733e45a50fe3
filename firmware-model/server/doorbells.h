// SPDX-License-Identifier: Apache-2.0
// The doorbell page of a connection and the page of struct npu_doorbell_aux behind it.
//
// Thread safety: the I/O thread owns it; client and device write the memory.
#ifndef NPU_MODEL_SERVER_DOORBELLS_H_
#define NPU_MODEL_SERVER_DOORBELLS_H_

#include <bitset>
#include <cstdint>
#include <memory>

#include "firmware-model/server/shared_memory.h"
#include "firmware-model/server/unique_fd.h"
#include "uapi/npu_queue.h"

namespace npu::model::server {

class Device;

class Doorbells {
 public:
  static constexpr uint64_t kBytes = 2 * NPU_DOORBELL_PAGE_BYTES;

  explicit Doorbells(Device* device) : device_(device) {}
  ~Doorbells();
  Doorbells(const Doorbells&) = delete;
  Doorbells& operator=(const Doorbells&) = delete;

  // Makes the memory and takes a page of the device. 0, ENOSPC (no page left) or ENOMEM.
  int open();
  int file() const { return file_.get(); }
  // A new descriptor of the eventfd that wakes the device for this page. 0 or ENOMEM.
  int wake_fd(UniqueFd* out) const;

  // A slot that reads 0. ENOSPC: none is left.
  int take(uint32_t* out_slot);
  void give(uint32_t slot);

  uint32_t page() const { return page_; }
  uint64_t* word(uint32_t slot) const {
    return reinterpret_cast<uint64_t*>(mapping_->data()) + slot;
  }
  std::shared_ptr<void> mapping() const { return mapping_; }

 private:
  Device* device_;
  UniqueFd file_;
  std::shared_ptr<Mapping> mapping_;
  std::bitset<NPU_DOORBELL_SLOTS> used_;
  bool has_page_ = false;
  uint32_t page_ = 0;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_DOORBELLS_H_
