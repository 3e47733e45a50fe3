// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "libnpu/ccl/schedule/export.h"

namespace npu::ccl {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kBuffers[kBufferCount] = {"input", "output", "scratch", "partial"};
constexpr const char* kKinds[kStepKindCount] = {"send", "recv", "recv-reduce", "reduce", "copy"};

Json json_of(Place place) {
  Json json = Json::array({kBuffers[static_cast<size_t>(place.buffer)], place.offset});
  if (place.is_remote()) json.push_back(place.owner);
  return json;
}

Json json_of(const RankSchedule& schedule, const Step& step) {
  Json json{{"kind", kKinds[static_cast<size_t>(step.kind)]}, {"count", step.count}};
  if (step.sends() || step.receives()) {
    json["peer"] = step.peer;
    json["channel"] = step.channel;
    json["format"] = step.format == Format::kData ? "data" : "accumulator";
  }
  if (step.chunk != 0) json["chunk"] = step.chunk;
  if (step.kind == StepKind::kRecvReduce) json["message_first"] = step.message_first;
  if (step.writes() && step.count != 0) json["to"] = json_of(step.to);
  if (step.to_all) json["to_all"] = true;
  for (const Place& place : schedule.operands_of(step)) json["from"].push_back(json_of(place));
  for (uint32_t dependency : schedule.dependencies_of(step)) json["after"].push_back(dependency);
  return json;
}

}  // namespace

std::string to_json(const Problem& problem, Algorithm algorithm,
                    std::span<const RankSchedule> schedule) {
  Json json{{"op", name_of(problem.op)},
            {"algorithm", name_of(algorithm)},
            {"order", problem.order == Order::kCanonical ? "canonical" : "any"},
            {"count", problem.count},
            {"in_place", problem.in_place},
            {"chunks", problem.chunks},
            {"ranks", Json::array()}};
  for (const RankSchedule& one : schedule) {
    Json steps = Json::array();
    for (const Step& step : one.steps) steps.push_back(json_of(one, step));
    json["ranks"].push_back({{"rank", one.rank},
                             {"scratch", one.scratch_count},
                             {"partial", one.partial_count},
                             {"steps", std::move(steps)}});
  }
  return json.dump(1);
}

}  // namespace npu::ccl
