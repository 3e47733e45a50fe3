// SPDX-License-Identifier: Apache-2.0
// One argument of a call, by its type: what goes in, and what must hold afterwards. A parameter of a type that has no slot does not compile: it needs one, or its function a caller of its
// own (callers.h).
#pragma once

#include <unistd.h>

#include <cstring>
#include <type_traits>

#include "tests/api_fuzz/structs.h"

namespace npu::fuzz {

template <typename T>
concept Handle = kKindOf<T>
!= Kind::kCount;
template <typename T>
concept Sized = requires(T value) {
  value.struct_size;
};

inline bool is_output(const char* name) { return std::strncmp(name, "out_", 4) == 0; }

struct Plain {
  void check(Fuzzer&, npuResult) {}
};

template <typename T>
struct Slot;

template <Handle T>
struct Slot<T> : Plain {
  Slot(Fuzzer& f, const char*) : fuzzer(f), handle(f.handle(kKindOf<T>)) {}
  // Nobody waits for ever: where a timeout is endless no handle is valid.
  T get() { return reinterpret_cast<T>(fuzzer.endless ? handle | uint64_t{1} << 63 : handle); }
  Fuzzer& fuzzer;
  uint64_t handle;
};

template <>
struct Slot<uint64_t> : Plain {
  Slot(Fuzzer& f, const char* name) : number(f.number(name)) {}
  uint64_t get() { return number; }
  uint64_t number;
};

template <>
struct Slot<uint32_t> : Plain {
  Slot(Fuzzer& f, const char* name) : number(f.small(name)) {}
  uint32_t get() { return number; }
  uint32_t number;
};

// Enumerations and descriptors.
template <>
struct Slot<int32_t> : Plain {
  Slot(Fuzzer& f, const char* name) {
    if (std::strcmp(name, "fd") == 0) {
      number = f.descriptor();
    } else if (std::strcmp(name, "kind") == 0) {
      number = f.rng.of<int32_t>({NPU_MEM_DEVICE, NPU_MEM_DEVICE, NPU_MEM_HOST,
                                  NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE,
                                  NPU_MEM_HOST | NPU_MEM_EXPORTABLE});
    } else {
      number = static_cast<int32_t>(f.rng.below(3));
    }
    if (!f.valid_only && f.rng.percent(8)) number = static_cast<int32_t>(f.rng.next());
  }
  int32_t get() { return number; }
  int32_t number = 0;
};

template <>
struct Slot<int64_t> : Plain {
  Slot(Fuzzer& f, const char*) : number(f.timeout()) {}
  int64_t get() { return number; }
  int64_t number;
};

template <>
struct Slot<const char*> : Plain {
  Slot(Fuzzer& f, const char* name) : text(f.text(name)) {}
  const char* get() { return text; }
  const char* text;
};

// Bytes of the host: as many as any size that belongs to them may be.
template <typename T>
requires std::is_same_v<T, void*> || std::is_same_v<T, const void*>
struct Slot<T> : Plain {
  Slot(Fuzzer& f, const char*) : at(f.host()) {}
  T get() { return at; }
  void* at;
};

// Nodes of a graph. A count that no array could have comes without one.
template <>
struct Slot<const npuGraphNode*> : Plain {
  Slot(Fuzzer& f, const char*)
      : fuzzer(f), nodes(static_cast<npuGraphNode*>(f.scratch(kArrayMax * sizeof(npuGraphNode)))) {
    for (uint32_t i = 0; i < kArrayMax; i++) {
      nodes[i] = static_cast<npuGraphNode>(f.valid_only ? 1 : f.rng.below(8));
    }
  }
  const npuGraphNode* get() {
    return fuzzer.count > kArrayMax || (!fuzzer.valid_only && fuzzer.rng.one_in(20)) ? nullptr
                                                                                     : nodes;
  }
  Fuzzer& fuzzer;
  npuGraphNode* nodes;
};

inline void host_function(npuResult, void*) {
  g_host_calls.fetch_add(1, std::memory_order_relaxed);
}

template <>
struct Slot<npuHostFunction> : Plain {
  Slot(Fuzzer& f, const char*) : null(!f.valid_only && f.rng.percent(5)) {}
  npuHostFunction get() { return null ? nullptr : host_function; }
  bool null;
};

inline npuResult submit_function(void*, npuQueue queue, uint64_t* out_value) {
  g_host_calls.fetch_add(1, std::memory_order_relaxed);
  return npuQueueFill(queue, 0, 0, 1, 0, out_value);  // nothing, as a command
}

template <>
struct Slot<npuSubmitFunction> : Plain {
  Slot(Fuzzer& f, const char*) : null(!f.valid_only && f.rng.percent(5)) {}
  npuSubmitFunction get() { return null ? nullptr : submit_function; }
  bool null;
};

inline void release_function(void*) { g_host_calls.fetch_add(1, std::memory_order_relaxed); }

template <>
struct Slot<npuReleaseFunction> : Plain {
  Slot(Fuzzer& f, const char*) : null(!f.valid_only && f.rng.percent(20)) {}
  npuReleaseFunction get() { return null ? nullptr : release_function; }
  bool null;
};

inline void print_function(const npuPrintMessage* message, void*) {
  g_host_calls.fetch_add(message->text != nullptr, std::memory_order_relaxed);
}

template <>
struct Slot<npuPrintFunction> : Plain {
  Slot(Fuzzer& f, const char*) : null(f.rng.percent(30)) {}
  npuPrintFunction get() { return null ? nullptr : print_function; }
  bool null;
};

inline void prof_callback(const npuProfCall* call, void*) {
  g_host_calls.fetch_add(call->function != nullptr, std::memory_order_relaxed);
}

template <>
struct Slot<npuProfCallback> : Plain {
  Slot(Fuzzer& f, const char*) : null(!f.valid_only && f.rng.percent(5)) {}
  npuProfCallback get() { return null ? nullptr : prof_callback; }
  bool null;
};

// A struct that the call reads.
template <Sized T>
struct Slot<const T*> : Plain {
  Slot(Fuzzer& f, const char*) : at(make_struct<T>(f)) {}
  const T* get() { return at; }
  const T* at;
};

// A struct that the call writes: not one byte behind its size.
template <Sized T>
struct Slot<T*> {
  Slot(Fuzzer& f, const char*) {
    if (!f.valid_only && f.rng.percent(5)) return;
    at = static_cast<unsigned char*>(f.scratch(kStructRoom));
    std::memset(at, kPattern, kStructRoom);
    size = struct_size(f, sizeof(T));
    std::memcpy(at, &size, sizeof size);
    if (f.rng.percent(60)) std::memset(at + 4, 0, sizeof(T) - 4);
  }
  T* get() { return reinterpret_cast<T*>(at); }
  void check(Fuzzer& f, npuResult) {
    if (at == nullptr) return;
    if (std::memcmp(at, &size, sizeof size) != 0) f.fail("struct_size was written");
    for (size_t i = size > sizeof(T) ? size : sizeof(T); i < kStructRoom; i++) {
      if (at[i] != kPattern) f.fail("wrote byte %zu of a struct of %u bytes", i, size);
    }
  }
  static constexpr unsigned char kPattern = 0xa5;
  unsigned char* at = nullptr;
  uint32_t size = 0;
};

// What every output has: room that is not 0 before, and 0 after an error.
template <typename T>
struct Output {
  Output(Fuzzer& f, const char* n) : name(n) {
    if (!f.valid_only && f.rng.percent(5)) return;
    at = static_cast<T*>(f.scratch(sizeof(T)));
    std::memset(at, 0x5a, sizeof(T));
    if (!is_output(name)) *at = T{};
  }
  T* get() { return at; }
  void check(Fuzzer& f, npuResult result) {
    if (at == nullptr || result >= 0 || !is_output(name)) return;
    constexpr bool kIsDescriptor = std::is_same_v<T, int32_t>;
    T none{};
    if constexpr (kIsDescriptor) {
      if (std::strcmp(name, "out_fd") == 0) none = -1;
    }
    if (*at != none) f.fail("failed with %s but left %s as it was", npuResultGetName(result), name);
  }
  const char* name;
  T* at = nullptr;
};

template <Handle T>
struct Slot<T*> : Output<T> {
  using Output<T>::Output;
  void check(Fuzzer& f, npuResult result) {
    Output<T>::check(f, result);
    if (result != NPU_OK || this->at == nullptr) return;
    if (*this->at == nullptr) f.fail("succeeded without %s", this->name);
    // The device of a context is whoever's who opened it.
    if (std::strcmp(f.function, "npuContextGetDevice") == 0) return;
    f.keep(kKindOf<T>, reinterpret_cast<uintptr_t>(*this->at));
  }
};

template <>
struct Slot<uint64_t*> : Output<uint64_t> {
  using Output<uint64_t>::Output;
  void check(Fuzzer& f, npuResult result) {
    Output<uint64_t>::check(f, result);
    if (result != NPU_OK || at == nullptr) return;
    if (std::strstr(name, "ptr") != nullptr || std::strstr(name, "dva") != nullptr ||
        std::strstr(name, "address") != nullptr) {
      f.world.add_address({f.context, *at, f.function});
    }
  }
};

template <>
struct Slot<int32_t*> : Output<int32_t> {
  using Output<int32_t>::Output;
  void check(Fuzzer& f, npuResult result) {
    Output<int32_t>::check(f, result);
    if (result != NPU_OK || at == nullptr || std::strcmp(name, "out_fd") != 0) return;
    // Of descriptors that nobody can import a few are enough.
    if (std::strcmp(f.function, "npuQueueGetFd") == 0 && !f.rng.one_in(16)) {
      close(*at);
    } else {
      f.world.add_fd(*at);
    }
  }
};

template <>
struct Slot<uint32_t*> : Output<uint32_t> {
  using Output<uint32_t>::Output;
};
template <>
struct Slot<int64_t*> : Output<int64_t> {
  using Output<int64_t>::Output;
};
template <>
struct Slot<void**> : Output<void*> {
  using Output<void*>::Output;
};
template <>
struct Slot<const char**> : Output<const char*> {
  using Output<const char*>::Output;
};
template <>
struct Slot<npuProc*> : Output<npuProc> {
  using Output<npuProc>::Output;
};

}  // namespace npu::fuzz
