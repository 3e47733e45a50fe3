// SPDX-License-Identifier: Apache-2.0
// One step of a queue: fetch a command, run it (EXEC: its list), write its record, tell the host.
//
// Thread safety: one thread at a time; step() of another queue also from inside of step_aside(). Memory ordering: see uapi/npu_queue.h; completion and
// interrupt follow the lost wake-up rule.
#ifndef NPU_MODEL_DEVICE_COMMAND_PROCESSOR_H_
#define NPU_MODEL_DEVICE_COMMAND_PROCESSOR_H_

#include <atomic>
#include <cstdint>

#include "firmware-model/device/command.h"
#include "firmware-model/device/event.h"
#include "firmware-model/device/interrupt.h"
#include "firmware-model/device/queue.h"

namespace npu::model {

enum class StepResult : uint8_t {
  kDone,      // the command has ended, and the queue goes on
  kParked,    // it waits; step() again when its condition may hold
  kFaulted,   // the queue stopped at an error, which is published
  kCanceled,  // the queue's `cancel` ended the command; nothing was written
  kLong,      // not begun: it may take long
};

// Which commands step() runs.
enum class StepScope : uint8_t { kAll, kShort };

class CommandProcessor {
 public:
  CommandProcessor(const CommandRunner::Parts& parts, EventRing& events, Interrupts& interrupts)
      : parts_(parts), runner_(parts), events_(events), interrupts_(interrupts) {}

  // Goes on with the parked command, or takes the next one from the ring: the caller knows that
  // there is one.
  StepResult step(Queue& queue, StepScope scope);
  // The next command of this device queue never ends, until the queue does. Any thread.
  static constexpr uint64_t kAnyQueue = ~uint64_t{0};
  void hang_next(uint64_t queue) {
    hang_queue_.store(queue, std::memory_order_relaxed);
    hang_armed_.store(true, std::memory_order_release);
  }
  // Stops the queue for a reason that is no command's.
  void stop(Queue& queue, const Outcome& outcome);

 private:
  bool fetch(Queue& queue);
  bool takes_hang(const Queue& queue);
  static bool is_short(const Queue& queue);
  Outcome run_command(Queue& queue, const npu_cmd& command);
  Outcome run_list(Queue& queue, const npu_cmd_exec& command);
  Outcome run_in_list(Queue& queue, const npu_cmd& command, uint64_t start_ps);
  bool run_known_entry(Queue& queue, const npu_cmd_exec& command);
  bool fetch_list_entry(Queue& queue, const npu_cmd_exec& command);
  Outcome run_list_entry(Queue& queue, const npu_cmd_exec& command);
  bool write_list_record(Queue& queue, const npu_cmd_exec& command, const Outcome& outcome);
  StepResult finish(Queue& queue, const Outcome& outcome);
  void publish(Queue& queue, const Outcome& outcome, std::byte* record, std::byte* page);
  void interrupt_when_asked(Queue& queue, const std::byte* page);
  void post_fault(const Queue& queue, npu_event_type type, uint64_t seq, const Outcome& outcome);

  const CommandRunner::Parts parts_;
  CommandRunner runner_;
  EventRing& events_;
  Interrupts& interrupts_;
  std::atomic<uint64_t> hang_queue_{kAnyQueue};
  std::atomic<bool> hang_armed_{false};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_COMMAND_PROCESSOR_H_
