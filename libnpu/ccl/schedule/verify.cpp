// SPDX-License-Identifier: Apache-2.0
// Execution on formulas. Steps run as soon as they may, messages by rendezvous: the strictest flow control that an executor can have.
#include "libnpu/ccl/schedule/verify.h"

#include <algorithm>

#include "libnpu/ccl/schedule/address_map.h"
#include "libnpu/ccl/schedule/matching.h"
#include "libnpu/ccl/schedule/symbolic_memory.h"

namespace npu::ccl {
namespace {

class Execution {
 public:
  Execution(const Problem& problem, std::span<const RankSchedule> schedule, Matching matching)
      : problem_(problem),
        schedule_(schedule),
        matching_(std::move(matching)),
        graph_(schedule),
        expressions_(problem.order),
        memories_(schedule.size()),
        heard_(problem.op == Op::kBarrier ? graph_.size() : 0) {
    for (uint32_t rank = 0; rank < schedule.size(); rank++) {
      addresses_.emplace_back(problem, rank);
      const uint64_t count = problem.input_count(rank);
      if (count != 0) write(rank, {Buffer::kInput, 0}, {{count, {expressions_.leaf(rank), 0}}});
    }
  }

  std::optional<Finding> run() {
    for (const Message& message : matching_.messages)
      message_waits_.push_back(message.first ? 2 : 3);
    for (uint32_t node = 0; node < graph_.size(); node++) {
      if (graph_.waiting(node) == 0) ready_.push_back(node);
    }
    while (!ready_.empty() && !finding_) {
      const uint32_t node = ready_.back();
      ready_.pop_back();
      start(node);
    }
    if (!finding_ && done_ != graph_.size()) {
      finding_ = Finding{Flaw::kDeadlock, std::to_string(graph_.size() - done_) +
                                              " steps of all ranks can never start"};
    }
    if (!finding_) check_result();
    return finding_;
  }

 private:
  const Step& step(uint32_t node) const {
    return schedule_[graph_.rank_of(node)].steps[graph_.step_of(node)];
  }

  static uint32_t owner_of(uint32_t rank, Place place) {
    return place.is_remote() ? place.owner : rank;
  }

  void write(uint32_t rank, Place place, const ValueRuns& runs) {
    const uint32_t owner = owner_of(rank, place);
    memories_[owner].write(addresses_[owner].locate(place), runs);
  }

  ValueRuns read(uint32_t node, Place place, uint64_t count) {
    const uint32_t rank = graph_.rank_of(node);
    const uint32_t owner = owner_of(rank, place);
    auto runs = memories_[owner].read(addresses_[owner].locate(place), count);
    if (runs) return *std::move(runs);
    finding_ = Finding{Flaw::kUndefined, "rank " + std::to_string(rank) + " step " +
                                             std::to_string(graph_.step_of(node)) +
                                             " reads what was never written"};
    return {};
  }

  void start(uint32_t node) {
    const uint32_t message = matching_.message_of[graph_.rank_of(node)][graph_.step_of(node)];
    if (message != Message::kNone) return release_message(message);
    const Step& s = step(node);
    std::vector<ValueRuns> operands;
    for (const Place& place : schedule_[graph_.rank_of(node)].operands_of(s)) {
      operands.push_back(read(node, place, s.count));
    }
    finish(node, operands);
  }

  // The values of |operands| go where the step says.
  void finish(uint32_t node, const std::vector<ValueRuns>& operands) {
    if (finding_) return;
    const Step& s = step(node);
    if (s.writes() && s.count != 0) {
      const bool plain = s.kind == StepKind::kCopy || s.kind == StepKind::kRecv;
      const bool round = format_of(s.to.buffer) == Format::kData;
      const ValueRuns result = plain ? operands[0] : reduced(expressions_, operands, round);
      const RankSchedule& schedule = schedule_[graph_.rank_of(node)];
      each_target(schedule, s, problem_.ranks,
                  [&](Place place) { write(schedule.rank, place, result); });
    }
    complete(node);
  }

  void complete(uint32_t node) {
    done_++;
    if (!heard_.empty()) hear_dependencies(node);
    for (uint32_t next : graph_.successors(node)) {
      if (graph_.release(next)) ready_.push_back(next);
    }
  }

  void release_message(uint32_t index) {
    if (--message_waits_[index] != 0) return;
    const Message& message = matching_.messages[index];
    const uint32_t from = graph_.node(message.source, message.send_step);
    const uint32_t to = graph_.node(message.target, message.recv_step);
    if (!heard_.empty()) {
      hear_dependencies(from);
      heard_[to] = heard_[from];
    }
    deliver(from, to);
    if (!finding_ && message.next != Message::kNone) release_message(message.next);
  }

  void deliver(uint32_t from, uint32_t to) {
    const Step& receive = step(to);
    std::vector<ValueRuns> values;
    if (receive.count != 0) {
      const RankSchedule& source = schedule_[graph_.rank_of(from)];
      values.push_back(read(from, source.operands_of(step(from))[0], receive.count));
    }
    if (receive.kind == StepKind::kRecvReduce) {
      const Place local = schedule_[graph_.rank_of(to)].operands_of(receive)[0];
      const auto place = receive.message_first ? values.end() : values.begin();
      values.insert(place, read(to, local, receive.count));
    }
    if (finding_) return;
    complete(from);
    finish(to, values);
  }

  // Whose start a step knows of.
  void hear_dependencies(uint32_t node) {
    const uint32_t rank = graph_.rank_of(node);
    heard_[node].resize(problem_.ranks);
    heard_[node][rank] = true;
    for (uint32_t d : schedule_[rank].dependencies_of(step(node))) {
      const std::vector<bool>& before = heard_[graph_.node(rank, d)];
      for (uint32_t r = 0; r < problem_.ranks; r++) {
        if (before[r]) heard_[node][r] = true;
      }
    }
  }

  void check_result() {
    for (uint32_t rank = 0; rank < problem_.ranks && !finding_; rank++) {
      if (problem_.op == Op::kBarrier) {
        check_barrier(rank);
      } else {
        check_output(rank);
      }
    }
  }

  void check_barrier(uint32_t rank) {
    std::vector<bool> heard(problem_.ranks);
    heard[rank] = true;
    for (uint32_t i = 0; i < schedule_[rank].steps.size(); i++) {
      const std::vector<bool>& one = heard_[graph_.node(rank, i)];
      for (uint32_t r = 0; r < problem_.ranks; r++) heard[r] = heard[r] || one[r];
    }
    const auto missing = std::find(heard.begin(), heard.end(), false);
    if (missing == heard.end()) return;
    finding_ = Finding{Flaw::kWrongResult, "rank " + std::to_string(rank) + " leaves before rank " +
                                               std::to_string(missing - heard.begin()) + " came"};
  }

  // What |count| elements of |rank|'s output from |offset| on must be.
  void expect(uint32_t rank, Block range, Value wanted) {
    if (range.count == 0 || finding_) return;
    const auto found =
        memories_[rank].read(addresses_[rank].locate({Buffer::kOutput, range.offset}), range.count);
    const std::string where = "rank " + std::to_string(rank) + " output " +
                              std::to_string(range.offset) + "+" + std::to_string(range.count);
    if (!found) {
      finding_ = Finding{Flaw::kWrongResult, where + " is not complete"};
    } else if (found->size() != 1 || found->front().value != wanted) {
      const Value& first = found->front().value;
      finding_ = Finding{Flaw::kWrongResult, where + " is " + expressions_.text(first.formula) +
                                                 " at " + std::to_string(first.origin) +
                                                 ", expected " + expressions_.text(wanted.formula) +
                                                 " at " + std::to_string(wanted.origin)};
    }
  }

  void check_output(uint32_t rank) {
    const uint64_t count = problem_.output_count(rank);
    switch (problem_.op) {
      case Op::kAllReduce:
      case Op::kReduce:
        return expect(rank, {0, count}, {expressions_.whole(problem_.ranks), 0});
      case Op::kReduceScatter:
        return expect(rank, {0, count},
                      {expressions_.whole(problem_.ranks), problem_.block(rank).offset});
      case Op::kAllGather:
      case Op::kGather:
        for (uint32_t r = 0; r < problem_.ranks && count != 0; r++) {
          expect(rank, problem_.block(r), {expressions_.leaf(r), 0});
        }
        return;
      case Op::kScatter:
        return expect(rank, {0, count},
                      {expressions_.leaf(problem_.root), problem_.block(rank).offset});
      case Op::kBroadcast:
      case Op::kSendRecv:
        return expect(rank, {0, count}, {expressions_.leaf(problem_.root), 0});
      case Op::kAllToAll:
        for (uint32_t r = 0; r < problem_.ranks; r++) {
          expect(rank, problem_.incoming(r, rank),
                 {expressions_.leaf(r), problem_.outgoing(r, rank).offset});
        }
        return;
      case Op::kBarrier:
        return;
    }
  }

  const Problem& problem_;
  std::span<const RankSchedule> schedule_;
  Matching matching_;
  StepGraph graph_;
  Expressions expressions_;
  std::vector<SymbolicMemory> memories_;
  std::vector<AddressMap> addresses_;
  std::vector<std::vector<bool>> heard_;  // [node][rank]; barriers only
  std::vector<uint32_t> message_waits_;   // ends that are not ready, and the predecessor
  std::vector<uint32_t> ready_;
  uint32_t done_ = 0;
  std::optional<Finding> finding_;
};

}  // namespace

const char* name_of(Flaw flaw) {
  static constexpr const char* kNames[] = {"malformed", "unmatched", "race",
                                           "deadlock",  "undefined", "wrong result"};
  return kNames[static_cast<size_t>(flaw)];
}

std::optional<Finding> verify(const Problem& problem, std::span<const RankSchedule> schedule) {
  if (std::string cause = problem.refuse(); !cause.empty()) {
    return Finding{Flaw::kMalformed, cause};
  }
  if (schedule.size() != problem.ranks) return Finding{Flaw::kMalformed, "one schedule per rank"};
  for (uint32_t rank = 0; rank < problem.ranks; rank++) {
    if (schedule[rank].rank != rank) return Finding{Flaw::kMalformed, "ranks are out of order"};
    if (auto finding = check_steps(problem, schedule[rank])) return finding;
  }
  Matching matching = match(schedule, Fold::none(problem.ranks));
  if (!matching.error.empty()) return Finding{Flaw::kUnmatched, matching.error};
  for (const RankSchedule& one : schedule) {
    if (auto finding = check_races(problem, one)) return finding;
  }
  if (problem.in_windows) {
    if (auto finding = check_windows(problem, schedule, matching)) return finding;
  }
  return Execution(problem, schedule, std::move(matching)).run();
}

}  // namespace npu::ccl
