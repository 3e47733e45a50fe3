// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/segments.h"

#include <algorithm>

namespace npu::ccl {
namespace {

constexpr uint64_t kPageBytes = 4 << 10;

std::string name_of(const Segment& segment) {
  return "message " + std::to_string(segment.sequence);
}

}  // namespace

uint32_t pieces_of(uint64_t bytes, uint32_t rails) { return bytes < kCutBytesMin ? 1 : rails; }

Piece piece_of(uint64_t bytes, uint32_t index, uint32_t count) {
  const uint64_t pages = (bytes + kPageBytes - 1) / kPageBytes;
  const auto at = [&](uint64_t i) { return std::min(bytes, pages * i / count * kPageBytes); };
  const uint64_t end = index + 1 == count ? bytes : at(index + 1);
  return {at(index), end - at(index)};
}

std::string Reassembly::fault_of(const Segment& segment, uint64_t last, uint64_t bytes_max) const {
  if (segment.sequence <= arrived_ || segment.sequence > arrived_ + kSlots) {
    return name_of(segment) + " where message " + std::to_string(arrived_ + 1) + " comes next";
  }
  if (segment.sequence > last || segment.bytes > bytes_max) {
    return "a message for which there is no room";
  }
  if (segment.count == 0 || segment.count > kRailsMax || segment.index >= segment.count) {
    return name_of(segment) + " in pieces that cannot be";
  }
  const Slot& there = slot(segment.sequence);
  if (there.sequence != segment.sequence) return "";
  if (there.bytes != segment.bytes || there.count != segment.count ||
      there.records != segment.records) {
    return name_of(segment) + " in pieces that differ";
  }
  return (there.have & 1u << segment.index) != 0 ? name_of(segment) + " in part twice" : "";
}

bool Reassembly::add(const Segment& segment) {
  Slot& there = slots_[segment.sequence % kSlots];
  if (there.sequence != segment.sequence) {
    there = {segment.sequence, segment.bytes, segment.count, segment.records, 0};
  }
  there.have |= 1u << segment.index;
  return there.is_whole();
}

bool Reassembly::advance(uint64_t records) {
  const uint64_t before = arrived_;
  while (true) {
    const Slot& next = slot(arrived_ + 1);
    if (next.sequence != arrived_ + 1 || !next.is_whole() || next.records > records) break;
    arrived_++;
  }
  return arrived_ != before;
}

uint32_t Reassembly::parts() const {
  uint32_t parts = 0;
  for (uint32_t i = 0; i < kSlots; i++) {
    const Slot& there = slot(arrived_ + 1 + i);
    if (there.sequence == arrived_ + 1 + i) parts |= there.have << i * kRailsMax;
  }
  return parts;
}

}  // namespace npu::ccl
