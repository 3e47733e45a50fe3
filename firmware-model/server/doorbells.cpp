// SPDX-License-Identifier: Apache-2.0
// Doorbell pages: memory, slots, and the page of the device behind them.
#include "firmware-model/server/doorbells.h"

#include <errno.h>
#include <fcntl.h>

#include "firmware-model/server/device.h"

namespace npu::model::server {

Doorbells::~Doorbells() {
  if (!has_page_) return;
  npu_device_set_doorbells(device_->raw(), page_, nullptr, nullptr);
  device_->doorbell_pages().give(page_);
}

int Doorbells::open() {
  int err = create_shared_file("npu-doorbells", kBytes, &file_);
  if (err != 0) return err;
  mapping_ = std::make_shared<Mapping>();
  err = mapping_->map(file_.get(), 0, kBytes, true);
  if (err != 0) return err;
  if (!device_->doorbell_pages().take(&page_)) return ENOSPC;
  has_page_ = true;
  std::byte* slots = mapping_->data();
  std::byte* aux = slots + NPU_DOORBELL_PAGE_BYTES;
  return npu_device_set_doorbells(device_->raw(), page_, slots, aux) == 0 ? 0 : EIO;
}

int Doorbells::wake_fd(UniqueFd* out) const {
  *out = UniqueFd(fcntl(npu_device_page_wake_fd(device_->raw(), page_), F_DUPFD_CLOEXEC, 0));
  return out->valid() ? 0 : ENOMEM;
}

int Doorbells::take(uint32_t* out_slot) {
  if (used_.all()) return ENOSPC;
  uint32_t slot = 0;
  while (used_[slot]) ++slot;
  used_[slot] = true;
  __atomic_store_n(word(slot), 0, __ATOMIC_RELEASE);
  *out_slot = slot;
  return 0;
}

void Doorbells::give(uint32_t slot) { used_[slot] = false; }

}  // namespace npu::model::server
