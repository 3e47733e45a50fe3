// SPDX-License-Identifier: Apache-2.0
// Submission, state, times and reset of queues. Waiting is in queue_wait.cpp.
#include "libnpu/src/core/queue.h"

#include <algorithm>
#include <bit>

#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/capture.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/validation.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

// In a long batch: a bell costs as much as a push.
constexpr uint32_t kPushesBetweenBells = 16;
// Submissions that the memory between two batches may hold.
constexpr size_t kBatchMemoryMost = 1024;
// For how long a full ring is left to the device beyond the room that is needed.
constexpr int64_t kRoomierNs = 50'000;

}  // namespace

Queue::Queue(Ref<Context> context, const RingOptions& options, int64_t spin_ns)
    : Object(kKind),
      context_(std::move(context)),
      options_(options),
      takes_reports_(options.queue_class == NPU_QUEUE_COMPUTE &&
                     (context_->device().info().features[0] & NPU_FEATURE_CHECK) != 0),
      spin_choice_(spin_ns) {}

Queue::~Queue() = default;

Result<Ref<Queue>> Queue::create(Ref<Context> context, const RingOptions& options,
                                 int64_t spin_ns) {
  Vm& vm = context->vm();
  Ref<Queue> queue = Ref<Queue>::adopt(new Queue(std::move(context), options, spin_ns));
  NPU_TRY_ASSIGN(queue->ring_, Ring::create(vm, options));
  return queue;
}

uint64_t Queue::first_failure_locked(npuResult* out_code) {
  *out_code = failure_.code;
  const uint64_t by_library = failure_.code != NPU_OK ? failure_.value : UINT64_MAX;
  const Ring::Failure failure = ring_->failure();
  if (failure.status == 0) return by_library;
  const uint64_t by_device = base_ + failure.seq + 1;
  if (by_device >= by_library) return by_library;
  *out_code = failure.status < 0 ? failure.status : static_cast<npuResult>(NPU_ERROR_INTERNAL);
  return by_device;
}

// The device's count, kept inside what was submitted: nothing the device says may lead out of our own books.
uint64_t Queue::ended_locked() { return base_ + std::min(ring_->completed(), ring_->submitted()); }

Status Queue::look_locked(uint64_t value) {
  if (value <= base_) {
    for (const Range& range : cancelled_) {
      if (value >= range.first && value <= range.last) {
        return fail(NPU_ERROR_CANCELED, "value %llu was cancelled by a reset of the queue",
                    static_cast<unsigned long long>(value));
      }
    }
    return Status::ok();
  }
  const uint64_t ended =
      ended_locked();  // before the failure: what it counted is then known to have failed or not
  npuResult code = NPU_OK;
  const uint64_t failed = first_failure_locked(&code);
  if (value >= failed) {
    return fail(code, "command %llu of the queue failed", static_cast<unsigned long long>(failed));
  }
  if (value <= ended && options_.goes_on) {
    scan_locked(ended - base_);
    if (const Fault* fault = kept_fault_locked(value); fault != nullptr) {
      return fail(fault->code, "command %llu of the queue failed",
                  static_cast<unsigned long long>(value));
    }
  }
  if (value <= ended) return Status::ok();
  if (closed_) return fail(NPU_ERROR_INVALID_HANDLE, "the queue was destroyed");
  return Status(NPU_NOT_READY);
}

Status Queue::usable_locked() {
  if (closed_) return fail(NPU_ERROR_INVALID_HANDLE, "the queue was destroyed");
  npuResult code = NPU_OK;
  const uint64_t failed = first_failure_locked(&code);
  if (failed == UINT64_MAX) return Status::ok();
  if (code == NPU_ERROR_DEVICE_LOST) return fail(code, "the device or its server went away");
  const StatusText* text = find_status_text(code);
  return fail(NPU_ERROR_QUEUE_DEAD, "command %llu of the queue has failed with %s",
              static_cast<unsigned long long>(failed),
              text != nullptr ? text->name : "an unknown error");
}

// The slot of command |seq| is about to be used again: a point there needs its time now.
void Queue::keep_time_locked(uint64_t seq) {
  const uint64_t value = base_ + seq + 1;
  while (!points_.empty() && points_.front()->value <= value) {
    Point& point = *points_.front();
    npu_completion record;
    if (!point.has_time && point.value > base_ &&
        ring_->record_of(point.value - base_ - 1, &record)) {
      point.has_time = true;
      point.end_ps = record.end_ps;
    }
    points_.pop_front();
  }
}

uint64_t Queue::push_locked(const Submission& one) {
  const uint64_t seq = ring_->submitted();
  if (seq >= ring_->entries() && !points_.empty()) keep_time_locked(seq - ring_->entries());
  if (options_.goes_on && seq - scanned_ >= ring_->entries()) scan_locked(ended_locked() - base_);
  if (Hooks::any()) [[unlikely]] {
    note_locked(one, seq);
  }
  ring_->push(one.command, one.args, one.args_bytes);
  return base_ + seq + 1;
}

Status Queue::wait_for_room(std::unique_lock<std::mutex>& lock, uint32_t slots,
                            uint32_t args_bytes) {
  for (;;) {
    NPU_TRY(usable_locked());
    uint64_t needed = 0;
    if (ring_->has_room(slots, args_bytes, &needed)) return Status::ok();
    const uint64_t value = base_ + needed;
    const uint64_t roomier = base_ + ring_->roomier(needed);
    lock.unlock();
    // A submitter that came back for every slot would sleep and be woken for every command. What is waited for may be behind what only he can submit, so not for long.
    const bool in_callback = Callbacks::of_this_thread() == context_.get();
    Status status = in_callback ? Status(NPU_TIMEOUT) : wait(roomier, Deadline::in(kRoomierNs));
    if (status.code() == NPU_TIMEOUT) status = wait(value, Deadline::never());
    lock.lock();
    // A failure makes the queue unusable, which the next look reports; a reset only moves the base.
    if (status.code() == NPU_ERROR_DEVICE_LOST || status.code() == NPU_ERROR_INVALID_HANDLE ||
        status.code() == NPU_ERROR_IN_CALLBACK)
      return status;
  }
}

Status Queue::submit(std::span<const Submission> batch, uint64_t* out_value) {
  return submit_batch(batch, 1, out_value);
}

std::vector<Submission> Queue::take_batch_memory() {
  std::lock_guard lock(mutex_);
  return std::exchange(batch_memory_, {});
}

void Queue::keep_batch_memory(std::vector<Submission> memory) {
  if (memory.capacity() > kBatchMemoryMost) return;
  memory.clear();
  std::lock_guard lock(mutex_);
  batch_memory_.swap(memory);
}

Status Queue::submit_together(std::span<const Submission> batch, uint64_t* out_value) {
  if (batch.size() > 1u << options_.entries_log2) {
    return fail(NPU_ERROR_QUEUE_FULL, "%zu commands belong together, the queue has %u entries",
                batch.size(), 1u << options_.entries_log2);
  }
  return submit_batch(batch, static_cast<uint32_t>(batch.size()), out_value);
}

Status Queue::refuse_others(std::span<const Submission> batch) const {
  const bool is_net = options_.queue_class == NPU_QUEUE_NET;
  for (const Submission& one : batch) {
    if (one.command.op == NPU_CMD_LAUNCH || one.runs_kernels) {
      return fail(NPU_ERROR_NOT_SUPPORTED, "a queue of class %s runs no kernels",
                  is_net ? "net" : "copy");
    }
    if (is_net && (one.command.op == NPU_CMD_FILL || one.fills)) {
      return fail(NPU_ERROR_NOT_SUPPORTED, "a queue of class net fills no memory");
    }
  }
  return Status::ok();
}

// The first |together| commands follow each other.
Status Queue::submit_batch(std::span<const Submission> batch, uint32_t together,
                           uint64_t* out_value) {
  const bool calls_host = std::any_of(batch.begin(), batch.end(), [](const Submission& one) {
    return one.host.function != nullptr;
  });
  if (options_.queue_class != NPU_QUEUE_COMPUTE) NPU_TRY(refuse_others(batch));
  const bool prints =
      takes_reports_ ||
      std::any_of(batch.begin(), batch.end(), [](const Submission& one) { return one.prints; });
  if (calls_host) NPU_TRY(context_->callbacks().prepare());
  if (Hooks::has(Hook::kValidation)) NPU_TRY(Validation::check_batch(*this, batch));
  {
    std::unique_lock lock(mutex_);
    NPU_TRY(usable_locked());
    if (capture_ != nullptr) return capture_locked(batch, out_value);
    if (prints && !print_ready_) [[unlikely]] {
      NPU_TRY(prepare_prints(lock));
    }
    if (together > 1) NPU_TRY(wait_for_room(lock, together, 0));
    uint32_t pushed = 0;
    for (const Submission& one : batch) {
      uint64_t needed = 0;
      if (!ring_->has_room(1, one.args_bytes, &needed)) [[unlikely]] {
        ring_->bell();
        NPU_TRY(wait_for_room(lock, 1, one.args_bytes));
      }
      *out_value =
          one.host.function == nullptr ? push_locked(one) : push_host_call_locked(one.host);
      // All of it is good, so the device may begin.
      if (++pushed % kPushesBetweenBells == 0) ring_->bell();
    }
    ring_->bell();
    if (Hooks::has(Hook::kBlocking) && can_block_locked(batch, *out_value)) {
      Call::current()->set_submitted(this, *out_value);
    }
  }
  if (calls_host) context_->callbacks().post(Ref<Queue>::share(this));
  return Status::ok();
}

Status Queue::submit_wait(Ref<Queue> other, uint64_t value, uint64_t* out_value) {
  if (Capture::is_value(value)) {
    *out_value = value;
    return capture_wait(*other, value);
  }
  NPU_TRY(refuse_in_capture("a wait for work outside of the capture"));
  npu_cmd nop{};
  nop.op = NPU_CMD_NOP;
  const Status now = other->peek(value);
  if (now.code() == NPU_ERROR_INVALID_ARGUMENT) return now;
  // On the same queue the order is given; and a point that was passed well needs no watching.
  if (other.get() == this || now.is_ok()) return submit(nop, out_value);
  npu_cmd_sem wait{};
  wait.op = NPU_CMD_SEM_WAIT;
  wait.sem_op = NPU_SEM_WAIT_GE;
  {
    std::lock_guard lock(other->mutex_);
    if (value > other->base_) {
      wait.sem_dva = other->ring_->completed_dva();
      wait.value = value - other->base_;
    }
  }
  // A value from before a reset of |other| has no word any more: the dependency alone tells.
  const npu_cmd command = wait.sem_dva != 0 ? std::bit_cast<npu_cmd>(wait) : nop;
  std::unique_lock lock(mutex_);
  NPU_TRY(wait_for_room(lock, 1, 0));
  dependencies_.push_back({base_ + ring_->submitted() + 1, std::move(other), value});
  dependency_count_.fetch_add(1, std::memory_order_relaxed);
  *out_value = push_locked({.command = command});
  ring_->bell();
  return Status::ok();
}

uint64_t Queue::submitted() {
  std::lock_guard lock(mutex_);
  return base_ + ring_->submitted();
}

Status Queue::completed(uint64_t* out_value) {
  const uint64_t last = submitted();
  if (dependency_count_.load(std::memory_order_relaxed) != 0) {
    // Errors are told by waits; here they only end the count.
    [[maybe_unused]] const Status settled = settle(last, Deadline::in(0));
  }
  std::lock_guard lock(mutex_);
  npuResult code = NPU_OK;
  const uint64_t ended = ended_locked();
  *out_value = std::min(ended, first_failure_locked(&code));
  return Status::ok();
}

Queue::Counters Queue::counters() {
  std::lock_guard lock(mutex_);
  Counters counters;
  counters.submitted = base_ + ring_->submitted();
  counters.completed = ended_locked();
  counters.failed = ring_->errors();
  counters.time_ps = ring_->time_ps();
  return counters;
}

Status Queue::record(uint64_t value, npu_completion* out) {
  if (Capture::is_value(value)) NPU_TRY(refuse_in_capture("the time of a captured command"));
  std::lock_guard lock(mutex_);
  if (value > base_ + ring_->submitted() || value == 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "value %llu was never submitted to the queue",
                static_cast<unsigned long long>(value));
  }
  if (value > ended_locked()) {
    const Status status = look_locked(value);
    return status.is_ok() ? Status(NPU_NOT_READY) : status;
  }
  if (value <= base_ || !ring_->record_of(value - base_ - 1, out)) {
    return fail(NPU_ERROR_NOT_FOUND,
                "the times of value %llu are no longer kept (the ring has %u entries)",
                static_cast<unsigned long long>(value), ring_->entries());
  }
  return Status::ok();
}

Status Queue::timing(uint64_t value, uint64_t* out_start_ps, uint64_t* out_end_ps) {
  npu_completion completion;
  NPU_TRY(record(value, &completion));
  *out_start_ps = completion.start_ps;
  *out_end_ps = completion.end_ps;
  return Status::ok();
}

Status Queue::reset() {
  NPU_TRY(refuse_in_capture("a reset of the queue"));
  std::shared_ptr<Ring> old;
  std::vector<std::pair<uint64_t, Watch>> watches;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return fail(NPU_ERROR_INVALID_HANDLE, "the queue was destroyed");
    npuResult code = NPU_OK;
    ring_->stop();
    const uint64_t failed = first_failure_locked(&code);
    const uint64_t good = std::min(ended_locked(), failed == UINT64_MAX ? failed : failed - 1);
    const uint64_t last = base_ + ring_->submitted();
    collect_prints_locked();
    // On failure the queue stays stopped: its old ring is dead, failure_ says so.
    auto fresh = Ring::create(context_->vm(), options_);
    if (!fresh.is_ok()) {
      if (failed == UINT64_MAX) failure_ = {NPU_ERROR_CANCELED, good + 1};
      return fresh.status();
    }
    keep_time_locked(ring_->submitted());
    end_notes_locked();
    if (good < last) cancelled_.push_back({good + 1, last});
    old = std::exchange(ring_, std::shared_ptr<Ring>(fresh.take()));
    base_ = last;
    incarnation_++;
    if (print_buffer_ != nullptr) print_buffer_->restart();
    print_ready_ = false;
    assert_texts_.clear();
    kept_faults_.clear();
    scanned_ = seen_errors_ = 0;
    failure_ = {};
    watches.swap(watches_);
    dependencies_.clear();
    dependency_count_.store(0, std::memory_order_relaxed);
  }
  old->wake_all();
  context_->retire(std::move(old));
  deliver_prints();
  return Status::ok();
}

void Queue::close() {
  std::shared_ptr<Ring> ring;
  std::deque<Dependency> dropped;
  std::vector<std::pair<uint64_t, Watch>> watches;
  std::shared_ptr<Capture> capture;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    watches.swap(watches_);
    capture = std::move(capture_);
    capture_ = nullptr;
    closed_ = true;
    ring_->stop();
    end_notes_locked();
    ring = ring_;
    dropped.swap(dependencies_);
    dependency_count_.store(0, std::memory_order_relaxed);
  }
  if (capture != nullptr && capture->began_with(*this)) release_captured(*capture);
  ring->wake_all();
  deliver_prints();
  Activities::leave_queue(this);
  context_->forget_queue(this);
  context_->retire(std::move(ring));
}

Result<std::shared_ptr<Point>> Queue::mark() {
  std::lock_guard lock(mutex_);
  NPU_TRY(usable_locked());
  if (capture_ != nullptr) {
    auto captured = std::make_shared<Point>();
    captured->is_captured = true;
    captured->capture = capture_;
    captured->nodes = tail_;
    return captured;
  }
  const uint64_t value = base_ + ring_->submitted();
  if (!points_.empty() && points_.back()->value == value) return points_.back();
  auto point = std::make_shared<Point>();
  point->value = value;
  point->incarnation = incarnation_;
  if (value == base_) {
    point->has_time = true;  // nothing was submitted yet: device time begins at 0
  } else {
    points_.push_back(point);
  }
  return point;
}

Status Queue::time_of(Point& point, uint64_t* out_ps) {
  std::lock_guard lock(mutex_);
  if (!point.has_time) {
    NPU_TRY(look_locked(point.value));
    npu_completion record;
    if (point.value <= base_ || !ring_->record_of(point.value - base_ - 1, &record)) {
      return fail(NPU_ERROR_NOT_FOUND,
                  "the device time of the event was lost in a reset of its queue");
    }
    point.has_time = true;
    point.end_ps = record.end_ps;
  }
  *out_ps = point.end_ps;
  return Status::ok();
}

uint64_t Queue::busy_until() {
  std::lock_guard lock(mutex_);
  const uint64_t last = base_ + ring_->submitted();
  return is_stopped_locked() || ended_locked() == last ? 0 : last;
}

bool Queue::has_passed(uint64_t value) {
  std::lock_guard lock(mutex_);
  return is_stopped_locked() || value <= ended_locked();
}

}  // namespace npu
