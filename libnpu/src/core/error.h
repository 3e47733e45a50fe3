// SPDX-License-Identifier: Apache-2.0
// The detail of errors: a sentence with names and numbers, kept per thread. fail() fills the pending detail; the public function that returns the error
// commits it (commit_error), so an error that the library handles itself is never seen.
#pragma once

#include <cstdint>

#include "libnpu/src/core/status.h"

namespace npu {

struct ErrorDetail {
  npuResult code = NPU_OK;
  int32_t sys_errno = 0;
  char function[64] = {};
  char text[512] = {};
  char remedy[256] = {};
};

// Records the sentence and returns the status. The remedy is that of status.def; set_remedy() puts a closer one.
[[gnu::format(printf, 2, 3)]] Status fail(npuResult code, const char* format, ...);
[[gnu::format(printf, 3, 4)]] Status fail_errno(npuResult code, int sys_errno, const char* format,
                                                ...);
[[gnu::format(printf, 1, 2)]] void set_remedy(const char* format, ...);

// The pending text, for callers that add to it.
const char* pending_text();

// Makes the pending detail the thread's last error of |function|; without a pending one for |code| the texts of status.def stand in.
npuResult commit_error(const char* function, npuResult code) noexcept;
const ErrorDetail& last_error() noexcept;

// Keeps both details of the thread for its life, whatever is called meanwhile.
class ErrorsKept {
 public:
  ErrorsKept();
  ~ErrorsKept();
  ErrorsKept(const ErrorsKept&) = delete;
  ErrorsKept& operator=(const ErrorsKept&) = delete;

 private:
  const ErrorDetail pending_;
  const ErrorDetail last_;
};

// Name, meaning and remedy of a code, from status.def.
struct StatusText {
  npuResult code;
  const char* name;
  const char* cause;
  const char* remedy;
};
const StatusText* find_status_text(npuResult code) noexcept;  // nullptr: unknown

// The error of a failed call of the uapi. |what| is the attempt, e.g. "creating a queue".
Status fail_call(int sys_errno, const char* what);
npuResult result_of_errno(int sys_errno) noexcept;

}  // namespace npu
