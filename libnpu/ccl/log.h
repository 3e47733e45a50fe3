// SPDX-License-Identifier: Apache-2.0
// Messages at level info of NPU_LOG_LEVEL, to NPU_LOG_FILE or stderr, as those of libnpu.
#pragma once

namespace npu::ccl {

__attribute__((format(printf, 1, 2))) void log_info(const char* format, ...);

}  // namespace npu::ccl
