// SPDX-License-Identifier: Apache-2.0
// Outcome<T>: a value, or a sentence that says why there is none and what to do.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace npu::isa {

struct Failure {
  std::string text;
};

template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : value_(std::move(value)) {}
  Outcome(Failure failure) : error_(std::move(failure.text)) {}

  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const std::string& error() const { return error_; }
  Failure failure() const { return {error_}; }

 private:
  std::optional<T> value_;
  std::string error_;
};

}  // namespace npu::isa
