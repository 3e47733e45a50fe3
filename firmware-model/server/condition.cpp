// SPDX-License-Identifier: Apache-2.0
// Evaluation of wait conditions.
#include "firmware-model/server/condition.h"

namespace npu::model::server {

CondState Condition::evaluate() const {
  if (cond.op == NPU_COND_QUEUE_IDLE) {
    const bool dead = queue->dead.load(std::memory_order_acquire);
    return dead || queue->completed() == queue->submitted() ? CondState::kTrue : CondState::kFalse;
  }
  // pairs with event_hub.cpp : EventHub::handle_locked and queue.cpp : Queue::kill
  // Dead is read before the word: a value that was written before the death is then never missed.
  const bool dead = queue != nullptr && queue->dead.load(std::memory_order_acquire);
  const uint64_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE) & cond.mask;
  bool holds = false;
  switch (cond.op) {
    case NPU_COND_GE:
      holds = value >= cond.value;
      break;
    case NPU_COND_EQ:
      holds = value == cond.value;
      break;
    default:
      holds = value != cond.value;
      break;
  }
  if (holds) return CondState::kTrue;
  return dead ? CondState::kQueueDead : CondState::kFalse;
}

uint64_t Condition::wake_at() const {
  if (queue == nullptr) return 0;
  if (cond.op == NPU_COND_QUEUE_IDLE) return queue->submitted();
  const bool whole_word = cond.op == NPU_COND_GE && cond.mask == ~0ull;
  return whole_word && static_cast<const void*>(word) == &queue->ctrl->completed ? cond.value : 0;
}

void arm_interrupt(npu_queue_ctrl* ctrl, uint64_t value) {
  // The device fires once for each value of the word: one that was reached is spent, one that lies between fires first and is followed by another look.
  const uint64_t completed = __atomic_load_n(&ctrl->completed, __ATOMIC_ACQUIRE);
  uint64_t now = __atomic_load_n(&ctrl->interrupt_at, __ATOMIC_RELAXED);
  while ((now <= completed || now > value) &&
         !__atomic_compare_exchange_n(&ctrl->interrupt_at, &now, value, true, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED)) {
  }
  // pairs with firmware-model/device/command_processor.cpp : CommandProcessor::interrupt_when_asked
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

}  // namespace npu::model::server
