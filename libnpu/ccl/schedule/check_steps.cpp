// SPDX-License-Identifier: Apache-2.0
// What a step must be by itself, and which steps may not run at the same time.
#include <algorithm>
#include <array>
#include <tuple>

#include "libnpu/ccl/schedule/address_map.h"
#include "libnpu/ccl/schedule/verify.h"

namespace npu::ccl {
namespace {

struct Sizes {
  std::array<uint64_t, kBufferCount> of;
  bool holds(Place place, uint64_t count) const {
    if (static_cast<uint32_t>(place.buffer) >= kBufferCount) return false;
    const uint64_t size = of[static_cast<size_t>(place.buffer)];
    return count <= size && place.offset <= size - count;
  }
};

// In ranks and dependencies; nothing that needs the buffers.
const char* refuse_frame(const Problem& problem, const RankSchedule& s, uint32_t index) {
  const Step& step = s.steps[index];
  const auto fits = [](uint64_t first, uint64_t count, size_t size) {
    return first + count <= size;
  };
  if (static_cast<uint32_t>(step.kind) >= kStepKindCount) return "unknown kind";
  if (!fits(step.operand_first, step.operand_count, s.operands.size())) return "operands missing";
  if (!fits(step.dependency_first, step.dependency_count, s.dependencies.size())) {
    return "dependencies missing";
  }
  for (uint32_t d : s.dependencies_of(step)) {
    if (d >= index) return "depends on a step that is not earlier";
  }
  const bool travels = step.sends() || step.receives();
  if (travels && (step.peer >= problem.ranks || step.peer == s.rank)) return "no such peer";
  if (step.channel >= problem.channels) return "no such channel";
  if (step.chunk >= problem.chunks) return "no such chunk";
  const bool may_signal = problem.op == Op::kBarrier || problem.in_windows;
  if (step.count == 0 && !(may_signal && travels)) return "moves nothing";
  if (step.count != 0 && problem.in_windows && travels) return "a message beside windows";
  if (step.to_all && (travels || step.to.is_remote())) return "what goes to all begins here";
  return nullptr;
}

const char* refuse_operands(const Step& step, std::span<const Place> operands) {
  const bool signal = step.count == 0;
  switch (step.kind) {
    case StepKind::kSend:
      if (signal) return operands.empty() ? nullptr : "a signal has no source";
      if (operands.size() != 1) return "a send has one source";
      return format_of(operands[0].buffer) == step.format ? nullptr : "format is not the source's";
    case StepKind::kRecv:
      if (!operands.empty()) return "a receive has no source";
      return format_of(step.to.buffer) == step.format ? nullptr : "format is not the target's";
    case StepKind::kRecvReduce:
      return operands.size() == 1 ? nullptr : "a receive that reduces has one local operand";
    case StepKind::kReduce:
      return operands.empty() ? "a reduction needs operands" : nullptr;
    case StepKind::kCopy:
      if (operands.size() != 1) return "a copy has one source";
      return format_of(operands[0].buffer) == format_of(step.to.buffer) ? nullptr
                                                                        : "a copy cannot convert";
  }
  return "unknown kind";
}

// Of other ranks' memory only what the operation shows them.
const char* refuse_remote(const Problem& problem, const RankSchedule& s, const Step& step) {
  const Reach reach = problem.in_windows ? reach_of(problem.op) : Reach{};
  for (const Place& place : s.operands_of(step)) {
    if (!place.is_remote()) continue;
    if (place.owner >= problem.ranks || place.owner == s.rank) return "no such owner";
    if (place.buffer != Buffer::kInput || !reach.input) return "reads what others do not show";
  }
  if (!step.to_all && !step.to.is_remote()) return nullptr;
  if (step.to.is_remote() && (step.to.owner >= problem.ranks || step.to.owner == s.rank)) {
    return "no such owner";
  }
  if (step.to.buffer != Buffer::kOutput || !reach.output) return "writes what others do not show";
  return nullptr;
}

struct Access {
  Place place;
  uint64_t end;
  uint32_t step;
  bool writes;
};

std::vector<Access> accesses_of(const Problem& problem, const RankSchedule& schedule) {
  const AddressMap addresses(problem, schedule.rank);
  std::vector<Access> accesses;
  for (uint32_t i = 0; i < schedule.steps.size(); i++) {
    const Step& step = schedule.steps[i];
    const auto add = [&](Place place, bool writes) {
      const Place memory = addresses.locate(place);
      if (step.count != 0) accesses.push_back({memory, memory.offset + step.count, i, writes});
    };
    // What several ranks touch is looked at by check_windows().
    for (const Place& place : schedule.operands_of(step)) {
      if (!place.is_remote()) add(place, false);
    }
    if (step.writes() && !step.to.is_remote()) add(step.to, true);
  }
  std::sort(accesses.begin(), accesses.end(), [](const Access& a, const Access& b) {
    return std::tie(a.place.buffer, a.place.offset, a.step) <
           std::tie(b.place.buffer, b.place.offset, b.step);
  });
  return accesses;
}

// For each step the set of steps that are complete before it starts.
class Ancestors {
 public:
  explicit Ancestors(const RankSchedule& schedule)
      : words_((schedule.steps.size() + 63) / 64), bits_(words_ * schedule.steps.size()) {
    for (size_t i = 0; i < schedule.steps.size(); i++) {
      for (uint32_t d : schedule.dependencies_of(schedule.steps[i])) {
        for (size_t w = 0; w < words_; w++) bits_[i * words_ + w] |= bits_[d * words_ + w];
        bits_[i * words_ + d / 64] |= 1ull << d % 64;
      }
    }
  }
  bool ordered(uint32_t earlier, uint32_t later) const {
    return bits_[later * words_ + earlier / 64] >> earlier % 64 & 1;
  }

 private:
  size_t words_;
  std::vector<uint64_t> bits_;
};

std::string at(const RankSchedule& schedule, uint32_t step) {
  return "rank " + std::to_string(schedule.rank) + " step " + std::to_string(step);
}

}  // namespace

std::optional<Finding> check_steps(const Problem& problem, const RankSchedule& schedule) {
  const auto holds = [&](Place place, uint64_t count) {
    const uint32_t owner = place.is_remote() ? place.owner : schedule.rank;
    const Sizes sizes{{problem.input_count(owner), problem.output_count(owner),
                       schedule.scratch_count, schedule.partial_count}};
    return sizes.holds(place, count);
  };
  for (uint32_t i = 0; i < schedule.steps.size(); i++) {
    const Step& step = schedule.steps[i];
    const char* cause = refuse_frame(problem, schedule, i);
    if (cause == nullptr) cause = refuse_operands(step, schedule.operands_of(step));
    if (cause == nullptr) cause = refuse_remote(problem, schedule, step);
    if (cause == nullptr) {
      for (const Place& place : schedule.operands_of(step)) {
        if (!holds(place, step.count)) cause = "reads outside of a buffer";
      }
      each_target(schedule, step, problem.ranks, [&](Place place) {
        if (!holds(place, step.count)) cause = "writes outside of a buffer";
      });
      if (step.writes() && step.to.buffer == Buffer::kInput) cause = "writes the input";
    }
    if (cause != nullptr) return Finding{Flaw::kMalformed, at(schedule, i) + ": " + cause};
  }
  return std::nullopt;
}

std::optional<Finding> check_races(const Problem& problem, const RankSchedule& schedule) {
  const Ancestors ancestors(schedule);
  const std::vector<Access> accesses = accesses_of(problem, schedule);
  for (size_t i = 0; i < accesses.size(); i++) {
    const Access& a = accesses[i];
    for (size_t j = i + 1; j < accesses.size(); j++) {
      const Access& b = accesses[j];
      if (b.place.buffer != a.place.buffer || b.place.offset >= a.end) break;
      if (!a.writes && !b.writes) continue;
      if (a.step == b.step) {
        if (a.place == b.place) continue;  // exactly over an operand
      } else if (ancestors.ordered(std::min(a.step, b.step), std::max(a.step, b.step))) {
        continue;
      }
      return Finding{Flaw::kRace, at(schedule, a.step) + " and step " + std::to_string(b.step) +
                                      " race for the same elements"};
    }
  }
  return std::nullopt;
}

bool is_ordered(const RankSchedule& schedule, uint32_t earlier, uint32_t later) {
  return Ancestors(schedule).ordered(earlier, later);
}

}  // namespace npu::ccl
