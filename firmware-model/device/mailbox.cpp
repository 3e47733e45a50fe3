// SPDX-License-Identifier: Apache-2.0
// The mailbox of a device: contexts, queues, the rings, sensors and identity.
//
// A command that waits for a queue to stop answers when it has stopped. Written to MBOX_CMD it
// leaves MBOX_STATUS busy until then; a further write abandons the waiting, not the effect: a
// driver may destroy a queue that does not let itself be suspended.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "firmware-model/device/device.h"
#include "firmware-model/device/shared_memory.h"
#include "uapi/npu_pagetable.h"

namespace npu::model {
namespace {

constexpr uint64_t kDefaultBudget = uint64_t{1} << 32;

// Zeros without touching pages that were never written. |at| and |bytes| are multiples of 64 KiB,
// so the piece lies in one mapping.
void clear_granule(std::byte* at, size_t bytes) {
  if (madvise(at, bytes, MADV_REMOVE) == 0) return;
  // Not shared memory: the device's own anonymous range, where dropped pages read as zero.
  if (errno == EINVAL && madvise(at, bytes, MADV_DONTNEED) == 0) return;
  std::memset(at, 0, bytes);
}

}  // namespace

Context* Device::context_of(uint64_t number) {
  return number < contexts_.size() ? contexts_[number].get() : nullptr;
}

Queue* Device::queue_of(uint64_t number) {
  return number < queues_.size() ? queues_[number].get() : nullptr;
}

npu_status Device::mailbox(uint32_t command, Args args, uint64_t* result) {
  *result = 0;
  if (command == NPU_MBOX_HBM_CLEAR) return admitted_hbm_clear(args);
  Lock lock(scheduler_);
  if (const npu_status status = admit_command(); status != NPU_ST_OK) return status;
  const Answer answer = begin_command(lock, command, args);
  if (const auto& queue = answer.until_stopped; queue != nullptr) {
    scheduler_.wait(lock, [&] { return scheduler_.stopped(*queue); });
    end_command(*queue);
  }
  *result = answer.result;
  return answer.status;
}

void Device::start_mailbox_command(uint32_t command) {
  std::array<uint64_t, 8> args;
  for (size_t i = 0; i < args.size(); ++i) {
    args[i] = registers_.get(static_cast<npu_reg>(NPU_REG_MBOX_ARG0 + 8 * i));
  }
  if (command == NPU_MBOX_HBM_CLEAR) {
    Answer answer;
    answer.status = admitted_hbm_clear(args);
    Lock lock(scheduler_);
    if (answer.status != NPU_ST_TIMEOUT) return answer_registers(answer);
    registers_.set(NPU_REG_MBOX_STATUS, NPU_MBOX_BUSY);
    return;
  }
  Lock lock(scheduler_);
  for (Answer& earlier : pending_answers_) earlier.to_registers = false;
  registers_.set(NPU_REG_MBOX_STATUS, NPU_MBOX_BUSY);
  Answer answer;
  answer.status = admit_command();
  if (answer.status == NPU_ST_TIMEOUT) return;
  if (answer.status == NPU_ST_OK) answer = begin_command(lock, command, args);
  if (answer.until_stopped == nullptr) return answer_registers(answer);
  answer.to_registers = true;
  pending_answers_.push_back(std::move(answer));
  finish_pending_answers();
}

void Device::finish_pending_answers() {
  for (size_t i = 0; i < pending_answers_.size();) {
    if (!scheduler_.stopped(*pending_answers_[i].until_stopped)) {
      ++i;
      continue;
    }
    const Answer answer = std::move(pending_answers_[i]);
    pending_answers_.erase(pending_answers_.begin() + static_cast<ptrdiff_t>(i));
    end_command(*answer.until_stopped);
    if (answer.to_registers) answer_registers(answer);
  }
}

void Device::answer_registers(const Answer& answer) {
  registers_.set(NPU_REG_MBOX_RESULT, answer.result);
  registers_.set(NPU_REG_MBOX_STATUS, static_cast<uint32_t>(answer.status));
  interrupts_.raise(NPU_IRQ_MAILBOX);
}

npu_status Device::admit_command() {
  if (resetting_) return NPU_ST_BUSY;
  if (!firmware_runs()) return NPU_ST_NOT_INITIALIZED;
  if (armed_.mbox_stall == 0) return NPU_ST_OK;
  --armed_.mbox_stall;
  return NPU_ST_TIMEOUT;
}

// Long, and without effect on anything that the scheduler's mutex guards.
npu_status Device::admitted_hbm_clear(Args args) {
  {
    Lock lock(scheduler_);
    if (const npu_status status = admit_command(); status != NPU_ST_OK) return status;
  }
  return hbm_clear(args[0], args[1]);
}

Device::Answer Device::begin_command(Lock& lock, uint32_t command, Args args) {
  Answer answer;
  switch (command) {
    case NPU_MBOX_CONTEXT_CREATE:
      return context_create(args);
    case NPU_MBOX_CONTEXT_DESTROY:
      return context_destroy(args);
    case NPU_MBOX_TLB_FLUSH:
      if (Context* context = context_of(args[0]); context != nullptr) {
        context->space.flush();
        // A parked queue looks at its word through the new tables.
        scheduler_.kick(lock);
      } else {
        answer.status = NPU_ST_NOT_FOUND;
      }
      return answer;
    case NPU_MBOX_QUEUE_CREATE:
      return queue_create(lock, args);
    case NPU_MBOX_QUIESCE:
      answer.result = scheduler_.take_ticket(lock);
      return answer;
    case NPU_MBOX_EVENT_RING:
    case NPU_MBOX_ERROR_RING:
    case NPU_MBOX_METRIC:
    case NPU_MBOX_IDENTITY:
    case NPU_MBOX_INJECT:
    case NPU_MBOX_PORT:
      return report_command(lock, command, args);
    default:
      return queue_command(lock, command, args);
  }
}

// What the device tells about itself.
Device::Answer Device::report_command(Lock& lock, uint32_t command, Args args) {
  Answer answer;
  switch (command) {
    case NPU_MBOX_EVENT_RING:
      answer.status = events_.configure(args[0], args[1]);
      return answer;
    case NPU_MBOX_ERROR_RING:
      answer.status = ras_.configure_ring(args[0], args[1]);
      return answer;
    case NPU_MBOX_METRIC:
      return metric(lock, args[0]);
    case NPU_MBOX_IDENTITY:
      return identity(args[0]);
    case NPU_MBOX_PORT:
      return port(args);
    default:
      // Answered before the fault shows: a driver that stops its own firmware learns that it did.
      answer.status = args[0] > UINT32_MAX
                          ? NPU_ST_NOT_FOUND
                          : inject(lock, static_cast<uint32_t>(args[0]), args[1], args[2]);
      return answer;
  }
}

Device::Answer Device::metric(Lock& lock, uint64_t id) {
  Answer answer;
  look_at_heat(lock);
  int64_t value = 0;
  if (!firmware_runs()) {
    answer.status = NPU_ST_NOT_INITIALIZED;
  } else if (id == NPU_METRIC_ECC_SBE || id == NPU_METRIC_ECC_DBE) {
    answer.result = id == NPU_METRIC_ECC_SBE ? ras_.ecc_sbe() : ras_.ecc_dbe();
  } else if (id < NPU_METRIC_ID_END && sensors_.read(static_cast<uint32_t>(id), &value)) {
    answer.result = static_cast<uint64_t>(value);
  } else {
    answer.status = NPU_ST_NOT_FOUND;
  }
  return answer;
}

Device::Answer Device::identity(uint64_t word) const {
  Answer answer;
  std::array<uint8_t, 64> bytes{};
  constexpr size_t kNameBytes = 32;
  static_assert(sizeof(profile_.name) == kNameBytes);
  std::memcpy(bytes.data(), profile_.name, strnlen(profile_.name, kNameBytes - 1));
  std::copy(uuid_.begin(), uuid_.end(), bytes.begin() + kNameBytes);
  std::copy(firmware_.build_id.begin(), firmware_.build_id.end(),
            bytes.begin() + kNameBytes + sizeof(uuid_));
  if (word >= bytes.size() / 8) {
    answer.status = NPU_ST_INVALID_ARGUMENT;
    return answer;
  }
  for (size_t i = 8; i-- > 0;) answer.result = answer.result << 8 | bytes[word * 8 + i];
  return answer;
}

Device::Answer Device::port(Args args) const {
  Answer answer;
  npu_port_info info{};
  const uint64_t iova = args[1];
  if (!network_.describe(args[0], &info)) {
    answer.status = NPU_ST_NOT_FOUND;
  } else if (iova % 8 != 0 || args[2] % 8 != 0) {
    answer.status = NPU_ST_UNALIGNED;
  } else {
    const uint64_t bytes = std::min<uint64_t>(args[2], sizeof(info));
    uint64_t room = 0;
    auto* at = static_cast<std::byte*>(ports_.host_memory(ports_.ctx, iova, 1, &room));
    if (at == nullptr || room < bytes) {
      answer.status = NPU_ST_INVALID_ADDRESS;
      return answer;
    }
    for (uint64_t byte = 0; byte < bytes; byte += 8) {
      uint64_t word = 0;
      std::memcpy(&word, reinterpret_cast<const std::byte*>(&info) + byte, 8);
      store_word(at + byte, word);
    }
    answer.result = bytes;
  }
  return answer;
}

void Device::hear_traffic(uint32_t port, const npu_port_traffic& other_end) {
  if (port >= network_.count()) return;
  traffic_.add(
      port, {other_end.rx_bytes, other_end.tx_bytes, other_end.rx_packets, other_end.tx_packets});
}

void Device::on_port_state(uint32_t port, npu_port_state state) {
  npu_event_record record{};
  record.type = NPU_EVENT_PORT_STATE;
  record.queue = port;
  record.value = state;
  events_.post(record);
  interrupts_.raise(NPU_IRQ_EVENT);
}

uint64_t Device::host_changed() {
  Lock lock(scheduler_);
  for (const auto& context : contexts_) {
    if (context != nullptr) context->space.flush();
  }
  // A parked queue looks at its word through the new translations.
  scheduler_.kick(lock);
  return scheduler_.take_ticket(lock);
}

Device::Answer Device::queue_command(Lock& lock, uint32_t command, Args args) {
  Answer answer;
  Queue* queue = queue_of(args[0]);
  const bool known = (command >= NPU_MBOX_QUEUE_DESTROY && command <= NPU_MBOX_QUEUE_PROGRESS) ||
                     command == NPU_MBOX_QUEUE_SUBMITTED;
  if (!known || queue == nullptr) {
    answer.status = known ? NPU_ST_NOT_FOUND : NPU_ST_NOT_SUPPORTED;
    return answer;
  }
  switch (command) {
    case NPU_MBOX_QUEUE_DESTROY:
      answer.until_stopped = std::move(queues_[args[0]]);
      scheduler_.remove(lock, *answer.until_stopped, NPU_QUEUE_STATE_KILLED);
      break;
    case NPU_MBOX_QUEUE_SUSPEND:
      answer.until_stopped = queues_[args[0]];
      scheduler_.suspend(lock, *queue);
      break;
    case NPU_MBOX_QUEUE_RESUME:
      if (queue->schedule.state == NPU_QUEUE_STATE_SUSPENDED && !scheduler_.runs(*queue)) {
        queue->publish_state(NPU_QUEUE_STATE_READY, NPU_ST_OK);
      }
      scheduler_.resume(lock, *queue);
      break;
    case NPU_MBOX_QUEUE_PRIORITY:
      if (args[1] >= NPU_PRIO_COUNT) {
        answer.status = NPU_ST_INVALID_ARGUMENT;
      } else {
        scheduler_.set_priority(lock, *queue, static_cast<uint32_t>(args[1]));
      }
      break;
    case NPU_MBOX_QUEUE_SUBMITTED:
      scheduler_.take_rung(lock);
      answer.result = queue->schedule.write_index;
      break;
    default:
      answer.result = queue->progress.load(std::memory_order_relaxed);
      break;
  }
  return answer;
}

// A queue that was to stop has stopped.
void Device::end_command(Queue& queue) {
  if (queue.schedule.state == NPU_QUEUE_STATE_KILLED) {
    signals_.unwatch_completed(queue.watched_completed, &queue.ends);
  } else if (queue.schedule.state == NPU_QUEUE_STATE_SUSPENDED) {
    queue.publish_state(NPU_QUEUE_STATE_SUSPENDED, NPU_ST_OK);
  }
}

Device::Answer Device::context_create(Args args) {
  Answer answer;
  const uint64_t number = args[0];
  if (number >= contexts_.size()) {
    answer.status = NPU_ST_INVALID_ARGUMENT;
  } else if (contexts_[number] != nullptr) {
    answer.status = NPU_ST_BUSY;
  } else if (args[1] % NPU_PT_TABLE_BYTES != 0) {
    answer.status = NPU_ST_UNALIGNED;
  } else if (args[1] > hbm_.bytes - NPU_PT_TABLE_BYTES) {
    answer.status = NPU_ST_INVALID_ADDRESS;
  } else {
    contexts_[number] = std::make_shared<Context>(static_cast<uint32_t>(number), ++last_owner_,
                                                  hbm_, ports_, args[1]);
  }
  return answer;
}

Device::Answer Device::context_destroy(Args args) {
  Answer answer;
  Context* context = context_of(args[0]);
  if (context == nullptr) {
    answer.status = NPU_ST_NOT_FOUND;
    return answer;
  }
  const bool in_use = std::any_of(queues_.begin(), queues_.end(), [&](const auto& queue) {
    return queue != nullptr && queue->context.get() == context;
  });
  if (in_use) {
    answer.status = NPU_ST_BUSY;
    return answer;
  }
  signals_.forget_owner(context->owner);
  contexts_[args[0]].reset();
  return answer;
}

// A queue of class NET has ports and a size of packets, the others have neither.
npu_status Device::check_net(const QueueConfig& config) const {
  if (config.queue_class != NPU_QUEUE_NET) {
    return config.port_mask == 0 && config.mtu_bytes == 0 ? NPU_ST_OK : NPU_ST_INVALID_ARGUMENT;
  }
  const uint64_t all = network_.count() < 64 ? (uint64_t{1} << network_.count()) - 1 : ~uint64_t{0};
  const bool good = config.port_mask != 0 && (config.port_mask & ~all) == 0 &&
                    config.mtu_bytes >= NPU_NET_MTU_MIN && config.mtu_bytes <= NPU_NET_MTU_MAX;
  return good ? NPU_ST_OK : NPU_ST_INVALID_ARGUMENT;
}

npu_status Device::check_queue(const QueueConfig& config, uint32_t priority) const {
  if (config.ring_log2 < NPU_RING_LOG2_MIN || config.ring_log2 > NPU_RING_LOG2_MAX ||
      priority >= NPU_PRIO_COUNT || config.queue_class >= NPU_QUEUE_CLASS_COUNT ||
      config.doorbell_page >= Doorbells::kPages || config.doorbell_slot >= NPU_DOORBELL_SLOTS) {
    return NPU_ST_INVALID_ARGUMENT;
  }
  if (const npu_status status = check_net(config); status != NPU_ST_OK) return status;
  if (config.ring_dva % NPU_CTRL_BYTES != 0 || config.ctrl_dva % NPU_CTRL_BYTES != 0) {
    return NPU_ST_UNALIGNED;
  }
  const uint64_t ring_bytes = uint64_t{NPU_CMD_BYTES} << config.ring_log2;
  const uint64_t ctrl_bytes = NPU_CTRL_BYTES + (uint64_t{NPU_COMPLETION_BYTES} << config.ring_log2);
  if (config.ring_dva > NPU_PT_VA_END - ring_bytes ||
      config.ctrl_dva > NPU_PT_VA_END - ctrl_bytes) {
    return NPU_ST_INVALID_ADDRESS;
  }
  return NPU_ST_OK;
}

Device::Answer Device::queue_create(Lock& lock, Args args) {
  Answer answer;
  const uint64_t number = args[0];
  if (number >= queues_.size() || context_of(args[1]) == nullptr) {
    answer.status = number >= queues_.size() ? NPU_ST_INVALID_ARGUMENT : NPU_ST_NOT_FOUND;
    return answer;
  }
  if (queues_[number] != nullptr) {
    answer.status = NPU_ST_BUSY;
    return answer;
  }
  QueueConfig config;
  config.id = static_cast<uint32_t>(number);
  config.ring_dva = args[2];
  config.ctrl_dva = args[3];
  config.ring_log2 = args[4] & 0xff;
  const uint32_t priority = args[4] >> 8 & 0xff;
  config.queue_class = args[4] >> 16 & 0xff;
  config.goes_on = (args[4] >> 24 & 1) != 0;
  config.doorbell_page = static_cast<uint32_t>(std::min<uint64_t>(args[5] >> 16, UINT32_MAX));
  config.doorbell_slot = args[5] & 0xffff;
  config.budget = args[6] != 0 ? args[6] : kDefaultBudget;
  config.port_mask = args[7];
  config.mtu_bytes = static_cast<uint32_t>(args[4] >> 32);
  answer.status =
      (args[4] >> 25 & 0x7f) != 0 ? NPU_ST_RESERVED_NOT_ZERO : check_queue(config, priority);
  if (answer.status != NPU_ST_OK) return answer;

  auto queue = std::make_shared<Queue>(config, contexts_[args[1]]);
  queue->schedule.priority = priority;
  if (!queue->publish_all(NPU_QUEUE_STATE_READY, NPU_ST_OK, 0)) {
    answer.status = NPU_ST_INVALID_ADDRESS;
  } else if (!scheduler_.add(lock, *queue)) {
    answer.status = NPU_ST_BUSY;
  } else {
    queues_[number] = std::move(queue);
  }
  return answer;
}

npu_status Device::hbm_clear(uint64_t offset, uint64_t bytes) {
  if (offset > hbm_.bytes || bytes > hbm_.bytes - offset) return NPU_ST_INVALID_ADDRESS;
  uint64_t at = offset;
  const uint64_t end = offset + bytes;
  while (at < end) {
    // Long pieces first: each may be cleared at once when it lies in one mapping.
    if (at % NPU_PAGE_2M == 0 && end - at >= NPU_PAGE_2M &&
        madvise(hbm_.base + at, NPU_PAGE_2M, MADV_REMOVE) == 0) {
      at += NPU_PAGE_2M;
      continue;
    }
    const uint64_t piece = std::min<uint64_t>(end - at, NPU_PAGE_64K - at % NPU_PAGE_64K);
    if (piece == NPU_PAGE_64K) {
      clear_granule(hbm_.base + at, piece);
    } else {
      std::memset(hbm_.base + at, 0, piece);
    }
    at += piece;
  }
  if (hbm_.poison->any()) hbm_.poison->mend(offset, bytes);
  return NPU_ST_OK;
}

}  // namespace npu::model
