// SPDX-License-Identifier: Apache-2.0
// Profiles against what their makers have published. Latencies and all count, so vectors are large.
#include "tools/npu-perf/forecast.h"

#include <gtest/gtest.h>

namespace npu::perf {
namespace {

constexpr double kGiga = 1e9;

ccl::Answer best_of(const Wish& wish) {
  const auto result = forecast(wish);
  EXPECT_TRUE(result) << result.error();
  return result ? result->answers[*result->best] : ccl::Answer{};
}

Wish wish_of(const std::string& profile, const std::string& operation, uint64_t ranks,
             uint64_t size_bytes) {
  Wish wish;
  wish.profile = profile;
  wish.operation = operation;
  wish.ranks = ranks;
  wish.size_bytes = size_bytes;
  return wish;
}

void expect_rate(double value, double wanted_gbytes_per_s, double part) {
  EXPECT_NEAR(value / kGiga, wanted_gbytes_per_s, wanted_gbytes_per_s * part);
}

// Hot Chips 2024: 4800 Gb/s and 1200 Gb/s, of whatever number of chips. What reductions cost is our guess, so they are free here.
TEST(Forecast, Maia100ReachesItsPublishedFigures) {
  for (const uint64_t ranks : {4u, 64u, 6144u}) {
    SCOPED_TRACE(ranks);
    for (const char* operation : {"allgather", "reducescatter"}) {
      Wish wish = wish_of("maia100", operation, ranks, 16ull << 30);
      wish.algorithm = "hierarchical";
      wish.wiring = "reduce_mbytes_per_s=0";
      expect_rate(best_of(wish).algbw_bytes_per_s, 4800 / 8.0, 0.01);
      wish.wiring += ",hop_ns=0,message_ns=0,gap_ns=0";
      expect_rate(best_of(wish).algbw_bytes_per_s, 4800 / 8.0, 0.001);
    }
  }
  Wish wish = wish_of("maia100", "alltoall", 6144, 16ull << 30);
  wish.algorithm = "direct";
  const ccl::Answer all_to_all = best_of(wish);
  expect_rate(all_to_all.algbw_bytes_per_s, 1200 / 8.0, 0.002);
  EXPECT_EQ(all_to_all.limit, "up links");
}

// Slides of 2026, with neither size nor number of chips: 655 GB/s of all-to-all, here on two trays; and "about 1.3 TB/s" of all-reduce, here as the bus bandwidth of a leaf.
TEST(Forecast, Maia200ComesNearItsPublishedFigures) {
  expect_rate(best_of(wish_of("maia200", "alltoall", 8, 1ull << 30)).algbw_bytes_per_s, 655, 0.08);
  expect_rate(best_of(wish_of("maia200", "allreduce", 48, 4ull << 30)).busbw_bytes_per_s, 1300,
              0.08);
}

// Hot Chips 2026: 128 chips at 600 GB/s, 2048 at 200 GB/s.
TEST(Forecast, JalapenoReachesItsPublishedFigures) {
  Wish wish = wish_of("jalapeno", "alltoall", 128, 16ull << 30);
  wish.algorithm = "direct";
  wish.wiring = "gap_ns=0";  // fewer moments: a faster test
  expect_rate(best_of(wish).busbw_bytes_per_s, 600, 0.01);
  wish.ranks = 2048;
  const ccl::Answer all = best_of(wish);
  // Of what leaves a rank, 15 of 16 parts leave its leaf.
  expect_rate(all.algbw_bytes_per_s * 15 / 16, 200, 0.01);
  EXPECT_EQ(all.limit, "leaf-up links");
}

TEST(Forecast, ASwitchedWiringHasTheSameLinks) {
  Wish wish = wish_of("maia100", "allgather", 4, 1 << 30);
  wish.wiring = "switched";
  const auto asked = ask(wish);
  ASSERT_TRUE(asked) << asked.error();
  EXPECT_EQ(asked->question.topology.up_links, 12u);
  EXPECT_EQ(asked->question.topology.chips_per_node, 1u);
  EXPECT_EQ(asked->machine.network.sources.at("up_links"), "--wiring");
  EXPECT_NE(asked->machine.network.sources.at("hop_ns"), "--wiring");
}

TEST(Forecast, AutoIsTheFastestOfAll) {
  Wish wish = wish_of("maia100", "allreduce", 64, 1 << 20);
  wish.type = "int32";
  double least_s = 1e9;
  for (const ccl::Algorithm algorithm : ccl::algorithms_of(ccl::Op::kAllReduce)) {
    if (algorithm == ccl::Algorithm::kWindow) continue;  // only by name: memory is to be registered
    wish.algorithm = name_of(algorithm);
    least_s = std::min(least_s, best_of(wish).seconds);
  }
  wish.algorithm = "auto";
  EXPECT_EQ(best_of(wish).seconds, least_s);
}

TEST(Forecast, WindowsAreAnsweredByNameAndNotTakenForGranted) {
  Wish wish = wish_of("maia100", "allreduce", 4, 1 << 20);
  wish.algorithm = "window";
  EXPECT_EQ(best_of(wish).algorithm, ccl::Algorithm::kWindow);
  wish.algorithm = "auto";
  const auto answered = forecast(wish);
  ASSERT_TRUE(answered) << answered.error();
  for (const ccl::Answer& answer : answered->answers) {
    EXPECT_NE(answer.algorithm, ccl::Algorithm::kWindow);
  }
}

TEST(Forecast, ExportsWholeElementsOnly) {
  Wish wish = wish_of("maia100", "allgather", 3, 24);
  const auto whole = forecast(wish);
  ASSERT_TRUE(whole);
  const auto json = export_schedule(*whole, "x.json");
  ASSERT_TRUE(json) << json.error();
  EXPECT_NE(json->find("\"count\": 2"), std::string::npos);
  EXPECT_EQ((*export_schedule(*whole, "x.dot")).substr(0, 8), "digraph ");
  EXPECT_EQ((*export_schedule(*whole, "x.txt")).substr(0, 3), "0 |");
  wish.size_bytes = 25;
  const auto broken = forecast(wish);
  ASSERT_TRUE(broken);
  EXPECT_NE(export_schedule(*broken, "x.json").error().find("multiple of 12 bytes"),
            std::string::npos);
}

}  // namespace
}  // namespace npu::perf
