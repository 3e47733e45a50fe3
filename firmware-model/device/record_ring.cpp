// SPDX-License-Identifier: Apache-2.0
// Writing of records.
#include "firmware-model/device/record_ring.h"

#include <atomic>

#include "firmware-model/device/shared_memory.h"

namespace npu::model {
namespace {

constexpr uint64_t kMaxEntries = uint64_t{1} << 20;

}  // namespace

npu_status RecordRing::configure(uint64_t iova, uint64_t entries) {
  if (entries != 0 && (!std::has_single_bit(entries) || entries > kMaxEntries)) {
    return NPU_ST_INVALID_ARGUMENT;
  }
  if (iova % sizeof(Record) != 0) return NPU_ST_UNALIGNED;
  if (iova > UINT64_MAX - entries * sizeof(Record)) return NPU_ST_OVERFLOW;
  std::lock_guard lock(mutex_);
  iova_ = iova;
  entries_ = entries;
  written_ = 0;
  return NPU_ST_OK;
}

void RecordRing::forget_lost() {
  std::lock_guard lock(mutex_);
  lost_ = 0;
}

void RecordRing::post_words(const Record& record) {
  std::lock_guard lock(mutex_);
  if (lost_ != 0 && write(make_overflow_(lost_))) lost_ = 0;
  if (lost_ != 0 || !write(record)) ++lost_;
}

bool RecordRing::write(Record record) {
  if (entries_ == 0) return false;
  const uint64_t iova = iova_ + (written_ & (entries_ - 1)) * sizeof(record);
  uint64_t bytes = 0;
  auto* at = static_cast<std::byte*>(ports_.host_memory(ports_.ctx, iova, 1, &bytes));
  if (at == nullptr || bytes < sizeof(record)) return false;
  // While the body changes, seq is 0: a driver that is a whole ring behind never takes a torn
  // record for a good one.
  store_word(at, 0);
  std::atomic_thread_fence(std::memory_order_release);
  record[0] = 0;
  store_struct(at, record);
  // pairs with firmware-model/server/event_hub.cpp : EventHub::drain_locked
  store_word(at, ++written_, std::memory_order_release);
  return true;
}

}  // namespace npu::model
