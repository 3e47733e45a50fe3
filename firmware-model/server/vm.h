// SPDX-License-Identifier: Apache-2.0
// A device address space: a context of the device, its page tables, and what is mapped where.
//
// Thread safety: the I/O thread owns it; the device walks the tables meanwhile (uapi/npu_pagetable.h).
#ifndef NPU_MODEL_SERVER_VM_H_
#define NPU_MODEL_SERVER_VM_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "firmware-model/server/account.h"
#include "firmware-model/server/bo.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_pagetable.h"

namespace npu::model::server {

class Device;

// One checked operation of VM_BIND.
struct BindStep {
  npu_bind_op op{};
  std::shared_ptr<Bo> bo;  // null: unmap
};

class Vm {
 public:
  static int create(Device* device, const std::shared_ptr<Account>& account, uint64_t va_end,
                    std::unique_ptr<Vm>* out);
  // No queue may use it.
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  // All steps or none. The caller has checked them against objects, va_end() and pinned().
  int bind(std::span<const BindStep> steps, uint32_t* failed_index);

  uint32_t context() const { return context_; }
  uint64_t va_end() const { return va_end_; }
  uint64_t mapped_bytes() const { return mapped_bytes_; }
  uint64_t table_bytes() const { return table_bytes_; }

  // Whether a live queue keeps something in the range.
  bool pinned(uint64_t dva, uint64_t bytes) const;
  void pin(uint64_t dva, uint64_t bytes) { pins_.emplace_back(dva, bytes); }
  void unpin(uint64_t dva, uint64_t bytes);

  // The range is mapped without a gap.
  bool covers(uint64_t dva, uint64_t bytes) const;
  // The range is mapped, writable, to |bo| from |bo_offset| on.
  bool maps(const Bo* bo, uint64_t bo_offset, uint64_t dva, uint64_t bytes) const;

  void record_fault(const npu_fault& fault);
  uint64_t faults_total() const { return faults_total_; }
  // Newest first.
  std::vector<npu_fault> faults() const;

 private:
  struct Area {
    uint64_t end = 0;
    std::shared_ptr<Bo> bo;
    uint64_t bo_offset = 0;
    uint32_t flags = 0;
  };

  Vm(Device* device, std::shared_ptr<Account> account)
      : device_(device), account_(std::move(account)) {}
  int prepare(const BindStep& step);
  int commit(const BindStep& step);
  // Takes [dva, end) out of areas_; what was there goes to |dropped|.
  void carve(uint64_t dva, uint64_t end, std::vector<std::shared_ptr<Bo>>* dropped);
  void retire_tables();

  static int read64(void* ctx, __u64 offset, __u64* value);
  static void write64(void* ctx, __u64 offset, __u64 value);
  static int alloc_table(void* ctx, __u32 bytes, __u64* offset);
  static void free_table(void* ctx, __u64 offset, __u32 bytes);

  Device* device_;
  std::shared_ptr<Account> account_;
  Charge charge_;
  npu_pt_ops ops_{};
  uint64_t root_ = 0;
  bool has_root_ = false;
  bool has_number_ = false;
  bool has_context_ = false;
  uint32_t context_ = 0;
  uint64_t va_end_ = 0;
  uint64_t mapped_bytes_ = 0;
  uint64_t table_bytes_ = 0;
  std::map<uint64_t, Area> areas_;  // by first address
  std::vector<std::pair<uint64_t, uint64_t>> pins_;
  std::vector<std::pair<uint64_t, uint32_t>> freed_tables_;
  std::array<npu_fault, NPU_MAX_FAULTS> faults_{};
  uint64_t faults_total_ = 0;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_VM_H_
