// SPDX-License-Identifier: Apache-2.0
// One condition of WAIT or NOTIFY, with everything that is needed to look at it.
//
// Thread safety: evaluate() may be called by any thread while the Condition lives. All words it reads may be written by
// the client and the device at the same time; nothing is trusted, each is read once.
#ifndef NPU_MODEL_SERVER_CONDITION_H_
#define NPU_MODEL_SERVER_CONDITION_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "uapi/npu_accel.h"

namespace npu::model::server {

class Bo;

// What of a queue others look at; outlives the queue while a condition refers to it.
struct QueueView {
  std::atomic<bool> dead{false};  // released after status, acquired before it is read
  std::atomic<int32_t> status{0};
  uint32_t number = 0;                 // of the device
  npu_queue_ctrl* ctrl = nullptr;      // in memory of the client
  uint64_t* doorbell = nullptr;        // likewise
  std::shared_ptr<Bo> ctrl_bo;         // keeps ctrl mapped
  std::shared_ptr<void> doorbell_map;  // keeps doorbell mapped

  uint64_t completed() const { return __atomic_load_n(&ctrl->completed, __ATOMIC_ACQUIRE); }
  uint64_t submitted() const { return __atomic_load_n(doorbell, __ATOMIC_ACQUIRE); }
};

enum class CondState { kFalse, kTrue, kQueueDead };

struct Condition {
  npu_cond cond{};
  std::shared_ptr<Bo> bo;          // keeps word mapped
  const uint64_t* word = nullptr;  // null for QUEUE_IDLE
  std::shared_ptr<QueueView> queue;

  CondState evaluate() const;
  // Value of `completed` from which on it pays to look again; 0: any change may matter.
  uint64_t wake_at() const;
};

// Makes the device raise an interrupt when the queue has completed |value|. The word is shared with the client, who may
// raise it again: that costs the client its own wake-up and nobody else anything.
void arm_interrupt(npu_queue_ctrl* ctrl, uint64_t value);

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_CONDITION_H_
