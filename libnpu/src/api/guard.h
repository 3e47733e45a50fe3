// SPDX-License-Identifier: Apache-2.0
// What every public function does: no exception leaves, a failure's detail becomes the thread's last error, structs are read and written by their struct_size.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <tuple>
#include <type_traits>

#include "libnpu/src/api/struct_sizes.h"
#include "libnpu/src/core/call.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/library.h"
#include "libnpu/src/core/status.h"

namespace npu::api {

template <typename T>
concept HasStructSize = requires(T* pointer) {
  pointer->struct_size;
};
template <typename T>
concept IsComplete = requires {
  sizeof(T);
};

// An argument for those who watch calls. How a pointer is meant follows from its type.
template <typename T>
CallArg describe_arg(T value) {
  CallArg arg;
  if constexpr (!std::is_pointer_v<T>) {
    arg.kind = std::is_signed_v<T> ? CallArg::Kind::kSigned : CallArg::Kind::kUnsigned;
    arg.value = static_cast<uint64_t>(value);
  } else {
    using To = std::remove_pointer_t<T>;
    arg.kind = CallArg::Kind::kAddress;
    arg.value = reinterpret_cast<uintptr_t>(value);
    if constexpr (std::is_same_v<T, const char*>) {
      arg.kind = CallArg::Kind::kText;
    } else if constexpr (std::is_class_v<To> && std::is_const_v<To> && IsComplete<To>) {
      if constexpr (HasStructSize<To>) arg.kind = CallArg::Kind::kStruct;
    } else if constexpr (std::is_integral_v<To> && !std::is_const_v<To>) {
      if constexpr (sizeof(To) > 1) arg.kind = CallArg::Kind::kOutWord;
      arg.bytes = sizeof(To);
    } else if constexpr (std::is_pointer_v<To> && !std::is_const_v<To>) {
      arg.kind = CallArg::Kind::kOutHandle;
    }
  }
  return arg;
}

// The arguments of a public function, with their names: NPU_ARGS(queue, value).
template <typename... Args>
struct ArgList {
  const char* names;
  std::tuple<Args...> values;
};
template <typename... Args>
constexpr ArgList<Args...> make_args(const char* names, Args... values) {
  static_assert(sizeof...(Args) <= Call::kArgsMost);
  return {names, {values...}};
}
#define NPU_ARGS(...) ::npu::api::make_args(#__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__)

// Entry of a watched call, if there is memory for it. By value: nothing of the caller's frame is taken the address of, which would cost where nobody watches.
template <typename... Args>
[[gnu::noinline, gnu::cold]] Call* enter_call(const char* function, const char* names,
                                              Args... values) noexcept {
  Call* call = new (std::nothrow) Call;
  const std::array<CallArg, sizeof...(Args)> args{describe_arg(values)...};
  if (call != nullptr) call->enter(function, names, args);
  return call;
}

// Exit of a watched call that has returned |status|; with NPU_LAUNCH_BLOCKING the end of what it submitted.
npuResult leave_call(Call* call, Status status) noexcept;

template <typename... Args, typename Body>
npuResult guard(const char* function, ArgList<Args...> args, Body&& body) noexcept {
  Call* call = nullptr;
  if (Hooks::any()) [[unlikely]] {
    call = std::apply([&](Args... values) { return enter_call(function, args.names, values...); },
                      args.values);
  }
  Status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "the process could not allocate memory");
  } catch (...) {
    status = fail(NPU_ERROR_INTERNAL, "an unexpected exception");
  }
  if (call != nullptr) [[unlikely]] {
    return leave_call(call, status);
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
  // Almost always; a copy whose length is not known takes longer than all the rest of a submission.
  if (size == sizeof(T)) [[likely]] {
    std::memcpy(out, user, sizeof(T));
    return Status::ok();
  }
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
