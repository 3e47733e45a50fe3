// SPDX-License-Identifier: Apache-2.0
// The verifier: proves that a set of schedules is the collective that the problem names, by executing it on formulas.
//
// What it proves, for every timing and every number of credits per channel: each step is well-formed and inside its buffers; sends and receives match;
// there is no deadlock; no two steps race for an element; nothing is read before it is written; the output of each rank is what the operation
// says, as the canonical tree with one rounding (Order::kCanonical) or as each input once (Order::kAny). It does not trust the builder.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "libnpu/ccl/schedule/matching.h"
#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

enum class Flaw : uint8_t {
  kMalformed,  // a step breaks a rule by itself
  kUnmatched,  // send and receive do not fit
  kRace,       // unordered accesses to one element
  kDeadlock,   // steps that never start
  kUndefined,  // reads what nobody wrote
  kWrongResult,
};
const char* name_of(Flaw flaw);

struct Finding {
  Flaw flaw;
  std::string text;
};

// The first flaw, or nothing: the schedule is right. |schedule| has one entry per rank.
std::optional<Finding> verify(const Problem& problem, std::span<const RankSchedule> schedule);

// The parts, in the order in which verify() runs them.
std::optional<Finding> check_steps(const Problem& problem, const RankSchedule& schedule);
std::optional<Finding> check_races(const Problem& problem, const RankSchedule& schedule);
// Rule 9 of schedule.h. |matching| is that of the schedules, without an error.
std::optional<Finding> check_windows(const Problem& problem, std::span<const RankSchedule> schedule,
                                     const Matching& matching);
// True if |later| cannot start before |earlier| is complete.
bool is_ordered(const RankSchedule& schedule, uint32_t earlier, uint32_t later);

}  // namespace npu::ccl
