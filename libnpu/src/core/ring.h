// SPDX-License-Identifier: Apache-2.0
// Ring: one device queue and the memory that it shares with the device (uapi/npu_queue.h): control page, completion records, commands, argument blocks.
// It counts as the device does, from 0; Queue adds what went before a reset.
//
// Thread safety: push(), bell(), room and record_of() belong to the holder of the queue's mutex; the rest may be called by anybody.
// Memory ordering: bell() publishes what was pushed through Backend::ring (release); completed() is an acquire load, after it everything that the device wrote for the commands below is visible.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/status.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_queue.h"

namespace npu {

struct RingOptions {
  uint32_t entries_log2 = 10;
  uint32_t priority = 1;       // enum npu_priority
  uint32_t timeout_ms = 0;     // 0: the device's default
  uint32_t queue_class = 0;    // enum npu_queue_class
  bool goes_on = false;        // after a command that failed
  bool has_live_word = false;  // device and driver keep npu_queue_ctrl.live
  npu_queue_net net{};         // of class NET
};

class Ring {
 public:
  // The first failed command, or status 0.
  struct Failure {
    int32_t status = 0;
    uint64_t seq = 0;
  };

  static Result<std::unique_ptr<Ring>> create(Vm& vm, const RingOptions& options);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  uint32_t entries() const { return 1u << options_.entries_log2; }
  uint64_t submitted() const { return submitted_; }
  // Address of the word that counts completed commands, for SEM_WAIT of other queues.
  uint64_t completed_dva() const;

  // Whether |slots| commands with |args_bytes| of arguments together fit now; if not, *out_needed commands must have completed first.
  bool has_room(uint32_t slots, uint32_t args_bytes, uint64_t* out_needed);
  // Not below |needed|: with so many completed, a quarter of the slots is free.
  uint64_t roomier(uint64_t needed) const {
    const uint64_t most = uint64_t{entries()} - entries() / 4;
    return std::max(needed, submitted_ > most ? submitted_ - most : 0);
  }
  // Writes the command. args: copied beside the ring, its address goes to the launch. The command's number is submitted() before the call.
  void push(const npu_cmd& command, const void* args, uint32_t args_bytes);
  // Tells the device of everything that was pushed.
  void bell();

  // Backend::device_is_here().
  bool device_is_here() const { return vm_.backend().device_is_here(); }

  // Commands that have ended. Acquire.
  uint64_t completed() const;
  // Call completed() first: a failure of a command below it is then seen. What stop() does to the queue is no failure.
  Failure failure() const;
  // How many of them have failed; of a queue that goes on. Call completed() first.
  uint64_t errors() const;
  // Device time of the queue: the end of its last command.
  uint64_t time_ps() const;
  // The record of a completed command; false when its slot was given to a later one.
  bool record_of(uint64_t seq, npu_completion* out) const;

  // Gates of host functions: the ticket of the next one, the word that it waits for, and its opening (of the holder of the queue's mutex).
  uint64_t take_gate_ticket() { return ++gate_tickets_; }
  uint64_t gate_dva() const;
  void open_gate(uint64_t ticket);

  // Sleeps until about |count| commands have completed, the state changed, or the time is over; look again afterwards.
  SleepEnd sleep_until(uint64_t count, int64_t timeout_ns);
  // In two steps, for a sleep on words of several queues: the device will wake who sleeps at |count|. False: there is nothing to sleep for. Either way end_sleep() follows.
  bool begin_sleep(uint64_t count, SleepWord* out);
  void end_sleep(uint64_t count);
  void wake_all();

  // Adds 1 to the eventfd |fd| when |count| commands have completed or the queue has died; UINT64_MAX: only when it has died. The caller has seen that it lives.
  Status notify(uint64_t count, int fd, uint64_t* out_cookie);
  // The same for a word of memory, looked at whenever a command of this queue has ended.
  Status notify_word(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd,
                     uint64_t* out_cookie);
  void forget_notify(uint64_t cookie);

  // Ends the device queue: nothing of it runs afterwards. Idempotent.
  void stop();

 private:
  Ring(Vm& vm, const RingOptions& options) : vm_(vm), options_(options) {}
  Status create_memory();
  Status create_queue();
  npu_queue_ctrl* ctrl() const { return reinterpret_cast<npu_queue_ctrl*>(base_); }
  const uint64_t* completed_word() const {
    return reinterpret_cast<const uint64_t*>(base_ + offsetof(npu_queue_ctrl, completed));
  }
  uint64_t records_offset() const { return NPU_CTRL_BYTES; }
  uint64_t ring_offset() const;
  uint64_t args_offset() const;
  bool args_fit(uint32_t args_bytes, uint64_t* out_needed);
  Failure read_failure() const;

  Vm& vm_;
  const RingOptions options_;
  std::unique_ptr<Buffer> memory_;
  std::byte* base_ = nullptr;
  uint64_t dva_ = 0;
  uint32_t queue_id_ = 0;
  uint32_t doorbell_slot_ = 0;
  std::atomic<bool> stopped_{false};
  Failure last_failure_;  // once stopped_

  // By the holder of the queue's mutex.
  uint64_t submitted_ = 0;
  uint64_t gate_tickets_ = 0;
  uint64_t seen_completed_ = 0;  // cached: the device's line is read only when the ring looks full
  uint64_t args_bytes_ = 0;      // size of the argument area
  uint64_t args_head_ = 0;       // bytes ever used of it
  std::vector<uint64_t> args_end_;  // by slot: args_head_ after that command

  Status request_notify(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd,
                        uint64_t cookie);
  void arm_locked();
  void drop_reached_locked();

  std::mutex sleepers_mutex_;
  std::multiset<uint64_t> sleepers_;                 // counts that sleepers and eventfds want
  std::unordered_map<uint64_t, uint64_t> notified_;  // cookie -> its count in sleepers_
  std::unordered_set<uint64_t> word_cookies_;        // requests that every command matters to
};

}  // namespace npu
