// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/builder.h"

#include <algorithm>

namespace npu::ccl {

Builder::Builder(const Problem& problem, uint32_t rank)
    : addresses_(problem, rank),
      slots_(problem.slots == 0 ? problem.chunks : problem.slots),
      channels_(static_cast<uint16_t>(problem.channels)) {
  schedule_.rank = rank;
}

void Builder::begin_chunk(uint32_t chunk) {
  if (chunk == 1) {
    scratch_slot_ = scratch_next_;
    partial_slot_ = partial_next_;
  }
  chunk_ = static_cast<uint16_t>(chunk);
  scratch_next_ = chunk % slots_ * scratch_slot_;
  partial_next_ = chunk % slots_ * partial_slot_;
}

Place Builder::scratch(uint64_t count) {
  const Place place{Buffer::kScratch, scratch_next_};
  scratch_next_ += count;
  schedule_.scratch_count = std::max(schedule_.scratch_count, scratch_next_);
  return place;
}

Place Builder::partial(uint64_t count) {
  const Place place{Buffer::kPartial, partial_next_};
  partial_next_ += count;
  schedule_.partial_count = std::max(schedule_.partial_count, partial_next_);
  return place;
}

uint32_t Builder::add(Step step, std::span<const Place> operands) {
  const auto index = static_cast<uint32_t>(schedule_.steps.size());
  step.channel = static_cast<uint16_t>(chunk_ % channels_);
  step.chunk = chunk_;
  step.operand_first = static_cast<uint32_t>(schedule_.operands.size());
  step.operand_count = static_cast<uint32_t>(operands.size());
  schedule_.operands.insert(schedule_.operands.end(), operands.begin(), operands.end());
  // Other ranks' memory is kept by signals.
  for (const Place& place : operands) {
    if (!place.is_remote()) hazards_.read(addresses_.locate(place), step.count, index, before_);
  }
  if (step.writes() && !step.to.is_remote())
    hazards_.write(addresses_.locate(step.to), step.count, index, before_);
  std::sort(before_.begin(), before_.end());
  before_.erase(std::unique(before_.begin(), before_.end()), before_.end());
  step.dependency_first = static_cast<uint32_t>(schedule_.dependencies.size());
  step.dependency_count = static_cast<uint32_t>(before_.size());
  schedule_.dependencies.insert(schedule_.dependencies.end(), before_.begin(), before_.end());
  before_.clear();
  schedule_.steps.push_back(step);
  return index;
}

uint32_t Builder::skip() {
  before_.clear();
  return kNoStep;
}

uint32_t Builder::send(uint32_t peer, Place from, uint64_t count) {
  if (count == 0) return skip();
  Step step;
  step.kind = StepKind::kSend;
  step.format = format_of(from.buffer);
  step.peer = peer;
  step.count = count;
  return add(step, {&from, 1});
}

uint32_t Builder::recv(uint32_t peer, Place to, uint64_t count) {
  if (count == 0) return skip();
  Step step;
  step.kind = StepKind::kRecv;
  step.format = format_of(to.buffer);
  step.peer = peer;
  step.count = count;
  step.to = to;
  return add(step, {});
}

uint32_t Builder::recv_reduce(uint32_t peer, Place local, Place to, uint64_t count) {
  if (count == 0) return skip();
  Step step;
  step.kind = StepKind::kRecvReduce;
  step.format = format_of(local.buffer);
  step.message_first = peer < schedule_.rank;
  step.peer = peer;
  step.count = count;
  step.to = to;
  return add(step, {&local, 1});
}

uint32_t Builder::write(StepKind kind, std::span<const Place> operands, Place to, uint64_t count,
                        bool to_all) {
  if (count == 0) return skip();
  Step step;
  step.kind = kind;
  step.to_all = to_all;
  step.count = count;
  step.to = to;
  return add(step, operands);
}

uint32_t Builder::reduce(std::span<const Place> operands, Place to, uint64_t count) {
  const bool converts = format_of(operands[0].buffer) != format_of(to.buffer);
  if (operands.size() == 1 && !converts) return copy(operands[0], to, count);
  return write(StepKind::kReduce, operands, to, count, false);
}

uint32_t Builder::copy(Place from, Place to, uint64_t count) {
  if (count == 0 || addresses_.locate(from) == addresses_.locate(to)) return skip();
  return write(StepKind::kCopy, {&from, 1}, to, count, false);
}

uint32_t Builder::reduce_to_all(std::span<const Place> operands, Place to, uint64_t count) {
  if (operands.size() == 1) return copy_to_all(operands[0], to, count);
  return write(StepKind::kReduce, operands, to, count, true);
}

uint32_t Builder::copy_to_all(Place from, Place to, uint64_t count) {
  return write(StepKind::kCopy, {&from, 1}, to, count, true);
}

uint32_t Builder::signal(uint32_t peer) {
  Step step;
  step.kind = StepKind::kSend;
  step.peer = peer;
  return add(step, {});
}

uint32_t Builder::wait(uint32_t peer) {
  Step step;
  step.kind = StepKind::kRecv;
  step.peer = peer;
  step.to = {Buffer::kScratch, 0};
  return add(step, {});
}

void Builder::after(uint32_t step) {
  if (step != kNoStep) before_.push_back(step);
}

RankSchedule Builder::finish() && { return std::move(schedule_); }

}  // namespace npu::ccl
