// SPDX-License-Identifier: Apache-2.0
// Predictions against formulas that can be written down, and against figures that others have published.
#include "libnpu/ccl/schedule/predict.h"

#include <gtest/gtest.h>

#include <cmath>

#include "libnpu/ccl/schedule/cost.h"
#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

constexpr double kLinks = 150e9;    // bytes per second of three links
constexpr double kMessage = 2e-6;   // seconds
constexpr double kRounding = 1e-9;  // of a result

// Nodes of |chips|, three links of 50 GB/s to each neighbour and up; messages cost kMessage whatever their way.
Question question_of(Op op, uint32_t nodes, uint32_t chips, double size_bytes) {
  Question question;
  question.op = op;
  question.size_bytes = size_bytes;
  question.order = Order::kAny;
  question.topology = {nodes, chips, 3, 3, 50e9, 0, {}};
  question.costs.message_s = kMessage;
  return question;
}

double seconds_of(const Question& question, Algorithm algorithm) {
  const Answer answer = predict(question, algorithm);
  EXPECT_EQ(answer.refusal, "") << name_of(question.op) << " " << name_of(algorithm);
  return answer.seconds;
}

void expect_seconds(const Question& question, Algorithm algorithm, double wanted_s) {
  EXPECT_NEAR(seconds_of(question, algorithm), wanted_s, wanted_s * kRounding)
      << name_of(question.op) << " " << name_of(algorithm) << ", " << question.topology.ranks()
      << " ranks";
}

// One node: no link is shared.
TEST(Predict, IsTheClosedFormOfEachAlgorithm) {
  for (const uint32_t n : {2u, 4u, 8u, 16u}) {
    for (const double size : {1.0, 1000.0, 1e6, 1073741824.0}) {
      const double levels = std::log2(n);
      const double whole_s = size / kLinks;
      const double part_s = whole_s / n;
      const auto expect = [&](Op op, Algorithm algorithm, double messages, double bytes_s) {
        expect_seconds(question_of(op, 1, n, size), algorithm, messages * kMessage + bytes_s);
      };
      expect(Op::kAllReduce, Algorithm::kRing, 2 * (n - 1), 2 * (n - 1) * part_s);
      expect(Op::kAllReduce, Algorithm::kDoubling, levels, levels * whole_s);
      expect(Op::kAllReduce, Algorithm::kHalving, 2 * levels, 2 * (n - 1) * part_s);
      expect(Op::kAllReduce, Algorithm::kDirect, 2, 2 * part_s);
      expect(Op::kReduceScatter, Algorithm::kRing, n - 1, (n - 1) * part_s);
      expect(Op::kReduceScatter, Algorithm::kHalving, levels, (n - 1) * part_s);
      expect(Op::kReduceScatter, Algorithm::kDirect, 1, part_s);
      expect(Op::kAllGather, Algorithm::kRing, n - 1, (n - 1) * part_s);
      expect(Op::kAllGather, Algorithm::kDoubling, levels, (n - 1) * part_s);
      expect(Op::kAllGather, Algorithm::kDirect, 1, part_s);
      expect(Op::kAllToAll, Algorithm::kDirect, 1, part_s);
      expect(Op::kAllToAll, Algorithm::kPairwise, n - 1, (n - 1) * part_s);
      expect(Op::kAllToAll, Algorithm::kBruck, levels, levels * whole_s / 2);
      expect(Op::kBroadcast, Algorithm::kTree, levels, levels * whole_s);
      expect(Op::kBroadcast, Algorithm::kChain, n - 1, (n - 1) * whole_s);
      expect(Op::kReduce, Algorithm::kTree, levels, levels * whole_s);
      expect(Op::kGather, Algorithm::kDirect, 1, part_s);
      expect(Op::kScatter, Algorithm::kDirect, 1, part_s);
      expect(Op::kSendRecv, Algorithm::kDirect, 1, whole_s);
    }
  }
}

TEST(Predict, IsTheClosedFormForAnyNumberOfRanks) {
  for (uint32_t n = 2; n <= 17; n++) {
    const double part_s = 1e9 / kLinks / n;
    expect_seconds(question_of(Op::kAllReduce, 1, n, 1e9), Algorithm::kRing,
                   2 * (n - 1) * (part_s + kMessage));
    expect_seconds(question_of(Op::kAllReduce, 1, n, 1e9), Algorithm::kDirect,
                   2 * (part_s + kMessage));
    expect_seconds(question_of(Op::kBarrier, 1, n, 0), Algorithm::kDissemination,
                   std::ceil(std::log2(n)) * kMessage);
  }
}

TEST(Predict, IsTheClosedFormOfPipelines) {
  Question question = question_of(Op::kBroadcast, 1, 8, 1e9);
  question.costs.message_s = 0;
  for (const uint32_t chunks : {1u, 2u, 16u, 100u}) {
    question.chunks = chunks;
    expect_seconds(question, Algorithm::kChain, (8 - 2 + chunks) * 1e9 / chunks / kLinks);
  }
}

// 1536 nodes of 4: every rank sends to the next, three links each way.
TEST(Predict, IsTheClosedFormOfALongRing) {
  const double n = 6144;
  const double size = 1073741824;
  expect_seconds(question_of(Op::kAllReduce, 1536, 4, size), Algorithm::kRing,
                 2 * (n - 1) / n * size / kLinks + 2 * (n - 1) * kMessage);
}

// All-to-all: what leaves a node shares the up-links, what stays has links of its own.
TEST(Predict, IsTheClosedFormOfAllToAllOnNodes) {
  for (const uint32_t nodes : {1u, 2u, 5u, 16u, 300u, 1536u}) {
    const double n = 4.0 * nodes;
    expect_seconds(question_of(Op::kAllToAll, nodes, 4, 1e9), Algorithm::kDirect,
                   std::max((n - 4) / n, 1 / n) * 1e9 / kLinks + kMessage);
  }
}

// Direct over leaves: what leaves a leaf has a third of what its chips could send.
TEST(Predict, IsTheClosedFormOfOversubscribedLeaves) {
  Question question = question_of(Op::kAllToAll, 48, 4, 1e9);
  question.topology.leaf_nodes = 12;
  for (const double over : {1.0, 2.0, 3.0, 8.0}) {
    question.topology.oversubscription = over;
    const double slow = std::max((192.0 - 4) / 192, (192.0 - 48) / 192 * over);
    expect_seconds(question, Algorithm::kDirect, slow * 1e9 / kLinks + kMessage);
  }
}

// Steps of a message that cannot overlap: each waits for its turn.
TEST(Predict, ARankStartsOneMessageAfterTheOther) {
  Question question = question_of(Op::kAllGather, 1, 16, 16);
  question.costs.gap_s = 1e-6;
  EXPECT_NEAR(seconds_of(question, Algorithm::kDirect), 14e-6 + kMessage, 1e-9);
  EXPECT_EQ(predict(question, Algorithm::kDirect).limit, "starting messages");
  question.costs.gap_s = 0;
  EXPECT_EQ(predict(question, Algorithm::kDirect).limit, "latency");
}

// Whatever the way: the links that leave ranks carry what ranks send, those that arrive at ranks too, and those of leaves what leaves them.
TEST(Predict, LinksCarryWhatIsSent) {
  uint32_t looked = 0;
  for (const Op op : all_ops()) {
    for (const Algorithm algorithm : algorithms_of(op)) {
      for (const uint32_t nodes : {1u, 4u, 6u}) {
        Question question = question_of(op, nodes, 4, op == Op::kBarrier ? 0 : 1e6);
        question.topology.leaf_nodes = 2;
        question.topology.oversubscription = 2;
        const Answer answer = predict(question, algorithm);
        if (!answer.refusal.empty()) continue;
        const auto bytes = [&](LinkKind kind) {
          return answer.simulation.loads[static_cast<size_t>(kind)].bytes;
        };
        SCOPED_TRACE(describe(problem_of(question), algorithm));
        const double sent = answer.simulation.sent_bytes;
        const double rounding = sent * kRounding;
        EXPECT_NEAR(bytes(LinkKind::kNeighbour) + bytes(LinkKind::kUp), sent, rounding);
        EXPECT_NEAR(bytes(LinkKind::kUp), bytes(LinkKind::kDown), rounding);
        EXPECT_NEAR(bytes(LinkKind::kLeafUp), bytes(LinkKind::kLeafDown), rounding);
        EXPECT_LE(bytes(LinkKind::kLeafUp), bytes(LinkKind::kUp) + rounding);
        for (const LinkLoad& load : answer.simulation.loads) {
          EXPECT_LE(load.busiest_s, answer.seconds * (1 + kRounding));
        }
        double schedule_bytes = 0;
        Problem problem = problem_of(question);
        problem.in_windows = algorithm == Algorithm::kWindow;
        for (const RankSchedule& one : generate_all(problem, algorithm)) {
          schedule_bytes += static_cast<double>(sent_by(one, problem.ranks).bytes(question.sizes));
        }
        const double units = static_cast<double>(size_bytes(problem, question.sizes));
        EXPECT_NEAR(sent, units == 0 ? 0 : schedule_bytes * question.size_bytes / units, rounding);
        looked++;
      }
    }
  }
  EXPECT_GT(looked, 60u);
}

TEST(Predict, IsTheSameEveryTime) {
  Question question = question_of(Op::kAllReduce, 6, 4, 1e8);
  question.topology.leaf_nodes = 3;
  question.topology.oversubscription = 3;
  question.costs.gap_s = 45e-9;
  for (const Algorithm algorithm : algorithms_of(Op::kAllReduce)) {
    const Answer a = predict(question, algorithm);
    const Answer b = predict(question, algorithm);
    EXPECT_EQ(a.seconds, b.seconds);
    EXPECT_EQ(a.limit, b.limit);
    EXPECT_EQ(a.simulation.rank_seconds, b.simulation.rank_seconds);
  }
}

// More messages than are simulated exactly: ends that are taken together make the time shorter, by no more than they may.
TEST(Predict, ManyMessagesAreNearlyExact) {
  Question question = question_of(Op::kAllToAll, 256, 4, 1e9);
  question.topology.leaf_nodes = 8;
  question.topology.oversubscription = 3;
  question.costs.gap_s = 50e-9;
  const Answer answer = predict(question, Algorithm::kDirect);
  ASSERT_EQ(answer.refusal, "");
  ASSERT_GT(answer.simulation.messages, kExactMessagesMax);
  const double wanted_s = (1024.0 - 32) / 1024 * 3 * 1e9 / kLinks + kMessage;
  EXPECT_NEAR(answer.seconds, wanted_s, wanted_s * 2e-3);
}

TEST(Predict, LongerVectorsTakeLonger) {
  for (const Algorithm algorithm : algorithms_of(Op::kAllReduce)) {
    const uint32_t nodes = algorithm == Algorithm::kWindow ? 1 : 16;
    double before_s = 0;
    for (double size = 1; size < 1e12; size *= 8) {
      const double now_s = seconds_of(question_of(Op::kAllReduce, nodes, 4, size), algorithm);
      EXPECT_GT(now_s, before_s);
      before_s = now_s;
    }
  }
}

// Intel's measurement, from nothing but its wiring (8 cards, 3 links of 200 Gb/s to each other), 98 % of the link for payload and 5 us a step.
TEST(Predict, Gaudi3AllReduceIsWithinTwoPercentOfWhatIntelMeasured) {
  Question question = question_of(Op::kAllReduce, 1, 8, 256 << 20);
  question.topology.link_bytes_per_s = 0.98 * 25e9;
  question.costs.message_s = 5e-6;
  const Answer answer = predict(question, Algorithm::kDirect);
  EXPECT_NEAR(answer.busbw_bytes_per_s, 512.96e9, 512.96e9 * 0.02);
}

// In windows both halves of a directly made all-reduce go at once: twice the bytes on each link, without what two rounds of messages take besides.
TEST(Predict, AnAllReduceInWindowsMovesWhatTheDirectOneDoes) {
  Question question = question_of(Op::kAllReduce, 1, 4, 64e6);
  const Answer window = predict(question, Algorithm::kWindow);
  const Answer direct = predict(question, Algorithm::kDirect);
  ASSERT_EQ(window.refusal, "");
  EXPECT_NEAR(window.simulation.sent_bytes, direct.simulation.sent_bytes, kRounding * 64e6);
  EXPECT_NEAR(window.seconds, direct.seconds, 0.02 * direct.seconds);
  question.topology.nodes = 2;
  EXPECT_NE(predict(question, Algorithm::kWindow).refusal, "");
}

TEST(Predict, RefusesWhatCannotBeAnswered) {
  const auto refusal = [](auto&& change, Algorithm algorithm = Algorithm::kRing) {
    Question question = question_of(Op::kAllReduce, 2, 4, 1e6);
    change(question);
    return predict(question, algorithm).refusal;
  };
  EXPECT_EQ(refusal([](Question&) {}), "");
  EXPECT_NE(refusal([](Question& q) { q.size_bytes = -1; }), "");
  EXPECT_NE(refusal([](Question& q) { q.size_bytes = NAN; }), "");
  EXPECT_NE(refusal([](Question& q) { q.size_bytes = INFINITY; }), "");
  EXPECT_NE(refusal([](Question& q) { q.op = Op::kBarrier; }, Algorithm::kDissemination), "");
  EXPECT_NE(refusal([](Question& q) { q.chunks = 0; }), "");
  EXPECT_NE(refusal([](Question& q) { q.chunks = Problem::kChunksMax + 1; }), "");
  EXPECT_NE(refusal([](Question& q) { q.topology.nodes = 0; }), "");
  EXPECT_NE(refusal([](Question& q) { q.topology.oversubscription = 0.5; }), "");
  EXPECT_NE(refusal([](Question& q) { q.order = Order::kCanonical; }), "");
  EXPECT_NE(refusal([](Question&) {}, Algorithm::kBruck), "");
  EXPECT_NE(refusal([](Question& q) { q.topology.up_links = 0; }).find("no link is left"),
            std::string::npos);
  // Not folded, and so 38 million messages.
  EXPECT_NE(refusal(
                [](Question& q) {
                  q.topology.nodes = 1536;
                  q.topology.leaf_nodes = 1000;
                },
                Algorithm::kDirect)
                .find("messages"),
            std::string::npos);
}

TEST(Predict, BusFactorsAreThoseOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(Op::kAllReduce, 8), 1.75);
  EXPECT_DOUBLE_EQ(bus_factor(Op::kAllGather, 8), 0.875);
  EXPECT_DOUBLE_EQ(bus_factor(Op::kReduceScatter, 8), 0.875);
  EXPECT_DOUBLE_EQ(bus_factor(Op::kAllToAll, 8), 0.875);
  EXPECT_DOUBLE_EQ(bus_factor(Op::kBroadcast, 8), 1);
  EXPECT_DOUBLE_EQ(bus_factor(Op::kReduce, 8), 1);
}

}  // namespace
}  // namespace npu::ccl
