// SPDX-License-Identifier: Apache-2.0
// What every public function does: no exception leaves, a failure's detail becomes the thread's last error, structs are read and written by their struct_size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#include "libnpu/src/api/struct_sizes.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/library.h"
#include "libnpu/src/core/status.h"

namespace npu::api {

template <typename Body>
npuResult guard(const char* function, Body&& body) noexcept {
  Status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "the process could not allocate memory");
  } catch (...) {
    status = fail(NPU_ERROR_INTERNAL, "an unexpected exception");
  }
  return status.code() < 0 ? commit_error(function, status.code()) : status.code();
}

inline uint64_t number_of(const void* handle) { return reinterpret_cast<uintptr_t>(handle); }

template <typename T, typename Handle>
Status take(Pin<T>& pin, Handle handle, const char* what) {
  return pin.take(number_of(handle), what);
}

// Hands a new object out: into the table, and into its parent's list.
template <typename Handle>
Status publish(Ref<Object> object, Children& siblings, Handle* out) {
  NPU_TRY_ASSIGN(Library * library, Library::get());
  const uint64_t handle = library->handles().insert(object);
  if (handle == 0) {
    object->end(library->handles());
    return fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "too many handles are in use");
  }
  if (!siblings.add(object.get())) {
    library->handles().remove(handle, object->kind());
    object->end(library->handles());
    return fail(NPU_ERROR_INVALID_HANDLE, "the %s's owner was destroyed meanwhile",
                kind_name(object->kind()));
  }
  *out = reinterpret_cast<Handle>(static_cast<uintptr_t>(handle));
  return Status::ok();
}

// Takes a handle out of the table; NULL is no error and gives nothing.
Status retract(uint64_t handle, Kind kind, const char* what, Ref<Object>* out);

inline Status need(const void* pointer, const char* what) {
  return pointer != nullptr ? Status::ok() : fail(NPU_ERROR_INVALID_ARGUMENT, "%s is NULL", what);
}

// A struct larger than any version will be: a size that was never set.
inline constexpr uint32_t kStructMaxBytes = 4096;

// From the size that the struct had at first (struct_sizes.h) up to any later one.
template <typename T>
Status check_size(uint32_t size, const char* what) {
  static_assert(kFirstSize<T> != 0, "the struct needs a line in struct_sizes.h");
  if (size >= kFirstSize<T> && size <= kStructMaxBytes && size % alignof(T) == 0)
    return Status::ok();
  return fail(NPU_ERROR_STRUCT_SIZE, "%s->struct_size is %u, it must be sizeof the struct (%zu)",
              what, size, sizeof(T));
}

// Copies a caller's struct in: members that the caller does not know are 0, what this library does not know must be.
template <typename T>
Status read_struct(const T* user, const char* what, T* out) {
  NPU_TRY(need(user, what));
  const uint32_t size = user->struct_size;
  NPU_TRY(check_size<T>(size, what));
  const auto* bytes = reinterpret_cast<const unsigned char*>(user);
  const size_t known = std::min<size_t>(size, sizeof(T));
  if (std::any_of(bytes + known, bytes + size, [](unsigned char byte) { return byte != 0; })) {
    return fail(NPU_ERROR_STRUCT_SIZE,
                "%s is larger (%u bytes) than this library knows (%zu), and its tail is not zero",
                what, size, sizeof(T));
  }
  *out = T{};
  std::memcpy(out, user, known);
  return Status::ok();
}

// Fills a caller's struct as far as the caller knows it; what this library does not know becomes zero. struct_size stays.
template <typename T>
void write_struct(T* user, const T& value) {
  const uint32_t size = user->struct_size;
  const size_t known = std::min<size_t>(size, sizeof(T));
  std::memcpy(user, &value, known);
  std::memset(reinterpret_cast<unsigned char*>(user) + known, 0, size - known);
  user->struct_size = size;
}

// Checks a caller's struct that is only written.
template <typename T>
Status check_out_struct(const T* user, const char* what) {
  NPU_TRY(need(user, what));
  return check_size<T>(user->struct_size, what);
}

inline Status check_timeout(int64_t timeout_ns) {
  if (timeout_ns >= 0) return Status::ok();
  return fail(NPU_ERROR_INVALID_ARGUMENT, "timeout_ns is negative (%lld)",
              static_cast<long long>(timeout_ns));
}

}  // namespace npu::api
