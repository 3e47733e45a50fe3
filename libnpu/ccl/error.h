// SPDX-License-Identifier: Apache-2.0
// The sentence behind npuCclGetErrorText: one for each thread.
#pragma once

#include <npu/npu_types.h>

namespace npu::ccl {

// Keeps the sentence for this thread and gives |code| back.
__attribute__((format(printf, 2, 3))) npuResult fail(npuResult code, const char* format, ...);
const char* error_text();

// A failure of libnpu becomes this library's own, so that one text tells of every failing call here.
npuResult passed_on(npuResult result);

#define NPU_CCL_TRY(call)                                                 \
  do {                                                                    \
    if (const npuResult tried_ = (call); tried_ != NPU_OK) return tried_; \
  } while (0)

}  // namespace npu::ccl
