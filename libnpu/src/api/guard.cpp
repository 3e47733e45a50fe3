// SPDX-License-Identifier: Apache-2.0
// Taking handles back, and the exit of watched calls.
#include "libnpu/src/api/guard.h"

#include "libnpu/src/api/explain.h"
#include "libnpu/src/core/queue.h"

namespace npu::api {

Status retract(uint64_t handle, Kind kind, const char* what, Ref<Object>* out) {
  NPU_TRY_ASSIGN(Library * library, Library::get());
  if (handle == 0) return Status::ok();
  *out = library->handles().remove(handle, kind);
  return *out ? Status::ok() : bad_handle(kind, handle, what);
}

namespace {

// NPU_LAUNCH_BLOCKING: the error of the work is that of the call.
Status finish_submission(const Call& call) {
  Queue* queue = call.submitted_queue();
  if (queue == nullptr) return Status::ok();
  const uint64_t value = call.submitted_value();
  return explain(*queue, queue->wait(value, Deadline::never()), value);
}

}  // namespace

npuResult leave_call(Call* call, Status status) noexcept {
  npuResult code = status.code();
  try {
    if (code == NPU_OK) code = finish_submission(*call).code();
    if (code < 0) commit_error(call->function(), code);
    call->leave(code);
  } catch (...) {
    // Those who watch have no memory left; the call itself is done.
  }
  delete call;
  return code;
}

}  // namespace npu::api
