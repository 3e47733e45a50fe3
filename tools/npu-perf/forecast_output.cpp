// SPDX-License-Identifier: Apache-2.0
// The table of npu-perf collective, and its JSON; docs/schema/npu-perf-collective-1.0.json describes that.
#include <npu/npu_types.h>

#include <algorithm>

#include "tools/npu-perf/forecast.h"
#include "tools/npu-perf/quantity.h"
#include "tools/trace/recording.h"

namespace npu::perf {
namespace {

using ccl::Answer;
using ccl::LinkLoad;
using trace::Json;

constexpr double kPsPerSecond = 1e12;

std::string seconds(double s) { return duration(s * kPsPerSecond); }
std::string nanoseconds(uint64_t ns) { return duration(static_cast<double>(ns) * 1e3); }
std::string rate(double bytes_per_s) { return with_prefix(bytes_per_s, "B/s"); }

std::string links_of(uint64_t number, const model::NetworkProfile& network) {
  return std::to_string(number) + " x " +
         rate(static_cast<double>(network.link_mbytes_per_s) * 1e6);
}

std::string heading(const Forecast& forecast) {
  const Wish& wish = forecast.wish;
  const ccl::Question& question = forecast.question;
  const model::NetworkProfile& network = forecast.machine.network;
  std::string text = wish.operation;
  if (wish.size_bytes != 0) text += " of " + with_prefix(question.size_bytes, "B");
  text += ", " + wish.type;
  if (reduces(question.op)) {
    text += question.order == ccl::Order::kAny ? " in any order" : " in canonical order";
  }
  text += ", " + std::to_string(question.topology.ranks()) + " ranks of " + wish.profile;
  if (question.chunks > 1) text += ", " + std::to_string(question.chunks) + " chunks";
  text += "\nwiring: " + std::to_string(question.topology.nodes) + " x " +
          std::to_string(question.topology.chips_per_node) + " chips; ";
  if (question.topology.chips_per_node > 1) {
    text += links_of(network.neighbour_links, network) + " to each neighbour, ";
  }
  text += links_of(network.up_links, network) + " up; ";
  if (network.leaf_chips == 0) {
    text += "the fabric never blocks";
  } else {
    text += "leaves of " + std::to_string(network.leaf_chips) + " chips, " +
            percent(1 / forecast.question.topology.oversubscription) +
            " of their up-links go on to the spine";
  }
  text += "\ncosts: " + nanoseconds(network.hop_ns) + " a hop, " + nanoseconds(network.message_ns) +
          " a message, " + nanoseconds(network.gap_ns) + " between messages of a chip, ";
  text += network.reduce_mbytes_per_s == 0
              ? "reductions free"
              : rate(static_cast<double>(network.reduce_mbytes_per_s) * 1e6) + " reduced";
  return text + "\n";
}

Row answer_row(const Answer& answer) {
  if (!answer.refusal.empty()) return {name_of(answer.algorithm), "-", "-", "-", "-", "-"};
  return {name_of(answer.algorithm),      seconds(answer.seconds),
          rate(answer.algbw_bytes_per_s), rate(answer.busbw_bytes_per_s),
          std::to_string(answer.rounds),  answer.limit + " " + percent(answer.limit_share)};
}

std::string answers_table(const Forecast& forecast) {
  std::vector<Row> rows{{"algorithm", "time", "algbw", "busbw", "rounds", "busy"}};
  for (size_t i = 0; i < forecast.answers.size(); i++) {
    if (forecast.wish.algorithm != "auto" || i == forecast.best) {
      rows.push_back(answer_row(forecast.answers[i]));
    }
  }
  std::string text = align(rows);
  if (forecast.wish.algorithm == "auto") return text;
  for (const Answer& answer : forecast.answers) {
    if (answer.refusal.empty()) continue;
    text += std::string("not ") + name_of(answer.algorithm) + ": " + answer.refusal + "\n";
  }
  return text;
}

double mean_share(const LinkLoad& load, double time_s) {
  return time_s > 0 ? load.bytes / load.bytes_per_s / time_s : 0;
}
double most_share(const LinkLoad& load, double time_s) {
  return time_s > 0 ? load.busiest_s / time_s : 0;
}

std::string links_table(const Answer& answer) {
  std::vector<Row> rows{{"links", "number", "bytes", "mean load", "most loaded"}};
  for (uint32_t kind = 0; kind < ccl::kLinkKindCount; kind++) {
    const LinkLoad& load = answer.simulation.loads[kind];
    if (load.links == 0) continue;
    rows.push_back({name_of(static_cast<ccl::LinkKind>(kind)), std::to_string(load.links),
                    with_prefix(load.bytes, "B"), percent(mean_share(load, answer.seconds)),
                    percent(most_share(load, answer.seconds))});
  }
  return align(rows);
}

Json network_object(const Machine& machine) {
  Json object;
  for (const model::NetworkField& field : model::network_fields()) {
    object[field.key] = {{"value", machine.network.*field.member},
                         {"source", machine.network.sources.at(field.key)}};
  }
  return object;
}

Json question_object(const Forecast& forecast) {
  const ccl::Question& question = forecast.question;
  return {{"operation", forecast.wish.operation},
          {"size_bytes", forecast.wish.size_bytes},
          {"type", forecast.wish.type},
          {"order", question.order == ccl::Order::kAny ? "any" : "canonical"},
          {"ranks", question.topology.ranks()},
          {"nodes", question.topology.nodes},
          {"chips_per_node", question.topology.chips_per_node},
          {"chunks", question.chunks}};
}

Json answer_object(const Answer& answer) {
  Json object;
  object["algorithm"] = name_of(answer.algorithm);
  object["refusal"] = answer.refusal.empty() ? Json(nullptr) : Json(answer.refusal);
  if (!answer.refusal.empty()) return object;
  const ccl::Simulation& simulation = answer.simulation;
  object["seconds"] = answer.seconds;
  object["algbw_bytes_per_second"] = answer.algbw_bytes_per_s;
  object["busbw_bytes_per_second"] = answer.busbw_bytes_per_s;
  object["rounds"] = answer.rounds;
  object["sent_bytes"] = simulation.sent_bytes;
  object["simulated_ranks"] = answer.fold.kept;
  object["simulated_messages"] = simulation.messages;
  object["tolerance"] = simulation.tolerance;
  object["limit"] = {
      {"what", answer.limit}, {"where", answer.limit_where}, {"share", answer.limit_share}};
  object["links"] = Json::array();
  for (uint32_t kind = 0; kind < ccl::kLinkKindCount; kind++) {
    const LinkLoad& load = simulation.loads[kind];
    if (load.links == 0) continue;
    object["links"].push_back({{"kind", name_of(static_cast<ccl::LinkKind>(kind))},
                               {"number", load.links},
                               {"bytes", load.bytes},
                               {"mean_load", mean_share(load, answer.seconds)},
                               {"most_load", most_share(load, answer.seconds)},
                               {"most_loaded", load.busiest}});
  }
  return object;
}

}  // namespace

std::string make_forecast_table(const Forecast& forecast) {
  const Answer& best = forecast.answers[*forecast.best];
  std::string text = heading(forecast) + "\n" + answers_table(forecast) + "\n";
  text += std::string(name_of(best.algorithm)) + " is limited by " + best.limit;
  if (!best.limit_where.empty()) text += " (" + best.limit_where + ")";
  text += ", busy for " + percent(best.limit_share) + " of the time\n";
  double tolerance = ccl::kToleranceExact;
  for (const Answer& answer : forecast.answers) {
    if (forecast.wish.algorithm != "auto" || answer.algorithm == best.algorithm) {
      tolerance = std::max(tolerance, answer.simulation.tolerance);
    }
  }
  if (tolerance > ccl::kToleranceExact) {
    text += "to save time predictions may be too low by up to " + percent(tolerance) + "\n";
  }
  return text + links_table(best);
}

std::string make_forecast_json(const Forecast& forecast) {
  Json root;
  root["schema"] = "npu-perf-collective/1.0";
  root["tool"]["version"] = std::to_string(NPU_VERSION_MAJOR) + "." +
                            std::to_string(NPU_VERSION_MINOR) + "." +
                            std::to_string(NPU_VERSION_PATCH);
  root["profile"] = forecast.wish.profile;
  root["network"] = network_object(forecast.machine);
  root["question"] = question_object(forecast);
  root["best"] = name_of(forecast.answers[*forecast.best].algorithm);
  root["answers"] = Json::array();
  for (const Answer& answer : forecast.answers) root["answers"].push_back(answer_object(answer));
  return root.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace npu::perf
