// SPDX-License-Identifier: Apache-2.0
// Making plans.
#include "libnpu/ccl/plan.h"

#include <algorithm>
#include <optional>

#include "libnpu/ccl/lanes.h"
#include "libnpu/ccl/shared_memory.h"

namespace npu::ccl {
namespace {

constexpr uint32_t kScratchSlots = 4;
constexpr uint64_t kChunksPerSlice = 2;

// Slices of a few chunks, so that one is reduced while the next one travels. The same on all ranks.
uint32_t chunks_of(const Problem& p, ElementSizes sizes, uint64_t chunk_bytes) {
  if (p.op == Op::kBarrier) return 1;
  uint64_t largest = p.count;
  for (uint64_t count : p.counts) largest = std::max(largest, count);
  const uint64_t slice = kChunksPerSlice * chunk_bytes / sizes.data_bytes;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>((largest + slice - 1) / slice, 1, Problem::kChunksMax));
}

std::vector<bool> find_ticks(const Plan& plan) {
  const RankSchedule& schedule = plan.schedule;
  std::vector<bool> ticks(schedule.steps.size());
  for (uint32_t index = 0; index < schedule.steps.size(); index++) {
    for (uint32_t before : schedule.dependencies_of(schedule.steps[index])) {
      if (plan.lane_of(before) != plan.lane_of(index)) ticks[before] = true;
    }
    // The message is given back by another lane than the reduction's.
    const uint32_t taker = plan.taker[index];
    if (taker != Plan::kNone && !plan.is_serial &&
        plan.lane_of(taker) != receive_lane(schedule.steps[index].peer)) {
      ticks[taker] = true;
    }
  }
  return ticks;
}

bool overlap(Place a, uint64_t a_count, Place b, uint64_t b_count) {
  return a.buffer == b.buffer && a.owner == b.owner && a.offset < b.offset + b_count &&
         b.offset < a.offset + a_count;
}

// The operand by which a reduction alone reads what receive |first| has brought, kNone: others do too, or more of it than one message. A later message of the same rank comes after that reduction, so that those of a rank are taken in their order.
uint32_t only_reader(const RankSchedule& schedule, uint32_t first) {
  const Step& message = schedule.steps[first];
  uint32_t found = Plan::kNone;
  for (uint32_t index = first + 1; index < schedule.steps.size(); index++) {
    const Step& step = schedule.steps[index];
    if (found == Plan::kNone && step.receives() && step.peer == message.peer) return Plan::kNone;
    for (uint32_t i = 0; i < step.operand_count; i++) {
      const Place& place = schedule.operands[step.operand_first + i];
      if (!overlap(place, step.count, message.to, message.count)) continue;
      if (found != Plan::kNone || step.kind != StepKind::kReduce || place != message.to ||
          step.count != message.count) {
        return Plan::kNone;
      }
      found = step.operand_first + i;
    }
    if (step.writes() && overlap(step.to, step.count, message.to, message.count)) break;
  }
  return found;
}

// Pieces of all messages that one reduction takes are alike: the first of them tells how long.
void find_takers(Plan* plan) {
  const RankSchedule& schedule = plan->schedule;
  plan->taker.assign(schedule.steps.size(), Plan::kNone);
  plan->source.assign(schedule.operands.size(), Plan::kNone);
  if (plan->is_window() || plan->is_pooled()) return;
  std::vector<uint32_t> step_of(schedule.operands.size());
  for (uint32_t index = 0; index < schedule.steps.size(); index++) {
    const Step& step = schedule.steps[index];
    for (uint32_t i = 0; i < step.operand_count; i++) step_of[step.operand_first + i] = index;
  }
  std::vector<std::optional<Format>> formats(schedule.steps.size());  // of what a reduction takes
  for (uint32_t index = 0; index < schedule.steps.size(); index++) {
    const Step& step = schedule.steps[index];
    const bool is_room = step.to.buffer == Buffer::kScratch || step.to.buffer == Buffer::kPartial;
    if (step.kind != StepKind::kRecv || step.count == 0 || !is_room) continue;
    const uint32_t operand = only_reader(schedule, index);
    if (operand == Plan::kNone) continue;
    std::optional<Format>& format = formats[step_of[operand]];
    if (format && *format != step.format) continue;
    format = step.format;
    plan->taker[index] = step_of[operand];
    plan->source[operand] = index;
  }
}

// Whether the ranks may run their steps in the order of the list. By rule 8 of schedule.h this ends as long as no send has to wait for room, and none has when the
// slots hold all that goes to one rank: what lay there before belongs to earlier operations.
bool is_serial(const Plan& plan, ElementSizes sizes, uint64_t chunk_bytes) {
  const Problem& p = plan.problem;
  if (p.op == Op::kSendRecv || p.chunks != 1) return false;
  std::vector<uint64_t> pieces(p.ranks);
  for (const Step& step : plan.schedule.steps) {
    if (!step.sends()) continue;
    const uint64_t bytes = step.count * sizes.of(step.format);
    pieces[step.peer] += std::max<uint64_t>((bytes + chunk_bytes - 1) / chunk_bytes, 1);
    if (pieces[step.peer] > kSlots) return false;
  }
  return true;
}

bool is_one_round(const Plan& plan) {
  const std::vector<Step>& steps = plan.schedule.steps;
  const auto first_other =
      std::find_if(steps.begin(), steps.end(), [](const Step& step) { return !step.sends(); });
  return plan.is_serial && !plan.is_window() &&
         std::none_of(first_other, steps.end(), [](const Step& step) { return step.sends(); });
}

}  // namespace

uint32_t Plan::lane_of(uint32_t index) const {
  const Step& step = schedule.steps[index];
  if (is_serial) return kLocalLane;
  if (taker[index] != kNone) return lane_of(taker[index]);
  if (step.sends()) return send_lane(step.peer);
  if (step.receives()) return receive_lane(step.peer);
  const auto first = source.begin() + step.operand_first, end = first + step.operand_count;
  const auto one = std::find_if(first, end, [](uint32_t from) { return from != kNone; });
  const bool is_alone =
      one != end && std::all_of(one + 1, end, [](uint32_t from) { return from == kNone; });
  return is_alone ? receive_lane(schedule.steps[*one].peer) : kLocalLane;
}

npuResult PlanCache::make(Problem problem, ElementSizes sizes, PlanPtr* out) const {
  problem.chunks = chunks_of(problem, sizes, chunk_bytes_);
  problem.slots = std::min(problem.chunks, kScratchSlots);
  const Choice choice = choose(problem, sizes, CostModel(machine_, corrections_), wishes_);
  if (!choice.algorithm) return fail(NPU_ERROR_INVALID_ARGUMENT, "%s", choice.error.c_str());
  if (*choice.algorithm == Algorithm::kWindow) problem.chunks = problem.slots = 1;
  auto plan = std::make_shared<Plan>();
  plan->schedule = generate(problem, *choice.algorithm, rank_);
  plan->problem = std::move(problem);
  plan->algorithm = *choice.algorithm;
  if (is_near_ && plan->problem.chunks == 1) {
    plan->pooling = find_pooling(plan->problem, plan->algorithm, plan->schedule);
    if (plan->is_pooled() && plan->pooling->extent > pool_bytes(chunk_bytes_) / sizes.data_bytes) {
      plan->pooling.reset();
    }
  }
  plan->is_serial = plan->is_pooled() || is_serial(*plan, sizes, chunk_bytes_);
  plan->is_one_round = is_one_round(*plan);
  find_takers(plan.get());
  plan->ticks = find_ticks(*plan);
  *out = std::move(plan);
  return NPU_OK;
}

PlanCache::Key PlanCache::key_of(const Problem& p, ElementSizes sizes) {
  return {uint64_t(p.op),    p.count,    p.root,       p.peer,
          uint64_t(p.order), p.in_place, p.in_windows, sizes.data_bytes};
}

npuResult PlanCache::find(const Problem& problem, ElementSizes sizes, PlanPtr* out) {
  const Key key = key_of(problem, sizes);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.key == key && entry.counts == problem.counts;
  });
  if (found != entries_.end()) {
    if (found != entries_.begin()) entries_.splice(entries_.begin(), entries_, found);
    *out = entries_.front().plan;
    return NPU_OK;
  }
  NPU_CCL_TRY(make(problem, sizes, out));
  entries_.push_front({key, problem.counts, *out});
  if (entries_.size() > kPlansMax) entries_.pop_back();
  return NPU_OK;
}

}  // namespace npu::ccl
