// SPDX-License-Identifier: Apache-2.0
// One reading, from the driver's form into the public one. Thread safety: pure.
#pragma once

#include <npu/npu_ml.h>

#include "uapi/npu_accel.h"

namespace npu::ml {

npuMlMetric translate_metric(const npu_metric& in);

}  // namespace npu::ml
