// SPDX-License-Identifier: Apache-2.0
// Backend of the kernel driver, by libdrm.
//
// Sleeping and waking. A sleeper sits in WAIT with its queue's id, so three things end it without a hand of ours: the word reaches the wanted count (the kernel arms
// the queue's interrupt, looks once more, then sleeps), the queue dies, the queue is destroyed. wake() is called after QUEUE_DESTROY and so has nothing left to do. One gap
// remains: between our look into the table and the kernel's look at the id, the queue may be destroyed and its id given to a new one. Hence no WAIT is longer than a
// slice, after which the caller looks at its queue again: a wake-up can be late by a slice, never lost; and a sleeper makes ten calls a second, no busy loop.
// (An eventfd per sleeper by NOTIFY closes the gap too, at three system calls instead of one for every sleep.)
#include "libnpu/src/backend/kmd.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <xf86drm.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/backend/process.h"
#include "libnpu/src/backend/word_table.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/time.h"
#include "uapi/npu_ioctl.h"

namespace npu {
namespace {

// Between two looks where the driver cannot be asked to wait.
constexpr int64_t kNapNs = 1'000'000;

// 0: no such call.
unsigned long request_of(uint32_t nr) {
  switch (nr) {
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) \
  case nr:                                            \
    return NPU_IOWR(NAME, name);
#include "uapi/spec/calls.def"
    default:
      return 0;
  }
}

// Everything that this CPU has written is on its way before the doorbell is: ordinary memory, and what write combining holds back for device memory. A release fence
// would order the first kind only.
void order_before_doorbell() {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

void nap(int64_t most_ns) {
  const timespec pause{.tv_sec = 0, .tv_nsec = static_cast<long>(std::min(most_ns, kNapNs))};
  nanosleep(&pause, nullptr);
}

class KmdBackend final : public Backend {
 public:
  explicit KmdBackend(UniqueFd node) : node_(std::move(node)) { keep_from_children(node_.get()); }
  ~KmdBackend() override { forget_descriptor(node_.get()); }

  int call(uint32_t nr, void* args) override;
  int close_object(uint32_t handle) override;
  int map(uint64_t token, uint64_t size_bytes, Mapping* out) override;
  int export_object(uint32_t handle, uint64_t token, UniqueFd* out) override;
  int import_object(int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                    uint32_t* out_handle, bool* out_is_object) override;
  int adopt_memory(void* host, int fd, uint64_t offset, uint64_t size_bytes, bool readonly,
                   uint32_t* out_handle) override;
  bool maps_memory_of(Backend& peer) override;
  void ring(uint32_t slot, uint64_t value) override;
  SleepEnd sleep(const uint64_t* word, uint64_t seen, uint64_t wanted, int64_t timeout_ns) override;
  // NOTIFY does it, for as many waits as one likes.
  bool may_sleep_for_any() const override { return false; }
  bool sleep_for_any(std::span<const SleepWord>, int64_t) override { return false; }
  void wake(const uint64_t*) override {}
  int next_event(void* event, size_t room, int64_t timeout_ns) override;
  bool is_lost() override;

 private:
  int ask(uint32_t nr, void* args);
  int adopt_queue(npu_queue_create* args);
  int map_doorbells(uint64_t token);
  void write_death(const uint64_t* word, const WordPlace& place);

  UniqueFd node_;
  std::atomic<bool> lost_{false};
  std::mutex
      shared_mutex_;  // of shared_; held over the calls, so that a handle is not closed while it is found again
  std::map<uint32_t, uint32_t> shared_;  // uses of handles that PRIME may give out twice
  WordTable words_;
  std::mutex doorbell_mutex_;
  Mapping doorbells_;       // before the first queue exists for its owner
  std::mutex event_mutex_;  // of what follows: events that one read() gave, whole
  std::vector<std::byte> events_;
};

// drmIoctl() restarts a call that a signal interrupted; deadlines are absolute, so that takes no longer.
int KmdBackend::ask(uint32_t nr, void* args) {
  const unsigned long request = request_of(nr);
  if (request == 0) return EINVAL;
  const int error = drmIoctl(node_.get(), request, args) == 0 ? 0 : errno;
  if (error == ENODEV) lost_.store(true, std::memory_order_relaxed);
  return error;
}

int KmdBackend::call(uint32_t nr, void* args) {
  if (nr == NPU_CALL_QUEUE_DESTROY) {
    words_.remove_queue(static_cast<npu_queue_destroy*>(args)->queue_id);
  }
  if (const int error = ask(nr, args); error != 0) return error;
  if (nr == NPU_CALL_BO_CREATE) {
    const auto* object = static_cast<npu_bo_create*>(args);
    if ((object->flags & NPU_BO_SYNC) != 0) words_.add_object(object->handle, object->map_token);
  }
  return nr == NPU_CALL_QUEUE_CREATE ? adopt_queue(static_cast<npu_queue_create*>(args)) : 0;
}

// A queue that nobody can ring is none.
int KmdBackend::adopt_queue(npu_queue_create* args) {
  const int error = map_doorbells(args->doorbell_token);
  if (error != 0) {
    npu_queue_destroy destroy{.queue_id = args->queue_id, .pad = 0};
    ask(NPU_CALL_QUEUE_DESTROY, &destroy);
    args->queue_id = args->doorbell_slot = 0;
    args->doorbell_token = 0;
    return error;
  }
  words_.add_queue(args->queue_id, args->ctrl_handle, args->ctrl_offset);
  return 0;
}

int KmdBackend::map_doorbells(uint64_t token) {
  std::lock_guard lock(doorbell_mutex_);
  if (doorbells_.valid()) return 0;
  return doorbells_.map_device(node_.get(), token, NPU_DOORBELL_PAGE_BYTES);
}

int KmdBackend::close_object(uint32_t handle) {
  std::lock_guard lock(shared_mutex_);
  if (const auto shared = shared_.find(handle); shared != shared_.end()) {
    if (--shared->second > 0) return 0;
    shared_.erase(shared);
  }
  words_.remove_object(handle);
  return drmCloseBufferHandle(node_.get(), handle) == 0 ? 0 : errno;
}

int KmdBackend::export_object(uint32_t handle, uint64_t, UniqueFd* out) {
  std::lock_guard lock(shared_mutex_);
  int fd = -1;
  if (drmPrimeHandleToFD(node_.get(), handle, DRM_CLOEXEC | DRM_RDWR, &fd) != 0) return errno;
  // The same file would be given this very handle again.
  shared_.try_emplace(handle, 1);
  out->reset(fd);
  return 0;
}

int KmdBackend::import_object(int fd, uint64_t, uint64_t, bool, uint32_t* out_handle,
                              bool* out_is_object) {
  std::lock_guard lock(shared_mutex_);
  if (drmPrimeFDToHandle(node_.get(), fd, out_handle) != 0) {
    return errno == EINVAL || errno == ENOTTY ? ENOENT : errno;
  }
  shared_[*out_handle]++;
  *out_is_object = true;
  return 0;
}

// By trial, with the smallest object: whether the kernel and the bus between the two devices allow it is for the driver to say, and it says so when memory is imported.
bool KmdBackend::maps_memory_of(Backend& peer) {
  npu_bo_create object{};
  object.size_bytes = NPU_PAGE_64K;
  object.region = NPU_REGION_HBM;
  if (call_bo_create(peer, object) != 0) return false;
  UniqueFd file;
  uint32_t handle = 0;
  bool is_object = false;
  const bool maps =
      peer.export_object(object.handle, object.map_token, &file) == 0 &&
      import_object(file.get(), 0, object.size_bytes, false, &handle, &is_object) == 0;
  if (maps) close_object(handle);
  peer.close_object(object.handle);
  return maps;
}

int KmdBackend::adopt_memory(void* host, int fd, uint64_t offset, uint64_t size_bytes,
                             bool readonly, uint32_t* out_handle) {
  npu_bo_create_userptr args{};
  args.address = reinterpret_cast<uintptr_t>(host);
  args.size_bytes = size_bytes;
  args.flags = readonly ? NPU_USERPTR_READONLY : 0;
  args.fd = -1;
  int error = ask(NPU_CALL_BO_CREATE_USERPTR, &args);
  if (error == EOPNOTSUPP && fd >= 0) {
    args.address = offset;
    args.fd = fd;
    error = ask(NPU_CALL_BO_CREATE_USERPTR, &args);
  }
  *out_handle = args.handle;
  return error;
}

int KmdBackend::map(uint64_t token, uint64_t size_bytes, Mapping* out) {
  const int error = out->map_device(node_.get(), token, size_bytes);
  if (error == 0) words_.add_mapping(token, out->data(), size_bytes);
  return error;
}

void KmdBackend::ring(uint32_t slot, uint64_t value) {
  if (slot >= NPU_DOORBELL_SLOTS) return;
  order_before_doorbell();
  // One store of 64 bits: the register takes no halves.
  reinterpret_cast<volatile uint64_t*>(doorbells_.data())[slot] = value;
}

SleepEnd KmdBackend::sleep(const uint64_t* word, uint64_t seen, uint64_t wanted,
                           int64_t timeout_ns) {
  WordPlace place;
  if (wanted <= seen) return SleepEnd::kWoken;
  if (!words_.find(word, &place)) {
    nap(timeout_ns);
    return SleepEnd::kWoken;
  }
  npu_cond condition{};
  condition.op = NPU_COND_GE;
  condition.bo_handle = place.handle;
  condition.queue_id = place.queue_id;
  condition.offset = place.offset;
  condition.value = wanted;
  condition.mask = ~uint64_t{0};
  npu_wait wait{};
  wait.conds = make_array(&condition, 1);
  wait.deadline_ns = Deadline::now_ns() + std::min(timeout_ns, kSleepSliceNs);
  switch (ask(NPU_CALL_WAIT, &wait)) {
    case 0:
    case ENOENT:  // destroyed meanwhile
      return SleepEnd::kWoken;
    case ETIME:
      if (is_lost()) return SleepEnd::kLost;
      return timeout_ns > kSleepSliceNs ? SleepEnd::kWoken : SleepEnd::kTimeout;
    case ECANCELED:
      write_death(word, place);
      return SleepEnd::kWoken;
    default:
      if (is_lost()) return SleepEnd::kLost;
      nap(timeout_ns);
      return SleepEnd::kWoken;
  }
}

// The library learns of a queue's death from its control page, where device or driver write it. If the page does not say so (it was overwritten), every WAIT would
// end at once and every look go back to sleep: so the driver's own word is put there.
void KmdBackend::write_death(const uint64_t* word, const WordPlace& place) {
  const uint64_t into_page = place.offset - place.ctrl_offset;
  auto* page = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(word)) - into_page;
  auto* control = reinterpret_cast<npu_queue_ctrl*>(page);
  std::atomic_ref<__u32> state(control->state);
  std::atomic_ref<__u64> live(control->live);
  if (NPU_QUEUE_STATE_IS_DEAD(state.load(std::memory_order_acquire)) &&
      live.load(std::memory_order_acquire) != NPU_QUEUE_LIVE) {
    return;
  }
  npu_queue_query query{};
  query.queue_id = place.queue_id;
  if (ask(NPU_CALL_QUEUE_QUERY, &query) != 0 || !NPU_QUEUE_STATE_IS_DEAD(query.state)) return;
  std::atomic_ref<__s32>(control->error_status).store(query.status, std::memory_order_relaxed);
  state.store(query.state, std::memory_order_release);
  live.store(0, std::memory_order_release);
}

// The kernel gives whole events, as many as fit. A reset ends no wait here: its own event does.
int KmdBackend::next_event(void* event, size_t room, int64_t timeout_ns) {
  constexpr int64_t kNsPerMs = 1'000'000;
  constexpr size_t kReadBytes = 4096;
  const Deadline deadline = Deadline::in(timeout_ns);
  std::lock_guard lock(event_mutex_);
  while (events_.empty()) {
    const int64_t left_ns = std::min(deadline.left_ns(), kSleepSliceNs);
    pollfd state{node_.get(), POLLIN, 0};
    const int ready = poll(&state, 1, static_cast<int>((left_ns + kNsPerMs - 1) / kNsPerMs));
    if (ready > 0 && (state.revents & POLLIN) != 0) {
      events_.resize(kReadBytes);
      const ssize_t bytes = read(node_.get(), events_.data(), events_.size());
      const int error = bytes < 0 ? errno : 0;
      events_.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
      // An end of the file is the device's end too.
      if (bytes == 0 || (error != 0 && error != EINTR && error != EAGAIN)) return ENODEV;
    } else if (is_lost() || (ready > 0 && (state.revents & (POLLHUP | POLLERR)) != 0)) {
      return ENODEV;
    }
    if (events_.empty() && left_ns == 0) return ETIME;
  }
  npu_event head{};
  if (events_.size() >= sizeof head) std::memcpy(&head, events_.data(), sizeof head);
  if (head.length < sizeof head || head.length > events_.size()) {
    events_.clear();
    return EPROTO;
  }
  std::memcpy(event, events_.data(), std::min<size_t>(room, head.length));
  events_.erase(events_.begin(), events_.begin() + static_cast<ptrdiff_t>(head.length));
  return 0;
}

// Wedged is as good as gone: only loading the driver again helps, and that closes this file.
bool KmdBackend::is_lost() {
  if (lost_.load(std::memory_order_relaxed)) return true;
  npu_dev_info info{};
  npu_dev_query query{};
  query.type = NPU_QUERY_DEVICE;
  query.out = make_array(&info, 1);
  if (ask(NPU_CALL_DEV_QUERY, &query) == 0 && info.health == NPU_HEALTH_WEDGED) {
    lost_.store(true, std::memory_order_relaxed);
  }
  return lost_.load(std::memory_order_relaxed);
}

}  // namespace

Result<std::unique_ptr<Backend>> open_kmd(const AccelNode& node) {
  NPU_TRY_ASSIGN(UniqueFd fd, open_accel_node(node));
  return std::unique_ptr<Backend>(std::make_unique<KmdBackend>(std::move(fd)));
}

}  // namespace npu
