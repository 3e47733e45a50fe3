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
  const char* remedy;  // nullptr: that of the code
};

constexpr const char* kWedged =
    "see the kernel's log; a device whose resets failed answers again after the driver was loaded "
    "anew (modprobe -r npu; modprobe npu)";
constexpr const char* kOldDriver =
    "the driver is older than the library: install one of the same version";

// What a refusal by driver or server means to the caller. The library checks arguments first, so an errno that complains of
// arguments (EINVAL, ENOENT, ...) is no usage error of the caller: it is NPU_ERROR_DRIVER.
constexpr ErrnoRow kErrnoRows[] = {
    {ENOSPC, NPU_ERROR_OUT_OF_DEVICE_MEMORY, nullptr},
    {ENOMEM, NPU_ERROR_OUT_OF_HOST_MEMORY, nullptr},
    {EDQUOT, NPU_ERROR_QUOTA, nullptr},
    {EACCES, NPU_ERROR_PERMISSION, nullptr},
    {EPERM, NPU_ERROR_PERMISSION, nullptr},
    {ENODEV, NPU_ERROR_DEVICE_LOST, nullptr},
    {EIO, NPU_ERROR_DEVICE_LOST, kWedged},
    {EPIPE, NPU_ERROR_DEVICE_LOST, nullptr},
    {ECONNRESET, NPU_ERROR_DEVICE_LOST, nullptr},
    {ESHUTDOWN, NPU_ERROR_DEVICE_LOST, nullptr},
    {ECANCELED, NPU_ERROR_CONTEXT_LOST, nullptr},
    {EBUSY, NPU_ERROR_BUSY, nullptr},
    {EOPNOTSUPP, NPU_ERROR_NOT_SUPPORTED, nullptr},
    {EPROTO, NPU_ERROR_PROTOCOL, nullptr},
    {ENOTTY, NPU_ERROR_VERSION_SKEW, kOldDriver},
};

const ErrnoRow* find_errno_row(int sys_errno) {
  for (const ErrnoRow& row : kErrnoRows) {
    if (row.sys_errno == sys_errno) return &row;
  }
  return nullptr;
}

void start_pending(npuResult code, int sys_errno) {
  ErrorDetail& pending = t_errors.pending;
  pending.code = code;
  pending.sys_errno = sys_errno;
  const StatusText* text = find_status_text(code);
  const ErrnoRow* row = find_errno_row(sys_errno);
  const char* remedy = text != nullptr ? text->remedy : "";
  if (row != nullptr && row->code == code && row->remedy != nullptr) remedy = row->remedy;
  std::snprintf(pending.remedy, sizeof pending.remedy, "%s", remedy);
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

ErrorsKept::ErrorsKept() : pending_(t_errors.pending), last_(t_errors.last) {}

ErrorsKept::~ErrorsKept() {
  t_errors.pending = pending_;
  t_errors.last = last_;
}

const StatusText* find_status_text(npuResult code) noexcept {
  for (const StatusText& row : kStatusTexts) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

npuResult result_of_errno(int sys_errno) noexcept {
  const ErrnoRow* row = find_errno_row(sys_errno);
  return row != nullptr ? row->code : NPU_ERROR_DRIVER;
}

Status fail_call(int sys_errno, const char* what) {
  return fail_errno(result_of_errno(sys_errno), sys_errno, "%s failed", what);
}

}  // namespace npu
