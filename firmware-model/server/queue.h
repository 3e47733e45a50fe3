// SPDX-License-Identifier: Apache-2.0
// A user-mode queue: its number on the device, its memory, its state.
//
// Thread safety: the I/O thread owns it; device threads see its QueueView.
#ifndef NPU_MODEL_SERVER_QUEUE_H_
#define NPU_MODEL_SERVER_QUEUE_H_

#include <cstdint>
#include <memory>

#include "firmware-model/server/account.h"
#include "firmware-model/server/condition.h"
#include "firmware-model/server/vm.h"
#include "uapi/npu_accel.h"

namespace npu::model::server {

class Device;
class Doorbells;
class QueueListener;

class Queue {
 public:
  struct Places {
    Device* device = nullptr;
    Vm* vm = nullptr;  // outlives the queue
    Doorbells* doorbells = nullptr;
    QueueListener* listener = nullptr;
    std::shared_ptr<Bo> ctrl;
    npu_queue_net net{};  // of class NET
  };

  // |args| has passed npu_validate_queue_create(), its memory is mapped. 0 or an errno.
  static int create(const Places& places, const std::shared_ptr<Account>& account,
                    const npu_queue_create& args, std::unique_ptr<Queue>* out);
  // Cancels what runs; afterwards the device touches none of its memory.
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  uint32_t number() const { return view_->number; }
  uint32_t slot() const { return slot_; }
  Vm* vm() const { return places_.vm; }
  const std::shared_ptr<QueueView>& view() const { return view_; }

  uint32_t state() const { return state_; }
  bool dead() const { return NPU_QUEUE_STATE_IS_DEAD(state_); }
  const npu_fault& fault() const { return fault_; }
  uint64_t epoch() const { return epoch_; }
  uint64_t progress() const;  // commands completed, from the device's own state

  // 0: stopped; EINPROGRESS: a command still runs, stopped() tells of its end.
  int suspend();
  static bool stopped(const QueueView& view);
  int resume();
  int set_priority(uint32_t priority);
  void set_timeout(uint32_t timeout_ms);

  // The device stopped it. |fault| may be all zero.
  void faulted(const npu_fault& fault);
  // Ends its life from outside; the client still has to destroy it.
  void kill(npu_queue_state state, int32_t status);

  // When the watchdog should look again; and whether it found the queue hanging.
  int64_t watchdog_due_ns() const { return due_ns_; }
  bool watchdog_expired(int64_t now_ns);

 private:
  Queue() = default;
  int start(const npu_queue_create& args);
  void stop_on_device();
  int64_t look_period_ns() const;

  Places places_;
  Charge charge_;
  std::shared_ptr<QueueView> view_ = std::make_shared<QueueView>();
  bool has_number_ = false;
  bool has_slot_ = false;
  bool on_device_ = false;
  bool pinned_ = false;
  uint32_t slot_ = 0;
  uint32_t state_ = NPU_QUEUE_STATE_READY;
  npu_fault fault_{};
  uint64_t epoch_ = 0;
  uint64_t ring_dva_ = 0;
  uint64_t ctrl_dva_ = 0;
  uint32_t ring_log2_ = 0;
  int64_t timeout_ns_ = 0;
  int64_t due_ns_ = 0;
  int64_t since_ns_ = 0;  // no progress since
  uint64_t seen_progress_ = 0;
  bool seen_busy_ = false;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_QUEUE_H_
