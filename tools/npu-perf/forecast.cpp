// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-perf/forecast.h"

#include <algorithm>
#include <iterator>

#include "libnpu/ccl/schedule/export.h"

namespace npu::perf {
namespace {

using ccl::Algorithm;
using ccl::Answer;
using ccl::Op;
using isa::Failure;
using isa::Outcome;

// Integers have the same bits in any order of additions.
struct Type {
  const char* name;
  ccl::ElementSizes sizes;
  bool any_order;
};
constexpr Type kTypes[] = {
    {"float32", {4, 4}, false}, {"bfloat16", {2, 4}, false},    {"float16", {2, 4}, false},
    {"int32", {4, 4}, true},    {"float8_e4m3", {1, 4}, false}, {"float8_e5m2", {1, 4}, false},
    {"int8", {1, 1}, true},
};

const Type* type_named(const std::string& name) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const Type& type) { return name == type.name; });
  return found == std::end(kTypes) ? nullptr : found;
}

// A file for machines may be long, one for people may not.
constexpr uint64_t kExportStepsMax = 1'000'000;
constexpr uint64_t kDrawStepsMax = 2'000;

Outcome<ccl::Topology> topology_of(const model::NetworkProfile& network, uint64_t ranks) {
  ccl::Topology topology;
  const uint64_t chips = std::min(ranks, network.node_chips);
  if (ranks == 0 || ranks > ccl::Problem::kRanksMax) {
    return Failure{"--ranks must be 1 to " + std::to_string(ccl::Problem::kRanksMax)};
  }
  if (ranks % chips != 0) {
    return Failure{"--ranks: the chips are wired in nodes of " +
                   std::to_string(network.node_chips) + ": give 1 to " +
                   std::to_string(network.node_chips) + " ranks or a multiple of " +
                   std::to_string(network.node_chips) + ", or --wiring node_chips=..."};
  }
  topology.chips_per_node = static_cast<uint32_t>(chips);
  topology.nodes = static_cast<uint32_t>(ranks / chips);
  topology.neighbour_links = static_cast<uint32_t>(network.neighbour_links);
  topology.up_links = static_cast<uint32_t>(network.up_links);
  topology.link_bytes_per_s = static_cast<double>(network.link_mbytes_per_s) * 1e6;
  topology.hop_latency_s = static_cast<double>(network.hop_ns) * 1e-9;
  topology.leaf_nodes = static_cast<uint32_t>(network.leaf_chips / network.node_chips);
  topology.oversubscription = static_cast<double>(network.oversubscription_percent) / 100;
  return topology;
}

Outcome<uint32_t> chunks_of(const Wish& wish) {
  if (wish.chunk_bytes == 0 || wish.size_bytes == 0) return 1u;
  const uint64_t chunks = (wish.size_bytes - 1) / wish.chunk_bytes + 1;
  if (chunks <= ccl::Problem::kChunksMax) return static_cast<uint32_t>(chunks);
  return Failure{"--chunk: a vector has at most " + std::to_string(ccl::Problem::kChunksMax) +
                 " chunks. Give " +
                 std::to_string((wish.size_bytes - 1) / ccl::Problem::kChunksMax + 1) +
                 " bytes or more"};
}

// |question|'s problem in whole elements of its type.
Outcome<ccl::Problem> whole_problem(const Forecast& forecast) {
  ccl::Problem problem = ccl::problem_of(forecast.question);
  const bool has_blocks = problem.op == Op::kAllGather || problem.op == Op::kReduceScatter ||
                          problem.op == Op::kGather || problem.op == Op::kScatter ||
                          problem.op == Op::kAllToAll;
  const uint64_t unit = forecast.question.sizes.data_bytes * (has_blocks ? problem.ranks : 1);
  if (forecast.wish.size_bytes % unit != 0) {
    return Failure{
        "--export: the schedule is of whole elements: give a size that is a multiple of " +
        std::to_string(unit) + " bytes"};
  }
  problem.count = forecast.wish.size_bytes / unit;
  problem.in_windows = forecast.answers[*forecast.best].algorithm == Algorithm::kWindow;
  return problem;
}

// What helps where no algorithm that was asked for is left.
std::string remedy_for(const Forecast& forecast) {
  const bool any_helps =
      std::any_of(forecast.answers.begin(), forecast.answers.end(), [&](const Answer& answer) {
        ccl::Problem problem = ccl::problem_of(forecast.question);
        if (refuse(problem, answer.algorithm).empty()) return false;
        problem.order = ccl::Order::kAny;
        return refuse(problem, answer.algorithm).empty();
      });
  return any_helps ? "Give --order any, or another algorithm"
                   : "Give --algo all to see what each says, or another wiring";
}

}  // namespace

std::vector<std::string> operation_names() {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < ccl::kOpCount; i++) names.emplace_back(name_of(static_cast<Op>(i)));
  return names;
}

std::vector<std::string> type_names() {
  std::vector<std::string> names;
  for (const Type& type : kTypes) names.emplace_back(type.name);
  return names;
}

std::vector<std::string> order_names() { return {"canonical", "any"}; }

std::vector<std::string> algorithm_names() {
  std::vector<std::string> names{"auto", "all"};
  for (uint32_t i = 0; i < ccl::kAlgorithmCount; i++) {
    names.emplace_back(name_of(static_cast<Algorithm>(i)));
  }
  return names;
}

Outcome<Forecast> ask(const Wish& wish) {
  Forecast forecast;
  forecast.wish = wish;
  const auto op = ccl::op_named(wish.operation);
  const Type* type = type_named(wish.type);
  if (!op) return Failure{"there is no operation '" + wish.operation + "'"};
  if (type == nullptr) return Failure{"there is no type '" + wish.type + "'"};
  auto machine = load_machine(wish.profile, wish.wiring);
  if (!machine) return machine.failure();
  forecast.machine = std::move(*machine);
  const model::NetworkProfile& network = forecast.machine.network;
  const auto topology = topology_of(network, wish.ranks);
  if (!topology) return topology.failure();
  const auto chunks = chunks_of(wish);
  if (!chunks) return chunks.failure();

  ccl::Question& question = forecast.question;
  question.op = *op;
  question.size_bytes = static_cast<double>(wish.size_bytes);
  question.sizes = type->sizes;
  question.order =
      wish.order == "any" || type->any_order ? ccl::Order::kAny : ccl::Order::kCanonical;
  question.chunks = *chunks;
  question.topology = *topology;
  question.costs.message_s = static_cast<double>(network.message_ns) * 1e-9;
  question.costs.gap_s = static_cast<double>(network.gap_ns) * 1e-9;
  question.costs.reduce_bytes_per_s = static_cast<double>(network.reduce_mbytes_per_s) * 1e6;
  if (const std::string cause = question.refuse(); !cause.empty()) return Failure{cause};
  if (wish.size_bytes == 0 && *op != Op::kBarrier)
    return Failure{"give the size of the vector with --size"};
  return forecast;
}

Outcome<Forecast> forecast(const Wish& wish) {
  auto asked = ask(wish);
  if (!asked) return asked;
  Forecast result = std::move(*asked);
  const auto named = ccl::algorithm_named(wish.algorithm);
  if (named) {
    result.answers.push_back(predict(result.question, *named));
  } else {
    for (const Algorithm algorithm : ccl::algorithms_of(result.question.op)) {
      // Memory has to be registered for it, so it is no choice that a program makes by itself.
      if (algorithm == Algorithm::kWindow && wish.algorithm == "auto") continue;
      result.answers.push_back(predict(result.question, algorithm));
    }
  }
  std::string refusals;
  for (size_t i = 0; i < result.answers.size(); i++) {
    const Answer& answer = result.answers[i];
    if (!answer.refusal.empty()) {
      if (!named) refusals += std::string(name_of(answer.algorithm)) + ": ";
      refusals += answer.refusal + ". ";
      continue;
    }
    if (!result.best || answer.seconds < result.answers[*result.best].seconds) result.best = i;
  }
  if (!result.best) return Failure{refusals + remedy_for(result)};
  return result;
}

Outcome<std::string> export_schedule(const Forecast& forecast, const std::string& path) {
  const auto problem = whole_problem(forecast);
  if (!problem) return problem.failure();
  const Algorithm algorithm = forecast.answers[*forecast.best].algorithm;
  const bool is_dot = path.ends_with(".dot");
  const bool is_text = path.ends_with(".txt");
  const uint64_t most = is_dot || is_text ? kDrawStepsMax : kExportStepsMax;
  ccl::Schedule schedule;
  uint64_t steps = 0;
  for (uint32_t rank = 0; rank < problem->ranks && steps <= most; rank++) {
    schedule.push_back(generate(*problem, algorithm, rank));
    steps += schedule.back().steps.size();
  }
  if (steps > most) {
    return Failure{"--export: the schedule has more than " + std::to_string(most) +
                   " steps. Give fewer ranks or chunks" +
                   (is_dot || is_text ? ", or FILE.json" : "")};
  }
  if (is_dot) return to_dot(schedule);
  return is_text ? to_timeline(schedule) : to_json(*problem, algorithm, schedule) + "\n";
}

}  // namespace npu::perf
