// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/peer_link.h"

#include <utility>

namespace npu::ccl {
namespace {

constexpr uint64_t kSmallPerCredit = kSlots / 2;

}  // namespace

bool RecordWindow::add(uint64_t number, const Entry& entry) {
  if (number > known_ + kRecords) return false;
  if (number > known_) entries_[number % kRecords] = entry;
  return true;
}

std::optional<RecordWindow::Entry> RecordWindow::take() {
  Entry& next = entries_[(known_ + 1) % kRecords];
  if (next.kind == RecordKind::kNone) return std::nullopt;
  known_++;
  return std::exchange(next, {});
}

Path* PeerLink::up_path(uint64_t index) {
  for (const auto& path : paths) {
    if (path->is_up() && index-- == 0) return path.get();
  }
  return nullptr;
}

uint32_t PeerLink::up_count() const {
  uint32_t count = 0;
  for (const auto& path : paths) count += path->is_up() ? 1 : 0;
  return count;
}

std::optional<PeerLink::Credit> PeerLink::next_credit() {
  for (; first_take <= told.taken && !takes.empty(); first_take++) takes.pop_front();
  for (uint64_t i = 0; i < takes.size(); i++) {
    if (takes[i].is_large || i + 1 == kSmallPerCredit) return Credit{first_take + i, takes[i].mark};
  }
  return std::nullopt;
}

}  // namespace npu::ccl
