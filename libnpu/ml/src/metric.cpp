// SPDX-License-Identifier: Apache-2.0
// Readings.
#include "libnpu/ml/src/metric.h"

namespace npu::ml {
namespace {

// What the bus answers for a device that has fallen off it. No sensor has this value.
constexpr int64_t kAllOnes = -1;

npuMlReason reason_of(const npu_metric& in) {
  if (in.flags & NPU_METRIC_FLAG_VALID) return in.value == kAllOnes ? NPU_ML_LOST : NPU_ML_VALID;
  if (in.flags & NPU_METRIC_FLAG_NOT_YET) return NPU_ML_NOT_READY;
  if (in.flags & NPU_METRIC_FLAG_DENIED) return NPU_ML_DENIED;
  if (in.flags & NPU_METRIC_FLAG_LOST) return NPU_ML_LOST;
  return NPU_ML_NOT_SUPPORTED;
}

}  // namespace

npuMlMetric translate_metric(const npu_metric& in) {
  const npuMlReason reason = reason_of(in);
  return {in.id, reason, reason == NPU_ML_VALID ? in.value : 0};
}

}  // namespace npu::ml
