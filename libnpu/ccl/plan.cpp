// SPDX-License-Identifier: Apache-2.0
// Making plans.
#include "libnpu/ccl/plan.h"

#include <algorithm>

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
  for (const Step& step : schedule.steps) {
    for (uint32_t before : schedule.dependencies_of(step)) {
      if (plan.lane_of(schedule.steps[before]) != plan.lane_of(step)) ticks[before] = true;
    }
  }
  return ticks;
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

uint32_t Plan::lane_of(const Step& step) const {
  if (is_serial) return kLocalLane;
  if (step.sends()) return send_lane(step.peer);
  return step.receives() ? receive_lane(step.peer) : kLocalLane;
}

npuResult PlanCache::make(Problem problem, ElementSizes sizes, PlanPtr* out) const {
  problem.chunks = chunks_of(problem, sizes, chunk_bytes_);
  problem.slots = std::min(problem.chunks, kScratchSlots);
  const Choice choice = choose(problem, sizes, CostModel(machine_, {}), wishes_);
  if (!choice.algorithm) return fail(NPU_ERROR_INVALID_ARGUMENT, "%s", choice.error.c_str());
  if (*choice.algorithm == Algorithm::kWindow) problem.chunks = problem.slots = 1;
  auto plan = std::make_shared<Plan>();
  plan->schedule = generate(problem, *choice.algorithm, rank_);
  plan->problem = std::move(problem);
  plan->algorithm = *choice.algorithm;
  plan->is_serial = is_serial(*plan, sizes, chunk_bytes_);
  plan->is_one_round = is_one_round(*plan);
  plan->ticks = find_ticks(*plan);
  *out = std::move(plan);
  return NPU_OK;
}

PlanCache::Key PlanCache::key_of(const Problem& p, ElementSizes sizes) {
  return {{uint64_t(p.op), p.count, p.root, p.peer, uint64_t(p.order), p.in_place, p.in_windows,
           sizes.data_bytes},
          p.counts};
}

npuResult PlanCache::find(const Problem& problem, ElementSizes sizes, PlanPtr* out) {
  Key key = key_of(problem, sizes);
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    *out = entries_.front().plan;
    return NPU_OK;
  }
  NPU_CCL_TRY(make(problem, sizes, out));
  entries_.push_front({std::move(key), *out});
  if (entries_.size() > kPlansMax) entries_.pop_back();
  return NPU_OK;
}

}  // namespace npu::ccl
