// SPDX-License-Identifier: Apache-2.0
// The life of a command between doorbell and record.
#include "firmware-model/device/command_processor.h"

#include <array>
#include <atomic>
#include <cstddef>

#include "firmware-model/device/shared_memory.h"
#include "firmware-model/device/virtual_time.h"

namespace npu::model {
namespace {

// More would keep the other queues waiting; a longer list is several EXECs.
constexpr uint32_t kMaxListCommands = 65536;
// Lists and their records are walked in order: one miss then serves many commands.
constexpr uint64_t kListAheadBytes = 64 * 1024;
// Every so many commands a list looks for more urgent queues; a long launch does so by itself.
constexpr uint32_t kListLook = 16;
// What short commands may take at most, in what Queue::turn_work counts and in bytes: some 10 us.
constexpr uint64_t kShortWork = 1000;
constexpr uint64_t kShortBytes = 128 * 1024;

bool allowed_in_list(uint8_t op) {
  return op != NPU_CMD_EXEC && op != NPU_CMD_MODULE_LOAD && op != NPU_CMD_MODULE_UNLOAD &&
         op != NPU_CMD_PRINT_BUFFER;
}

// A queue of class COPY has no tiles behind it, one of class NET has ports, which move what is there.
bool allowed_in_class(uint32_t queue_class, uint8_t op) {
  if (queue_class == NPU_QUEUE_COMPUTE) return true;
  return op != NPU_CMD_LAUNCH && (queue_class != NPU_QUEUE_NET || op != NPU_CMD_FILL);
}

Outcome read_fault(const Queue& queue, uint64_t dva) {
  Outcome fault = Outcome::vm_fault(dva, NPU_ACCESS_READ);
  fault.status = queue.space().fault_status(dva, NPU_ACCESS_READ);
  return fault;
}

uint64_t entry_dva(const Queue& queue, const npu_cmd_exec& command) {
  return command.list_dva + uint64_t{queue.list.index} * NPU_CMD_BYTES;
}

uint64_t record_dva(const Queue& queue, const npu_cmd_exec& command) {
  return command.records_dva + uint64_t{queue.list.index} * NPU_COMPLETION_BYTES;
}

Outcome entry_fault(const Queue& queue, const npu_cmd_exec& command) {
  Outcome fault = read_fault(queue, entry_dva(queue, command));
  fault.end_ps = queue.list.entry_start_ps;
  return fault;
}

bool is_small(uint64_t width_bytes, uint64_t height, uint64_t depth) {
  return width_bytes <= kShortBytes && height <= kShortBytes && depth <= kShortBytes &&
         width_bytes * height * depth <= kShortBytes;
}

Outcome bad_command(uint64_t start_ps) {
  Outcome outcome = Outcome::error(NPU_ST_BAD_COMMAND);
  outcome.end_ps = later_ps(start_ps, kCommandPs);
  return outcome;
}

}  // namespace

bool CommandProcessor::fetch(Queue& queue) {
  const std::byte* slot = queue.ring_slot(queue.fetched);
  std::byte* page = slot == nullptr ? nullptr : queue.ctrl();
  if (page == nullptr) {
    const uint64_t ring_offset = (queue.fetched & (queue.entries() - 1)) * NPU_CMD_BYTES;
    stop(queue, slot == nullptr ? read_fault(queue, queue.config.ring_dva + ring_offset)
                                : Outcome::vm_fault(queue.config.ctrl_dva, NPU_ACCESS_WRITE));
    return false;
  }
  load_struct(slot, &queue.command);
  ++queue.fetched;
  queue.has_command = true;
  queue.start_ps = queue.time_ps;
  queue.list = {};
  store_word(page + offsetof(npu_queue_ctrl, fetched), queue.fetched);
  return true;
}

bool CommandProcessor::takes_hang(const Queue& queue) {
  const uint64_t wanted = hang_queue_.load(std::memory_order_relaxed);
  return (wanted == kAnyQueue || wanted == queue.config.id) && hang_armed_.exchange(false);
}

// Of the command that was fetched. A launch may take longer than the one before it did, and a copy than its bytes say: that is seen by the one who waits (Scheduler::sleep).
bool CommandProcessor::is_short(const Queue& queue) {
  const npu_cmd& command = queue.command;
  switch (command.op) {
    case NPU_CMD_LAUNCH: {
      const PreparedLaunch* const known = CommandRunner::known(queue, command);
      return known != nullptr && known->work <= kShortWork;
    }
    case NPU_CMD_COPY: {
      const auto& copy = command_as<npu_cmd_copy>(command);
      return queue.config.queue_class != NPU_QUEUE_NET &&
             is_small(copy.width_bytes, copy.height, copy.depth);
    }
    case NPU_CMD_FILL: {
      const auto& fill = command_as<npu_cmd_fill>(command);
      return is_small(fill.width_bytes, fill.height, 1);
    }
    case NPU_CMD_EXEC:
    case NPU_CMD_MODULE_LOAD:
    case NPU_CMD_MODULE_UNLOAD:
      return false;
    default:
      return true;
  }
}

StepResult CommandProcessor::step(Queue& queue, StepScope scope) {
  if (!queue.has_command) {
    if (!fetch(queue)) return StepResult::kFaulted;
    // Asleep, and deaf to everything but the end of the queue.
    if (hang_armed_.load(std::memory_order_acquire) && takes_hang(queue)) {
      queue.cancel.wait(false);
      return StepResult::kCanceled;
    }
  }
  if (scope == StepScope::kShort && !is_short(queue)) return StepResult::kLong;
  const npu_cmd& command = queue.command;
  const Outcome outcome = run_command(queue, command);
  if (outcome.parked) return StepResult::kParked;
  if (queue.cancel.load(std::memory_order_relaxed)) return StepResult::kCanceled;
  return finish(queue, outcome);
}

Outcome CommandProcessor::run_command(Queue& queue, const npu_cmd& command) {
  PreparedLaunch* const known = runner_.known(queue, command);
  if (known != nullptr) return runner_.run_known(queue, *known, command, queue.start_ps);
  if (!command_is_well_formed(command) || !allowed_in_class(queue.config.queue_class, command.op)) {
    return bad_command(queue.start_ps);
  }
  if (command.op == NPU_CMD_EXEC) return run_list(queue, command_as<npu_cmd_exec>(command));
  return runner_.run(queue, command, queue.start_ps);
}

Outcome CommandProcessor::run_list(Queue& queue, const npu_cmd_exec& command) {
  ListRun& list = queue.list;
  if (!list.active) {
    Outcome bad = bad_command(queue.start_ps);
    if (command.count > kMaxListCommands) return bad;
    const uint64_t bytes = uint64_t{command.count} * NPU_CMD_BYTES;
    if (command.list_dva > UINT64_MAX - bytes || command.records_dva > UINT64_MAX - bytes) {
      return bad;
    }
    bad.status = NPU_ST_UNALIGNED_ACCESS;
    if (command.list_dva % NPU_CMD_BYTES != 0 || command.records_dva % 8 != 0) return bad;
    list.active = true;
    list.entry_start_ps = later_ps(queue.start_ps, kCommandPs);
  }
  while (list.index < command.count) {
    // Whoever removed the queue while it had stepped aside has not waited: see Scheduler::stopped().
    if (queue.cancel.load(std::memory_order_relaxed)) return Outcome::error(NPU_ST_CANCELED);
    if (!run_known_entry(queue, command)) {
      // No assignment: an outcome is large, and made in its place.
      Outcome outcome = list.fetched ? run_list_entry(queue, command) : entry_fault(queue, command);
      if (outcome.parked) return outcome;
      if (outcome.status != NPU_ST_OK) {
        outcome.result = list.index;
        outcome.list_index = static_cast<uint16_t>(list.index);
        return outcome;
      }
      list.entry_start_ps = outcome.end_ps;
    }
    list.fetched = false;
    ++list.index;
    parts_.quiet();
    const bool look = list.index % kListLook == 0 && list.index < command.count;
    if (look && parts_.urgent(queue)) parts_.step_aside(queue);
  }
  Outcome outcome;
  outcome.end_ps = list.entry_start_ps;
  return outcome;
}

bool CommandProcessor::fetch_list_entry(Queue& queue, const npu_cmd_exec& command) {
  ListRun& list = queue.list;
  if (list.fetched) return true;
  const std::byte* entry = queue.list_memory.get(queue.space(), entry_dva(queue, command),
                                                 NPU_CMD_BYTES, NPU_ACCESS_READ, kListAheadBytes);
  if (entry == nullptr) return false;
  load_struct(entry, &list.command);
  list.fetched = true;
  list.known = nullptr;
  return true;
}

// Most of what lists are made of, straight to its record: a launch that is known, of one work-group, which ends well. False: it is something else, or has not ended so; run_list_entry() goes on.
bool CommandProcessor::run_known_entry(Queue& queue, const npu_cmd_exec& command) {
  ListRun& list = queue.list;
  if (!fetch_list_entry(queue, command)) [[unlikely]]
    return false;
  PreparedLaunch* const known = runner_.known(queue, list.command);
  if (known == nullptr || known->request.groups != 1) [[unlikely]]
    return false;
  std::byte* record = nullptr;
  if (command.records_dva != 0) {
    const uint64_t dva = record_dva(queue, command);
    if (dva % NPU_COMPLETION_BYTES != 0) [[unlikely]]
      return false;
    record = queue.list_record_memory.get(queue.space(), dva, NPU_COMPLETION_BYTES,
                                          NPU_ACCESS_WRITE, kListAheadBytes);
    if (record == nullptr) [[unlikely]]
      return false;
  }
  const LaunchOutcome* const done = runner_.begin_known(queue, *known, list.command);
  if (done == nullptr) [[unlikely]]
    return false;
  if (!done->is_plain() || queue.cancel.load(std::memory_order_relaxed)) [[unlikely]] {
    list.known = known;
    return false;
  }
  const uint64_t end_ps = later_ps(list.entry_start_ps, done->duration_ps);
  if (record != nullptr) {
    store_launch_record(record, *done, list.index, list.command.tag, {list.entry_start_ps, end_ps});
  }
  list.entry_start_ps = end_ps;
  return true;
}

Outcome CommandProcessor::run_in_list(Queue& queue, const npu_cmd& command, uint64_t start_ps) {
  if (queue.list.known != nullptr) {
    return runner_.end_known(queue, *queue.list.known, command, start_ps);
  }
  PreparedLaunch* const known = runner_.known(queue, command);
  if (known != nullptr) return runner_.run_known(queue, *known, command, start_ps);
  const bool allowed = command_is_well_formed(command) && allowed_in_list(command.op) &&
                       allowed_in_class(queue.config.queue_class, command.op);
  return allowed ? runner_.run(queue, command, start_ps) : bad_command(start_ps);
}

Outcome CommandProcessor::run_list_entry(Queue& queue, const npu_cmd_exec& command) {
  const ListRun& list = queue.list;
  Outcome outcome = run_in_list(queue, list.command, list.entry_start_ps);
  const bool canceled = queue.cancel.load(std::memory_order_relaxed);
  if (outcome.parked || canceled || command.records_dva == 0) return outcome;
  if (!write_list_record(queue, command, outcome)) {
    const uint64_t end_ps = outcome.end_ps;
    outcome = Outcome::vm_fault(record_dva(queue, command), NPU_ACCESS_WRITE);
    outcome.end_ps = end_ps;
  }
  return outcome;
}

bool CommandProcessor::write_list_record(Queue& queue, const npu_cmd_exec& command,
                                         const Outcome& outcome) {
  const ListRun& list = queue.list;
  const auto store = [&](std::byte* at) {
    store_record(at, outcome, list.index, list.command.tag, list.entry_start_ps);
  };
  const uint64_t dva = record_dva(queue, command);
  if (dva % NPU_COMPLETION_BYTES == 0) {
    std::byte* at = queue.list_record_memory.get(queue.space(), dva, NPU_COMPLETION_BYTES,
                                                 NPU_ACCESS_WRITE, kListAheadBytes);
    if (at == nullptr) return false;
    store(at);
    return true;
  }
  // A record that is only 8-byte aligned may lie on two pages: word by word.
  std::array<uint64_t, NPU_COMPLETION_BYTES / 8> words;
  store(reinterpret_cast<std::byte*>(words.data()));
  for (size_t i = 0; i < words.size(); ++i) {
    std::byte* word = queue.list_record_memory.get(queue.space(), dva + i * 8, 8, NPU_ACCESS_WRITE);
    if (word == nullptr) return false;
    store_word(word, words[i]);
  }
  return true;
}

StepResult CommandProcessor::finish(Queue& queue, const Outcome& outcome) {
  std::byte* record = queue.record(queue.completed);
  std::byte* page = record == nullptr ? nullptr : queue.ctrl();
  if (page == nullptr) {
    const uint64_t offset = (queue.completed & (queue.entries() - 1)) * NPU_COMPLETION_BYTES;
    const uint64_t dva =
        record == nullptr ? queue.config.ctrl_dva + NPU_CTRL_BYTES + offset : queue.config.ctrl_dva;
    stop(queue, Outcome::vm_fault(dva, NPU_ACCESS_WRITE));
    return StepResult::kFaulted;
  }
  const std::byte* completed_word = page + offsetof(npu_queue_ctrl, completed);
  if (completed_word != queue.watched_completed) {
    parts_.signals.unwatch_completed(queue.watched_completed, &queue.ends);
    queue.watched_completed = completed_word;
    parts_.signals.watch_completed(completed_word, &queue.ends);
  }
  publish(queue, outcome, record, page);
  parts_.registers.add(NPU_REG_COMMANDS, 1);
  parts_.registers.raise_own(NPU_REG_TIME_PS, outcome.end_ps);
  interrupt_when_asked(queue, page);
  if (outcome.status == NPU_ST_OK) return StepResult::kDone;
  parts_.registers.add(NPU_REG_FAULTS, 1);
  const bool goes_on = queue.config.goes_on;
  post_fault(queue, goes_on ? NPU_EVENT_COMMAND_FAULT : NPU_EVENT_QUEUE_FAULT, queue.completed - 1,
             outcome);
  return goes_on ? StepResult::kDone : StepResult::kFaulted;
}

void CommandProcessor::publish(Queue& queue, const Outcome& outcome, std::byte* record,
                               std::byte* page) {
  const uint64_t seq = queue.completed;
  store_record(record, outcome, seq, queue.command.tag, queue.start_ps);
  queue.has_command = false;
  queue.time_ps = outcome.end_ps;
  queue.ends.push(outcome.end_ps);
  queue.completed = seq + 1;
  queue.progress.store(queue.completed, std::memory_order_relaxed);
  if (outcome.status != NPU_ST_OK) {
    ++queue.errors;
    if (!queue.config.goes_on) {
      queue.publish_all(NPU_QUEUE_STATE_FAULTED, outcome.status, seq);
      return;
    }
    store_word(page + offsetof(npu_queue_ctrl, errors), queue.errors);
  }
  store_word(page + offsetof(npu_queue_ctrl, time_ps), queue.time_ps);
  // pairs with libnpu/src/core/ring.cpp : Ring::completed
  store_word(page + offsetof(npu_queue_ctrl, completed), queue.completed,
             std::memory_order_release);
}

void CommandProcessor::interrupt_when_asked(Queue& queue, const std::byte* page) {
  // pairs with libnpu/src/core/ring.cpp : Ring::sleep_until
  // and with firmware-model/server/condition.cpp : arm_interrupt
  // and with driver/npu_wait.c : npu_arm_interrupt
  // They store interrupt_at, fence, and load completed again: either they see our completed or we
  // see their interrupt_at.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint64_t wanted = load_word(page + offsetof(npu_queue_ctrl, interrupt_at));
  if (wanted == 0 || queue.completed < wanted || wanted == queue.interrupted_at) return;
  queue.interrupted_at = wanted;
  npu_event_record event{};
  event.type = NPU_EVENT_COMPLETION;
  event.queue = queue.config.id;
  event.value = queue.completed;
  event.context = static_cast<__u16>(queue.context->id);
  events_.post(event);
  interrupts_.raise(NPU_IRQ_EVENT | NPU_IRQ_QUEUE);
}

void CommandProcessor::stop(Queue& queue, const Outcome& outcome) {
  queue.publish_all(NPU_QUEUE_STATE_FAULTED, outcome.status, queue.completed);
  parts_.registers.add(NPU_REG_FAULTS, 1);
  post_fault(queue, NPU_EVENT_QUEUE_FAULT, queue.completed, outcome);
}

void CommandProcessor::post_fault(const Queue& queue, npu_event_type type, uint64_t seq,
                                  const Outcome& outcome) {
  npu_event_record event{};
  event.type = type;
  event.queue = queue.config.id;
  event.value = seq;
  event.status = outcome.status;
  event.pc = outcome.pc;
  event.address_dva = outcome.fault_dva;
  event.module = outcome.module;
  event.kernel = outcome.kernel;
  event.tile = outcome.tile;
  event.line = outcome.line;
  event.access = static_cast<__u8>(outcome.access);
  event.engine = static_cast<__u8>(outcome.engine);
  event.context = static_cast<__u16>(queue.context->id);
  event.group = outcome.group;
  events_.post(event);
  interrupts_.raise(NPU_IRQ_EVENT);
}

}  // namespace npu::model
