// SPDX-License-Identifier: Apache-2.0
// Semaphore: a word in a buffer object of its own, so that an address can be given to others without anything else.
//
// A sleeper is woken in three ways: by a signal of this process (its eventfd is in |sleepers_|), by a queue of the context that has moved (the driver looks at the word then), and at
// last by the driver's own looks, every 64 ms, at words that nobody announces. Those who share it in other processes are woken in the third way.
//
// Thread safety: all functions. Memory ordering: signal() is a release, a wait that holds an acquire of the word; the device does the same.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "libnpu/src/backend/event_fd.h"
#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/status.h"
#include "libnpu/src/core/time.h"

namespace npu {

class Context;
class Watch;

class Semaphore final : public Object {
 public:
  static constexpr Kind kKind = Kind::kSemaphore;

  static Result<Ref<Semaphore>> create(Ref<Context> context, uint64_t initial, bool shared);
  // The semaphore behind a descriptor of export_fd(), of whatever context.
  static Result<Ref<Semaphore>> import(Ref<Context> context, int fd);

  Context& context() const { return *context_; }
  uint64_t dva() const { return dva_; }

  Status query(uint64_t* out_value);
  Status signal(uint64_t value);
  Status wait(uint64_t value, const Deadline& deadline);
  Status export_fd(int* out_fd);

  // Waits end. The memory is given back once work that was submitted has ended. Idempotent.
  void end(HandleTable&) override { close(); }
  void close();

 private:
  Semaphore(Ref<Context> context, std::shared_ptr<Buffer> buffer, std::byte* host);
  static Result<Ref<Semaphore>> over(Ref<Context> context, std::unique_ptr<Buffer> buffer);
  ~Semaphore() override = default;
  // The buffer, held; or why there is none.
  Result<std::shared_ptr<Buffer>> open();
  Status look(uint64_t value);
  Status sleep(uint64_t value, const Deadline& deadline, EventFd* event);
  void wake_sleepers();

  const Ref<Context> context_;
  const uint64_t dva_;
  const uint32_t bo_handle_;
  uint64_t* const word_;            // mapped as long as somebody holds the buffer
  std::mutex mutex_;                // of what follows
  std::shared_ptr<Buffer> buffer_;  // nullptr: closed
  std::vector<EventFd*> sleepers_;
};

}  // namespace npu
