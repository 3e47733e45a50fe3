// SPDX-License-Identifier: Apache-2.0
// Access to the memory of a queue, always through its context's address space.
#include "firmware-model/device/queue.h"

#include <bit>
#include <cstddef>

#include "firmware-model/device/shared_memory.h"

namespace npu::model {
namespace {

// Ring and records are walked in order: one miss then serves a thousand commands.
constexpr uint64_t kAheadBytes = 64 * 1024;

uint64_t state_word(npu_queue_state state, npu_status status) {
  static_assert(offsetof(npu_queue_ctrl, state) == offsetof(npu_queue_ctrl, error_status) + 4);
  return uint64_t{static_cast<uint32_t>(status)} | uint64_t{state} << 32;
}

// pairs with libnpu/src/core/ring.cpp : Ring::read_failure
void store_live(std::byte* page, npu_queue_state state) {
  store_word(page + offsetof(npu_queue_ctrl, live),
             NPU_QUEUE_STATE_IS_DEAD(state) ? 0 : NPU_QUEUE_LIVE, std::memory_order_release);
}

// What a launch did, as its record says it.
struct LaunchDeeds {
  uint64_t mac_ops;
  uint64_t hbm_read_bytes;
  uint64_t hbm_write_bytes;
  uint64_t tensor_ps;
};

// In words, and in its place: put together as a struct first, it would be read in wider pieces than were written just now, and wait for them.
[[gnu::always_inline]] inline void store_deeds(std::byte* at, const LaunchDeeds& deeds,
                                               uint64_t seq, uint32_t tag,
                                               const CommandTimes& times) {
  using Record = npu_launch_completion;
  static_assert(offsetof(Record, tag) == offsetof(Record, status) + 4);
  static_assert(offsetof(Record, tensor_ps_low) == sizeof(Record) - 8);
  static_assert(offsetof(Record, tensor_ps_high) == sizeof(Record) - 4);
  static_assert(NPU_ST_OK == 0);
  store_word(at + offsetof(Record, seq), seq);
  store_word(at + offsetof(Record, status), uint64_t{tag} << 32);
  store_word(at + offsetof(Record, start_ps), times.start_ps);
  store_word(at + offsetof(Record, end_ps), times.end_ps);
  store_word(at + offsetof(Record, mac_ops), deeds.mac_ops);
  store_word(at + offsetof(Record, hbm_read_bytes), deeds.hbm_read_bytes);
  store_word(at + offsetof(Record, hbm_write_bytes), deeds.hbm_write_bytes);
  // list_index, above its 48 bits, is 0.
  store_word(at + offsetof(Record, tensor_ps_low), deeds.tensor_ps);
}

}  // namespace

void store_record(std::byte* at, const Outcome& outcome, uint64_t seq, uint32_t tag,
                  uint64_t start_ps) {
  if (outcome.launched && outcome.status == NPU_ST_OK) {
    const LaunchDeeds deeds{outcome.mac_ops, outcome.hbm_read_bytes, outcome.hbm_write_bytes,
                            outcome.tensor_ps};
    return store_deeds(at, deeds, seq, tag, {start_ps, outcome.end_ps});
  }
  npu_completion record{};
  record.seq = seq;
  record.status = outcome.status;
  record.tag = tag;
  record.start_ps = start_ps;
  record.end_ps = outcome.end_ps;
  record.result = outcome.result;
  record.pc = outcome.pc;
  record.line = outcome.line;
  record.module = outcome.module;
  record.kernel = outcome.kernel;
  record.tile = outcome.tile;
  record.group = outcome.group;
  record.access = static_cast<__u8>(outcome.access);
  record.engine = static_cast<__u8>(outcome.engine);
  record.list_index = outcome.list_index;
  store_struct(at, record);
}

void store_launch_record(std::byte* at, const LaunchOutcome& done, uint64_t seq, uint32_t tag,
                         const CommandTimes& times) {
  const LaunchDeeds deeds{done.stats.mac_ops, done.stats.hbm_read_bytes, done.stats.hbm_write_bytes,
                          done.tensor_ps};
  store_deeds(at, deeds, seq, tag, times);
}

const std::byte* Queue::ring_slot(uint64_t seq) {
  const uint64_t dva = config.ring_dva + (seq & (entries() - 1)) * NPU_CMD_BYTES;
  return ring_memory.get(space(), dva, NPU_CMD_BYTES, NPU_ACCESS_READ, kAheadBytes);
}

std::byte* Queue::ctrl() {
  return ctrl_memory.get(space(), config.ctrl_dva, NPU_CTRL_BYTES, NPU_ACCESS_WRITE);
}

std::byte* Queue::record(uint64_t seq) {
  const uint64_t dva =
      config.ctrl_dva + NPU_CTRL_BYTES + (seq & (entries() - 1)) * NPU_COMPLETION_BYTES;
  return record_memory.get(space(), dva, NPU_COMPLETION_BYTES, NPU_ACCESS_WRITE, kAheadBytes);
}

bool Queue::publish_state(npu_queue_state state, npu_status status) {
  std::byte* page = ctrl();
  if (page == nullptr) return false;
  store_word(page + offsetof(npu_queue_ctrl, error_status), state_word(state, status),
             std::memory_order_release);
  store_live(page, state);
  return true;
}

bool Queue::publish_all(npu_queue_state state, npu_status status, uint64_t error_seq) {
  std::byte* page = ctrl();
  if (page == nullptr) return false;
  store_word(page + offsetof(npu_queue_ctrl, fetched), fetched);
  store_word(page + offsetof(npu_queue_ctrl, time_ps), time_ps);
  store_word(page + offsetof(npu_queue_ctrl, error_seq), error_seq);
  store_word(page + offsetof(npu_queue_ctrl, errors), errors);
  store_word(page + offsetof(npu_queue_ctrl, error_status), state_word(state, status));
  store_live(page, state);
  // Release, as CommandProcessor::publish does.
  store_word(page + offsetof(npu_queue_ctrl, completed), completed, std::memory_order_release);
  return true;
}

}  // namespace npu::model
