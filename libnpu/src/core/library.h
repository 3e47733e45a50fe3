// SPDX-License-Identifier: Apache-2.0
// Library: the state of libnpu in this process, between npuInit and npuShutdown, and across fork.
//
// One instance is made by the first npuInit and never freed, so a call that races with npuShutdown finds an empty table instead of freed memory. The child of
// a fork leaves its parent's instance alone for ever (its locks may be held, its shared memory is the parent's) and makes a new one.
//
// Thread safety: all functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "libnpu/src/core/children.h"
#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/handle.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Library {
 public:
  static Status init();
  static Status shutdown();
  // The running library, or why there is none.
  static Result<Library*> get();

  // At the end of a process, or of the library's stay in it, that had layers on: their files get an end.
  static void at_exit();

  HandleTable& handles() { return handles_; }
  // A copy: another thread may end the library and start it anew.
  Environment environment() const;
  Children& devices() { return devices_; }

 private:
  explicit Library(uint32_t instance) : handles_(instance) {}
  void close_all();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  HandleTable handles_;
  Environment environment_;
  Children devices_;
};

// How long a wait spins before it sleeps.
int64_t spin_ns_of(const Environment& environment);

// A handle in use by a running call: its object stays until the end of the call.
template <typename T>
class Pin {
 public:
  Pin() = default;
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() {
    if (slot_ != nullptr) table_->unpin(slot_);
  }
  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }
  T* get() const { return static_cast<T*>(slot_->object); }
  Ref<T> ref() const { return Ref<T>::share(get()); }

  // NPU_ERROR_INVALID_HANDLE names |what|, the parameter.
  Status take(uint64_t handle, const char* what);

 private:
  HandleTable* table_ = nullptr;
  HandleTable::Slot* slot_ = nullptr;
};

Status bad_handle(Kind kind, uint64_t handle, const char* what);

template <typename T>
Status Pin<T>::take(uint64_t handle, const char* what) {
  NPU_TRY_ASSIGN(Library * library, Library::get());
  table_ = &library->handles();
  slot_ = table_->pin(handle, T::kKind);
  return slot_ != nullptr ? Status::ok() : bad_handle(T::kKind, handle, what);
}

}  // namespace npu
