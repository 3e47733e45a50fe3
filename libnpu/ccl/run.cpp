// SPDX-License-Identifier: Apache-2.0
// Steps as commands.
#include "libnpu/ccl/run.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace npu::ccl {
namespace {

constexpr uint32_t kChunksPerRound = 4;
// Below, a copy costs less than one more word to wait for.
constexpr uint64_t kDirectBytesMin = 128 << 10;
static_assert(receive_lane(NPU_CCL_RANKS_MAX - 1) < 64, "lanes are bits of a word");

}  // namespace

Run::Run(Transport& transport, PlanPtr plan, const Reduction& reduction,
         const npuDevPtr (&bases)[kBufferCount], const Reached& reached, Tick begin)
    : t_(transport),
      plan_(std::move(plan)),
      reduction_(reduction),
      reached_(reached),
      posts_(transport.posts),
      pools_(transport.pools),
      begin_(begin),
      ticks_(plan_->is_serial ? 0 : plan_->schedule.steps.size()) {
  std::copy(std::begin(bases), std::end(bases), std::begin(bases_));
  if (plan_->is_window()) t_.posts += kWindowSignals;
  if (plan_->is_pooled()) {
    t_.posts += plan_->pooling->rounds;
    t_.pools += plan_->pooling->rounds;
  }
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
  for (uint32_t peer = 0; peer < plan_->problem.ranks && !leaving_.empty(); peer++) {
    if (last_leaving_[peer] == 0) continue;
    t_.lanes.wait(kLocalLane, t_.memory.own().left_dva(peer), last_leaving_[peer]);
  }
}

uint64_t Run::element_bytes(Format format) const {
  return format == Format::kAccumulator ? sizeof(float) : ccl::bytes_of(reduction_.type);
}

uint64_t Run::bytes_of(Place place, uint64_t count) const {
  return count * element_bytes(format_of(place.buffer));
}

Operand Run::operand(Place place) const {
  if (place.is_remote()) {
    const auto& buffers = place.buffer == Buffer::kInput ? reached_.input : reached_.output;
    return {buffers.of(place.owner) + bytes_of(place, place.offset)};
  }
  return {bases_[static_cast<uint32_t>(place.buffer)] + bytes_of(place, place.offset),
          format_of(place.buffer) == Format::kAccumulator};
}

// What this one reads of |place|.
Operand Run::read_from(Place place) const {
  for (size_t i = 0; i < pooled_count_ && place.buffer == Buffer::kScratch; i++) {
    if (pooled_[i].offset == place.offset) return {pooled_[i].at};
  }
  return operand(place);
}

template <typename Visit>
void Run::each_target(const Step& step, const Visit& visit) const {
  ccl::each_target(plan_->schedule, step, plan_->problem.ranks, visit);
}

void Run::enter(uint32_t lane) {
  const uint64_t bit = uint64_t{1} << lane;
  if ((used_ & bit) == 0) t_.lanes.wait_tick(lane, begin_);
  used_ |= bit;
}

void Run::add(uint32_t index) {
  const Step& step = plan_->schedule.steps[index];
  const uint32_t lane = plan_->lane_of(index);
  enter(lane);
  for (uint32_t before : plan_->schedule.dependencies_of(step)) {
    if (plan_->lane_of(before) != lane) t_.lanes.wait_tick(lane, ticks_[before]);
    if (!leaving_.empty()) await_left(lane, before);
  }
  is_first_ = is_first_ && step.kind == StepKind::kSend && !plan_->is_window();
  switch (step.kind) {
    case StepKind::kSend:
      plan_->is_window() ? post(step) : plan_->is_pooled() ? lay(index) : send(index, lane);
      break;
    case StepKind::kRecv:
    case StepKind::kRecvReduce:
      if (plan_->taker[index] != Plan::kNone) {
        expect(step);
        break;
      }
      plan_->is_window() ? hear(step) : plan_->is_pooled() ? take(index) : receive(step, lane);
      break;
    case StepKind::kReduce:
      return reduce(index, lane);
    case StepKind::kCopy: {
      const npuDevPtr from = read_from(plan_->schedule.operands_of(step)[0]).at;
      each_target(step, [&](Place target) {
        const npuDevPtr to = operand(target).at;
        if (to == from) return;  // the own one, in place
        t_.lanes.copy(lane, to, from, bytes_of(step.to, step.count));
      });
      break;
    }
  }
  if (plan_->ticks[index]) ticks_[index] = t_.lanes.tick(lane);
}

// Elements of a message in one piece.
uint64_t Run::piece_count(Format format) const { return t_.chunk_bytes / element_bytes(format); }

// A message that comes; its first piece is the longest.
void Run::note_coming(const Step& step) {
  if (!t_.network.is_remote(step.peer)) return;
  const uint64_t longest = std::min<uint64_t>(step.count, piece_count(step.format));
  hears_hosts_ = true;
  hears_large_ = hears_large_ || is_large(longest * element_bytes(step.format));
}

// A message that a reduction takes out of its slots.
void Run::expect(const Step& step) {
  const uint64_t most = piece_count(step.format);
  note_coming(step);
  t_.received[step.peer] += (step.count + most - 1) / most;
}

// Messages are taken piece by piece, which are alike in all of them: see find_takers().
void Run::reduce(uint32_t index, uint32_t lane) {
  const Step& step = plan_->schedule.steps[index];
  const std::span<const Place> places = plan_->schedule.operands_of(step);
  uint64_t most = step.count;
  for (uint32_t i = 0; i < places.size(); i++) {
    if (source_of(step, i) != nullptr) most = piece_count(source_of(step, i)->format);
  }
  for (uint64_t done = 0; done < step.count; done += most) {
    const uint64_t count = std::min(step.count - done, most),
                   behind = (step.count - done - 1) / most;
    Operand operands[kOperandsMax], targets[kOperandsMax];
    size_t target_count = 0;
    for (uint32_t i = 0; i < places.size(); i++) {
      const Step* const message = source_of(step, i);
      operands[i] =
          message == nullptr ? read_from(places[i].at(done)) : await(*message, lane, behind);
    }
    each_target(step, [&](Place target) { targets[target_count++] = operand(target.at(done)); });
    t_.reducer.add(t_.lanes, lane, reduction_, std::span(targets, target_count),
                   std::span(operands, places.size()), count);
    if (plan_->ticks[index]) ticks_[index] = t_.lanes.tick(lane);
    for (uint32_t i = 0; i < places.size(); i++) {
      if (const Step* const message = source_of(step, i))
        give_back(*message, {lane, index, behind, count});
    }
  }
}

const Step* Run::source_of(const Step& step, uint32_t operand) const {
  const uint32_t source = plan_->source[step.operand_first + operand];
  return source == Plan::kNone ? nullptr : &plan_->schedule.steps[source];
}

// The piece of |message| that |behind| others follow. It is the last message that was expected of that rank.
Operand Run::await(const Step& message, uint32_t lane, uint64_t behind) {
  const uint64_t number = t_.received[message.peer] - behind;
  t_.lanes.wait(lane, t_.memory.rank(message.peer).sent_dva(t_.rank), number);
  return {t_.memory.slot(message.peer, t_.rank, number), message.format == Format::kAccumulator};
}

// On the lane by which all other messages of the same rank are given back, in their order.
void Run::give_back(const Step& message, const Taken& taken) {
  const uint32_t lane = plan_->is_serial ? kLocalLane : receive_lane(message.peer);
  if (lane != taken.lane) {
    enter(lane);
    t_.lanes.wait_tick(lane, ticks_[taken.by]);
  }
  t_.lanes.signal(lane, t_.memory.own().taken_dva(message.peer),
                  t_.received[message.peer] - taken.behind);
  t_.network.will_take(message.peer, bytes_of(message.to, taken.count), t_.lanes.mark(lane));
}

// What goes to the others in one round, with what lies between it.
void Run::lay(uint32_t index) {
  const RankSchedule& schedule = plan_->schedule;
  const std::vector<Step>& steps = schedule.steps;
  if (index != 0 && steps[index - 1].sends()) return;  // went with that one
  const Place first = schedule.operands_of(steps[index])[0];
  uint64_t begin = first.offset, end = first.offset;
  for (uint32_t i = index; i < steps.size() && steps[i].sends(); i++) {
    const uint64_t at = schedule.operands_of(steps[i])[0].offset;
    begin = std::min(begin, at);
    end = std::max(end, at + steps[i].count);
  }
  round_++;
  pooled_count_ = 0;
  t_.lanes.copy(kLocalLane, t_.memory.pool(t_.rank, pools_ + round_) + bytes_of(first, begin),
                operand({first.buffer, begin}).at, bytes_of(first, end - begin));
  t_.lanes.signal(kLocalLane, t_.memory.own().posted_dva(), posts_ + round_);
}

void Run::take(uint32_t index) {
  const Step& step = plan_->schedule.steps[index];
  const Pooling::Take& take = plan_->pooling->takes[index];
  const npuDevPtr message =
      t_.memory.pool(step.peer, pools_ + round_) + bytes_of(step.to, take.offset);
  t_.heard[step.peer] = posts_ + round_;
  t_.lanes.wait(kLocalLane, t_.memory.rank(step.peer).posted_dva(), posts_ + round_);
  if (take.in_place) {
    pooled_[pooled_count_++] = {step.to.offset, message};
  } else {
    t_.lanes.copy(kLocalLane, operand(step.to).at, message, bytes_of(step.to, step.count));
  }
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

// Where a message to |peer| can go straight out of a buffer; nullptr: it cannot, or would not gain by it.
std::byte* Run::source_at(uint32_t peer, npuDevPtr from, uint64_t bytes) const {
  if (bytes < kDirectBytesMin || !t_.network.needs_no_slots(peer)) return nullptr;
  return t_.memory.view(from, bytes);
}

void Run::await_left(uint32_t lane, uint32_t before) {
  if (leaving_[before] == 0) return;
  const uint32_t peer = plan_->schedule.steps[before].peer;
  t_.lanes.wait(lane, t_.memory.own().left_dva(peer), leaving_[before]);
}

// A message is as many pieces as its bytes need, at least one: both ends count alike.
void Run::send(uint32_t index, uint32_t lane) {
  const Step& step = plan_->schedule.steps[index];
  if (send_at_once(step)) return;
  is_first_ = false;
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
    std::byte* const source = source_at(step.peer, from, piece);
    if (source != nullptr) {
      leaving_.resize(plan_->schedule.steps.size());
      leaving_[index] = last_leaving_[step.peer] = number;
    } else if (piece != 0) {
      t_.lanes.copy(lane, t_.memory.slot(t_.rank, step.peer, number), from, piece);
    }
    t_.lanes.signal(lane, t_.memory.own().sent_dva(step.peer), number);
    t_.network.will_send(step.peer, piece, t_.lanes.mark(lane), source);
    from += piece;
    left -= piece;
  } while (left != 0);
}

void Run::receive(const Step& step, uint32_t lane) {
  const uint64_t element = element_bytes(step.format);
  const uint64_t per_piece = piece_count(step.format);
  note_coming(step);
  uint64_t done = 0;
  do {
    const uint64_t count = std::min(step.count - done, per_piece);
    const uint64_t number = ++t_.received[step.peer];
    const npuDevPtr message = t_.memory.slot(step.peer, t_.rank, number);
    t_.lanes.wait(lane, t_.memory.rank(step.peer).sent_dva(t_.rank), number);
    if (count != 0 && step.kind == StepKind::kRecv) {
      t_.lanes.copy(lane, operand(step.to.at(done)).at, message, count * element);
    } else if (count != 0) {
      reduce_message(step, lane, message, done, count);
    }
    t_.lanes.signal(lane, t_.memory.own().taken_dva(step.peer), number);
    t_.network.will_take(step.peer, count * element, t_.lanes.mark(lane));
    done += count;
  } while (done != step.count);
}

void Run::reduce_message(const Step& step, uint32_t lane, npuDevPtr message, uint64_t first,
                         uint64_t count) {
  const Operand local = operand(plan_->schedule.operands_of(step)[0].at(first));
  const Operand came{message, step.format == Format::kAccumulator};
  const Operand in_order[] = {step.message_first ? came : local, step.message_first ? local : came};
  t_.reducer.add(t_.lanes, lane, reduction_, operand(step.to.at(first)), in_order, count);
}

}  // namespace npu::ccl
