// SPDX-License-Identifier: Apache-2.0
// Plans: the algorithm and the schedule of one rank for a problem, and a small cache of them.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/schedule/choose.h"
#include "libnpu/ccl/schedule/pooling.h"

namespace npu::ccl {

struct Plan {
  Problem problem;
  Algorithm algorithm;
  RankSchedule schedule;
  // All steps one after the other on the local lane: fewer commands and hops, and nothing is lost, as there is one chunk only.
  bool is_serial = false;
  // All that this rank sends goes before it has anything from the others, and so it is with them: what comes waits for their calls only.
  bool is_one_round = false;
  std::optional<Pooling> pooling;  // its messages go through pools (run.h); so they do on all ranks
  std::vector<bool> ticks;         // of each step: a later one on another lane depends on it
  static constexpr uint32_t kNone = UINT32_MAX;
  // Of each receive: the reduction that takes the message out of its slot, where it stays till then, instead of a copy in scratch. Of each operand: that receive. kNone: nothing of the kind.
  std::vector<uint32_t> taker, source;

  bool is_pooled() const { return pooling.has_value(); }
  bool is_window() const { return algorithm == Algorithm::kWindow; }
  // Of step |index|; see lanes.h.
  uint32_t lane_of(uint32_t index) const;
};
using PlanPtr = std::shared_ptr<const Plan>;

class PlanCache {
 public:
  PlanCache(uint32_t rank, uint64_t chunk_bytes, const Override& wishes)
      : rank_(rank), chunk_bytes_(chunk_bytes), wishes_(wishes) {}

  // Both forget the plans that somebody has asked for before.
  void set_machine(const Machine& machine, std::vector<Correction> corrections) {
    machine_ = machine;
    corrections_ = std::move(corrections);
    entries_.clear();
  }
  // All ranks are on this host.
  void set_near() {
    is_near_ = true;
    entries_.clear();
  }
  npuResult find(const Problem& problem, ElementSizes sizes, PlanPtr* out);

 private:
  static constexpr size_t kPlansMax = 64;
  // What of a problem a communicator's plan depends on, but for the counts of a v-form.
  using Key = std::array<uint64_t, 8>;
  struct Entry {
    Key key;
    std::vector<uint64_t> counts;
    PlanPtr plan;
  };
  static Key key_of(const Problem& problem, ElementSizes sizes);
  npuResult make(Problem problem, ElementSizes sizes, PlanPtr* out) const;

  uint32_t rank_;
  uint64_t chunk_bytes_;
  Override wishes_;
  Machine machine_;
  std::vector<Correction> corrections_;
  bool is_near_ = false;
  std::list<Entry> entries_;  // the last used one first
};

}  // namespace npu::ccl
