// SPDX-License-Identifier: Apache-2.0
// npu_types.h and npu_error.h: result codes equal the rows of uapi/spec/status.def; their texts; the detail of errors.
#include <npu/npu_error.h>

#include <cstdio>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/error.h"
#include "uapi/npu_status.h"

namespace {

// The public names are NPU_NAME for states and NPU_ERROR_NAME for errors. This list is what the header has; the checks below find a row that
// is missing here or there, or has another number.
#define NPU_STATES(X) X(OK) X(NOT_READY) X(TIMEOUT) X(INCOMPLETE)
// The formatter would move this list a little further at each run.
// clang-format off
#define NPU_ERRORS(X) \
  X(INVALID_ARGUMENT) X(INVALID_HANDLE) X(INVALID_ADDRESS) X(UNALIGNED) X(OVERFLOW) \
  X(NOT_SUPPORTED) X(NOT_INITIALIZED) X(SHUTDOWN) X(FORKED) X(BUSY) X(NOT_FOUND) X(STRUCT_SIZE) \
  X(RESERVED_NOT_ZERO) X(PERMISSION) X(ARGUMENT_LAYOUT) X(BAD_ENVIRONMENT) X(CAPTURE_UNSUPPORTED) X(IN_CALLBACK) \
  X(OUT_OF_HOST_MEMORY) X(OUT_OF_DEVICE_MEMORY) X(QUOTA) X(OUT_OF_QUEUES) X(QUEUE_FULL) \
  X(OUT_OF_MODULES) X(OUT_OF_ADDRESS_SPACE) X(NO_DEVICE) X(DEVICE_LOST) X(CONTEXT_LOST) \
  X(DRIVER) X(VERSION_SKEW) X(FILE) X(START_MODEL) X(PROTOCOL) X(BLOB_FORMAT) X(BLOB_UNSIGNED) \
  X(BLOB_SIGNATURE) X(BLOB_KEY) X(BLOB_ROLLBACK) X(BLOB_ISA) X(BLOB_INSTRUCTION) \
  X(BLOB_TOO_LARGE) X(VM_FAULT) X(BAD_COMMAND) X(BAD_DOORBELL) X(BAD_MODULE) X(BAD_LAUNCH) \
  X(KERNEL_TRAP) X(KERNEL_ASSERT) X(KERNEL_BOUNDS) X(KERNEL_OPERANDS) X(KERNEL_DEADLOCK) \
  X(WATCHDOG) X(DIVIDE_BY_ZERO) X(DEPENDENCY_FAILED) X(QUEUE_DEAD) X(CANCELED) \
  X(UNALIGNED_ACCESS) X(MEMORY_POISON) X(KERNEL_RACE) X(KERNEL_UNINITIALISED) X(LINK_DOWN) \
  X(INTERNAL)
// clang-format on

#define NPU_CHECK_STATE(NAME)                                  \
  static_assert(static_cast<int>(NPU_##NAME) == NPU_ST_##NAME, \
                "npu_types.h differs from status.def: " #NAME);
#define NPU_CHECK_ERROR(NAME)                                        \
  static_assert(static_cast<int>(NPU_ERROR_##NAME) == NPU_ST_##NAME, \
                "npu_types.h differs from status.def: " #NAME);
NPU_STATES(NPU_CHECK_STATE)
NPU_ERRORS(NPU_CHECK_ERROR)

#define NPU_COUNT(NAME) +1
constexpr int kPublicCodes = 0 NPU_STATES(NPU_COUNT) NPU_ERRORS(NPU_COUNT);
constexpr int kRows = 0
#define NPU_STATUS(value, NAME, cause, remedy) +1
#include "uapi/spec/status.def"
    ;
static_assert(kPublicCodes == kRows, "a row of status.def has no public code");

}  // namespace

extern "C" {

const char* npuResultGetName(npuResult result) {
  const npu::StatusText* text = npu::find_status_text(result);
  return text != nullptr ? text->name : "NPU_UNKNOWN";
}

const char* npuResultGetText(npuResult result) {
  const npu::StatusText* text = npu::find_status_text(result);
  return text != nullptr ? text->cause : "unknown result code";
}

const char* npuResultGetRemedy(npuResult result) {
  const npu::StatusText* text = npu::find_status_text(result);
  return text != nullptr ? text->remedy : "";
}

npuResult npuErrorGetInfo(npuErrorInfo* inout_info) {
  // Not guarded: the question must not change the answer.
  if (inout_info == nullptr) return NPU_ERROR_INVALID_ARGUMENT;
  if (inout_info->struct_size < npu::api::kFirstSize<npuErrorInfo> ||
      inout_info->struct_size > npu::api::kStructMaxBytes) {
    return NPU_ERROR_STRUCT_SIZE;
  }
  const npu::ErrorDetail& last = npu::last_error();
  npuErrorInfo info{};
  info.code = last.code;
  info.sys_errno = last.sys_errno;
  std::snprintf(info.function, sizeof info.function, "%s", last.function);
  std::snprintf(info.text, sizeof info.text, "%s", last.text);
  std::snprintf(info.remedy, sizeof info.remedy, "%s", last.remedy);
  npu::api::write_struct(inout_info, info);
  return NPU_OK;
}

}  // extern "C"
