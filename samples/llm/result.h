// SPDX-License-Identifier: Apache-2.0
//
// Error and Result<T>: how every fallible function of the language-model sample answers; nothing
// throws.
#ifndef SAMPLES_LLM_RESULT_H_
#define SAMPLES_LLM_RESULT_H_

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace npu::llm {

enum class ErrorCode {
  kIo,           // the operating system refused to open, read or write
  kTruncated,    // the file ends before what it announces
  kTooLong,      // bytes are left over after what the file announces
  kBadFormat,    // not the format that was expected
  kBadValue,     // a field holds a value that cannot be right
  kMismatch,     // two parts contradict each other
  kUnsupported,  // well-formed, but a variant that this program does not run
  kOutOfRange,   // a caller's argument lies outside the model's limits
  kNoMemory,     // the host or the device has too little memory
  kDevice,       // the NPU reported an error
};

/// Name of `code` as it is printed, for example "truncated".
const char* error_code_name(ErrorCode code);

/// What went wrong: `message` holds the cause and, after it, what to do about it.
struct Error {
  ErrorCode code;
  std::string message;
};

/// Outcome of a check that yields no value: empty when all is well.
using Failure = std::optional<Error>;

/// Either a value or an Error. `value()` requires `ok()`, `error()` requires `!ok()`.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return *std::get_if<0>(&state_); }
  const T& value() const& { return *std::get_if<0>(&state_); }
  T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

  const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace npu::llm

#endif  // SAMPLES_LLM_RESULT_H_
