// SPDX-License-Identifier: Apache-2.0
// Start, end and forks of the library.
#include "libnpu/src/core/library.h"

#include <chrono>
#include <thread>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/layer.h"
#include "libnpu/src/core/log.h"
#include "libnpu/src/core/recorder.h"
#include "libnpu/src/core/subscriber.h"
#include "libnpu/src/core/trace.h"

namespace npu {
namespace {

enum class Phase : uint32_t { kNever, kRunning, kShutdown, kForked };

// Plain globals without destructors: the library may be used until the last moment of the process.
std::mutex g_mutex;  // of g_instance, g_count, g_instances, g_watches_forks
Library* g_instance = nullptr;
Library* g_abandoned = nullptr;  // of the parent; kept so that it stays reachable
uint32_t g_count = 0;
uint32_t g_instances = 0;
bool g_watches_forks = false;

// Read by every call. The pointer is set while the phase is kRunning.
std::atomic<Library*> g_current{nullptr};
std::atomic<Phase> g_phase{Phase::kNever};

// A few times what a wake-up costs, and as long as small collective operations of four processes on two CPUs take. Where that does not pay, waits of the queue soon spin less (Queue::spin).
constexpr int64_t kSpinDefaultNs = 100'000;

}  // namespace

Result<Library*> Library::get() {
  // pairs with library.cpp : Library::init
  Library* library = g_current.load(std::memory_order_acquire);
  if (library != nullptr) [[likely]] {
    return library;
  }
  switch (g_phase.load(std::memory_order_acquire)) {
    case Phase::kShutdown:
      return fail(NPU_ERROR_SHUTDOWN, "npuShutdown has ended the library");
    case Phase::kForked:
      return fail(NPU_ERROR_FORKED, "this process is a child of one that had called npuInit");
    default:
      return fail(NPU_ERROR_NOT_INITIALIZED, "npuInit has not been called");
  }
}

Status Library::init() {
  std::lock_guard lock(g_mutex);
  if (g_count == UINT32_MAX) return fail(NPU_ERROR_OVERFLOW, "npuInit was called too often");
  if (g_count > 0) {
    g_count++;
    return Status::ok();
  }
  NPU_TRY_ASSIGN(Environment environment, read_environment());
  NPU_TRY(set_log(environment.log_level, environment.log_file));
  if (!g_watches_forks) {
    const int error = watch_forks(&before_fork, &after_fork_in_parent, &after_fork_in_child);
    if (error != 0)
      return fail_errno(NPU_ERROR_OUT_OF_HOST_MEMORY, error, "watching for forks failed");
    g_watches_forks = true;
  }
  if (g_instance == nullptr) g_instance = new Library(++g_instances);
  NPU_TRY(Layers::start(environment));
  g_instance->environment_ = std::move(environment);
  g_instance->devices_.reopen();
  g_count = 1;
  g_phase.store(Phase::kRunning, std::memory_order_release);
  // pairs with library.cpp : Library::get
  g_current.store(g_instance, std::memory_order_release);
  return Status::ok();
}

Status Library::shutdown() {
  std::lock_guard lock(g_mutex);
  if (g_count == 0) {
    const Result<Library*> none = get();
    return none.status().code() == NPU_ERROR_FORKED
               ? none.status()
               : fail(NPU_ERROR_NOT_INITIALIZED, "there is no npuInit to undo");
  }
  if (--g_count > 0) return Status::ok();
  g_phase.store(Phase::kShutdown, std::memory_order_release);
  g_current.store(nullptr, std::memory_order_release);
  Layers::report(*g_instance, "npuShutdown:");
  g_instance->close_all();
  Layers::stop("npuShutdown");
  return Status::ok();
}

void Library::at_exit() {
  // Another thread that starts or ends the library keeps its business.
  std::unique_lock lock(g_mutex, std::try_to_lock);
  if (!lock.owns_lock() || g_count == 0) return;
  Layers::report(*g_instance, "the process ends without npuShutdown:");
  Activities::harvest();
  Layers::stop("exit");
}

void Library::close_all() {
  for (const Ref<Object>& device : devices_.close()) {
    handles_.remove(device->handle(), device->kind());
    device->end(handles_);
  }
  // Calls of other threads that hold a handle return soon: whatever they wait for has been cancelled.
  while (handles_.ending_count() != 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

Environment Library::environment() const {
  std::lock_guard lock(g_mutex);
  return environment_;
}

int64_t spin_ns_of(const Environment& environment) {
  if (environment.wait_spin_us >= 0) return environment.wait_spin_us * 1000;
  return usable_cpus() > 1 ? kSpinDefaultNs : 0;
}

void Library::before_fork() {
  g_mutex.lock();
  Subscribers::before_fork();
  Activities::before_fork();
  Recorder::before_fork();
  Trace::before_fork();
}

void Library::after_fork_in_parent() {
  Trace::after_fork_in_parent();
  Recorder::after_fork_in_parent();
  Activities::after_fork_in_parent();
  Subscribers::after_fork_in_parent();
  g_mutex.unlock();
}

void Library::after_fork_in_child() {
  if (g_count > 0) {
    g_abandoned = g_instance;
    g_phase.store(Phase::kForked, std::memory_order_release);
  }
  g_instance = nullptr;
  g_count = 0;
  g_current.store(nullptr, std::memory_order_release);
  close_descriptors_in_child();
  Trace::after_fork_in_child();
  Recorder::after_fork_in_child();
  Activities::after_fork_in_child();
  Subscribers::after_fork_in_child();
  Layers::after_fork_in_child();
  g_mutex.unlock();
}

Status bad_handle(Kind kind, uint64_t handle, const char* what) {
  const Status status = handle == 0
                            ? fail(NPU_ERROR_INVALID_HANDLE, "%s is NULL", what)
                            : fail(NPU_ERROR_INVALID_HANDLE, "%s 0x%llx is no live %s", what,
                                   static_cast<unsigned long long>(handle), kind_name(kind));
  return status;
}

}  // namespace npu
