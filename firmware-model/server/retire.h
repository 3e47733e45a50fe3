// SPDX-License-Identifier: Apache-2.0
// Holds back what the device may still be touching until a QUIESCE ticket has passed.
//
// Thread safety: none, the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_RETIRE_H_
#define NPU_MODEL_SERVER_RETIRE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

namespace npu::model::server {

class RetireList {
 public:
  // |release| runs once every access that began before the next flush() has ended.
  void add(std::function<void()> release) { fresh_.push_back(std::move(release)); }

  bool has_fresh() const { return !fresh_.empty(); }
  bool waiting() const { return !waiting_.empty(); }

  // Everything added so far waits for |ticket|.
  void flush(uint64_t ticket) {
    if (!fresh_.empty()) waiting_.push_back({ticket, std::exchange(fresh_, {})});
  }

  // Releases what waits for a ticket that the device has reached.
  void drain(uint64_t quiesced) {
    while (!waiting_.empty() && waiting_.front().ticket <= quiesced) {
      Batch batch = std::move(waiting_.front());
      waiting_.pop_front();
      for (const auto& release : batch.releases) release();
    }
  }

 private:
  struct Batch {
    uint64_t ticket;
    std::vector<std::function<void()>> releases;
  };

  std::vector<std::function<void()>> fresh_;
  std::deque<Batch> waiting_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_RETIRE_H_
