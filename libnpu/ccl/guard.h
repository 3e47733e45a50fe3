// SPDX-License-Identifier: Apache-2.0
// What public functions have in common: no exception leaves them, and they take structs of callers that are older than the library.
#pragma once

#include <cstdint>
#include <cstring>
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

// The caller's struct, of this or an older size.
template <typename Info>
npuResult read_info(const Info* from, Info* to) {
  if (from == nullptr) return NPU_OK;
  if (from->struct_size < sizeof(uint32_t) || from->struct_size > sizeof(Info)) {
    return fail(NPU_ERROR_STRUCT_SIZE, "struct_size is %u, this library knows %zu",
                from->struct_size, sizeof(Info));
  }
  std::memcpy(to, from, from->struct_size);
  return NPU_OK;
}

}  // namespace npu::ccl
