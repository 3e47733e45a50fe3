// SPDX-License-Identifier: Apache-2.0
// No exception leaves a public function.
#pragma once

#include <new>

#include "libnpu/ccl/error.h"

namespace npu::ccl {

template <typename Body>
npuResult guarded(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "no memory");
  } catch (...) {
    return fail(NPU_ERROR_INTERNAL, "an exception that nobody expected");
  }
}

}  // namespace npu::ccl
