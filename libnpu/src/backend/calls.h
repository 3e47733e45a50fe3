// SPDX-License-Identifier: Apache-2.0
// The calls of the uapi as typed functions of a backend: call_vm_create(backend, args) ..., one for each row of calls.def.
#pragma once

#include "libnpu/src/backend/backend.h"
#include "uapi/npu_accel.h"

namespace npu {

#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc)                 \
  inline int call_##name(Backend& backend, struct npu_##name& args) { \
    return backend.call(nr, &args);                                   \
  }
#include "uapi/spec/calls.def"

// An array argument.
template <typename T>
inline npu_array make_array(T* elements, uint32_t count) {
  if (count == 0) return npu_array{};
  return npu_array{sizeof(T), count, reinterpret_cast<uintptr_t>(elements)};
}

}  // namespace npu
