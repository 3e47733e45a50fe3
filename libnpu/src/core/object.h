// SPDX-License-Identifier: Apache-2.0
// Object: base of everything that has a handle. Counted; close() ends its work, the memory goes with the last reference.
// Thread safety: counting is atomic; the rest is each class's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "libnpu/src/core/call.h"

namespace npu {

enum class Kind : uint32_t {
  kDevice = 1,
  kContext = 2,
  kQueue = 3,
  kEvent = 4,
  kModule = 5,
  kKernel = 6,
  kPreparedLaunch = 7,
  kSemaphore = 8,
  kGraph = 9,
  kGraphExec = 10,
  kMemPool = 11,
  kMemHandle = 12,
};

const char* kind_name(Kind kind);

class HandleTable;

class Object {
 public:
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  Kind kind() const { return kind_; }
  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  bool is_last_reference() const { return refs_.load(std::memory_order_acquire) == 1; }
  // Objects that exist in this process; a test's fixture wants 0 at its end.
  static int64_t live_count() { return live_.load(); }

  // Ends the object's work and its children; called once its handle is stale, perhaps more than once. Memory stays until the last reference goes.
  virtual void end(HandleTable&) {}

  uint64_t handle() const { return handle_; }
  void set_handle(uint64_t handle) { handle_ = handle; }
  // Set before the handle is known to anybody else.
  const Birth& birth() const { return birth_; }
  void set_birth(const Birth& birth) { birth_ = birth; }

 protected:
  explicit Object(Kind kind) : kind_(kind) { live_.fetch_add(1, std::memory_order_relaxed); }
  virtual ~Object() { live_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  static std::atomic<int64_t> live_;
  const Kind kind_;
  std::atomic<uint32_t> refs_{1};
  uint64_t handle_ = 0;
  Birth birth_;
};

// A counted pointer to an Object.
template <typename T>
class Ref {
 public:
  Ref() = default;
  static Ref adopt(T* object) {  // takes over the reference that the caller holds
    Ref ref;
    ref.object_ = object;
    return ref;
  }
  static Ref share(T* object) {
    if (object != nullptr) object->retain();
    return adopt(object);
  }
  Ref(const Ref& other) : object_(other.object_) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release();
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  T* leak() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

template <typename T, typename... Args>
Ref<T> make_ref(Args&&... args) {
  return Ref<T>::adopt(new T(std::forward<Args>(args)...));
}

}  // namespace npu
