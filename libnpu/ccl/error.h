// SPDX-License-Identifier: Apache-2.0
// The sentence behind npuCclGetErrorText.
#pragma once

#include "libnpu/common/error.h"

namespace npu::ccl {

using common::error_text;
using common::fail;
using common::passed_on;

#define NPU_CCL_TRY(call)                                                 \
  do {                                                                    \
    if (const npuResult tried_ = (call); tried_ != NPU_OK) return tried_; \
  } while (0)

}  // namespace npu::ccl
