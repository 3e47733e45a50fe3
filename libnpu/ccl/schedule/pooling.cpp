// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/pooling.h"

#include <algorithm>

namespace npu::ccl {
namespace {

// One message of a round: what it is, and where it lies.
bool is_poolable(const RankSchedule& schedule, const Step& step) {
  if (step.count == 0 || step.format != Format::kData || step.kind == StepKind::kRecvReduce) {
    return false;
  }
  if (!step.sends()) return true;
  const Buffer from = schedule.operands_of(step)[0].buffer;
  return from == Buffer::kInput || from == Buffer::kOutput;
}

// Reads the steps of a rank: sends to all others, side by side, then receives from all others, again and again.
class Rounds {
 public:
  Rounds(const RankSchedule& schedule, uint32_t ranks) : schedule_(schedule), ranks_(ranks) {}

  // The number of rounds; 0: it has others.
  uint32_t count(uint64_t* extent) {
    for (const Step& step : schedule_.steps) {
      if (step.kind == StepKind::kReduce || step.kind == StepKind::kCopy) {
        sends_ = false;
        continue;
      }
      if (!is_poolable(schedule_, step) || !add(step)) return 0;
      if (!step.sends()) continue;
      const Place from = schedule_.operands_of(step)[0];
      *extent = std::max(*extent, from.offset + step.count);
    }
    return heard_ == others() ? rounds_ : 0;
  }

 private:
  uint64_t others() const {
    return ((uint64_t{1} << ranks_) - 1) & ~(uint64_t{1} << schedule_.rank);
  }
  bool add(const Step& step) {
    const uint64_t bit = uint64_t{1} << step.peer;
    if (step.sends()) {
      if (!sends_) {
        if (rounds_ != 0 && heard_ != others()) return false;
        rounds_++;
        told_ = heard_ = 0;
        buffer_ = schedule_.operands_of(step)[0].buffer;
      }
      sends_ = true;
      const bool fits = (told_ & bit) == 0 && buffer_ == schedule_.operands_of(step)[0].buffer;
      told_ |= bit;
      return fits;
    }
    sends_ = false;
    const bool fits = told_ == others() && (heard_ & bit) == 0;
    heard_ |= bit;
    return fits;
  }

  const RankSchedule& schedule_;
  const uint32_t ranks_;
  uint32_t rounds_ = 0;
  bool sends_ = false;             // the last step
  uint64_t told_ = 0, heard_ = 0;  // ranks, in this round
  Buffer buffer_ = Buffer::kInput;
};

// Whether what step |index| receives is read by reductions only, as a whole, before the next sends.
bool is_read_in_place(const RankSchedule& schedule, size_t index) {
  const Step& received = schedule.steps[index];
  if (received.to.buffer != Buffer::kScratch) return false;
  bool is_in_round = true;
  for (size_t i = index + 1; i < schedule.steps.size(); i++) {
    const Step& step = schedule.steps[i];
    is_in_round = is_in_round && !step.sends();
    for (const Place& place : schedule.operands_of(step)) {
      const bool overlaps = place.buffer == Buffer::kScratch &&
                            place.offset < received.to.offset + received.count &&
                            received.to.offset < place.offset + step.count;
      if (!overlaps) continue;
      if (!is_in_round || step.kind != StepKind::kReduce || place != received.to ||
          step.count != received.count) {
        return false;
      }
    }
  }
  return true;
}

// What |sender| sends in its |round|-th round to |target|.
Place sent_in(const RankSchedule& sender, uint32_t target, uint32_t round) {
  for (const Step& step : sender.steps) {
    if (step.sends() && step.peer == target && round-- == 0) return sender.operands_of(step)[0];
  }
  return {};
}

}  // namespace

std::optional<Pooling> find_pooling(const Problem& problem, Algorithm algorithm,
                                    const RankSchedule& own) {
  constexpr uint32_t kRanksMost = 63;  // bits of a word
  if (problem.chunks != 1 || problem.ranks < 2 || problem.ranks > kRanksMost ||
      algorithm == Algorithm::kWindow) {
    return std::nullopt;
  }
  Pooling found;
  found.rounds = Rounds(own, problem.ranks).count(&found.extent);
  if (found.rounds == 0) return std::nullopt;  // then others have none either, or come to the same
  found.takes.resize(own.steps.size());
  for (uint32_t rank = 0; rank < problem.ranks; rank++) {
    if (rank == own.rank) continue;
    const RankSchedule other = generate(problem, algorithm, rank);
    if (Rounds(other, problem.ranks).count(&found.extent) != found.rounds) return std::nullopt;
    uint32_t round = 0;
    for (size_t i = 0; i < own.steps.size(); i++) {
      if (!own.steps[i].receives() || own.steps[i].peer != rank) continue;
      found.takes[i] = {sent_in(other, own.rank, round++).offset, is_read_in_place(own, i)};
    }
  }
  return found;
}

uint32_t pooled_rounds(const Problem& p, Algorithm algorithm) {
  if (p.ranks < 2 || p.chunks != 1 || p.count == 0 || !p.counts.empty()) return 0;
  switch (algorithm) {
    case Algorithm::kFlood:
      return 1;
    case Algorithm::kDoubling:
      return p.ranks == 2 ? 1 : 0;
    case Algorithm::kDirect:
      if (p.op == Op::kAllReduce) return p.count >= p.ranks ? 2 : 0;
      return p.op == Op::kAllGather || p.op == Op::kAllToAll || p.op == Op::kReduceScatter ? 1 : 0;
    default:
      return 0;
  }
}

}  // namespace npu::ccl
