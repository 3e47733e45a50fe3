// SPDX-License-Identifier: Apache-2.0
// The host's end of a print buffer.
#include "libnpu/src/core/print_buffer.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

namespace npu {
namespace {

// 1024 records: 64 KiB, and the control words before them.
constexpr uint32_t kLog2 = 10;
constexpr uint64_t kEntries = uint64_t{1} << kLog2;
static_assert(kLog2 >= NPU_PRINT_LOG2_MIN && kLog2 <= NPU_PRINT_LOG2_MAX);

uint64_t load(const __u64& word, std::memory_order order) {
  return std::atomic_ref<__u64>(const_cast<__u64&>(word)).load(order);
}

}  // namespace

Result<std::unique_ptr<PrintBuffer>> PrintBuffer::create(Vm& vm) {
  std::unique_ptr<PrintBuffer> buffer(new PrintBuffer());
  StorageInfo info;
  info.region = Region::kSystem;
  info.use = Use::kQueues;
  info.size_bytes = sizeof(npu_print_ctrl) + kEntries * sizeof(npu_print_record);
  NPU_TRY_ASSIGN(buffer->memory_, Buffer::create(vm, info));
  NPU_TRY_ASSIGN(buffer->base_, buffer->memory_->host());
  buffer->restart();
  return buffer;
}

npu_cmd PrintBuffer::command() const {
  npu_cmd_print_buffer command{};
  command.op = NPU_CMD_PRINT_BUFFER;
  command.print_dva = memory_->dva();
  command.print_log2 = kLog2;
  return std::bit_cast<npu_cmd>(command);
}

void PrintBuffer::restart() {
  std::memset(base_, 0, sizeof(npu_print_ctrl));
  read_ = dropped_ = 0;
}

uint64_t PrintBuffer::take(std::vector<npu_print_record>* out) {
  // pairs with firmware-model/device/command.cpp : write_prints
  const uint64_t written = load(ctrl()->written, std::memory_order_acquire);
  const uint64_t count = std::min(written - read_, kEntries);
  for (uint64_t i = 0; i < count; i++) {
    npu_print_record& record = out->emplace_back();
    const uint64_t slot = (read_ + i) % kEntries;
    std::memcpy(&record, base_ + sizeof(npu_print_ctrl) + slot * sizeof record, sizeof record);
  }
  read_ += count;
  // pairs with firmware-model/device/command.cpp : write_prints
  std::atomic_ref<__u64>(ctrl()->read).store(read_, std::memory_order_release);
  const uint64_t dropped = load(ctrl()->dropped, std::memory_order_relaxed);
  const uint64_t lost = dropped >= dropped_ ? dropped - dropped_ : 0;
  dropped_ = std::max(dropped, dropped_);
  return lost;
}

}  // namespace npu
