// SPDX-License-Identifier: Apache-2.0
// Call: the public function that a thread is in, while somebody watches (hook.h). Submissions take their correlation from it, objects their birth.
// Thread safety: a call belongs to its thread.
#pragma once

#include <cstdint>
#include <span>

#include "libnpu/src/core/hook.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Queue;

// An argument of a public function.
struct CallArg {
  enum class Kind : uint8_t {
    kUnsigned,
    kSigned,
    kAddress,   // of the program, a handle, or a function
    kText,      // address of a string, or of nothing
    kStruct,    // address of a struct that begins with struct_size, which the library reads
    kOutWord,   // address of a number that the call writes: |bytes| wide
    kOutHandle  // the same for a handle
  };
  Kind kind = Kind::kUnsigned;
  uint8_t bytes = 8;
  uint64_t value = 0;
};

// Which call made an object, and when.
struct Birth {
  const char* function = nullptr;  // nullptr: nobody watched
  uint64_t call_id = 0;
  int64_t time_ns = 0;
};

class Call {
 public:
  static constexpr size_t kArgsMost = 12;

  // Members are set by enter(); a call that nobody watches costs nothing.
  Call() {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void enter(const char* function, const char* arg_names, std::span<const CallArg> args);
  void leave(npuResult result);

  // The call that this thread is in; nullptr: none that is watched.
  static Call* current();
  // Of an object that is made now.
  static Birth birth() { return Hooks::any() ? birth_now() : Birth{}; }
  // The number of the next call.
  static uint64_t next_id();
  // True while this thread runs a callback of a subscriber.
  static bool in_callback();

  const char* function() const { return function_; }
  const char* arg_names() const { return arg_names_; }
  std::span<const CallArg> args() const { return {args_, arg_count_}; }
  uint64_t id() const { return id_; }
  uint64_t thread_id() const { return thread_id_; }
  int64_t enter_ns() const { return enter_ns_; }
  int64_t leave_ns() const { return leave_ns_; }
  npuResult result() const { return result_; }

  // The last submission of the call, for NPU_LAUNCH_BLOCKING. The queue is kept alive until leave().
  void set_submitted(Queue* queue, uint64_t value);
  Queue* submitted_queue() const { return queue_; }
  uint64_t submitted_value() const { return value_; }

 private:
  static Birth birth_now();

  const char* function_;
  const char* arg_names_;
  CallArg args_[kArgsMost];
  size_t arg_count_;
  uint64_t id_;
  uint64_t thread_id_;
  int64_t enter_ns_;
  int64_t leave_ns_;
  npuResult result_;
  Call* outer_;
  Queue* queue_;
  uint64_t value_;
};

}  // namespace npu
