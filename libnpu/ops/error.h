// SPDX-License-Identifier: Apache-2.0
// The sentence behind npuOpsGetErrorText: one for each thread.
#ifndef LIBNPU_OPS_ERROR_H_
#define LIBNPU_OPS_ERROR_H_

#include <npu/npu_types.h>

namespace npu::ops {

// Keeps the sentence for this thread and gives |code| back.
__attribute__((format(printf, 2, 3))) npuResult fail(npuResult code, const char* format, ...);
const char* error_text();

}  // namespace npu::ops

#endif  // LIBNPU_OPS_ERROR_H_
