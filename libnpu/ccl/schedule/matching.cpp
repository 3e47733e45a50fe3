// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/matching.h"

#include <map>
#include <tuple>

namespace npu::ccl {
namespace {

struct Stream {
  std::vector<uint32_t> messages;
  size_t received = 0;
};
using Key =
    std::tuple<uint32_t, uint32_t, uint32_t, uint16_t>;  // source, target, distance, channel
using Streams = std::map<Key, Stream>;

Key key_of(Fold fold, uint32_t source, uint32_t target, uint16_t channel) {
  return {fold.image_of(source), fold.image_of(target), fold.distance(source, target), channel};
}

std::string describe(const RankSchedule& schedule, uint32_t step) {
  return "rank " + std::to_string(schedule.rank) + " step " + std::to_string(step);
}

void add_sends(Matching& matching, Streams& streams, const RankSchedule& schedule, Fold fold) {
  for (uint32_t i = 0; i < schedule.steps.size(); i++) {
    const Step& step = schedule.steps[i];
    if (!step.sends()) continue;
    Stream& stream = streams[key_of(fold, schedule.rank, step.peer, step.channel)];
    const auto index = static_cast<uint32_t>(matching.messages.size());
    Message message;
    message.source = schedule.rank;
    message.target = fold.image_of(step.peer);
    message.send_step = i;
    message.first = stream.messages.empty();
    if (!message.first) matching.messages[stream.messages.back()].next = index;
    stream.messages.push_back(index);
    matching.messages.push_back(message);
    matching.message_of[schedule.rank][i] = index;
  }
}

void add_recvs(Matching& matching, Streams& streams, std::span<const RankSchedule> schedules,
               const RankSchedule& schedule, Fold fold) {
  for (uint32_t i = 0; i < schedule.steps.size() && matching.error.empty(); i++) {
    const Step& step = schedule.steps[i];
    if (!step.receives()) continue;
    Stream& stream = streams[key_of(fold, step.peer, schedule.rank, step.channel)];
    if (stream.received == stream.messages.size()) {
      matching.error = describe(schedule, i) + " receives what rank " + std::to_string(step.peer) +
                       " never sends";
      return;
    }
    const uint32_t index = stream.messages[stream.received++];
    Message& message = matching.messages[index];
    const Step& sent = schedules[message.source].steps[message.send_step];
    if (sent.count != step.count || sent.format != step.format) {
      matching.error = describe(schedule, i) + " expects " + std::to_string(step.count) +
                       " elements, " + describe(schedules[message.source], message.send_step) +
                       " sends " + std::to_string(sent.count) +
                       (sent.format == step.format ? "" : " of another format");
      return;
    }
    message.recv_step = i;
    matching.message_of[schedule.rank][i] = index;
  }
}

}  // namespace

Matching match(std::span<const RankSchedule> schedules, Fold fold) {
  Matching matching;
  Streams streams;
  for (const RankSchedule& schedule : schedules) {
    matching.message_of.emplace_back(schedule.steps.size(), Message::kNone);
  }
  for (const RankSchedule& schedule : schedules) add_sends(matching, streams, schedule, fold);
  for (const RankSchedule& schedule : schedules) {
    add_recvs(matching, streams, schedules, schedule, fold);
  }
  for (const Message& message : matching.messages) {
    if (!matching.error.empty() || message.recv_step != Message::kNone) continue;
    matching.error =
        describe(schedules[message.source], message.send_step) + " sends what nobody receives";
  }
  return matching;
}

StepGraph::StepGraph(std::span<const RankSchedule> schedules) {
  for (uint32_t rank = 0; rank < schedules.size(); rank++) {
    base_.push_back(size());
    for (const Step& step : schedules[rank].steps) {
      waiting_.push_back(step.dependency_count);
      rank_of_.push_back(rank);
    }
  }
  first_.assign(waiting_.size() + 1, 0);
  const auto each_edge = [&](auto&& visit) {
    for (uint32_t n = 0; n < size(); n++) {
      const RankSchedule& schedule = schedules[rank_of_[n]];
      for (uint32_t d : schedule.dependencies_of(schedule.steps[step_of(n)])) {
        visit(base_[rank_of_[n]] + d, n);
      }
    }
  };
  each_edge([&](uint32_t from, uint32_t) { first_[from + 1]++; });
  for (size_t n = 1; n < first_.size(); n++) first_[n] += first_[n - 1];
  successors_.resize(first_.back());
  std::vector<uint32_t> next(first_.begin(), first_.end() - 1);
  each_edge([&](uint32_t from, uint32_t to) { successors_[next[from]++] = to; });
}

}  // namespace npu::ccl
