// SPDX-License-Identifier: Apache-2.0
// Readings of a device, the ones without a value above all.
#include "libnpu/ml/src/metric.h"

#include <gtest/gtest.h>

#include <utility>

namespace npu::ml {
namespace {

npu_metric reading(uint32_t flags, int64_t value) {
  npu_metric metric{};
  metric.id = 3;
  metric.flags = flags;
  metric.value = value;
  return metric;
}

TEST(Metric, AValidOneKeepsItsValue) {
  for (const int64_t value : {int64_t{0}, int64_t{-2}, int64_t{0xffffffff}, INT64_MAX, INT64_MIN}) {
    const npuMlMetric out = translate_metric(reading(NPU_METRIC_FLAG_VALID, value));
    EXPECT_EQ(out.id, 3u);
    EXPECT_EQ(out.reason, NPU_ML_VALID);
    EXPECT_EQ(out.value, value);
  }
}

TEST(Metric, AllOnesAreADeviceThatDoesNotAnswer) {
  const npuMlMetric out = translate_metric(reading(NPU_METRIC_FLAG_VALID, -1));
  EXPECT_EQ(out.reason, NPU_ML_LOST);
  EXPECT_EQ(out.value, 0);
}

TEST(Metric, WithoutAValueItSaysWhy) {
  const std::pair<uint32_t, npuMlReason> kReasons[] = {{NPU_METRIC_FLAG_NOT_YET, NPU_ML_NOT_READY},
                                                       {NPU_METRIC_FLAG_DENIED, NPU_ML_DENIED},
                                                       {NPU_METRIC_FLAG_LOST, NPU_ML_LOST},
                                                       {0, NPU_ML_NOT_SUPPORTED}};
  for (const auto& [flags, reason] : kReasons) {
    const npuMlMetric out = translate_metric(reading(flags, 77));
    EXPECT_EQ(out.reason, reason);
    EXPECT_EQ(out.value, 0);
  }
}

}  // namespace
}  // namespace npu::ml
