// SPDX-License-Identifier: Apache-2.0
// The per-thread error detail, and the table from errno to result codes.
#include "libnpu/src/core/error.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace npu {
namespace {

struct ThreadErrors {
  ErrorDetail pending;
  ErrorDetail last;
};

thread_local ThreadErrors t_errors;

constexpr StatusText kStatusTexts[] = {
#define NPU_STATUS(value, NAME, cause, remedy) \
  {value, (value) < 0 ? "NPU_ERROR_" #NAME : "NPU_" #NAME, cause, remedy},
#include "uapi/spec/status.def"
};

struct ErrnoRow {
  int sys_errno;
  npuResult code;
};

// What a refusal by driver or server means to the caller. The library checks arguments first, so an errno that complains of
// arguments (EINVAL, ENOENT, ...) is no usage error of the caller: it is NPU_ERROR_DRIVER.
constexpr ErrnoRow kErrnoRows[] = {
    {ENOSPC, NPU_ERROR_OUT_OF_DEVICE_MEMORY},
    {ENOMEM, NPU_ERROR_OUT_OF_HOST_MEMORY},
    {EDQUOT, NPU_ERROR_QUOTA},
    {EACCES, NPU_ERROR_PERMISSION},
    {EPERM, NPU_ERROR_PERMISSION},
    {ENODEV, NPU_ERROR_DEVICE_LOST},
    {EIO, NPU_ERROR_DEVICE_LOST},
    {EPIPE, NPU_ERROR_DEVICE_LOST},
    {ECONNRESET, NPU_ERROR_DEVICE_LOST},
    {ESHUTDOWN, NPU_ERROR_DEVICE_LOST},
    {ECANCELED, NPU_ERROR_CONTEXT_LOST},
    {EBUSY, NPU_ERROR_BUSY},
    {EOPNOTSUPP, NPU_ERROR_NOT_SUPPORTED},
    {EPROTO, NPU_ERROR_PROTOCOL},
};

void start_pending(npuResult code, int sys_errno) {
  ErrorDetail& pending = t_errors.pending;
  pending.code = code;
  pending.sys_errno = sys_errno;
  const StatusText* text = find_status_text(code);
  std::snprintf(pending.remedy, sizeof pending.remedy, "%s", text != nullptr ? text->remedy : "");
}

}  // namespace

Status fail(npuResult code, const char* format, ...) {
  start_pending(code, 0);
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(t_errors.pending.text, sizeof t_errors.pending.text, format, arguments);
  va_end(arguments);
  return Status(code);
}

Status fail_errno(npuResult code, int sys_errno, const char* format, ...) {
  start_pending(code, sys_errno);
  ErrorDetail& pending = t_errors.pending;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(pending.text, sizeof pending.text, format, arguments);
  va_end(arguments);
  const size_t used = std::strlen(pending.text);
  char buffer[96];
  std::snprintf(pending.text + used, sizeof pending.text - used, ": %s (errno %d)",
                strerror_r(sys_errno, buffer, sizeof buffer), sys_errno);
  return Status(code);
}

void set_remedy(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(t_errors.pending.remedy, sizeof t_errors.pending.remedy, format, arguments);
  va_end(arguments);
}

const char* pending_text() { return t_errors.pending.text; }

npuResult commit_error(const char* function, npuResult code) noexcept {
  ThreadErrors& errors = t_errors;
  if (errors.pending.code != code) {
    start_pending(code, 0);
    const StatusText* text = find_status_text(code);
    std::snprintf(errors.pending.text, sizeof errors.pending.text, "%s",
                  text != nullptr ? text->cause : "");
  }
  errors.last = errors.pending;
  std::snprintf(errors.last.function, sizeof errors.last.function, "%s", function);
  errors.pending = ErrorDetail();
  return code;
}

const ErrorDetail& last_error() noexcept { return t_errors.last; }

const StatusText* find_status_text(npuResult code) noexcept {
  for (const StatusText& row : kStatusTexts) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

npuResult result_of_errno(int sys_errno) noexcept {
  for (const ErrnoRow& row : kErrnoRows) {
    if (row.sys_errno == sys_errno) return row.code;
  }
  return NPU_ERROR_DRIVER;
}

Status fail_call(int sys_errno, const char* what) {
  return fail_errno(result_of_errno(sys_errno), sys_errno, "%s failed", what);
}

}  // namespace npu
