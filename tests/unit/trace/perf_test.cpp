// SPDX-License-Identifier: Apache-2.0
// npu-perf on made-up work: sums, positions under the roof, the three outputs.
#include <gtest/gtest.h>

#include <string>

#include "tools/npu-perf/output.h"
#include "tools/npu-perf/quantity.h"
#include "tools/npu-perf/roofline.h"
#include "tools/npu-perf/usage.h"

namespace npu::perf {
namespace {

using trace::Json;
using trace::Work;

// 100 GB/s, 1 TFLOP/s: the ridge is at 10 FLOP/B.
trace::DevicePeaks peaks() {
  return {0, "made <up>", 100'000'000'000, 500'000'000'000, 125'000'000'000};
}

constexpr uint64_t kPsPerMac = 2;  // of the fastest type

Work kernel(const std::string& name, uint64_t duration_ps, uint64_t bytes, uint64_t macs,
            uint64_t tensor_ps) {
  Work work;
  work.name = name;
  work.kind = "kernel";
  work.is_kernel = work.succeeded = true;
  work.start_ps = 1000;
  work.end_ps = 1000 + duration_ps;
  work.hbm_bytes = bytes;
  work.macs = macs;
  work.tensor_ps = tensor_ps;
  return work;
}

Work kernel(const std::string& name, uint64_t duration_ps, uint64_t bytes, uint64_t macs) {
  return kernel(name, duration_ps, bytes, macs,
                macs > UINT64_MAX / kPsPerMac ? UINT64_MAX : macs * kPsPerMac);
}

Usage usage_of(const std::vector<Work>& works) {
  UsageBuilder builder;
  builder.add(peaks());
  for (const Work& work : works) builder.add(work);
  return builder.finish();
}

TEST(Usage, SumsByNameTheLongestFirst) {
  Work bad = kernel("b", 9'000'000, 1, 1);
  bad.succeeded = false;
  const Usage usage = usage_of({kernel("a", 1'000'000, 10, 1), kernel("b", 3'000'000, 5, 2),
                                kernel("b", 4'000'000, 5, 2), bad});
  ASSERT_EQ(usage.devices.size(), 1u);
  const DeviceUsage& device = usage.devices[0];
  ASSERT_EQ(device.kernels.size(), 2u);
  const Sum& b = device.kernels[0];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.calls, 2u);
  EXPECT_EQ(b.failed, 1u);
  EXPECT_EQ(b.total_ps, 7'000'000u);
  EXPECT_EQ(b.min_ps, 3'000'000u);
  EXPECT_EQ(b.max_ps, 4'000'000u);
  EXPECT_DOUBLE_EQ(b.mean_ps(), 3'500'000);
  EXPECT_EQ(b.bytes, 10u);
  EXPECT_EQ(b.macs, 4u);
  EXPECT_DOUBLE_EQ(device.share(b), 0.875);
  EXPECT_DOUBLE_EQ(device.share(device.kernels[1]), 0.125);
}

TEST(Usage, WaitsAndGraphsAreNotCountedTheirNodesAre) {
  Work graph, node = kernel("mm", 5, 1, 1), wait, copy;
  graph.kind = "graph";
  node.kind = copy.kind = "graph node";
  wait.kind = "sync";
  copy.name = "copy";
  copy.bytes = 77;
  graph.succeeded = wait.succeeded = copy.succeeded = true;
  const Usage usage = usage_of({graph, node, wait, copy});
  ASSERT_EQ(usage.devices[0].kernels.size(), 1u);
  ASSERT_EQ(usage.devices[0].transfers.size(), 1u);
  EXPECT_EQ(usage.devices[0].transfers[0].bytes, 77u);
}

TEST(Usage, SumsStopInsteadOfWrapping) {
  const Usage usage =
      usage_of({kernel("a", UINT64_MAX - 1000, UINT64_MAX, UINT64_MAX), kernel("a", 5000, 5, 5)});
  EXPECT_EQ(usage.devices[0].kernels[0].total_ps, UINT64_MAX);
  EXPECT_EQ(usage.devices[0].kernels[0].bytes, UINT64_MAX);
  EXPECT_FALSE(make_table(usage).empty());
  EXPECT_NE(make_svg(usage).find("</svg>"), std::string::npos);
}

TEST(Roofline, WhatLimitsAndHowMuchOfItIsReached) {
  const Roof roof = *roof_of(peaks());
  EXPECT_DOUBLE_EQ(roof.ridge(), 10);
  // 50 kB and 100 kFLOP in 1 us: 2 FLOP/B, half of the bandwidth.
  const Usage usage =
      usage_of({kernel("slope", 1'000'000, 50'000, 50'000),
                kernel("flat", 1'000'000, 1'000, 125'000), kernel("moves", 1'000'000, 100'000, 0),
                kernel("multiplies", 1'000'000, 0, 500'000), kernel("nothing", 1, 0, 0)});
  std::map<std::string, Position> of;
  for (const Sum& sum : usage.devices[0].kernels) of[sum.name] = position_of(sum, roof);
  EXPECT_EQ(of["slope"].limit, Limit::kMemory);
  EXPECT_DOUBLE_EQ(of["slope"].flops_per_byte, 2);
  EXPECT_DOUBLE_EQ(of["slope"].of_roof, 0.5);
  EXPECT_EQ(of["flat"].limit, Limit::kArithmetic);
  EXPECT_DOUBLE_EQ(of["flat"].of_roof, 0.25);
  EXPECT_EQ(of["moves"].limit, Limit::kMemory);
  EXPECT_DOUBLE_EQ(of["moves"].of_roof, 1);
  EXPECT_EQ(of["multiplies"].limit, Limit::kArithmetic);
  EXPECT_DOUBLE_EQ(of["multiplies"].of_roof, 1);
  EXPECT_EQ(of["nothing"].limit, Limit::kNone);
}

TEST(Roofline, IsThatOfTheTypesThatAKernelMultiplies) {
  trace::DevicePeaks types = peaks();
  types.macs_bf16_per_second = 250'000'000'000;
  const Roof roof = *roof_of(types);
  // 100,000 multiply-adds in 1 us: four fifths of fp32's peak, two of bf16's, one of that of the fastest type; and half of them in each of fp32 and bf16.
  const Usage usage = usage_of({kernel("fp32", 1'000'000, 1'000, 100'000, 800'000),
                                kernel("bf16", 1'000'000, 1'000, 100'000, 400'000),
                                kernel("fp8", 1'000'000, 1'000, 100'000, 200'000),
                                kernel("mixed", 1'000'000, 1'000, 100'000, 600'000)});
  const std::map<std::string, double> reached = {
      {"fp32", 0.8}, {"bf16", 0.4}, {"fp8", 0.2}, {"mixed", 0.6}};
  for (const Sum& sum : usage.devices[0].kernels) {
    EXPECT_EQ(position_of(sum, roof).limit, Limit::kArithmetic);
    EXPECT_DOUBLE_EQ(position_of(sum, roof).of_roof, reached.at(sum.name)) << sum.name;
    EXPECT_DOUBLE_EQ(sum.peak_flops_per_second(), 200e9 / reached.at(sum.name)) << sum.name;
  }
}

TEST(Roofline, TheRidgeIsThatOfTheKernelsPeak) {
  const Roof roof = *roof_of(peaks());
  // 5 FLOP/B: below the ridge of the fastest type, above that of fp32 (2.5).
  const Usage usage = usage_of({kernel("fast", 1'000'000, 20'000, 50'000, 100'000),
                                kernel("fp32", 1'000'000, 20'000, 50'000, 400'000)});
  for (const Sum& sum : usage.devices[0].kernels)
    EXPECT_EQ(position_of(sum, roof).limit,
              sum.name == "fp32" ? Limit::kArithmetic : Limit::kMemory);
}

TEST(Roofline, OfAPeakThatWasNotToldIsUnknown) {
  // One launch of an older device is enough; what multiplies nothing needs no peak.
  const Usage usage = usage_of({kernel("old", 1'000'000, 1'000, 100'000, 200'000),
                                kernel("old", 1'000'000, 1'000, 100'000, 0),
                                kernel("moves", 1'000'000, 50'000, 0, 0)});
  const Roof roof = *roof_of(peaks());
  for (const Sum& sum : usage.devices[0].kernels) {
    EXPECT_EQ(sum.peak_flops_per_second(), 0);
    EXPECT_EQ(position_of(sum, roof).limit, sum.name == "old" ? Limit::kUnknown : Limit::kMemory);
  }
  const Json json = Json::parse(make_json(usage, 0));
  const Json& old = json["devices"][0]["kernels"][0];
  ASSERT_EQ(old["name"], "old");
  EXPECT_TRUE(old["tensor_time_ps"].is_null() && old["peak_flops_per_second"].is_null() &&
              old["of_peak"].is_null() && old["roofline"]["of_roof"].is_null());
  EXPECT_EQ(old["roofline"]["limit"], "unknown");
  EXPECT_NE(make_table(usage).find("unknown"), std::string::npos);
  EXPECT_NE(make_svg(usage).find("peak not known"), std::string::npos);
}

TEST(Outputs, AgreeWithEachOther) {
  const Usage usage = usage_of({kernel("slope", 1'000'000, 50'000, 50'000)});
  const Json json = Json::parse(make_json(usage, 3));
  EXPECT_EQ(json["exit_code"], 3);
  const Json& one = json["devices"][0]["kernels"][0];
  EXPECT_EQ(one["multiply_adds"], 50'000);
  EXPECT_EQ(one["roofline"]["limit"], "memory");
  EXPECT_EQ(one["roofline"]["of_roof"], 0.5);
  EXPECT_EQ(one["tensor_time_ps"], 100'000);
  EXPECT_EQ(one["peak_flops_per_second"], 1e12);
  EXPECT_EQ(one["of_peak"], 0.1);
  const std::string table = make_table(usage);
  for (const char* text : {"slope", "1.00 us", "100.0 %", "50.0 kB", "50.0 GB/s", "100 GFLOP/s",
                           "1.00 TFLOP/s", "10.0 %", "50.0 %", "memory"})
    EXPECT_NE(table.find(text), std::string::npos) << text << "\n" << table;
}

TEST(Outputs, NamesCannotLeaveTheirPlace) {
  const Usage usage = usage_of({kernel("<script>\x1b[2J&\"", 1'000'000, 50'000, 50'000)});
  const std::string svg = make_svg(usage);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_NE(svg.find("made &lt;up&gt;"), std::string::npos);
  EXPECT_EQ(svg.find('\x1b'), std::string::npos);
  EXPECT_EQ(make_table(usage).find('\x1b'), std::string::npos);
}

TEST(Outputs, ADeviceThatTellsNoPeaksHasNoRoof) {
  UsageBuilder builder;
  builder.add(kernel("a", 1'000'000, 10, 10));
  const Usage usage = builder.finish();
  EXPECT_TRUE(Json::parse(make_json(usage, std::nullopt))["devices"][0]["peak"].is_null());
  EXPECT_NE(make_table(usage).find("peaks not known"), std::string::npos);
  EXPECT_NE(make_svg(usage).find("no device told its peaks"), std::string::npos);
}

TEST(Quantities, HaveThreeDigitsAndAPrefix) {
  EXPECT_EQ(with_prefix(0, "B"), "0 B");
  EXPECT_EQ(with_prefix(999.4, "B"), "999 B");
  EXPECT_EQ(with_prefix(999.6, "B"), "1.00 kB");
  EXPECT_EQ(with_prefix(12'340'000, "B/s"), "12.3 MB/s");
  EXPECT_EQ(duration(2'000'500), "2.00 us");
  EXPECT_EQ(duration(5e18), "5000000 s");
}

}  // namespace
}  // namespace npu::perf
