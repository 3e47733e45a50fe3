// SPDX-License-Identifier: Apache-2.0
// A user-mode queue as the device keeps it, and its access to ring, control page and records.
//
// Thread safety: `schedule` is guarded by the scheduler's mutex. Everything else belongs to the
// command processor while it runs the queue; `cancel` and `progress` may be used by any thread.
// Memory ordering: a command is copied after its doorbell was loaded with acquire; `completed` is
// stored with release after its record.
#ifndef NPU_MODEL_DEVICE_QUEUE_H_
#define NPU_MODEL_DEVICE_QUEUE_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "firmware-model/device/context.h"
#include "firmware-model/device/mmu.h"
#include "firmware-model/device/prepared_launch.h"
#include "firmware-model/device/signal_times.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_status.h"

namespace npu::model {

// How a command ended: the part of its completion record that the command decides.
struct Outcome {
  npu_status status = NPU_ST_OK;
  uint64_t result = 0;
  uint64_t fault_dva = 0;  // of a VM fault; in a list the record's result says something else
  uint64_t end_ps = 0;
  uint32_t pc = 0;
  uint32_t line = 0;
  uint32_t module = 0;
  uint32_t group = 0;
  uint16_t kernel = 0;
  uint16_t tile = 0;
  uint16_t list_index = 0;
  npu_fault_access access = NPU_ACCESS_NONE;
  npu_engine engine = NPU_ENGINE_CTRL;
  bool launched =
      false;  // a launch that succeeded: the next four are its record's, the place of a fault is not
  uint64_t mac_ops = 0;
  uint64_t tensor_ps = 0;
  uint64_t hbm_read_bytes = 0;
  uint64_t hbm_write_bytes = 0;
  bool parked = false;  // not ended: waits for a semaphore

  static Outcome error(npu_status status) {
    Outcome outcome;
    outcome.status = status;
    return outcome;
  }
  static Outcome vm_fault(uint64_t dva, npu_fault_access access) {
    Outcome outcome;
    outcome.status = NPU_ST_VM_FAULT;
    outcome.result = dva;
    outcome.fault_dva = dva;
    outcome.access = access;
    return outcome;
  }
};

// Writes the record of a command, 8-byte aligned.
void store_record(std::byte* at, const Outcome& outcome, uint64_t seq, uint32_t tag,
                  uint64_t start_ps);
// Likewise, of a launch that succeeded, by what it did.
struct CommandTimes {
  uint64_t start_ps;
  uint64_t end_ps;
};
void store_launch_record(std::byte* at, const LaunchOutcome& done, uint64_t seq, uint32_t tag,
                         const CommandTimes& times);

// A wait that did not hold when it was looked at. The word may be read as long as the generation of
// the address space is the same.
struct ParkedWait {
  const std::byte* word = nullptr;
  uint64_t generation = 0;
  uint32_t op = 0;
  uint64_t value = 0;
};

struct QueueConfig {
  uint32_t id = 0;
  uint32_t ring_log2 = NPU_RING_LOG2_MIN;
  uint32_t queue_class = NPU_QUEUE_COMPUTE;
  uint32_t doorbell_page = 0;
  uint32_t doorbell_slot = 0;
  uint64_t ring_dva = 0;
  uint64_t ctrl_dva = 0;
  uint64_t budget = 0;   // operations of one command
  bool goes_on = false;  // after a command that failed
  // Of class NET; else 0.
  uint64_t port_mask = 0;
  uint32_t mtu_bytes = 0;
};

// An indirect list that is being run.
struct ListRun {
  bool active = false;
  uint32_t index = 0;
  bool fetched = false;  // `command` holds entry `index`
  npu_cmd command{};
  // Of a known launch that was run for this entry and has not ended plainly: its end is to be told.
  PreparedLaunch* known = nullptr;
  uint64_t entry_start_ps = 0;
};

// Where the kernels of a queue print to.
struct PrintBuffer {
  uint64_t dva = 0;  // 0: nowhere
  uint32_t log2 = 0;
  uint64_t written = 0;
  uint64_t dropped = 0;
  CachedTranslation memory;

  uint32_t entries() const { return dva == 0 ? 0 : 1u << log2; }
};

struct Queue : std::enable_shared_from_this<Queue> {
  Queue(const QueueConfig& queue_config, std::shared_ptr<Context> queue_context)
      : config(queue_config), context(std::move(queue_context)) {}

  uint64_t entries() const { return uint64_t{1} << config.ring_log2; }
  const PageTableSpace& space() const { return context->space; }

  // Host addresses, nullptr when the memory is not mapped (any more).
  const std::byte* ring_slot(uint64_t seq);
  std::byte* ctrl();
  std::byte* record(uint64_t seq);

  // Writes the whole part of the control page that the device owns. False: not mapped.
  bool publish_all(npu_queue_state state, npu_status status, uint64_t error_seq);
  // Writes the state word only.
  bool publish_state(npu_queue_state state, npu_status status);

  // Ends the command that runs, a hung one too. Any thread.
  void end() {
    cancel.store(true);
    cancel.notify_all();
  }

  const QueueConfig config;
  const std::shared_ptr<Context> context;

  // Belongs to the command processor.
  uint64_t fetched = 0;
  uint64_t completed = 0;
  uint64_t errors = 0;  // commands that failed
  uint64_t time_ps = 0;
  uint64_t start_ps = 0;  // of the command that runs
  uint64_t interrupted_at = 0;
  bool has_command = false;  // `command` was fetched and has not ended
  npu_cmd command{};
  ListRun list;
  ParkedWait parked_wait;
  PrintBuffer print_buffer;
  EndTimes ends;
  CachedTranslation ring_memory;
  CachedTranslation ctrl_memory;
  CachedTranslation record_memory;
  CachedTranslation list_memory;
  CachedTranslation list_record_memory;
  CachedTranslations<4> word_memory;
  CachedTranslation args_memory;
  CachedModule module;
  PreparedLaunches launches;
  const std::byte* watched_completed = nullptr;
  uint64_t turn_work = 0;  // of the commands of this turn: in scalar instructions, some 10 ns each

  // Any thread.
  std::atomic<bool> cancel{false};
  std::atomic<uint64_t> progress{0};

  // Guarded by the scheduler's mutex.
  struct Schedule {
    uint32_t priority = NPU_PRIO_NORMAL;
    npu_queue_state state = NPU_QUEUE_STATE_READY;
    uint64_t write_index = 0;
    npu_status pending_fault = NPU_ST_OK;  // found outside of a command: a bad doorbell
    bool listed = false;                   // in a ready list
    bool parked = false;
  } schedule;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_QUEUE_H_
