// SPDX-License-Identifier: Apache-2.0
// Values of semaphores, and waiting for them.
#include "libnpu/src/core/semaphore.h"

#include <algorithm>
#include <atomic>

#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/watch.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

using Ull = unsigned long long;

constexpr uint64_t kWordBytes = 8;

}  // namespace

Semaphore::Semaphore(Ref<Context> context, std::shared_ptr<Buffer> buffer, std::byte* host)
    : Object(kKind),
      context_(std::move(context)),
      dva_(buffer->dva()),
      bo_handle_(buffer->handle()),
      word_(reinterpret_cast<uint64_t*>(host)),
      buffer_(std::move(buffer)) {}

Result<Ref<Semaphore>> Semaphore::over(Ref<Context> context, std::unique_ptr<Buffer> buffer) {
  NPU_TRY_ASSIGN(std::byte * host, buffer->host());
  return Ref<Semaphore>::adopt(
      new Semaphore(std::move(context), std::shared_ptr<Buffer>(std::move(buffer)), host));
}

Result<Ref<Semaphore>> Semaphore::create(Ref<Context> context, uint64_t initial, bool shared) {
  // An object that holds control words is its maker's own; the driver looks at words in others as well.
  NPU_TRY_ASSIGN(std::unique_ptr<Buffer> buffer,
                 Buffer::create(context->vm(), {.region = Region::kSystem,
                                                .use = Use::kQueues,
                                                .size_bytes = kWordBytes,
                                                .shared_words = !shared,
                                                .exportable = shared}));
  NPU_TRY_ASSIGN(Ref<Semaphore> semaphore, over(context, std::move(buffer)));
  std::atomic_ref<uint64_t>(*semaphore->word_).store(initial, std::memory_order_release);
  context->add_word(semaphore->dva_);
  return semaphore;
}

Result<Ref<Semaphore>> Semaphore::import(Ref<Context> context, int fd) {
  uint64_t begin = 0;
  uint64_t size_bytes = 0;
  NPU_TRY_ASSIGN(std::shared_ptr<Storage> storage,
                 Storage::import(context->vm(), fd, 0, 0, false, &begin, &size_bytes));
  if (storage->region() != Region::kSystem || size_bytes != NPU_PAGE_4K) {
    const Status status =
        fail(NPU_ERROR_INVALID_ARGUMENT, "fd holds %llu bytes of shared memory, no semaphore",
             Ull{size_bytes});
    set_remedy("Pass what npuSemaphoreExportFd gave; memory is imported by npuMemImportFd.");
    return status;
  }
  NPU_TRY_ASSIGN(std::unique_ptr<Buffer> buffer, Buffer::over(context->vm(), std::move(storage)));
  NPU_TRY_ASSIGN(Ref<Semaphore> semaphore, over(context, std::move(buffer)));
  context->add_word(semaphore->dva_);
  return semaphore;
}

Status Semaphore::export_fd(int* out_fd) {
  NPU_TRY_ASSIGN(const std::shared_ptr<Buffer> buffer, open());
  if (!buffer->storage()->exportable()) {
    const Status status = fail(NPU_ERROR_NOT_SUPPORTED, "the semaphore was not made to be shared");
    set_remedy("Make it with npuSemaphoreCreateShared.");
    return status;
  }
  uint64_t shared_id = 0;
  return buffer->storage()->export_fd(out_fd, &shared_id);
}

Result<std::shared_ptr<Buffer>> Semaphore::open() {
  std::lock_guard lock(mutex_);
  if (buffer_ == nullptr) return fail(NPU_ERROR_INVALID_HANDLE, "the semaphore was destroyed");
  return buffer_;
}

Status Semaphore::query(uint64_t* out_value) {
  NPU_TRY_ASSIGN(const std::shared_ptr<Buffer> keeps_it_mapped, open());
  // pairs with firmware-model/device/command.cpp : CommandRunner::sem_signal
  *out_value = std::atomic_ref<uint64_t>(*word_).load(std::memory_order_acquire);
  return Status::ok();
}

Status Semaphore::signal(uint64_t value) {
  NPU_TRY_ASSIGN(const std::shared_ptr<Buffer> keeps_it_mapped, open());
  std::atomic_ref<uint64_t> word(*word_);
  uint64_t present = word.load(std::memory_order_relaxed);
  do {
    if (value <= present) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "value is %llu, the semaphore has reached %llu",
                  Ull{value}, Ull{present});
    }
    // pairs with firmware-model/device/command.cpp : CommandRunner::sem_wait
  } while (!word.compare_exchange_weak(present, value, std::memory_order_release,
                                       std::memory_order_relaxed));
  wake_sleepers();
  context_->ring_any();
  return Status::ok();
}

void Semaphore::wake_sleepers() {
  std::lock_guard lock(mutex_);
  for (EventFd* sleeper : sleepers_) sleeper->add();
}

// NPU_NOT_READY: it is below |value|.
Status Semaphore::look(uint64_t value) {
  uint64_t present = 0;
  NPU_TRY(query(&present));
  return present >= value ? Status::ok() : Status(NPU_NOT_READY);
}

Status Semaphore::wait(uint64_t value, const Deadline& deadline) {
  const Deadline spin_end =
      Deadline::in(std::min(context_->device().spin_ns(), deadline.left_ns()));
  Status status;
  do {
    status = look(value);
    if (status.code() != NPU_NOT_READY) return status;
  } while (spin_end.left_ns() > 0);
  if (deadline.left_ns() == 0) return Status(NPU_TIMEOUT);
  if (Callbacks::of_this_thread() == context_.get()) {
    return fail(NPU_ERROR_IN_CALLBACK,
                "a host function cannot wait for a semaphore of its context");
  }
  NPU_TRY_ASSIGN(EventFd event, EventFd::create());
  {
    std::lock_guard lock(mutex_);
    sleepers_.push_back(&event);
  }
  status = sleep(value, deadline, &event);
  std::lock_guard lock(mutex_);
  std::erase(sleepers_, &event);
  return status;
}

Status Semaphore::sleep(uint64_t value, const Deadline& deadline, EventFd* event) {
  for (;;) {
    // Requests are one-shot: an answer that was not the last word makes new ones.
    Watch watch;
    if (const Status asked = context_->watch_word(bo_handle_, 0, value, event->get(), &watch);
        !asked.is_ok()) {
      // Whoever destroys the semaphore meanwhile takes the object away that was asked about.
      const Status seen = look(value);
      return seen.code() == NPU_NOT_READY ? asked : seen;
    }
    bool woken = false;
    while (!woken) {
      const Status status = look(value);
      if (status.code() != NPU_NOT_READY) return status;
      const int64_t left_ns = deadline.left_ns();
      if (left_ns == 0) return Status(NPU_TIMEOUT);
      woken = event->wait(std::min(left_ns, kSleepSliceNs));
      if (!woken && context_->vm().backend().is_lost()) {
        return fail(NPU_ERROR_DEVICE_LOST, "the device or its server went away");
      }
    }
  }
}

void Semaphore::close() {
  std::shared_ptr<Buffer> buffer;
  {
    std::lock_guard lock(mutex_);
    if (buffer_ == nullptr) return;
    buffer = std::move(buffer_);
    buffer_ = nullptr;
    for (EventFd* sleeper : sleepers_) sleeper->add();
  }
  context_->remove_word(dva_);
  context_->retire(std::shared_ptr<void>(std::move(buffer)));
}

}  // namespace npu
