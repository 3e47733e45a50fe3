// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/peer_link.h"

#include <utility>

namespace npu::ccl {

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

}  // namespace npu::ccl
