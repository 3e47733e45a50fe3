// SPDX-License-Identifier: Apache-2.0
// Backend: one opened device, behind whichever road. The narrow place through which the library leaves the process; only this folder makes system calls.
//
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "libnpu/src/backend/mapping.h"
#include "libnpu/src/backend/unique_fd.h"
#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/status.h"

namespace npu {

enum class SleepEnd { kWoken, kTimeout, kLost };

// The count of a queue's control page, and what it was when it was looked at.
struct SleepWord {
  const uint64_t* word = nullptr;
  uint64_t seen = 0;
};

class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  // Call |nr| of calls.def with its struct, arrays by host address as on the ioctl road. 0 or an errno. calls.h has one typed function for each.
  virtual int call(uint32_t nr, void* args) = 0;
  // Gives up a buffer object. Mappings in address spaces keep it alive.
  virtual int close_object(uint32_t handle) = 0;
  // Maps what a token of BO_CREATE or BO_INFO stands for. 0 or an errno.
  virtual int map(uint64_t token, uint64_t size_bytes, Mapping* out) = 0;

  // A descriptor by which other contexts, devices and processes reach an object that no VM owns alone. 0 or an errno.
  virtual int export_object(uint32_t handle, uint64_t token, UniqueFd* out) = 0;
  // A handle of the object behind |fd|, of this or another process (*out_is_object), or, where the road knows no difference, of [offset, offset + size_bytes) of the memfd.
  // ENOENT: it is no object of this road; then adopt_memory() may know it.
  virtual int import_object(int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                            uint32_t* out_handle, bool* out_is_object) = 0;
  // Makes memory of the process an object: whole pages, seen here at |host|, which lie at |offset| of the sealed memfd |fd| (-1: of none). EOPNOTSUPP: this road needs the file.
  virtual int adopt_memory(void* host, int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                           uint32_t* out_handle) = 0;
  // Whether device memory of |peer|, another device of this road, can be mapped by this one. May make calls on both.
  virtual bool maps_memory_of(Backend& peer) = 0;

  // Rings the doorbell of a queue: |value| commands were submitted so far. The caller's commands are visible to whoever sees the doorbell.
  virtual void ring(uint32_t slot, uint64_t value) = 0;

  // Whether the device's work is done by a thread on the caller's CPU, which does none as long as the caller keeps it. A hint.
  virtual bool device_is_here() const { return false; }

  // Sleeps while the count at |word| of a queue's control page is |seen|, at most until it has reached |wanted|, the queue died, or the time is over.
  // Wakes up for other reasons too: look again.
  virtual SleepEnd sleep(const uint64_t* word, uint64_t seen, uint64_t wanted,
                         int64_t timeout_ns) = 0;
  // False: sleep_for_any() cannot work on this road or machine, as far as is known.
  virtual bool may_sleep_for_any() const = 0;
  // The same for several queues at once: until a count is not what was seen, or the time is over. False, at once: this road or machine cannot, or not so many.
  virtual bool sleep_for_any(std::span<const SleepWord> words, int64_t timeout_ns) = 0;
  // Lets those of this process who sleep on |word| look again. Its queue was ended before, by QUEUE_DESTROY.
  virtual void wake(const uint64_t* word) = 0;

  // The next event of those that EVENT_MASK asked for: at most |room| bytes of it, at least its head. 0, ETIME when none came in time, ENODEV, or
  // EPROTO for what is no event.
  virtual int next_event(void* event, size_t room, int64_t timeout_ns) = 0;

  // The process that the device model behind this road runs in; 0: silicon, or not known. Devices of one process see at once what others of it have signalled.
  virtual int64_t model_process() const { return 0; }

  // True once the device or its server went away; it never comes back.
  virtual bool is_lost() = 0;
};

// Opens device |index|. The wait for a daemon that has to start is bounded (10 s).
Result<std::unique_ptr<Backend>> open_backend(const Environment& environment, uint32_t index);

// How many devices the environment names, without starting anything.
Result<uint32_t> count_devices(const Environment& environment);

}  // namespace npu
