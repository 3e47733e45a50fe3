// SPDX-License-Identifier: Apache-2.0
//
// Composition of messages: what was wanted, the code's name, cause, remedy.
#include "samples/llm/npu_error.h"

#include <npu/npu_ops.h>

#include <cinttypes>
#include <cstdio>

namespace npu::llm {
namespace {

ErrorCode code_of(npuResult code) {
  switch (code) {
    case NPU_ERROR_OUT_OF_HOST_MEMORY:
    case NPU_ERROR_OUT_OF_DEVICE_MEMORY:
    case NPU_ERROR_QUOTA:
      return ErrorCode::kNoMemory;
    default:
      return ErrorCode::kDevice;
  }
}

Error compose(npuResult code, const std::string& doing, const std::string& cause,
              const std::string& remedy) {
  std::string text = doing + ": " + npuResultGetName(code) + ": " + cause;
  if (!remedy.empty()) text += "; " + remedy;
  return {code_of(code), std::move(text)};
}

// The thread's detail, if it belongs to `code`.
bool read_detail(npuResult code, npuErrorInfo& info) {
  info = {};
  info.struct_size = sizeof(info);
  return npuErrorGetInfo(&info) == NPU_OK && info.code == code;
}

}  // namespace

Error npu_error(npuResult code, const char* doing) {
  npuErrorInfo info;
  if (read_detail(code, info)) return compose(code, doing, info.text, info.remedy);
  return compose(code, doing, npuResultGetText(code), npuResultGetRemedy(code));
}

Error npu_ops_error(npuResult code, const char* doing) {
  const std::string cause = npuOpsGetErrorText();
  npuErrorInfo info;
  if (cause.empty() || read_detail(code, info)) return npu_error(code, doing);
  return compose(code, doing, cause, npuResultGetRemedy(code));
}

Error npu_queue_error(npuResult code, npuQueue queue) {
  Error error = npu_error(code, "running the model on the NPU");
  npuFault fault{};
  fault.struct_size = sizeof(fault);
  uint32_t count = 1;
  const npuResult asked = npuQueueGetFaults(queue, &count, &fault);
  if ((asked != NPU_OK && asked != NPU_INCOMPLETE) || count == 0) return error;
  char where[256];
  std::snprintf(where, sizeof(where),
                " (command %" PRIu64 ", kernel '%.63s', group %" PRIu64 ", tile %" PRIu32
                ", instruction %" PRIu32 ", address 0x%" PRIx64 ")",
                fault.value, fault.kernel, fault.group, fault.tile, fault.pc, fault.address);
  error.message += where;
  return error;
}

}  // namespace npu::llm
