// SPDX-License-Identifier: Apache-2.0
// Calls on buffer objects: BO_CREATE, BO_CREATE_USERPTR, BO_INFO, BO_SET_LABEL, and the closing of a handle.
#include "firmware-model/server/client.h"

namespace npu::model::server {
namespace {

// How long the device may take to let go of what was freed, and how often that is looked at.
constexpr int64_t kLetGoNs = 1'000'000'000;
constexpr int64_t kLookAgainNs = 500'000;

// A map token: kind in the upper half, handle in the lower.
uint64_t bo_token(uint32_t handle) { return 1ull << 32 | handle; }

}  // namespace

std::shared_ptr<Bo> Client::find_bo(uint32_t handle) const {
  const auto found = bos_.find(handle);
  return found == bos_.end() ? nullptr : found->second;
}

int Client::bo_create(Call&, npu_bo_create& args) {
  const int err = make_bo(args);
  if (err != ENOSPC || !device_->is_letting_go()) return err;
  starved_.push_back({nullptr, args, monotonic_ns() + kLetGoNs});
  later_ = &starved_.back().call;
  starved_due_ns_ = monotonic_ns() + kLookAgainNs;
  host_->timer_changed();
  return kLater;
}

void Client::look_at_starved(int64_t now_ns) {
  while (!starved_.empty()) {
    Starved& first = starved_.front();
    const int err = make_bo(first.args);
    const bool waits = device_->is_letting_go() && now_ns < first.deadline_ns;
    if (err == ENOSPC && waits) break;
    host_->send(first.call->reply(err, &first.args, err == 0 ? sizeof(first.args) : 0));
    starved_.pop_front();
  }
  starved_due_ns_ = starved_.empty() ? INT64_MAX : now_ns + kLookAgainNs;
}

int Client::make_bo(npu_bo_create& args) {
  // One instance of each region; NET and remote regions have none here.
  if ((args.region_mask & ~1u) != 0) return EINVAL;
  if (args.vm_id != 0 && find_vm(args.vm_id) == nullptr) return ENOENT;
  std::shared_ptr<Bo> bo;
  const int err = Bo::create(device_, account_, args, &bo);
  if (err != 0) return err;
  args.size_bytes = bo->bytes();
  args.handle = next_handle_++;
  args.map_token = bo->mappable() ? bo_token(args.handle) : 0;
  if (bo->exportable()) Bo::publish(bo);
  bos_.emplace(args.handle, std::move(bo));
  return 0;
}

int Client::bo_create_userptr(Call& call, npu_bo_create_userptr& args) {
  // No address of the peer means anything here.
  if (args.fd == -1) return EOPNOTSUPP;
  UniqueFd file;
  int err = call.take_fd(args.fd, &file);
  if (err != 0) return err;
  const bool writable = (args.flags & NPU_USERPTR_READONLY) == 0;
  err = check_shared_file(file.get(), args.address, args.size_bytes, writable);
  if (err != 0) return err;
  std::shared_ptr<Bo> bo;
  if (std::shared_ptr<Bo> object = device_->exports().find(file.get()); object != nullptr) {
    err = Bo::create_import(device_, account_, std::move(object), writable, &bo);
  } else {
    err = Bo::create_from_file(device_, account_, std::move(file), args.address, args.size_bytes,
                               writable, &bo);
  }
  if (err != 0) return err;
  args.handle = next_handle_++;
  bos_.emplace(args.handle, std::move(bo));
  return 0;
}

int Client::bo_info(Call&, npu_bo_info& args) {
  const std::shared_ptr<Bo> bo = find_bo(args.handle);
  if (bo == nullptr) return ENOENT;
  args.flags = bo->flags();
  args.region = bo->region();
  args.state = NPU_BO_READY;
  args.size_bytes = bo->bytes();
  args.page_bytes = bo->page_bytes();
  args.map_token = bo->mappable() ? bo_token(args.handle) : 0;
  return 0;
}

int Client::bo_set_label(Call&, npu_bo_set_label& args) {
  const std::shared_ptr<Bo> bo = find_bo(args.handle);
  if (bo == nullptr) return ENOENT;
  bo->label = args.label;
  return 0;
}

int Client::close_bo(uint32_t handle) {
  if (handle == 0) return ENOENT;
  return bos_.erase(handle) == 1 ? 0 : ENOENT;
}

}  // namespace npu::model::server
