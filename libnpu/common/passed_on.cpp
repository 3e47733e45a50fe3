// SPDX-License-Identifier: Apache-2.0
// An object file of its own: what does without it, as the plans of libnpuops in unit tests, does without libnpu.
#include <npu/npu_error.h>

#include "libnpu/common/error.h"

namespace npu::common {

npuResult passed_on(npuResult result) {
  if (result >= 0) return result;
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  return fail(result, "%s: %s", info.function, info.text);
}

}  // namespace npu::common
