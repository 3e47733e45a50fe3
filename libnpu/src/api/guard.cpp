// SPDX-License-Identifier: Apache-2.0
// Taking handles back.
#include "libnpu/src/api/guard.h"

namespace npu::api {

Status retract(uint64_t handle, Kind kind, const char* what, Ref<Object>* out) {
  NPU_TRY_ASSIGN(Library * library, Library::get());
  if (handle == 0) return Status::ok();
  *out = library->handles().remove(handle, kind);
  return *out ? Status::ok() : bad_handle(kind, handle, what);
}

}  // namespace npu::api
