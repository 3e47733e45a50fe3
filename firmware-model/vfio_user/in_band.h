// SPDX-License-Identifier: Apache-2.0
// Copies to and from client memory that has no pointer here: a device thread asks and waits, the I/O
// thread sends DMA_READ or DMA_WRITE and hands the reply over.
//
// Thread safety: copy() device threads; everything else the I/O thread, on which copy() refuses.
// Every wait ends: by the reply, by close(), by cancel(), or after kDeadline.
#ifndef NPU_MODEL_VFIO_USER_IN_BAND_H_
#define NPU_MODEL_VFIO_USER_IN_BAND_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace npu::model::vfio_user {

class InBand {
 public:
  static constexpr std::chrono::milliseconds kDeadline{2000};
  // Requests that the client has not answered, the abandoned ones among them. Then it gets no more.
  static constexpr size_t kMaxPending = 16;

  // |wake_fd|, an eventfd that outlives this object, is written when take() has something.
  explicit InBand(int wake_fd) : wake_fd_(wake_fd), io_thread_(std::this_thread::get_id()) {}

  // 0, or -1: refused or not answered. Device threads.
  int copy(uint64_t iova, std::byte* buffer, uint64_t bytes, bool write);

  struct Request {
    uint16_t id = 0;
    uint64_t iova = 0;
    uint64_t bytes = 0;
    bool write = false;
    std::span<const std::byte> data;  // of a write; valid until the next call of this object
  };
  void open(uint64_t max_data_bytes);
  // Ends all waits with an error and refuses new copies.
  void close();
  // Ends the waits for addresses inside the range with an error.
  void cancel(uint64_t iova, uint64_t bytes);
  // The next request to be sent. False: none.
  bool take(Request* out);
  // It cannot be sent: the wait ends.
  void refuse(uint16_t id);
  // A reply has come. False: nobody asked, or not for so much.
  bool answer(uint16_t id, bool write, bool failed, std::span<const std::byte> payload);

 private:
  enum class State { kQueued, kSent, kDone, kFailed };
  struct Transfer {
    uint64_t iova = 0;
    uint64_t bytes = 0;
    bool write = false;
    State state = State::kQueued;
    std::vector<std::byte> data;
  };
  bool copy_piece(uint64_t iova, std::byte* buffer, uint64_t bytes, bool write);
  static bool ended(const Transfer& transfer) {
    return transfer.state == State::kDone || transfer.state == State::kFailed;
  }

  const int wake_fd_;
  const std::thread::id io_thread_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool open_ = false;
  uint64_t max_data_bytes_ = 0;
  uint16_t next_id_ = 1;
  std::deque<std::shared_ptr<Transfer>> queued_;
  std::map<uint16_t, std::shared_ptr<Transfer>> sent_;
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_IN_BAND_H_
