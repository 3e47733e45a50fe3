// SPDX-License-Identifier: Apache-2.0
// The sentence behind a library's GetErrorText function: one for each thread.
#pragma once

#include <npu/npu_types.h>

namespace npu::common {

// Keeps the sentence for this thread and gives |code| back.
__attribute__((format(printf, 2, 3))) npuResult fail(npuResult code, const char* format, ...);
const char* error_text();

// A failure of libnpu becomes this library's own, so that one text tells of every failing call here.
npuResult passed_on(npuResult result);

}  // namespace npu::common
