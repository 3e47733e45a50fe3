// SPDX-License-Identifier: Apache-2.0
// Buffer objects: allocation, backing, and the way their memory goes back.
#include "firmware-model/server/bo.h"

#include <errno.h>

#include <algorithm>

#include "firmware-model/server/device.h"

namespace npu::model::server {
namespace {

uint64_t round_up(uint64_t bytes, uint64_t page) { return (bytes + page - 1) & ~(page - 1); }

uint64_t page_of(uint32_t region, uint32_t flags) {
  if (region == NPU_REGION_SYSTEM) return NPU_PAGE_4K;
  return (flags & NPU_BO_HUGE) != 0 ? NPU_PAGE_2M : NPU_PAGE_64K;
}

}  // namespace

int Bo::create(Device* device, const std::shared_ptr<Account>& account, const npu_bo_create& args,
               std::shared_ptr<Bo>* out) {
  std::shared_ptr<Bo> bo(new Bo(device));
  bo->bytes_ = round_up(args.size_bytes, page_of(args.region, args.flags));
  bo->region_ = args.region;
  bo->flags_ = args.flags;
  bo->vm_id_ = args.vm_id;
  const bool hbm = args.region == NPU_REGION_HBM;
  const Resource resource = hbm ? Resource::kHbmBytes : Resource::kSystemBytes;
  if (!bo->charge_object_.take(account, Resource::kObjects, 1)) return EDQUOT;
  if (!bo->charge_bytes_.take(account, resource, bo->bytes_)) return EDQUOT;
  const int err = hbm ? bo->back_with_hbm(args) : bo->back_with_host();
  if (err == 0) *out = std::move(bo);
  return err;
}

int Bo::create_from_file(Device* device, const std::shared_ptr<Account>& account, UniqueFd file,
                         uint64_t offset, uint64_t bytes, bool writable, std::shared_ptr<Bo>* out) {
  std::shared_ptr<Bo> bo(new Bo(device));
  bo->bytes_ = bytes;
  bo->writable_ = writable;
  bo->file_ = std::move(file);
  bo->file_offset_ = offset;
  bo->flags_ = NPU_BO_NO_MMAP;  // the client has its own mapping
  if (!bo->charge_object_.take(account, Resource::kObjects, 1)) return EDQUOT;
  if (!bo->charge_bytes_.take(account, Resource::kSystemBytes, bytes)) return EDQUOT;
  const int err = bo->back_with_host();
  if (err == 0) *out = std::move(bo);
  return err;
}

int Bo::create_import(Device* device, const std::shared_ptr<Account>& account,
                      std::shared_ptr<Bo> origin, bool writable, std::shared_ptr<Bo>* out) {
  std::shared_ptr<Bo> bo(new Bo(device));
  bo->bytes_ = origin->bytes_;
  bo->region_ = origin->region_;
  bo->flags_ = origin->flags_;
  bo->writable_ = writable;
  bo->file_offset_ = origin->file_offset_;
  const bool hbm = bo->region_ == NPU_REGION_HBM;
  const Resource resource = hbm ? Resource::kHbmBytes : Resource::kSystemBytes;
  if (!bo->charge_object_.take(account, Resource::kObjects, 1)) return EDQUOT;
  if (!bo->charge_bytes_.take(account, resource, bo->bytes_, true)) return EDQUOT;
  bo->origin_ = std::move(origin);
  *out = std::move(bo);
  return 0;
}

void Bo::publish(const std::shared_ptr<Bo>& bo) {
  bo->published_ = Exports::id_of(bo->file_.get());
  bo->device_->exports().add(bo->published_, bo);
}

int Bo::back_with_hbm(const npu_bo_create& args) {
  const HbmRequest request{.bytes = bytes_,
                           .align_log2 = args.align_log2,
                           .contiguous = (flags_ & NPU_BO_CONTIGUOUS) != 0,
                           .huge = (flags_ & NPU_BO_HUGE) != 0};
  int err = device_->hbm().allocate(request, &extents_);
  if (err != 0) {
    // Perhaps the memory is there and only waits for the device to let go of it.
    device_->collect();
    err = device_->hbm().allocate(request, &extents_);
    if (err != 0) return err;
  }
  device_->object_bytes += bytes_;
  if ((flags_ & NPU_BO_NO_MMAP) != 0) return 0;
  err = create_shared_file("npu-hbm", bytes_, &file_);
  return err != 0 ? err : device_->hbm().attach(file_.get(), extents_);
}

int Bo::back_with_host() {
  if (!file_.valid()) {
    const int err = create_shared_file("npu-system", bytes_, &file_);
    if (err != 0) return err;
  }
  mapping_ = std::make_shared<Mapping>();
  const int err = mapping_->map(file_.get(), file_offset_, bytes_, writable_);
  if (err != 0) return err;
  return device_->iova().add(mapping_->data(), bytes_, writable_, &iova_);
}

Bo::~Bo() {
  Device* device = device_;
  if (published_ != Exports::FileId{0, 0}) device->exports().remove(published_);
  if (!extents_.empty()) {
    device->object_bytes -= bytes_;
    device->retire().add(
        [device, extents = std::move(extents_)] { device->release_memory(extents); });
  }
  if (iova_ != 0) {
    device->retire().add([device, iova = iova_, mapping = std::move(mapping_)] {
      device->iova().remove(iova);
      mapping->unmap();
    });
  }
}

uint64_t Bo::page_bytes() const { return page_of(region_, flags_); }

std::byte* Bo::host(uint64_t offset) const {
  if (origin_ != nullptr) return origin_->host(offset);
  if (region_ == NPU_REGION_SYSTEM) return mapping_->data() + offset;
  for (const Extent& extent : extents_) {
    if (offset < extent.bytes) return device_->hbm().at(extent.offset + offset);
    offset -= extent.bytes;
  }
  return nullptr;
}

int Bo::each_piece(uint64_t offset, uint64_t bytes,
                   const std::function<int(uint64_t pa, uint64_t bytes)>& visit) const {
  if (origin_ != nullptr) return origin_->each_piece(offset, bytes, visit);
  if (region_ == NPU_REGION_SYSTEM) return visit(iova_ + offset, bytes);
  for (const Extent& extent : extents_) {
    if (bytes == 0) break;
    if (offset >= extent.bytes) {
      offset -= extent.bytes;
      continue;
    }
    const uint64_t step = std::min(bytes, extent.bytes - offset);
    const int err = visit(extent.offset + offset, step);
    if (err != 0) return err;
    offset = 0;
    bytes -= step;
  }
  return 0;
}

}  // namespace npu::model::server
