// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/predict.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "libnpu/ccl/schedule/cost.h"

namespace npu::ccl {
namespace {

// Sends in the schedules that a simulation keeps; about, for halving and hierarchical ones of uneven groups.
uint64_t kept_messages(const Problem& problem, Algorithm algorithm, Fold fold) {
  const bool rooted = algorithm == Algorithm::kTree || algorithm == Algorithm::kChain ||
                      problem.op == Op::kGather || problem.op == Op::kScatter ||
                      problem.op == Op::kSendRecv;
  if (rooted) return uint64_t{problem.ranks} * problem.chunks;
  return uint64_t{messages_of(problem, algorithm)} * fold.kept * problem.chunks;
}

std::string too_large(uint64_t messages) {
  return "it has " + std::to_string(messages) + " messages, and no more than " +
         std::to_string(kMessagesMax) + " are simulated; ask for fewer ranks or chunks" +
         ", or for equal leaves";
}

// What bounds the time besides each other: links, the reductions of a rank, starting messages, rounds without length.
void find_limit(const Question& question, Answer& answer) {
  const auto offer = [&](double needed_s, const std::string& what, const std::string& where) {
    const double share = answer.seconds > 0 ? std::min(1.0, needed_s / answer.seconds) : 0;
    if (share <= answer.limit_share) return;
    answer.limit_share = share;
    answer.limit = what;
    answer.limit_where = where;
  };
  const Simulation& simulation = answer.simulation;
  for (uint32_t kind = 0; kind < kLinkKindCount; kind++) {
    const LinkLoad& load = simulation.loads[kind];
    offer(load.busiest_s, std::string(name_of(static_cast<LinkKind>(kind))) + " links",
          load.busiest);
  }
  offer(simulation.reduce_s, "reductions and copies", "");
  offer(simulation.starting_s, "starting messages", "");
  offer(answer.rounds * (question.costs.message_s + question.topology.hop_latency_s), "latency",
        "");
}

}  // namespace

std::string Question::refuse() const {
  std::string cause = topology.refuse();
  if (!cause.empty()) return cause;
  if (!(size_bytes >= 0) || !std::isfinite(size_bytes)) return "size must be 0 or more";
  if (op == Op::kBarrier && size_bytes != 0) return "a barrier moves nothing: size must be 0";
  return problem_of(*this).refuse();
}

double bus_factor(Op op, uint32_t ranks) {
  const double share = static_cast<double>(ranks - 1) / ranks;
  switch (op) {
    case Op::kAllReduce:
      return 2 * share;
    case Op::kBroadcast:
    case Op::kReduce:
    case Op::kSendRecv:
      return 1;
    default:
      return share;
  }
}

Problem problem_of(const Question& question) {
  Problem problem;
  problem.op = question.op;
  problem.ranks = question.topology.ranks();
  problem.peer = problem.ranks - 1;
  problem.nodes.assign(question.topology.nodes, question.topology.chips_per_node);
  problem.order = question.order;
  problem.chunks = question.op == Op::kBarrier ? 1 : question.chunks;
  problem.count = problem.chunks;
  switch (question.op) {
    case Op::kBarrier:
      problem.count = 0;
      break;
    case Op::kAllReduce:
    case Op::kBroadcast:
    case Op::kReduce:
      // Divisible by the ranks, and by the power of two that halving cuts in.
      problem.count *= uint64_t{problem.ranks} * std::bit_floor(problem.ranks);
      break;
    default:
      break;
  }
  return problem;
}

Answer predict(const Question& question, Algorithm algorithm) {
  Answer answer;
  answer.algorithm = algorithm;
  answer.refusal = question.refuse();
  Problem problem = problem_of(question);
  problem.in_windows = algorithm == Algorithm::kWindow;
  if (answer.refusal.empty()) answer.refusal = refuse(problem, algorithm);
  if (!answer.refusal.empty()) return answer;

  const uint32_t period = question.topology.period();
  const Fold smallest{problem.ranks, period == 0 ? problem.ranks : period};
  const uint64_t least = kept_messages(problem, algorithm, smallest);
  if (least > kMessagesMax) answer.refusal = too_large(least);
  if (!answer.refusal.empty()) return answer;
  answer.fold = fold_of(problem, algorithm, question.topology).value_or(Fold::none(problem.ranks));
  const uint64_t messages = kept_messages(problem, algorithm, answer.fold);
  if (messages > kMessagesMax) answer.refusal = too_large(messages);
  if (!answer.refusal.empty()) return answer;

  Workload workload = question.costs;
  if (messages > kExactMessagesMax) workload.tolerance = kTolerance;
  workload.sizes = question.sizes;
  const uint64_t cut_bytes = size_bytes(problem, question.sizes);
  workload.scale = cut_bytes == 0 ? 1 : question.size_bytes / static_cast<double>(cut_bytes);
  answer.simulation = simulate(problem, algorithm, question.topology, workload, answer.fold);
  answer.refusal = answer.simulation.error;
  answer.seconds = answer.simulation.seconds;
  answer.rounds = rounds_of(problem, algorithm);
  if (answer.seconds > 0) answer.algbw_bytes_per_s = question.size_bytes / answer.seconds;
  answer.busbw_bytes_per_s = answer.algbw_bytes_per_s * bus_factor(question.op, problem.ranks);
  find_limit(question, answer);
  return answer;
}

}  // namespace npu::ccl
