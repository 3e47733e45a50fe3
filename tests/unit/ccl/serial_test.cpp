// SPDX-License-Identifier: Apache-2.0
// Rule 8 of schedule.h: with one chunk, ranks that do one step at a time in the order of their lists come to their ends, as long as no send waits for room.
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

using Channel = std::tuple<uint32_t, uint32_t, uint16_t>;  // from, to, channel

// The number of steps that are left when no rank can go on.
size_t left_after_serial_run(const Schedule& schedule) {
  std::vector<size_t> next(schedule.size());
  std::map<Channel, uint64_t> on_the_way;
  size_t left = 0;
  for (const RankSchedule& rank : schedule) left += rank.steps.size();
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t rank = 0; rank < schedule.size(); rank++) {
      const std::vector<Step>& steps = schedule[rank].steps;
      for (; next[rank] < steps.size(); next[rank]++, left--, moved = true) {
        const Step& step = steps[next[rank]];
        if (step.sends()) on_the_way[{rank, step.peer, step.channel}]++;
        if (!step.receives()) continue;
        uint64_t& came = on_the_way[{step.peer, rank, step.channel}];
        if (came == 0) break;
        came--;
      }
    }
  }
  return left;
}

void expect_end(Problem problem) {
  for (Algorithm algorithm : algorithms_of(problem.op)) {
    problem.in_windows = algorithm == Algorithm::kWindow;
    if (!refuse(problem, algorithm).empty()) continue;
    EXPECT_EQ(left_after_serial_run(generate_all(problem, algorithm)), 0u)
        << describe(problem, algorithm);
  }
}

TEST(Serial, EveryListEndsInItsOwnOrder) {
  for (Op op : all_ops()) {
    if (op == Op::kSendRecv) continue;
    for (uint32_t ranks = 1; ranks <= 16; ranks++) {
      for (const auto& nodes : node_shapes(ranks)) {
        for (Order order : orders_of(op)) {
          for (uint64_t count : counts_for(ranks)) {
            Problem problem;
            problem.op = op;
            problem.ranks = ranks;
            problem.count = count;
            problem.nodes = nodes;
            problem.order = order;
            problem.root = static_cast<uint32_t>(count % ranks);
            if (problem.refuse().empty()) expect_end(problem);
          }
        }
      }
    }
  }
}

TEST(Serial, FindsAListThatDoesNot) {
  // Each of two ranks receives before it sends.
  Schedule schedule(2);
  for (uint32_t rank = 0; rank < 2; rank++) {
    Step receive, send;
    receive.kind = StepKind::kRecv;
    send.kind = StepKind::kSend;
    receive.peer = send.peer = 1 - rank;
    schedule[rank].steps = {receive, send};
  }
  EXPECT_EQ(left_after_serial_run(schedule), 4u);
}

}  // namespace
}  // namespace npu::ccl
