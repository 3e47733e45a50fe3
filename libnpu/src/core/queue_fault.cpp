// SPDX-License-Identifier: Apache-2.0
// What of a queue has failed.
//
// A queue that stops has one fault, which its control page tells. A queue that goes on has them in its records, which are used again and again: before that, and when somebody asks,
// they are looked through, unless the device's count of errors says that there is nothing new.
#include <algorithm>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/queue.h"

namespace npu {
namespace {

constexpr size_t kFaultsKept = 256;

}  // namespace

void Queue::scan_locked(uint64_t count) {
  const uint64_t errors = ring_->errors();
  for (; scanned_ < count && errors != seen_errors_; scanned_++) {
    npu_completion record;
    if (!ring_->record_of(scanned_, &record) || record.status == NPU_OK) continue;
    seen_errors_++;
    // What the device says is not trusted: a failure has a code of failure.
    const npuResult code =
        record.status < 0 ? record.status : static_cast<npuResult>(NPU_ERROR_INTERNAL);
    if (kept_faults_.size() == kFaultsKept) kept_faults_.pop_front();
    kept_faults_.push_back({code, base_ + scanned_ + 1, record});
  }
  scanned_ = std::max(scanned_, count);
}

const Fault* Queue::kept_fault_locked(uint64_t value) const {
  const auto found =
      std::lower_bound(kept_faults_.begin(), kept_faults_.end(), value,
                       [](const Fault& fault, uint64_t wanted) { return fault.value < wanted; });
  return found != kept_faults_.end() && found->value == value ? &*found : nullptr;
}

std::optional<Fault> Queue::stop_fault_locked() {
  Fault fault;
  [[maybe_unused]] const uint64_t ended = ended_locked();
  fault.value = first_failure_locked(&fault.code);
  if (fault.value == UINT64_MAX) return std::nullopt;
  const bool by_device = failure_.code == NPU_OK || fault.value < failure_.value;
  if (!by_device) fault.origin = failure_.origin;
  npu_completion record;
  if (by_device && fault.value > base_ && fault.value <= ended &&
      ring_->record_of(fault.value - base_ - 1, &record)) {
    fault.record = record;
  }
  return fault;
}

std::vector<Fault> Queue::known_faults_locked() {
  if (options_.goes_on) scan_locked(ended_locked() - base_);
  std::vector<Fault> all(kept_faults_.begin(), kept_faults_.end());
  if (const auto stop = stop_fault_locked(); stop.has_value()) all.push_back(*stop);
  collect_prints_locked();
  for (Fault& fault : all) {
    const auto text = assert_texts_.find(fault.value);
    if (text != assert_texts_.end()) fault.message = text->second;
  }
  return all;
}

FaultOrigin Queue::origin_of(uint64_t value, npuResult code) {
  std::lock_guard lock(mutex_);
  for (const Fault& fault : known_faults_locked()) {
    if (fault.value > value || (options_.goes_on && fault.value != value)) continue;
    if (fault.origin.queue != 0) return fault.origin;
    return {handle(), fault.value, fault.code};
  }
  return {handle(), value, code};
}

std::vector<Fault> Queue::faults() {
  if (dependency_count_.load(std::memory_order_relaxed) != 0) {
    [[maybe_unused]] const Status settled = settle(submitted(), Deadline::in(0));
  }
  std::lock_guard lock(mutex_);
  return known_faults_locked();
}

std::optional<Fault> Queue::fault() { return fault_in(0, UINT64_MAX); }

std::optional<Fault> Queue::fault_in(uint64_t first, uint64_t last) {
  for (const Fault& fault : faults()) {
    if (fault.value >= first && fault.value <= last) return fault;
  }
  return std::nullopt;
}

}  // namespace npu
