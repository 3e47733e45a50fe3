// SPDX-License-Identifier: Apache-2.0
// The cost model, the override and the choice.
#include "libnpu/ccl/schedule/choose.h"

#include <gtest/gtest.h>

#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

constexpr ElementSizes kFloat{4, 4};

Override parsed(std::string_view text) {
  std::string error;
  const auto result = Override::parse(text, error);
  EXPECT_TRUE(result.has_value()) << text << ": " << error;
  return result.value_or(Override());
}

std::string error_of(std::string_view text) {
  std::string error;
  EXPECT_FALSE(Override::parse(text, error).has_value()) << text;
  return error;
}

Problem all_reduce(uint32_t ranks, uint64_t bytes) {
  Problem problem;
  problem.ranks = ranks;
  problem.count = bytes / kFloat.data_bytes;
  return problem;
}

Choice chosen(const Problem& problem, std::string_view wishes = "", Machine machine = {},
              std::vector<Correction> corrections = {}) {
  return choose(problem, kFloat, CostModel(machine, std::move(corrections)), parsed(wishes));
}

// The table of collectives.md, section 2.4: NPU, B = 600 GB/s, alpha = 5 us, 1 MiB, in us; that model has no reduction and charges partials at the data's size.
TEST(Cost, MatchesTheAlphaBetaTable) {
  const Machine machine{5e-6, 0.75e-6, 600e9, 600e9, 1e30};
  const CostModel model(machine, {});
  const auto microseconds = [&](uint32_t ranks, Algorithm algorithm) {
    Problem problem = all_reduce(ranks, 1 << 20);
    problem.order = Order::kAny;
    return model.seconds(problem, algorithm, kFloat) * 1e6;
  };
  EXPECT_NEAR(microseconds(8, Algorithm::kDoubling), 3 * (5 + 1.748), 0.01);
  EXPECT_NEAR(microseconds(8, Algorithm::kHalving), 6 * 5 + 2 * 7 / 8.0 * 1.748, 0.01);
  EXPECT_NEAR(microseconds(8, Algorithm::kRing), 14 * 5 + 2 * 7 / 8.0 * 1.748, 0.01);
  EXPECT_NEAR(microseconds(8, Algorithm::kDirect), 2 * 5 + 12 * 0.75 + 2 * 7 / 8.0 * 1.748, 0.01);
}

// Measured with each rank a host of its own, half of them at each end of a cable (npu-ccl-bench --network), us by flood, doubling, direct: four ranks 16 KiB 228, 379, 344; 64 KiB 325, 476, 432; 256 KiB 947, 864, 814;
// 1 MiB 4355, 3956, 2271. Eight ranks 16 KiB 1539, 1734, 1862; 256 KiB 5052, 3392, 2806.
TEST(Cost, RoundsBetweenHostsAreDearerThanMessages) {
  const auto algorithm = [](uint32_t ranks, uint64_t bytes) {
    return chosen(all_reduce(ranks, bytes), "", Machine::of_models_on_hosts()).algorithm;
  };
  EXPECT_EQ(algorithm(2, 64 << 10), Algorithm::kDoubling);
  EXPECT_EQ(algorithm(4, 16 << 10), Algorithm::kFlood);
  EXPECT_EQ(algorithm(4, 64 << 10), Algorithm::kFlood);
  EXPECT_EQ(algorithm(4, 256 << 10), Algorithm::kDirect);
  EXPECT_EQ(algorithm(4, 4 << 20), Algorithm::kDirect);
  EXPECT_EQ(algorithm(8, 16 << 10), Algorithm::kFlood);
  EXPECT_EQ(algorithm(8, 256 << 10), Algorithm::kDirect);
}

// Measured likewise: all-gather of 4, 16 and 64 KiB, two ranks, in 6, 9, 22 us directly and 6, 5, 7 in windows; four ranks 14, 15, 20 and 18, 17, 18. All-to-all 4, 4, 8 and 5, 5, 6; 21, 26, 56 and 22, 23, 29.
TEST(Cost, WhatOnlyMovesGoesThroughWindowsFrom64KiBOn) {
  for (const Op op : {Op::kAllGather, Op::kAllToAll}) {
    for (const uint32_t ranks : {2u, 4u}) {
      for (const uint64_t bytes : {4u << 10, 16u << 10, 64u << 10, 1u << 20}) {
        Problem problem;
        problem.op = op;
        problem.ranks = ranks;
        problem.count = bytes / kFloat.data_bytes / ranks;
        problem.in_windows = true;
        EXPECT_EQ(chosen(problem, "", Machine::of_model(), Correction::of_model()).algorithm,
                  bytes < 64 << 10 ? Algorithm::kDirect : Algorithm::kWindow)
            << name_of(op) << ", " << ranks << " ranks, " << bytes;
      }
    }
  }
}

// Each further message takes a CPU that ranks share, so many of them are worse than a second round.
TEST(Cost, ABarrierOfFewHostsHasOneRound) {
  const auto algorithm = [](uint32_t ranks) {
    Problem barrier = all_reduce(ranks, 0);
    barrier.op = Op::kBarrier;
    return chosen(barrier, "", Machine::of_models_on_hosts()).algorithm;
  };
  EXPECT_EQ(algorithm(4), Algorithm::kDirect);
  EXPECT_EQ(algorithm(16), Algorithm::kDissemination);
}

// Measured with processes of one host, 20 in a row, with and without windows (docs/performance.md): four ranks, 4 KiB in 21 us by flood, 26 by doubling, 27 directly, 29 in windows; 16 KiB 32, 33, 28, 22; 64 KiB 66, 76, 46, 30. Two ranks, 4 KiB 5.1 in one round, 5.2 in windows; 16 KiB 7.3, 6.0; 64 KiB 19, directly 18, in windows 9.
TEST(Cost, OneRoundIsBestForSmallVectorsInsideAHostAndWindowsForLargeOnes) {
  const auto algorithm = [](uint32_t ranks, uint64_t bytes, bool in_windows) {
    Problem problem = all_reduce(ranks, bytes);
    problem.in_windows = in_windows;
    return chosen(problem, "", Machine::of_model()).algorithm;
  };
  for (const bool in_windows : {false, true}) {
    EXPECT_EQ(algorithm(2, 4 << 10, in_windows), Algorithm::kDoubling);
    EXPECT_EQ(algorithm(4, 4 << 10, in_windows), Algorithm::kFlood);
  }
  EXPECT_EQ(algorithm(2, 16 << 10, false), Algorithm::kDoubling);
  EXPECT_EQ(algorithm(4, 16 << 10, false), Algorithm::kDirect);
  for (const uint32_t ranks : {2u, 4u}) {
    EXPECT_EQ(algorithm(ranks, 16 << 10, true), Algorithm::kWindow);
    EXPECT_EQ(algorithm(ranks, 64 << 10, false), Algorithm::kDirect);
  }
  for (const uint32_t ranks : {2u, 4u}) {
    EXPECT_EQ(algorithm(ranks, 64 << 10, true), Algorithm::kWindow);
    EXPECT_EQ(algorithm(ranks, 64 << 20, true), Algorithm::kWindow);
    EXPECT_EQ(algorithm(ranks, 64 << 20, false), Algorithm::kDirect);
  }
}

TEST(Cost, GrowsWithTheCount) {
  const CostModel model(Machine{}, {});
  for (Op op : all_ops()) {
    for (Algorithm algorithm : algorithms_of(op)) {
      Problem problem;
      problem.op = op;
      problem.ranks = 8;
      problem.order = Order::kAny;
      problem.in_windows = algorithm == Algorithm::kWindow;
      problem.peer = 1;
      double before = 0;
      for (uint64_t count = 8; count < 1 << 24; count *= 2) {
        problem.count = op == Op::kBarrier ? 0 : count;
        const double seconds = model.seconds(problem, algorithm, kFloat);
        EXPECT_GE(seconds, before) << describe(problem, algorithm);
        before = seconds;
      }
    }
  }
}

TEST(Cost, CorrectionIsLinearInTheLogarithmAndFlatOutside) {
  const Problem at_64k = all_reduce(8, 64 << 10);
  const Correction correction{
      Op::kAllReduce, Algorithm::kDirect, {{16 << 10, 1.0}, {256 << 10, 3.0}}};
  const CostModel plain(Machine{}, {});
  const CostModel corrected(Machine{}, {correction});
  const auto ratio = [&](const Problem& problem) {
    return corrected.seconds(problem, Algorithm::kDirect, kFloat) /
           plain.seconds(problem, Algorithm::kDirect, kFloat);
  };
  EXPECT_NEAR(ratio(at_64k), 2.0, 1e-9);
  EXPECT_NEAR(ratio(all_reduce(8, 4 << 10)), 1.0, 1e-9);
  EXPECT_NEAR(ratio(all_reduce(8, 1 << 30)), 3.0, 1e-9);
}

TEST(Choose, TakesDoublingForSmallAndBandwidthOptimalForLargeVectors) {
  EXPECT_EQ(chosen(all_reduce(64, 1024)).algorithm, Algorithm::kDoubling);
  // 126 messages instead of 12 pay only when there is much to add up, which the direct way reads once and halving twice.
  EXPECT_EQ(chosen(all_reduce(64, 1 << 24)).algorithm, Algorithm::kHalving);
  EXPECT_EQ(chosen(all_reduce(64, 1 << 28)).algorithm, Algorithm::kDirect);
  EXPECT_EQ(chosen(all_reduce(4, 1 << 26)).algorithm, Algorithm::kDirect);
}

TEST(Choose, TakesTheHierarchyForLargeVectorsOverNodes) {
  Problem problem = all_reduce(64, 1 << 28);
  problem.nodes.assign(16, 4);
  EXPECT_EQ(chosen(problem).algorithm, Algorithm::kHierarchical);
}

TEST(Choose, FollowsAMeasuredTable) {
  const Correction slow{Op::kAllReduce, Algorithm::kDoubling, {{1, 100.0}}};
  EXPECT_NE(chosen(all_reduce(64, 1024), "", {}, {slow}).algorithm, Algorithm::kDoubling);
}

TEST(Choose, FollowsTheOverrideAndSaysWhyOthersAreOut) {
  const char* text = "ring;allreduce:^halving,direct@0-64K";
  const Choice small = chosen(all_reduce(64, 1024), text);
  EXPECT_EQ(small.algorithm, Algorithm::kDirect);
  for (const Candidate& candidate : small.candidates) {
    EXPECT_EQ(candidate.refusal.empty(), candidate.algorithm == Algorithm::kDirect);
  }
  EXPECT_NE(chosen(all_reduce(64, 1 << 28), text).algorithm, Algorithm::kHalving);
  Problem gather = all_reduce(64, 1024);
  gather.op = Op::kAllGather;
  EXPECT_EQ(chosen(gather, text).algorithm, Algorithm::kRing);
  Problem barrier = all_reduce(64, 0);
  barrier.op = Op::kBarrier;
  EXPECT_EQ(chosen(barrier, text).algorithm, Algorithm::kDissemination);
}

TEST(Choose, AWantedAlgorithmThatWouldBreakTheOrderIsNotTaken) {
  const Choice choice = chosen(all_reduce(8, 1024), "allreduce:ring");
  ASSERT_TRUE(choice.algorithm.has_value());
  EXPECT_NE(*choice.algorithm, Algorithm::kRing);
}

TEST(Choose, ForbiddingEverythingIsAnError) {
  Problem barrier = all_reduce(4, 0);
  barrier.op = Op::kBarrier;
  const Choice choice = chosen(barrier, "barrier:^dissemination,^direct");
  EXPECT_FALSE(choice.algorithm.has_value());
  EXPECT_NE(choice.error.find("barrier"), std::string::npos);
}

TEST(Override, ForbiddingWhatAnOperationDoesNotHaveIsHarmless) {
  const Override wishes = parsed("ring;allreduce:^tree,direct@0-64K");
  EXPECT_EQ(wishes.of(Op::kAllReduce, Algorithm::kDirect, 0), Override::Word::kWanted);
  EXPECT_EQ(wishes.of(Op::kAllReduce, Algorithm::kRing, 0), Override::Word::kSilent);
  EXPECT_EQ(wishes.of(Op::kBroadcast, Algorithm::kTree, 0), Override::Word::kSilent);
}

TEST(Override, RangesIncludeTheFirstAndExcludeTheLastSize) {
  const Override wishes = parsed("allgather:ring@1K-2K,^bruck@1M-");
  const auto word = [&](Algorithm algorithm, uint64_t bytes) {
    return wishes.of(Op::kAllGather, algorithm, bytes);
  };
  EXPECT_EQ(word(Algorithm::kRing, 1023), Override::Word::kSilent);
  EXPECT_EQ(word(Algorithm::kRing, 1024), Override::Word::kWanted);
  EXPECT_EQ(word(Algorithm::kRing, 2047), Override::Word::kWanted);
  EXPECT_EQ(word(Algorithm::kRing, 2048), Override::Word::kSilent);
  EXPECT_EQ(word(Algorithm::kBruck, (1 << 20) - 1), Override::Word::kSilent);
  EXPECT_EQ(word(Algorithm::kBruck, 1ull << 60), Override::Word::kForbidden);
  EXPECT_EQ(wishes.of(Op::kAllReduce, Algorithm::kRing, 1024), Override::Word::kSilent);
}

TEST(Override, ErrorsNameThePlaceAndTheRemedy) {
  EXPECT_NE(error_of("rin").find("character 1: unknown algorithm 'rin'; use one of window, direct"),
            std::string::npos);
  EXPECT_NE(error_of("ring;foo:ring").find("character 6: unknown operation 'foo'"),
            std::string::npos);
  EXPECT_NE(error_of("barrier:ring").find("is no algorithm for barrier"), std::string::npos);
  EXPECT_NE(error_of("ring@").find("expected a size"), std::string::npos);
  EXPECT_NE(error_of("ring@1").find("needs '-'"), std::string::npos);
  EXPECT_NE(error_of("ring@4K-4K").find("empty"), std::string::npos);
  EXPECT_NE(error_of("ring@99999999999999999999-").find("64 bits"), std::string::npos);
  EXPECT_NE(error_of("ring@0-99999999999999999G").find("64 bits"), std::string::npos);
  EXPECT_NE(error_of("ring ").find("unexpected ' '"), std::string::npos);
  EXPECT_NE(error_of("allreduce:ring;").find("unknown algorithm ''"), std::string::npos);
  EXPECT_NE(error_of("ring;tree").find("second clause"), std::string::npos);
  EXPECT_NE(error_of("ring\x01").find("character 5: unexpected '?'"), std::string::npos);
  EXPECT_NE(error_of(std::string(5000, 'a')).find("longer"), std::string::npos);
}

}  // namespace
}  // namespace npu::ccl
