// SPDX-License-Identifier: Apache-2.0
// User-mode queues: creation and end, state changes, watchdog.
#include "firmware-model/server/queue.h"

#include <errno.h>

#include <algorithm>

#include "firmware-model/server/device.h"
#include "firmware-model/server/doorbells.h"
#include "uapi/npu_status.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {
namespace {

// The device writes these words of the control page; a new queue starts from zero.
void clear_device_words(npu_queue_ctrl* ctrl) {
  auto* word = reinterpret_cast<uint64_t*>(&ctrl->completed);
  for (size_t i = 0; i < 8; ++i) __atomic_store_n(word + i, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&ctrl->live, 0, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
}

// However short a timeout a client asks for: this bounds what its watchdog costs.
constexpr int64_t kShortestLookNs = 10'000'000;

int errno_of(int status) {
  switch (status) {
    case NPU_ST_OK:
      return 0;
    case NPU_ST_OUT_OF_QUEUES:
    case NPU_ST_OUT_OF_DEVICE_MEMORY:
      return ENOSPC;
    case NPU_ST_OUT_OF_HOST_MEMORY:
      return ENOMEM;
    case NPU_ST_INVALID_ARGUMENT:
    case NPU_ST_UNALIGNED:
    case NPU_ST_VM_FAULT:
      return EINVAL;
    default:
      return EIO;
  }
}

}  // namespace

int Queue::create(const Places& places, const std::shared_ptr<Account>& account,
                  const npu_queue_create& args, std::unique_ptr<Queue>* out) {
  std::unique_ptr<Queue> queue(new Queue);
  queue->places_ = places;
  if (!queue->charge_.take(account, Resource::kQueues, 1)) return EDQUOT;
  queue->has_number_ = places.device->queues().take(&queue->view_->number);
  if (!queue->has_number_) return ENOSPC;
  const int err = places.doorbells->take(&queue->slot_);
  if (err != 0) return err;
  queue->has_slot_ = true;
  const int started = queue->start(args);
  if (started == 0) *out = std::move(queue);
  return started;
}

int Queue::start(const npu_queue_create& args) {
  Device* device = places_.device;
  ring_dva_ = args.ring_dva;
  ctrl_dva_ = args.ctrl_dva;
  ring_log2_ = args.ring_log2;
  epoch_ = device->epoch();
  view_->ctrl = reinterpret_cast<npu_queue_ctrl*>(places_.ctrl->host(args.ctrl_offset));
  view_->ctrl_bo = places_.ctrl;
  view_->doorbell = places_.doorbells->word(slot_);
  view_->doorbell_map = places_.doorbells->mapping();
  clear_device_words(view_->ctrl);
  places_.vm->pin(ring_dva_, npu_ring_bytes(ring_log2_));
  places_.vm->pin(ctrl_dva_, npu_ctrl_bytes(ring_log2_));
  pinned_ = true;
  device->events().attach(view_);
  device->set_listener(number(), places_.listener);
  const uint64_t shape = args.ring_log2 | static_cast<uint64_t>(args.priority) << 8 |
                         static_cast<uint64_t>(args.queue_class) << 16 |
                         uint64_t{(args.flags & NPU_QUEUE_FLAG_CONTINUE) != 0} << 24 |
                         uint64_t{places_.net.mtu_bytes} << 32;
  const uint64_t doorbell = static_cast<uint64_t>(places_.doorbells->page()) << 16 | slot_;
  const int status =
      device->mailbox(NPU_MBOX_QUEUE_CREATE, {number(), places_.vm->context(), ring_dva_, ctrl_dva_,
                                              shape, doorbell, 0, places_.net.port_mask});
  if (status != NPU_ST_OK) return errno_of(status);
  on_device_ = true;
  set_timeout(args.timeout_ms);
  // Nothing runs yet, so this answers at once.
  if ((args.flags & NPU_QUEUE_FLAG_SUSPENDED) != 0) suspend();
  return 0;
}

Queue::~Queue() {
  if (pinned_) {
    // Whoever waits for it is let go: nothing will complete any more.
    if (on_device_ && !dead()) kill(NPU_QUEUE_STATE_KILLED, NPU_ST_CANCELED);
    stop_on_device();
    places_.device->events().detach(number());
    places_.device->set_listener(number(), nullptr);
    places_.vm->unpin(ring_dva_, npu_ring_bytes(ring_log2_));
    places_.vm->unpin(ctrl_dva_, npu_ctrl_bytes(ring_log2_));
  }
  if (has_slot_) places_.doorbells->give(slot_);
  if (has_number_) places_.device->queues().give(number());
}

void Queue::stop_on_device() {
  if (on_device_) places_.device->mailbox(NPU_MBOX_QUEUE_DESTROY, {number()});
  on_device_ = false;
}

uint64_t Queue::progress() const {
  uint64_t completed = 0;
  if (!on_device_ ||
      places_.device->mailbox(NPU_MBOX_QUEUE_PROGRESS, {number()}, &completed) != NPU_ST_OK) {
    return seen_progress_;
  }
  return completed;
}

int Queue::suspend() {
  if (dead()) return ECANCELED;
  // Through the registers, which do not wait: a command may run for long. A later command in the mailbox takes the answer away, not the effect.
  npu_device* device = places_.device->raw();
  npu_device_mmio_write(device, NPU_BAR_REGS, NPU_REG_MBOX_ARG0, 8, number());
  npu_device_mmio_write(device, NPU_BAR_REGS, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUEUE_SUSPEND);
  state_ = NPU_QUEUE_STATE_SUSPENDED;
  return stopped(*view_) ? 0 : EINPROGRESS;
}

bool Queue::stopped(const QueueView& view) {
  // The page belongs to the client: a false state there cheats nobody else.
  return __atomic_load_n(&view.ctrl->state, __ATOMIC_ACQUIRE) != NPU_QUEUE_STATE_READY ||
         view.dead.load(std::memory_order_acquire);
}

int Queue::resume() {
  if (dead()) return ECANCELED;
  const int err = errno_of(places_.device->mailbox(NPU_MBOX_QUEUE_RESUME, {number()}));
  if (err == 0) state_ = NPU_QUEUE_STATE_READY;
  return err;
}

int Queue::set_priority(uint32_t priority) {
  if (dead()) return ECANCELED;
  return errno_of(places_.device->mailbox(NPU_MBOX_QUEUE_PRIORITY, {number(), priority}));
}

void Queue::set_timeout(uint32_t timeout_ms) {
  const uint32_t ms = timeout_ms != 0 ? timeout_ms : places_.device->limits().timeout_ms_default;
  timeout_ns_ = ms * 1'000'000LL;
  since_ns_ = monotonic_ns();
  due_ns_ = since_ns_ + look_period_ns();
}

int64_t Queue::look_period_ns() const { return std::max(timeout_ns_ / 4, kShortestLookNs); }

void Queue::faulted(const npu_fault& fault) {
  if (dead()) return;
  fault_ = fault;
  state_ = NPU_QUEUE_STATE_FAULTED;
}

void Queue::kill(npu_queue_state state, int32_t status) {
  seen_progress_ = progress();
  stop_on_device();
  state_ = state;
  view_->status.store(status, std::memory_order_relaxed);
  // pairs with condition.cpp : Condition::evaluate
  view_->dead.store(true, std::memory_order_release);
  __atomic_store_n(&view_->ctrl->error_status, status, __ATOMIC_RELAXED);
  __atomic_store_n(&view_->ctrl->state, static_cast<uint32_t>(state), __ATOMIC_RELEASE);
  __atomic_store_n(&view_->ctrl->live, 0, __ATOMIC_RELEASE);
  EventHub::wake_sleepers(view_->ctrl);
}

bool Queue::watchdog_expired(int64_t now_ns) {
  if (now_ns < due_ns_ || dead()) return false;
  due_ns_ = now_ns + look_period_ns();
  const uint64_t now = progress();
  const bool busy = state_ == NPU_QUEUE_STATE_READY && view_->submitted() != now;
  if (!busy || !seen_busy_ || now != seen_progress_) since_ns_ = now_ns;
  seen_busy_ = busy;
  seen_progress_ = now;
  return now_ns - since_ns_ >= timeout_ns_;
}

}  // namespace npu::model::server
