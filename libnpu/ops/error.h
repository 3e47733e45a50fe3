// SPDX-License-Identifier: Apache-2.0
// The sentence behind npuOpsGetErrorText.
#ifndef LIBNPU_OPS_ERROR_H_
#define LIBNPU_OPS_ERROR_H_

#include "libnpu/common/error.h"

namespace npu::ops {

using common::error_text;
using common::fail;
using common::passed_on;

}  // namespace npu::ops

#endif  // LIBNPU_OPS_ERROR_H_
