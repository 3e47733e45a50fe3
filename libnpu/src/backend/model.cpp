// SPDX-License-Identifier: Apache-2.0
// Backend of the device model: calls over the socket, doorbells and completions in shared memory.
//
// Memory ordering: ring() publishes with a release store of the doorbell; the fence pair with the server is described at struct npu_doorbell_aux.
#include "libnpu/src/backend/model.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <mutex>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/backend/connection.h"
#include "libnpu/src/backend/process.h"
#include "libnpu/src/backend/shared_file.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/time.h"

namespace npu {
namespace {

class ModelBackend final : public Backend {
 public:
  explicit ModelBackend(UniqueFd socket) : connection_(std::move(socket)) {}
  ~ModelBackend() override {
    if (wake_.valid()) forget_descriptor(wake_.get());
  }

  int hello(npu_wire_hello* hello);
  int call(uint32_t nr, void* args) override;
  int close_object(uint32_t handle) override;
  int map(uint64_t token, uint64_t size_bytes, Mapping* out) override;
  int export_object(uint32_t handle, uint64_t token, UniqueFd* out) override;
  int import_object(int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                    uint32_t* out_handle, bool* out_is_object) override;
  int adopt_memory(void* host, int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                   uint32_t* out_handle) override;
  bool maps_memory_of(Backend&) override { return true; }
  void ring(uint32_t slot, uint64_t value) override;
  bool device_is_here() const override;
  SleepEnd sleep(const uint64_t* word, uint64_t seen, uint64_t wanted, int64_t timeout_ns) override;
  bool may_sleep_for_any() const override { return has_waitv_.load(std::memory_order_relaxed); }
  bool sleep_for_any(std::span<const SleepWord> words, int64_t timeout_ns) override;
  void wake(const uint64_t* word) override;
  int next_event(void* event, size_t room, int64_t timeout_ns) override {
    return connection_.next_event(event, room, timeout_ns);
  }
  int64_t model_process() const override { return connection_.peer_process(); }
  bool is_lost() override { return connection_.is_lost(); }

 private:
  int map_doorbells();

  Connection connection_;
  UniqueFd wake_;
  uint64_t doorbell_token_ = 0;
  std::mutex doorbell_mutex_;
  Mapping doorbells_;
  std::atomic<bool> has_waitv_{true};  // until the kernel, or a sandbox, has said no
};

int ModelBackend::hello(npu_wire_hello* hello) {
  const int error = connection_.ask(NPU_WIRE_HELLO, hello);
  if (error != 0) return error;
  if (hello->fd >= 0) {
    wake_.reset(hello->fd);
    keep_from_children(wake_.get());
  }
  doorbell_token_ = hello->doorbell_token;
  return 0;
}

int ModelBackend::call(uint32_t nr, void* args) {
  // The doorbells are mapped before the first queue exists, so that a queue which exists can always be rung.
  if (nr == NPU_CALL_QUEUE_CREATE) {
    if (const int error = map_doorbells(); error != 0) return error;
  }
  return connection_.ask(nr, args);
}

int ModelBackend::map_doorbells() {
  std::lock_guard lock(doorbell_mutex_);
  if (doorbells_.valid()) return 0;
  if (!wake_.valid()) return EPROTO;
  return map(doorbell_token_, NPU_DOORBELL_PAGE_BYTES + sizeof(npu_doorbell_aux), &doorbells_);
}

int ModelBackend::close_object(uint32_t handle) {
  npu_wire_bo_close args{.handle = handle, .pad = 0};
  return connection_.ask(NPU_WIRE_BO_CLOSE, &args);
}

int ModelBackend::map(uint64_t token, uint64_t size_bytes, Mapping* out) {
  npu_wire_map args{};
  args.token = token;
  args.fd = -1;
  if (const int error = connection_.ask(NPU_WIRE_MAP, &args); error != 0) return error;
  const UniqueFd file(args.fd);
  if (!file.valid() || args.size_bytes < size_bytes) return EPROTO;
  return out->map(file.get(), args.offset, size_bytes);
}

// The object's own memfd: its inode is its name (npu_accel.h, BO_CREATE_USERPTR).
int ModelBackend::export_object(uint32_t, uint64_t token, UniqueFd* out) {
  npu_wire_map args{};
  args.token = token;
  args.fd = -1;
  if (const int error = connection_.ask(NPU_WIRE_MAP, &args); error != 0) return error;
  out->reset(args.fd);
  return out->valid() && args.offset == 0 ? 0 : EPROTO;
}

int ModelBackend::import_object(int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                                uint32_t* out_handle, bool* out_is_object) {
  SharedFileInfo file;
  if (const int error = describe_shared_file(fd, &file); error != 0) return error;
  if (!file.is_memory) return ENOENT;
  uint32_t handle = 0;
  int error = adopt_memory(nullptr, fd, offset, size_bytes, readonly, &handle);
  if (error != 0) return error;
  npu_bo_info info{};
  info.handle = handle;
  error = call_bo_info(*this, info);
  if (error != 0) {
    close_object(handle);
    return error;
  }
  // The server maps memory of strange files, but only its own objects have a token.
  *out_handle = handle;
  *out_is_object = info.map_token != 0;
  return 0;
}

int ModelBackend::adopt_memory(void*, int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                               uint32_t* out_handle) {
  if (fd < 0) return EOPNOTSUPP;
  npu_bo_create_userptr args{};
  args.address = offset;
  args.size_bytes = size_bytes;
  args.flags = readonly ? NPU_USERPTR_READONLY : 0;
  args.fd = fd;
  if (const int error = connection_.ask(NPU_CALL_BO_CREATE_USERPTR, &args); error != 0) {
    return error;
  }
  *out_handle = args.handle;
  return 0;
}

bool ModelBackend::device_is_here() const {
  const auto* aux =
      reinterpret_cast<const npu_doorbell_aux*>(doorbells_.data() + NPU_DOORBELL_PAGE_BYTES);
  const __u32 said = __atomic_load_n(&aux->device_cpu, __ATOMIC_RELAXED);
  return said != 0 && static_cast<int>(said) - 1 == sched_getcpu();
}

void ModelBackend::ring(uint32_t slot, uint64_t value) {
  if (slot >= NPU_DOORBELL_SLOTS) return;
  auto* slots = reinterpret_cast<uint64_t*>(doorbells_.data());
  auto* aux = reinterpret_cast<npu_doorbell_aux*>(doorbells_.data() + NPU_DOORBELL_PAGE_BYTES);
  // pairs with firmware-model/device/doorbell.cpp : Doorbells::load_slot
  std::atomic_ref<uint64_t>(slots[slot]).store(value, std::memory_order_release);
  // pairs with firmware-model/device/doorbell.cpp : Doorbells::take_pending
  std::atomic_ref<__u64>(aux->pending[slot / 64])
      .fetch_or(1ull << (slot % 64), std::memory_order_seq_cst);
  // Both in the one order of sequentially consistent operations, which the fence of the other side is in too: no fence of our own, which costs a quarter of a submission.
  // pairs with firmware-model/device/scheduler.cpp : Scheduler::sleep
  // Whoever clears it wakes; until the device has woken up, the others would each make the call.
  std::atomic_ref<__u32> sleeping(aux->device_sleeping);
  if (sleeping.load(std::memory_order_seq_cst) != 0 &&
      sleeping.exchange(0, std::memory_order_relaxed) != 0) {
    std::atomic_ref<__u32>(aux->waker_cpu)
        .store(static_cast<__u32>(sched_getcpu() + 1), std::memory_order_relaxed);
    const uint64_t one = 1;
    // The counter of an eventfd cannot overflow by this, and a full one wakes as well.
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  }
}

// The server wakes when the queue's interrupt_at is reached, which the caller has set: |wanted| adds nothing. A futex is the lower half of the word.
SleepEnd ModelBackend::sleep(const uint64_t* word, uint64_t seen, uint64_t, int64_t timeout_ns) {
  int64_t left_ns = timeout_ns;
  const int64_t slice_ns = std::min(left_ns, kSleepSliceNs);
  const timespec relative{.tv_sec = static_cast<time_t>(slice_ns / 1'000'000'000),
                          .tv_nsec = static_cast<long>(slice_ns % 1'000'000'000)};
  if (syscall(SYS_futex, word, FUTEX_WAIT, static_cast<uint32_t>(seen), &relative, nullptr, 0) == 0)
    return SleepEnd::kWoken;
  if (errno != ETIMEDOUT) return SleepEnd::kWoken;
  if (is_lost()) return SleepEnd::kLost;
  left_ns -= slice_ns;
  return left_ns > 0 ? SleepEnd::kWoken : SleepEnd::kTimeout;
}

// Linux 5.16 and newer; a sandbox may not know it either.
bool ModelBackend::sleep_for_any(std::span<const SleepWord> words, int64_t timeout_ns) {
  std::array<futex_waitv, FUTEX_WAITV_MAX> futexes{};
  if (words.empty() || words.size() > futexes.size()) return false;
  for (size_t i = 0; i < words.size(); i++) {
    futexes[i].val = static_cast<uint32_t>(words[i].seen);
    futexes[i].uaddr = reinterpret_cast<uintptr_t>(words[i].word);
    futexes[i].flags = FUTEX_32;
  }
  const int64_t end_ns = Deadline::now_ns() + std::min(timeout_ns, kSleepSliceNs);
  const timespec end{.tv_sec = static_cast<time_t>(end_ns / 1'000'000'000),
                     .tv_nsec = static_cast<long>(end_ns % 1'000'000'000)};
  const long result =
      syscall(SYS_futex_waitv, futexes.data(), words.size(), 0, &end, CLOCK_MONOTONIC);
  if (result >= 0 || errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR) return true;
  if (errno == ENOSYS || errno == EPERM) has_waitv_.store(false, std::memory_order_relaxed);
  return false;
}

void ModelBackend::wake(const uint64_t* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

npu_wire_hello make_hello(uint32_t index) {
  npu_wire_hello hello{};
  hello.wire_version = NPU_WIRE_VERSION;
  hello.uapi_major = NPU_UAPI_MAJOR;
  hello.uapi_minor = NPU_UAPI_MINOR;
  hello.device_index = index;
  hello.fd = -1;
  return hello;
}

}  // namespace

Result<std::unique_ptr<Backend>> open_model(UniqueFd socket, uint32_t index) {
  auto backend = std::make_unique<ModelBackend>(std::move(socket));
  npu_wire_hello hello = make_hello(index);
  const int error = backend->hello(&hello);
  const bool skewed = hello.wire_version != NPU_WIRE_VERSION || hello.uapi_major != NPU_UAPI_MAJOR;
  if (error == EPROTO && skewed) {
    return fail(NPU_ERROR_VERSION_SKEW,
                "the library speaks wire version %d and uapi %d.%d, the device server wire version "
                "%u and uapi %u.%u",
                NPU_WIRE_VERSION, NPU_UAPI_MAJOR, NPU_UAPI_MINOR, hello.wire_version,
                hello.uapi_major, hello.uapi_minor);
  }
  if (error == ENODEV && !backend->is_lost()) {
    return fail(NPU_ERROR_NO_DEVICE, "the device server has no device %u", index);
  }
  if (error == ENOSPC) {
    const Status status = fail(NPU_ERROR_QUOTA, "device %u is open as often as it can be", index);
    set_remedy("Close devices that are not needed; npu-smi ps tells which processes have it open.");
    return status;
  }
  if (error != 0) {
    const Status status = fail_call(error, "greeting the device server");
    if (error == ENOMEM) {
      set_remedy(
          "Free memory, or raise the limit of open files (ulimit -n) where the server runs.");
    }
    return status;
  }
  return std::unique_ptr<Backend>(std::move(backend));
}

int ask_device_count(UniqueFd socket, uint32_t* out) {
  Connection connection(std::move(socket));
  npu_wire_hello hello = make_hello(~0u);
  const int error = connection.ask(NPU_WIRE_HELLO, &hello);
  if (hello.fd >= 0) UniqueFd(hello.fd).reset();
  if (error == 0) *out = hello.device_count;
  return error;
}

}  // namespace npu
