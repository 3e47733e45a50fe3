// SPDX-License-Identifier: Apache-2.0
// Status and Result<T>: how functions of the library report success or an error of npu_types.h.
// The sentence that belongs to an error is in the thread's pending detail (error.h), so a Status is one word.
#pragma once

#include <npu/npu_types.h>

#include <optional>
#include <utility>

namespace npu {

class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr explicit Status(npuResult code) : code_(code) {}
  static constexpr Status ok() { return Status(); }
  constexpr bool is_ok() const { return code_ == NPU_OK; }
  constexpr npuResult code() const { return code_; }

 private:
  npuResult code_ = NPU_OK;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(Status status) : status_(status) {}     // an error
  Result(T value) : value_(std::move(value)) {}  // success
  bool is_ok() const { return status_.is_ok(); }
  Status status() const { return status_; }
  T& value() { return *value_; }
  T take() { return std::move(*value_); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace npu

#define NPU_TRY(expression)                             \
  do {                                                  \
    const ::npu::Status npu_try_status = (expression);  \
    if (!npu_try_status.is_ok()) return npu_try_status; \
  } while (false)

#define NPU_CONCAT_INNER(a, b) a##b
#define NPU_CONCAT(a, b) NPU_CONCAT_INNER(a, b)
#define NPU_TRY_ASSIGN(target, expression) \
  NPU_TRY_ASSIGN_INNER(target, expression, NPU_CONCAT(npu_result_, __LINE__))
#define NPU_TRY_ASSIGN_INNER(target, expression, name) \
  auto name = (expression);                            \
  if (!name.is_ok()) return name.status();             \
  target = name.take()
