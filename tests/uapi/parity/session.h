// SPDX-License-Identifier: Apache-2.0
// Session: an open file with the objects that most cases need, and calls that are logged or only made.
#pragma once

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/uapi/parity/log.h"
#include "tests/uapi/parity/outputs.h"
#include "tests/uapi/parity/transport.h"
#include "uapi/npu_accel.h"

namespace npu::parity {

inline constexpr int kTimeoutMs = 10'000;
inline constexpr uint32_t kUnknownId = 9999;  // no case creates so many objects
inline constexpr uint32_t kRingLog2 = 6;
inline constexpr uint64_t kRingDva = 0x200000;
inline constexpr uint64_t kCtrlDva = 0x210000;
inline constexpr uint64_t kHbmDva = 0x400000;
inline constexpr uint64_t kHbmBytes = 4 * NPU_PAGE_64K;
inline constexpr uint64_t kSystemBytes = 4 * NPU_PAGE_64K;

template <typename T>
Bytes bytes_of(const T& value) {
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// An array of elements for the member at |offset| of |args|, whose stride and count are filled.
template <typename T>
ArrayArg make_array(npu_array* member, const void* args, const std::vector<T>& elements,
                    bool is_out = false) {
  ArrayArg array;
  array.offset =
      static_cast<uint32_t>(reinterpret_cast<const char*>(member) - static_cast<const char*>(args));
  array.is_out = is_out;
  array.memory->resize(elements.size() * sizeof(T));
  if (!elements.empty()) {
    std::memcpy(array.memory->data(), elements.data(), array.memory->size());
    *member = {sizeof(T), static_cast<uint32_t>(elements.size()), 0};
  }
  return array;
}

int64_t in_ms(int64_t ms);  // a deadline

// A queue with its memory; ids of the session that made it.
struct QueueParts {
  npu_queue_create args{};  // as it was asked for
  uint32_t id = 0;
  uint32_t slot = 0;
  uint64_t token = 0;
  uint32_t ring_handle = 0;
  uint64_t submitted = 0;
  std::unique_ptr<Memory> ring;
  std::unique_ptr<Memory> ctrl;
};

class Session {
 public:
  Session(Road* road, Log* log) : road_(road), log_(log), file_(road->open()) {}

  Transport& file() { return *file_; }
  Road& road() { return *road_; }
  Log& log() { return *log_; }

  // One call, whose outcome becomes the line |name|.
  template <typename T>
  int logged(const std::string& name, uint32_t nr, T* args,
             const std::vector<ArrayArg>& arrays = {}, int fd = -1) {
    return make_call(&name, nr, args, arrays, fd);
  }
  // One call that prepares or tidies.
  template <typename T>
  int silent(uint32_t nr, T* args, const std::vector<ArrayArg>& arrays = {}, int fd = -1) {
    return make_call(nullptr, nr, args, arrays, fd);
  }
  // One that must work for the case to mean anything.
  template <typename T>
  void must(uint32_t nr, T* args, const std::vector<ArrayArg>& arrays = {}, int fd = -1) {
    if (const int error = silent(nr, args, arrays, fd); error != 0) {
      throw std::runtime_error("call " + std::to_string(nr) + " of a preparation gave " +
                               errno_name(error));
    }
  }
  int logged_bytes(const std::string& name, uint32_t nr, Bytes* args,
                   const std::vector<ArrayArg>& arrays, int fd);

  uint32_t vm();
  npu_bo_create object(uint64_t bytes, uint32_t region, uint32_t flags = 0, uint32_t vm_id = 0);
  int bind(uint32_t vm, uint32_t handle, uint64_t dva, uint64_t bytes, uint32_t flags = 0);
  int unbind(uint32_t vm, uint64_t dva, uint64_t bytes);
  QueueParts queue_memory(uint32_t vm, uint64_t dva_shift = 0);
  QueueParts queue(uint32_t vm, uint64_t dva_shift = 0);
  void destroy_queue(uint32_t id);

  // Puts a command into the ring and rings.
  void submit(QueueParts* queue, const void* command);
  // WAIT until |count| commands have completed. The errno.
  int wait_completed(const QueueParts& queue, uint64_t count, npu_wait* out = nullptr,
                     int64_t timeout_ms = kTimeoutMs);

 private:
  template <typename T>
  int make_call(const std::string* name, uint32_t nr, T* args, const std::vector<ArrayArg>& arrays,
                int fd) {
    static_assert(std::is_trivially_copyable_v<T>);
    Bytes bytes = bytes_of(*args);
    const int error = name != nullptr ? logged_bytes(*name, nr, &bytes, arrays, fd)
                                      : file_->call(nr, &bytes, arrays, fd);
    std::memcpy(static_cast<void*>(args), bytes.data(), sizeof *args);
    return error;
  }

  Road* road_;
  Log* log_;
  std::unique_ptr<Transport> file_;
};

// A value of a case that is no output of its last call.
std::string number(uint64_t value);

// The cases, by family. Each opens sessions of its own.
void run_fields(Road* road, Log* log);  // every member of every call wrong in turn
void run_shapes(
    Road* road,
    Log* log);  // arrays: strides, counts, addresses; structs that are too short or too long
void run_queries(Road* road, Log* log);  // what DEV_QUERY says
void run_objects(Road* road, Log* log);  // orders of creating, binding, closing
void run_queues(Road* road, Log* log);   // queues at work and at their end
void run_waits(Road* road, Log* log);    // WAIT, NOTIFY, events
void run_copies(Road* road, Log* log);   // COPY_SUBMIT

}  // namespace npu::parity
