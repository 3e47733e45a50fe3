// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/export.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "libnpu/ccl/schedule/traffic.h"

namespace npu::ccl {
namespace {

Problem all_reduce(uint32_t ranks) {
  Problem problem;
  problem.ranks = ranks;
  problem.count = 8;
  return problem;
}

TEST(Export, JsonHoldsEveryStep) {
  const Problem problem = all_reduce(4);
  const Schedule schedule = generate_all(problem, Algorithm::kHalving);
  const auto json = nlohmann::json::parse(to_json(problem, Algorithm::kHalving, schedule));
  EXPECT_EQ(json["op"], "allreduce");
  EXPECT_EQ(json["algorithm"], "halving");
  ASSERT_EQ(json["ranks"].size(), 4u);
  for (uint32_t rank = 0; rank < 4; rank++) {
    const auto& steps = json["ranks"][rank]["steps"];
    ASSERT_EQ(steps.size(), schedule[rank].steps.size());
    uint64_t sent = 0;
    for (const auto& step : steps) {
      if (step["kind"] == "send") sent += step["count"].get<uint64_t>();
    }
    const Traffic traffic = sent_by(schedule[rank], problem.ranks);
    EXPECT_EQ(sent, traffic.data + traffic.accumulator);
  }
  EXPECT_EQ(
      json["ranks"][0]["steps"][0].dump(),
      R"({"channel":0,"count":4,"format":"data","from":[["input",4]],"kind":"send","peer":1})");
}

TEST(Export, TimelineShowsTheRounds) {
  EXPECT_EQ(to_timeline(generate_all(all_reduce(4), Algorithm::kDoubling)),
            "0 | >1 <1 | +2 | >2 <2 | +2 |\n"
            "1 | >0 <0 | +2 | >3 <3 | +2 |\n"
            "2 | >3 <3 | +2 | >0 <0 | +2 |\n"
            "3 | >2 <2 | +2 | >1 <1 | +2 |\n");
}

TEST(Export, TimelineJoinsWhatHappensAtOnce) {
  EXPECT_EQ(to_timeline(generate_all(all_reduce(3), Algorithm::kDirect)),
            "0 | >1,2 <2,1 | +3 | >1,2 <2,1 |\n"
            "1 | >2,0 <0,2 | +3 | >2,0 <0,2 |\n"
            "2 | >0,1 <1,0 | +3 | >0,1 <1,0 |\n");
}

TEST(Export, DotHasEveryStepAndEveryMessage) {
  EXPECT_EQ(to_dot(generate_all(all_reduce(2), Algorithm::kDoubling)),
            "digraph schedule {\n  node [shape=box];\n"
            "  subgraph cluster_0 {\n    label=\"rank 0\";\n"
            "    r0s0 [label=\"send 8 to 1\"];\n    r0s1 [label=\"recv 8 from 1\"];\n"
            "    r0s2 [label=\"add 2 of 8\"];\n    r0s1 -> r0s2;\n  }\n"
            "  subgraph cluster_1 {\n    label=\"rank 1\";\n"
            "    r1s0 [label=\"send 8 to 0\"];\n    r1s1 [label=\"recv 8 from 0\"];\n"
            "    r1s2 [label=\"add 2 of 8\"];\n    r1s1 -> r1s2;\n  }\n"
            "  r0s0 -> r1s1 [style=dashed, constraint=false];\n"
            "  r1s0 -> r0s1 [style=dashed, constraint=false];\n}\n");
}

}  // namespace
}  // namespace npu::ccl
