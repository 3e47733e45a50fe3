// SPDX-License-Identifier: Apache-2.0
// Steps as commands.
#include "libnpu/ccl/run.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace npu::ccl {
namespace {

constexpr uint32_t kChunksPerRound = 4;
static_assert(receive_lane(NPU_CCL_RANKS_MAX - 1) < 64, "lanes are bits of a word");

}  // namespace

Run::Run(Transport& transport, PlanPtr plan, const Reduction& reduction,
         const npuDevPtr (&bases)[kBufferCount], Reached reached, Tick begin)
    : t_(transport),
      plan_(std::move(plan)),
      reduction_(reduction),
      reached_(std::move(reached)),
      posts_(transport.posts),
      begin_(begin),
      ticks_(plan_->is_serial ? 0 : plan_->schedule.steps.size()) {
  std::copy(std::begin(bases), std::end(bases), std::begin(bases_));
  if (plan_->is_window()) t_.posts += kWindowSignals;
}

bool Run::add_round() {
  const std::vector<Step>& steps = plan_->schedule.steps;
  if (next_ == steps.size()) return false;
  const uint32_t end_chunk =
      steps[next_].chunk / kChunksPerRound * kChunksPerRound + kChunksPerRound;
  while (next_ < steps.size() && steps[next_].chunk < end_chunk) add(next_++);
  return true;
}

void Run::join() {
  for (uint64_t left = used_ & ~(uint64_t{1} << kLocalLane); left != 0; left &= left - 1) {
    const auto lane = static_cast<uint32_t>(std::countr_zero(left));
    t_.lanes.wait_tick(kLocalLane, t_.lanes.tick(lane));
  }
}

uint64_t Run::bytes_of(Place place, uint64_t count) const {
  return count * (format_of(place.buffer) == Format::kAccumulator ? sizeof(float)
                                                                  : ccl::bytes_of(reduction_.type));
}

Operand Run::operand(Place place) const {
  if (place.is_remote()) {
    const auto& bases = place.buffer == Buffer::kInput ? reached_.input : reached_.output;
    return {bases[place.owner] + bytes_of(place, place.offset)};
  }
  return {bases_[static_cast<uint32_t>(place.buffer)] + bytes_of(place, place.offset),
          format_of(place.buffer) == Format::kAccumulator};
}

template <typename Visit>
void Run::each_target(const Step& step, const Visit& visit) const {
  ccl::each_target(plan_->schedule, step, plan_->problem.ranks,
                   [&](Place place) { visit(operand(place)); });
}

void Run::enter(uint32_t lane) {
  const uint64_t bit = uint64_t{1} << lane;
  if ((used_ & bit) == 0) t_.lanes.wait_tick(lane, begin_);
  used_ |= bit;
}

void Run::add(uint32_t index) {
  const Step& step = plan_->schedule.steps[index];
  const uint32_t lane = plan_->lane_of(step);
  enter(lane);
  for (uint32_t before : plan_->schedule.dependencies_of(step)) {
    if (plan_->lane_of(plan_->schedule.steps[before]) != lane)
      t_.lanes.wait_tick(lane, ticks_[before]);
  }
  Operand operands[kOperandsMax];
  size_t operand_count = 0;
  for (const Place& place : plan_->schedule.operands_of(step)) {
    operands[operand_count++] = operand(place);
  }
  is_first_ = is_first_ && step.kind == StepKind::kSend && !plan_->is_window();
  switch (step.kind) {
    case StepKind::kSend:
      plan_->is_window() ? post(step) : send(step);
      break;
    case StepKind::kRecv:
    case StepKind::kRecvReduce:
      plan_->is_window() ? hear(step) : receive(step);
      break;
    case StepKind::kReduce: {
      Operand targets[kOperandsMax];
      size_t count = 0;
      each_target(step, [&](const Operand& target) { targets[count++] = target; });
      t_.reducer.add(t_.lanes, lane, reduction_, std::span(targets, count),
                     std::span(operands, operand_count), step.count);
      break;
    }
    case StepKind::kCopy:
      each_target(step, [&](const Operand& target) {
        if (target.at == operands[0].at) return;  // the own one, in place
        t_.lanes.copy(lane, target.at, operands[0].at, bytes_of(step.to, step.count));
      });
      break;
  }
  if (plan_->ticks[index]) ticks_[index] = t_.lanes.tick(lane);
}

// One word tells all ranks: the signals of one number go out together (rule 9 of schedule.h).
void Run::post(const Step& step) {
  const uint64_t number = ++told_[step.peer];
  if (number == posted_) return;
  posted_ = number;
  t_.lanes.signal(kLocalLane, t_.memory.own().posted_dva(), posts_ + number);
}

void Run::hear(const Step& step) {
  t_.heard[step.peer] = posts_ + ++heard_[step.peer];
  t_.lanes.wait(kLocalLane, t_.memory.rank(step.peer).posted_dva(), t_.heard[step.peer]);
}

// Without the device, which would have to be woken for it and then wake the one who sends.
bool Run::send_at_once(const Step& step) {
  const Place place = step.count != 0 ? plan_->schedule.operands_of(step)[0] : Place{};
  const uint64_t bytes = step.count != 0 ? bytes_of(place, step.count) : 0;
  const uint64_t number = t_.sent[step.peer] + 1;
  if (!is_first_ || !t_.network.is_remote(step.peer) || place.buffer != Buffer::kInput ||
      bytes > std::min(t_.chunk_bytes, kSmallBytesMax) || !t_.memory.has_room(step.peer, number) ||
      (bytes != 0 && t_.memory.fill(step.peer, number, operand(place).at, bytes) != NPU_OK)) {
    return false;
  }
  t_.sent[step.peer] = number;
  t_.network.will_send(step.peer, bytes, t_.lanes.past());
  t_.memory.show_sent(step.peer, number);
  has_sent_ = true;
  return true;
}

// A message is as many pieces as its bytes need, at least one: both ends count alike.
void Run::send(const Step& step) {
  if (send_at_once(step)) return;
  is_first_ = false;
  const uint32_t lane = plan_->lane_of(step);
  uint64_t left = 0;
  npuDevPtr from = 0;
  if (step.count != 0) {
    const Place place = plan_->schedule.operands_of(step)[0];
    left = bytes_of(place, step.count);
    from = operand(place).at;
  }
  do {
    const uint64_t piece = std::min(left, t_.chunk_bytes);
    const uint64_t number = ++t_.sent[step.peer];
    if (number > kSlots) {
      t_.lanes.wait(lane, t_.memory.rank(step.peer).taken_dva(t_.rank), number - kSlots);
    }
    if (piece != 0) t_.lanes.copy(lane, t_.memory.slot(t_.rank, step.peer, number), from, piece);
    t_.lanes.signal(lane, t_.memory.own().sent_dva(step.peer), number);
    t_.network.will_send(step.peer, piece, t_.lanes.mark(lane));
    from += piece;
    left -= piece;
  } while (left != 0);
}

void Run::receive(const Step& step) {
  const uint64_t element =
      step.format == Format::kAccumulator ? sizeof(float) : ccl::bytes_of(reduction_.type);
  const uint64_t per_piece = t_.chunk_bytes / element;
  const uint32_t lane = plan_->lane_of(step);
  hears_hosts_ = hears_hosts_ || t_.network.is_remote(step.peer);
  uint64_t done = 0;
  do {
    const uint64_t count = std::min(step.count - done, per_piece);
    const uint64_t number = ++t_.received[step.peer];
    const npuDevPtr message = t_.memory.slot(step.peer, t_.rank, number);
    t_.lanes.wait(lane, t_.memory.rank(step.peer).sent_dva(t_.rank), number);
    if (count != 0 && step.kind == StepKind::kRecv) {
      t_.lanes.copy(lane, operand(step.to.at(done)).at, message, count * element);
    } else if (count != 0) {
      reduce_message(step, message, done, count);
    }
    t_.lanes.signal(lane, t_.memory.own().taken_dva(step.peer), number);
    t_.network.will_take(step.peer, count * element, t_.lanes.mark(lane));
    done += count;
  } while (done != step.count);
}

void Run::reduce_message(const Step& step, npuDevPtr message, uint64_t first, uint64_t count) {
  const Operand local = operand(plan_->schedule.operands_of(step)[0].at(first));
  const Operand came{message, step.format == Format::kAccumulator};
  const Operand in_order[] = {step.message_first ? came : local, step.message_first ? local : came};
  t_.reducer.add(t_.lanes, plan_->lane_of(step), reduction_, operand(step.to.at(first)), in_order,
                 count);
}

}  // namespace npu::ccl
