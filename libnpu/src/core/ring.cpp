// SPDX-License-Identifier: Apache-2.0
// The library's end of a user-mode queue.
#include "libnpu/src/core/ring.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/watch.h"

namespace npu {
namespace {

constexpr uint64_t kArgsAlignBytes = 64;
constexpr uint64_t kArgsMinBytes = 64 << 10;
constexpr uint64_t kArgsPerEntryBytes = 128;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "sleepers watch the lower half of a word");
static_assert(sizeof(__u64) == sizeof(uint64_t));

template <typename T>
T load(const T& word, std::memory_order order) {
  return std::atomic_ref<T>(const_cast<T&>(word)).load(order);
}

// In the pieces in which commands are made: read in wider ones, they would be waited for.
void store_command(const npu_cmd& command, std::byte* slot) {
  for (size_t i = 0; i < sizeof command; i += 8) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const std::byte*>(&command) + i, 8);
    std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(slot + i))
        .store(word, std::memory_order_relaxed);
  }
}

}  // namespace

uint64_t Ring::ring_offset() const {
  const uint64_t records = uint64_t{NPU_COMPLETION_BYTES} << options_.entries_log2;
  return records_offset() + ((records + NPU_PAGE_4K - 1) & ~(NPU_PAGE_4K - 1));
}

uint64_t Ring::args_offset() const {
  const uint64_t ring = uint64_t{NPU_CMD_BYTES} << options_.entries_log2;
  return ring_offset() + ((ring + NPU_PAGE_4K - 1) & ~(NPU_PAGE_4K - 1));
}

uint64_t Ring::completed_dva() const { return dva_ + offsetof(npu_queue_ctrl, completed); }

Result<std::unique_ptr<Ring>> Ring::create(Vm& vm, const RingOptions& options) {
  std::unique_ptr<Ring> ring(new Ring(vm, options));
  NPU_TRY(ring->create_memory());
  NPU_TRY(ring->create_queue());
  return ring;
}

Status Ring::create_memory() {
  args_bytes_ = std::max(kArgsMinBytes, kArgsPerEntryBytes << options_.entries_log2);
  args_end_.assign(entries(), 0);
  StorageInfo info;
  info.region = Region::kSystem;
  info.use = Use::kQueues;
  info.size_bytes = args_offset() + args_bytes_;
  info.shared_words = true;
  NPU_TRY_ASSIGN(memory_, Buffer::create(vm_, info));
  NPU_TRY_ASSIGN(base_, memory_->host());
  dva_ = memory_->dva();
  return Status::ok();
}

Status Ring::create_queue() {
  npu_queue_create args{};
  args.vm_id = vm_.id();
  args.queue_class = options_.queue_class;
  args.flags = options_.goes_on ? NPU_QUEUE_FLAG_CONTINUE : 0;
  args.priority = options_.priority;
  args.ring_dva = dva_ + ring_offset();
  args.ctrl_dva = dva_;
  args.ctrl_handle = memory_->handle();
  args.ring_log2 = options_.entries_log2;
  args.timeout_ms = options_.timeout_ms;
  npu_queue_net net = options_.net;
  if (options_.queue_class == NPU_QUEUE_NET) args.params = make_array(&net, 1);
  const int error = call_queue_create(vm_.backend(), args);
  if (error == ENOSPC) {
    return fail_errno(NPU_ERROR_OUT_OF_QUEUES, error, "creating a queue failed");
  }
  if (error != 0) return fail_call(error, "creating a queue");
  queue_id_ = args.queue_id;
  doorbell_slot_ = args.doorbell_slot;
  return Status::ok();
}

Ring::~Ring() { stop(); }

void Ring::stop() {
  if (queue_id_ == 0) return;
  last_failure_ = read_failure();
  // pairs with ring.cpp : Ring::failure
  stopped_.store(true, std::memory_order_release);
  npu_queue_destroy args{.queue_id = queue_id_, .pad = 0};
  call_queue_destroy(vm_.backend(), args);
  queue_id_ = 0;
}

bool Ring::args_fit(uint32_t args_bytes, uint64_t* out_needed) {
  if (args_bytes == 0) return true;
  // A block never wraps: what is left at the end of the area is skipped.
  const uint64_t at = args_head_ % args_bytes_;
  const uint64_t skip = at + args_bytes > args_bytes_ ? args_bytes_ - at : 0;
  const uint64_t end = args_head_ + skip + args_bytes;
  // Walk to the oldest command whose end frees enough; usually the first look decides.
  uint64_t done = seen_completed_;
  uint64_t tail = done == 0 ? 0 : args_end_[(done - 1) & (entries() - 1)];
  while (end - tail > args_bytes_ && done < submitted_) {
    done++;
    tail = args_end_[(done - 1) & (entries() - 1)];
  }
  *out_needed = done;
  return done == seen_completed_;
}

bool Ring::has_room(uint32_t slots, uint32_t args_bytes, uint64_t* out_needed) {
  for (int attempt = 0; attempt < 2; attempt++) {
    if (submitted_ - seen_completed_ + slots <= entries()) {
      if (args_fit(args_bytes, out_needed)) return true;
    } else {
      *out_needed = submitted_ + slots - entries();
    }
    // Never below what was seen: the word is the device's, and a wild value must not move us backwards or beyond.
    seen_completed_ = std::clamp(completed(), seen_completed_, submitted_);
  }
  return false;
}

void Ring::push(const npu_cmd& command, const void* args, uint32_t args_bytes) {
  const uint32_t slot = static_cast<uint32_t>(submitted_) & (entries() - 1);
  std::byte* const at_slot = base_ + ring_offset() + uint64_t{slot} * NPU_CMD_BYTES;
  store_command(command, at_slot);
  if (args_bytes != 0) {
    uint64_t at = args_head_ % args_bytes_;
    if (at + args_bytes > args_bytes_) {
      args_head_ += args_bytes_ - at;
      at = 0;
    }
    std::memcpy(base_ + args_offset() + at, args, args_bytes);
    args_head_ += (args_bytes + kArgsAlignBytes - 1) & ~(kArgsAlignBytes - 1);
    const uint64_t args_dva = dva_ + args_offset() + at;
    std::memcpy(at_slot + offsetof(npu_cmd_launch, args_dva), &args_dva, sizeof args_dva);
  }
  args_end_[slot] = args_head_;
  submitted_++;
}

void Ring::bell() { vm_.backend().ring(doorbell_slot_, submitted_); }

uint64_t Ring::completed() const {
  // pairs with firmware-model/device/command_processor.cpp : CommandProcessor::publish
  return load(ctrl()->completed, std::memory_order_acquire);
}

uint64_t Ring::errors() const { return load(ctrl()->errors, std::memory_order_relaxed); }

uint64_t Ring::time_ps() const { return load(ctrl()->time_ps, std::memory_order_relaxed); }

Ring::Failure Ring::failure() const {
  // pairs with ring.cpp : Ring::stop
  return stopped_.load(std::memory_order_acquire) ? last_failure_ : read_failure();
}

Ring::Failure Ring::read_failure() const {
  Failure failure;
  // pairs with firmware-model/device/queue.cpp : store_live
  if (options_.has_live_word && load(ctrl()->live, std::memory_order_acquire) == NPU_QUEUE_LIVE) {
    return failure;
  }
  const uint32_t state = load(ctrl()->state, std::memory_order_acquire);
  if (!NPU_QUEUE_STATE_IS_DEAD(state)) return failure;
  failure.status = load(ctrl()->error_status, std::memory_order_acquire);
  if (state == NPU_QUEUE_STATE_FAULTED) {
    failure.seq = load(ctrl()->error_seq, std::memory_order_relaxed);
    return failure;
  }
  // A queue that was ended from outside has no command to blame but the next one.
  failure.seq = load(ctrl()->completed, std::memory_order_acquire);
  if (failure.status == 0) failure.status = NPU_ERROR_CONTEXT_LOST;
  return failure;
}

bool Ring::record_of(uint64_t seq, npu_completion* out) const {
  if (seq >= submitted_ || submitted_ - seq > entries()) return false;
  const uint64_t slot = seq & (entries() - 1);
  std::memcpy(out, base_ + records_offset() + slot * NPU_COMPLETION_BYTES, sizeof *out);
  return out->seq == seq;
}

// The device looks at one number: the next count that anybody wants.
void Ring::arm_locked() {
  std::atomic_ref<__u64> interrupt_at(ctrl()->interrupt_at);
  uint64_t next = sleepers_.empty() ? 0 : *sleepers_.begin();
  if (!word_cookies_.empty()) next = std::min(next - 1, completed()) + 1;
  interrupt_at.store(next, std::memory_order_relaxed);
}

bool Ring::begin_sleep(uint64_t count, SleepWord* out) {
  {
    std::lock_guard lock(sleepers_mutex_);
    drop_reached_locked();
    sleepers_.insert(count);
    arm_locked();
  }
  // pairs with firmware-model/device/command_processor.cpp : CommandProcessor::interrupt_when_asked
  std::atomic_thread_fence(std::memory_order_seq_cst);
  *out = {completed_word(), completed()};
  return out->seen < count && failure().status == 0;
}

void Ring::end_sleep(uint64_t count) {
  std::lock_guard lock(sleepers_mutex_);
  sleepers_.erase(sleepers_.find(count));
  drop_reached_locked();
  arm_locked();
}

SleepEnd Ring::sleep_until(uint64_t count, int64_t timeout_ns) {
  SleepEnd end = SleepEnd::kWoken;
  SleepWord at;
  if (begin_sleep(count, &at)) end = vm_.backend().sleep(at.word, at.seen, count, timeout_ns);
  end_sleep(count);
  return end;
}

// Counts of eventfds that were reached: the driver has answered those requests.
void Ring::drop_reached_locked() {
  if (notified_.empty()) return;
  const uint64_t done = completed();
  std::erase_if(notified_, [&](const auto& entry) {
    if (entry.second > done) return false;
    sleepers_.erase(sleepers_.find(entry.second));
    return true;
  });
}

Status Ring::notify(uint64_t count, int fd, uint64_t* out_cookie) {
  const uint64_t cookie = take_notify_cookie();
  std::lock_guard lock(sleepers_mutex_);
  drop_reached_locked();
  notified_.emplace(cookie, count);
  sleepers_.insert(count);
  arm_locked();
  // The driver looks at the count itself once it has the request, after a fence of its own.
  const uint64_t offset = offsetof(npu_queue_ctrl, completed);
  const Status status = request_notify(memory_->handle(), offset, count, fd, cookie);
  if (status.is_ok()) {
    *out_cookie = cookie;
    return status;
  }
  notified_.erase(cookie);
  sleepers_.erase(sleepers_.find(count));
  return status;
}

Status Ring::notify_word(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd,
                         uint64_t* out_cookie) {
  *out_cookie = take_notify_cookie();
  std::lock_guard lock(sleepers_mutex_);
  const Status status = request_notify(bo_handle, offset, value, fd, *out_cookie);
  if (status.is_ok()) word_cookies_.insert(*out_cookie);
  arm_locked();
  return status;
}

Status Ring::request_notify(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd,
                            uint64_t cookie) {
  const int error =
      npu::request_notify(vm_.backend(), bo_handle, queue_id_, offset, value, fd, cookie);
  return error == 0 ? Status::ok() : fail_call(error, "asking to be told of a queue's progress");
}

void Ring::forget_notify(uint64_t cookie) {
  {
    std::lock_guard lock(sleepers_mutex_);
    word_cookies_.erase(cookie);
    const auto found = notified_.find(cookie);
    if (found != notified_.end()) {
      sleepers_.erase(sleepers_.find(found->second));
      notified_.erase(found);
      arm_locked();
    }
  }
  npu::forget_notify(vm_.backend(), cookie);
}

uint64_t Ring::gate_dva() const { return dva_ + offsetof(npu_queue_ctrl, fence); }

void Ring::open_gate(uint64_t ticket) {
  if (stopped_.load(std::memory_order_relaxed)) return;
  // pairs with firmware-model/device/command.cpp : CommandRunner::sem_wait
  std::atomic_ref<__u64>(ctrl()->fence[0]).store(ticket, std::memory_order_release);
  bell();
}

void Ring::wake_all() { vm_.backend().wake(completed_word()); }

}  // namespace npu
