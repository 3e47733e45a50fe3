// SPDX-License-Identifier: Apache-2.0
// Address spaces: VM_BIND in two phases, bookkeeping of areas, fault records.
#include "firmware-model/server/vm.h"

#include <errno.h>

#include <algorithm>

#include "firmware-model/server/device.h"
#include "uapi/npu_status.h"

namespace npu::model::server {
namespace {

uint64_t pte_flags(const BindStep& step) {
  uint64_t flags = 0;
  if ((step.op.flags & NPU_BIND_READONLY) == 0) flags |= NPU_PTE_WRITE;
  if ((step.op.flags & NPU_BIND_EXEC) != 0) flags |= NPU_PTE_EXEC;
  if (step.bo->region() == NPU_REGION_SYSTEM) flags |= NPU_PTE_SYSTEM;
  return flags;
}

}  // namespace

int Vm::read64(void* ctx, __u64 offset, __u64* value) {
  const auto* vm = static_cast<Vm*>(ctx);
  *value =
      __atomic_load_n(reinterpret_cast<uint64_t*>(vm->device_->hbm().at(offset)), __ATOMIC_RELAXED);
  return 0;
}

void Vm::write64(void* ctx, __u64 offset, __u64 value) {
  const auto* vm = static_cast<Vm*>(ctx);
  // pairs with firmware-model/device/mmu.cpp : read_entry
  __atomic_store_n(reinterpret_cast<uint64_t*>(vm->device_->hbm().at(offset)), value,
                   __ATOMIC_RELEASE);
}

int Vm::alloc_table(void* ctx, __u32 bytes, __u64* offset) {
  auto* vm = static_cast<Vm*>(ctx);
  if (!vm->account_->charge(Resource::kHbmBytes, bytes)) return -EDQUOT;
  uint64_t at = 0;
  const int err = vm->device_->tables().allocate(bytes, &at);
  if (err != 0) {
    vm->account_->refund(Resource::kHbmBytes, bytes);
    return -err;
  }
  *offset = at;
  vm->table_bytes_ += bytes;
  return 0;
}

void Vm::free_table(void* ctx, __u64 offset, __u32 bytes) {
  auto* vm = static_cast<Vm*>(ctx);
  vm->account_->refund(Resource::kHbmBytes, bytes);
  vm->table_bytes_ -= bytes;
  vm->freed_tables_.emplace_back(offset, bytes);
}

void Vm::retire_tables() {
  if (freed_tables_.empty()) return;
  Device* device = device_;
  device->retire().add([device, tables = std::exchange(freed_tables_, {})] {
    for (const auto& [offset, bytes] : tables) device->tables().release(offset, bytes);
  });
}

int Vm::create(Device* device, const std::shared_ptr<Account>& account, uint64_t va_end,
               std::unique_ptr<Vm>* out) {
  std::unique_ptr<Vm> vm(new Vm(device, account));
  vm->va_end_ = va_end;
  if (!vm->charge_.take(account, Resource::kVms, 1)) return EDQUOT;
  vm->has_number_ = device->contexts().take(&vm->context_);
  if (!vm->has_number_) return ENOSPC;
  vm->ops_ = {.ctx = vm.get(),
              .hbm_bytes = device->hbm().total_bytes(),
              .read64 = &Vm::read64,
              .write64 = &Vm::write64,
              .alloc_table = &Vm::alloc_table,
              .free_table = &Vm::free_table};
  __u64 root = 0;
  const int err = npu_pt_create(&vm->ops_, &root);
  if (err != 0) return -err;
  vm->root_ = root;
  vm->has_root_ = true;
  if (device->mailbox(NPU_MBOX_CONTEXT_CREATE, {vm->context_, vm->root_}) != NPU_ST_OK) return EIO;
  vm->has_context_ = true;
  *out = std::move(vm);
  return 0;
}

Vm::~Vm() {
  if (has_context_) device_->mailbox(NPU_MBOX_CONTEXT_DESTROY, {context_});
  if (has_root_) npu_pt_destroy(&ops_, root_);
  retire_tables();
  if (has_number_) device_->contexts().give(context_);
}

int Vm::prepare(const BindStep& step) {
  if (step.bo == nullptr)
    return -npu_pt_prepare_unmap(&ops_, root_, step.op.dva, step.op.size_bytes);
  const uint64_t flags = pte_flags(step);
  uint64_t dva = step.op.dva;
  return step.bo->each_piece(step.op.bo_offset, step.op.size_bytes, [&](uint64_t pa, uint64_t n) {
    const int err = npu_pt_prepare_map(&ops_, root_, dva, n, pa, flags);
    dva += n;
    return -err;
  });
}

int Vm::commit(const BindStep& step) {
  if (step.bo == nullptr)
    return -npu_pt_commit_unmap(&ops_, root_, step.op.dva, step.op.size_bytes);
  const uint64_t flags = pte_flags(step);
  uint64_t dva = step.op.dva;
  return step.bo->each_piece(step.op.bo_offset, step.op.size_bytes, [&](uint64_t pa, uint64_t n) {
    const int err = npu_pt_commit_map(&ops_, root_, dva, n, pa, flags);
    dva += n;
    return -err;
  });
}

int Vm::bind(std::span<const BindStep> steps, uint32_t* failed_index) {
  *failed_index = ~0u;
  int err = 0;
  for (size_t i = 0; i < steps.size() && err == 0; ++i) {
    err = prepare(steps[i]);
    if (err != 0) *failed_index = static_cast<uint32_t>(i);
  }
  // What was mapped before stays alive until the device has forgotten it.
  std::vector<std::shared_ptr<Bo>> dropped;
  for (size_t i = 0; i < steps.size() && err == 0; ++i) {
    const BindStep& step = steps[i];
    err = commit(step);
    const uint64_t end = step.op.dva + step.op.size_bytes;
    carve(step.op.dva, end, &dropped);
    if (step.bo == nullptr || err != 0) continue;
    areas_[step.op.dva] = {end, step.bo, step.op.bo_offset, step.op.flags};
    mapped_bytes_ += step.op.size_bytes;
  }
  for (const BindStep& step : steps) npu_pt_compact(&ops_, root_, step.op.dva, step.op.size_bytes);
  if (!dropped.empty() || !freed_tables_.empty()) {
    device_->mailbox(NPU_MBOX_TLB_FLUSH, {context_});
  }
  retire_tables();
  return err;
}

void Vm::carve(uint64_t dva, uint64_t end, std::vector<std::shared_ptr<Bo>>* dropped) {
  auto at = areas_.lower_bound(dva);
  if (at != areas_.begin() && std::prev(at)->second.end > dva) --at;
  while (at != areas_.end() && at->first < end) {
    const uint64_t begin = at->first;
    Area area = std::move(at->second);
    at = areas_.erase(at);
    mapped_bytes_ -= std::min(area.end, end) - std::max(begin, dva);
    dropped->push_back(area.bo);
    if (area.end > end) {
      at = areas_.emplace(end, Area{area.end, area.bo, area.bo_offset + (end - begin), area.flags})
               .first;
    }
    if (begin < dva) areas_.emplace(begin, Area{dva, area.bo, area.bo_offset, area.flags});
  }
}

bool Vm::pinned(uint64_t dva, uint64_t bytes) const {
  return std::any_of(pins_.begin(), pins_.end(), [&](const auto& pin) {
    return pin.first < dva + bytes && dva < pin.first + pin.second;
  });
}

void Vm::unpin(uint64_t dva, uint64_t bytes) {
  const auto pin = std::find(pins_.begin(), pins_.end(), std::make_pair(dva, bytes));
  if (pin != pins_.end()) pins_.erase(pin);
}

bool Vm::covers(uint64_t dva, uint64_t bytes) const {
  const uint64_t end = dva + bytes;
  auto at = areas_.upper_bound(dva);
  if (at == areas_.begin()) return false;
  for (--at; at != areas_.end() && at->first <= dva; ++at) {
    dva = std::max(dva, at->second.end);
    if (dva >= end) return true;
  }
  return false;
}

bool Vm::maps(const Bo* bo, uint64_t bo_offset, uint64_t dva, uint64_t bytes) const {
  const uint64_t end = dva + bytes;
  auto at = areas_.upper_bound(dva);
  if (at == areas_.begin()) return false;
  for (--at; at != areas_.end() && at->first <= dva && dva < end; ++at) {
    const Area& area = at->second;
    if (area.end <= dva) return false;
    if (area.bo.get() != bo || (area.flags & NPU_BIND_READONLY) != 0) return false;
    if (area.bo_offset + (dva - at->first) != bo_offset) return false;
    bo_offset += area.end - dva;
    dva = area.end;
  }
  return dva >= end;
}

void Vm::record_fault(const npu_fault& fault) {
  faults_[faults_total_ % faults_.size()] = fault;
  ++faults_total_;
}

std::vector<npu_fault> Vm::faults() const {
  std::vector<npu_fault> newest_first;
  const uint64_t kept = std::min<uint64_t>(faults_total_, faults_.size());
  for (uint64_t i = 1; i <= kept; ++i) {
    newest_first.push_back(faults_[(faults_total_ - i) % faults_.size()]);
  }
  return newest_first;
}

}  // namespace npu::model::server
