// SPDX-License-Identifier: Apache-2.0
// The calls of the uapi as typed functions of a backend: call_vm_create(backend, args) ..., one for each row of calls.def.
#pragma once

#include <cerrno>

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

// Elements of a query of DEV_QUERY, as many as there is room for; *inout_count becomes the number that there are. 0 or an errno.
template <typename T>
inline int query_some(Backend& backend, uint32_t type, T* out, uint32_t* inout_count) {
  npu_dev_query args{};
  args.type = type;
  args.out = make_array(out, *inout_count);
  const int error = call_dev_query(backend, args);
  if (error == 0) *inout_count = args.out.count;
  return error;
}

// One element.
template <typename T>
inline int query_one(Backend& backend, uint32_t type, T* out) {
  uint32_t count = 1;
  const int error = query_some(backend, type, out, &count);
  return error == 0 && count < 1 ? EPROTO : error;
}

}  // namespace npu
