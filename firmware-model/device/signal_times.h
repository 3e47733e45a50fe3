// SPDX-License-Identifier: Apache-2.0
// How virtual time travels between queues: which 64-bit word got which value at what time of the
// queue that wrote it.
//
// A wait takes the time of the signal that made its condition true, not of later ones, so that
// device times do not depend on how fast the host runs. Tables are bounded: what has been pushed
// out costs precision of a time, never a result.
// Thread safety: SignalTimes any thread, except that find() and EndTimes belong to the command
// processor.
#ifndef NPU_MODEL_DEVICE_SIGNAL_TIMES_H_
#define NPU_MODEL_DEVICE_SIGNAL_TIMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "uapi/npu_queue.h"

namespace npu::model {

// Whether SEM_WAIT with |op| (enum npu_sem_op) goes on when the word is |present|.
bool wait_holds(uint32_t op, uint64_t present, uint64_t value);

// End times of the last commands of one queue: what the word npu_queue_ctrl.completed means in
// virtual time.
class EndTimes {
 public:
  void push(uint64_t end_ps) { ring_[count_++ % kKept] = end_ps; }
  // When |completed| commands had ended; of the oldest command still known when that is long ago.
  uint64_t at(uint64_t completed) const;
  uint64_t count() const { return count_; }

 private:
  static constexpr uint64_t kKept = 256;
  std::array<uint64_t, kKept> ring_{};
  uint64_t count_ = 0;
};

// Words are told apart by their place in host memory: two addresses of one word are the same word.
class SignalTimes {
 public:
  void record(const std::byte* word, uint64_t value, uint64_t time_ps, uint64_t owner);
  // The time from which on the condition held, 0 when nothing is known.
  uint64_t find(const std::byte* word, uint32_t op, uint64_t present, uint64_t value) const;
  // A context has gone: its signals are forgotten.
  void forget_owner(uint64_t owner);

  // |word| is the `completed` word of a queue from now on (or no longer). |times| is read by find()
  // only.
  void watch_completed(const std::byte* word, const EndTimes* times);
  void unwatch_completed(const std::byte* word, const EndTimes* times);

 private:
  struct Signal {
    uint64_t value = 0;
    uint64_t time_ps = 0;
  };
  static constexpr size_t kSignalsPerWord = 32;
  static constexpr size_t kWords = 4096;
  struct History {
    std::array<Signal, kSignalsPerWord> ring;
    uint64_t count = 0;
    uint64_t owner = 0;
  };

  mutable std::mutex mutex_;
  std::unordered_map<const std::byte*, History> words_;
  std::deque<const std::byte*> order_;  // of first signals: the oldest word makes room
  std::unordered_map<const std::byte*, const EndTimes*> completed_words_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_SIGNAL_TIMES_H_
