// SPDX-License-Identifier: Apache-2.0
// Subscribers: functions of the program that are told of each call (npuProfSubscribe).
//
// A subscriber is told of calls that began after it was there, at entry and at exit or not at all: the number of the call decides.
//
// Thread safety: all functions. Memory ordering: who tells counts itself in and then looks whether the slot is alive; who ends a subscription makes it dead and then looks at the count.
// Both are sequentially consistent, so one of the two sees the other.
#pragma once

#include <npu/npu_prof.h>

#include <cstdint>

#include "libnpu/src/core/call.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Subscribers {
 public:
  static Status add(npuProfCallback callback, void* user_data, uint64_t* out_handle);
  // Returns once the callback runs nowhere.
  static Status remove(uint64_t handle);
  static void tell(const Call& call, bool is_exit);
  // True while this thread runs a callback.
  static bool of_this_thread();
  // The mutex around a fork. Callbacks of the parent's other threads will not return in the child.
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
};

}  // namespace npu
