// SPDX-License-Identifier: Apache-2.0
// Matching: which receive takes which send (rule 2 of schedule.h), and the graph of all steps of all ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

// A group whose schedules repeat every |kept| ranks needs only the first |kept|: the others are their images under the shift by |kept|.
// A message to an image is received, in the folded group, from the image of the sender that is as far on the other side.
// |mirrored|: under the exclusive or instead of the shift; the number of images is a power of two.
struct Fold {
  uint32_t ranks;
  uint32_t kept;
  bool mirrored = false;

  static Fold none(uint32_t ranks) { return {ranks, ranks, false}; }
  uint32_t image_of(uint32_t rank) const { return rank % kept; }
  // How many times |kept| ranks lie between the two, cyclically.
  uint32_t distance(uint32_t source, uint32_t target) const {
    if (mirrored) return target / kept ^ source / kept;
    const uint32_t images = ranks / kept;
    return (target / kept + images - source / kept) % images;
  }
};

struct Message {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t source = 0;  // both below Fold::kept
  uint32_t target = 0;
  uint32_t send_step = kNone;
  uint32_t recv_step = kNone;
  uint32_t next = kNone;  // in the same stream
  bool first = false;     // of its stream
};

struct Matching {
  std::vector<Message> messages;
  std::vector<std::vector<uint32_t>>
      message_of;     // [rank][step]; Message::kNone for a step that is local
  std::string error;  // first of what does not match; empty: all does
};

// |schedules| are those of ranks 0 ... fold.kept - 1.
Matching match(std::span<const RankSchedule> schedules, Fold fold);

// Steps of all ranks as nodes; who waits for whom within each rank.
class StepGraph {
 public:
  explicit StepGraph(std::span<const RankSchedule> schedules);

  uint32_t size() const { return static_cast<uint32_t>(waiting_.size()); }
  uint32_t node(uint32_t rank, uint32_t step) const { return base_[rank] + step; }
  uint32_t rank_of(uint32_t node) const { return rank_of_[node]; }
  uint32_t step_of(uint32_t node) const { return node - base_[rank_of_[node]]; }
  uint32_t waiting(uint32_t node) const { return waiting_[node]; }
  // One dependency of |node| less; true if that was the last.
  bool release(uint32_t node) { return --waiting_[node] == 0; }
  std::span<const uint32_t> successors(uint32_t node) const {
    return std::span(successors_).subspan(first_[node], first_[node + 1] - first_[node]);
  }

 private:
  std::vector<uint32_t> base_;
  std::vector<uint32_t> rank_of_;
  std::vector<uint32_t> waiting_;
  std::vector<uint32_t> first_;
  std::vector<uint32_t> successors_;
};

}  // namespace npu::ccl
