// SPDX-License-Identifier: Apache-2.0
// The hand-over between device threads and the I/O thread. A transfer owns its bytes: a reply that
// comes too late touches nothing of a thread that has gone on.
#include "firmware-model/vfio_user/in_band.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "firmware-model/vfio_user/wire.h"

namespace npu::model::vfio_user {

bool InBand::copy_piece(uint64_t iova, std::byte* buffer, uint64_t bytes, bool write) {
  const auto transfer = std::make_shared<Transfer>();
  transfer->iova = iova;
  transfer->bytes = bytes;
  transfer->write = write;
  if (write) transfer->data.assign(buffer, buffer + bytes);
  std::unique_lock lock(mutex_);
  if (!open_ || queued_.size() + sent_.size() >= kMaxPending) return false;
  queued_.push_back(transfer);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_fd_, &one, sizeof(one));
  const auto until = std::chrono::steady_clock::now() + kDeadline;
  news_.wait_until(lock, until, [&] { return ended(*transfer); });
  if (transfer->state != State::kDone) {
    // Sent requests stay known until their reply comes: the id must not mean another one.
    std::erase(queued_, transfer);
    transfer->state = State::kFailed;
    return false;
  }
  lock.unlock();
  if (!write) std::memcpy(buffer, transfer->data.data(), bytes);
  return true;
}

int InBand::copy(uint64_t iova, std::byte* buffer, uint64_t bytes, bool write) {
  if (std::this_thread::get_id() == io_thread_) return -1;
  uint64_t piece_bytes = 0;
  {
    std::lock_guard lock(mutex_);
    piece_bytes = max_data_bytes_;
  }
  while (bytes != 0) {
    const uint64_t piece = std::min(bytes, piece_bytes);
    if (piece == 0 || !copy_piece(iova, buffer, piece, write)) return -1;
    iova += piece;
    buffer += piece;
    bytes -= piece;
  }
  return 0;
}

void InBand::open(uint64_t max_data_bytes) {
  std::lock_guard lock(mutex_);
  open_ = true;
  max_data_bytes_ = std::min(max_data_bytes, wire::kMaxDataBytes);
}

void InBand::close() {
  {
    std::lock_guard lock(mutex_);
    open_ = false;
    for (const auto& transfer : queued_) transfer->state = State::kFailed;
    queued_.clear();
    for (const auto& [id, transfer] : sent_) transfer->state = State::kFailed;
  }
  news_.notify_all();
}

void InBand::cancel(uint64_t iova, uint64_t bytes) {
  const auto inside = [&](const Transfer& transfer) {
    return transfer.iova >= iova ? transfer.iova - iova < bytes
                                 : iova - transfer.iova < transfer.bytes;
  };
  {
    std::lock_guard lock(mutex_);
    std::erase_if(queued_, [&](const auto& transfer) {
      if (!inside(*transfer)) return false;
      transfer->state = State::kFailed;
      return true;
    });
    for (const auto& [id, transfer] : sent_) {
      if (inside(*transfer)) transfer->state = State::kFailed;
    }
  }
  news_.notify_all();
}

bool InBand::take(Request* out) {
  std::lock_guard lock(mutex_);
  if (queued_.empty()) return false;
  const std::shared_ptr<Transfer> transfer = queued_.front();
  queued_.pop_front();
  while (sent_.contains(next_id_)) ++next_id_;
  const uint16_t id = next_id_++;
  transfer->state = State::kSent;
  sent_.emplace(id, transfer);
  *out = {id, transfer->iova, transfer->bytes, transfer->write, transfer->data};
  return true;
}

void InBand::refuse(uint16_t id) {
  {
    std::lock_guard lock(mutex_);
    const auto found = sent_.find(id);
    if (found == sent_.end()) return;
    found->second->state = State::kFailed;
    sent_.erase(found);
  }
  news_.notify_all();
}

bool InBand::answer(uint16_t id, bool write, bool failed, std::span<const std::byte> payload) {
  {
    std::lock_guard lock(mutex_);
    const auto found = sent_.find(id);
    if (found == sent_.end() || found->second->write != write) return false;
    const std::shared_ptr<Transfer> transfer = found->second;
    sent_.erase(found);
    const bool fits = write || payload.size() == transfer->bytes;
    if (transfer->state == State::kSent) {
      transfer->state = failed || !fits ? State::kFailed : State::kDone;
      if (transfer->state == State::kDone && !write) {
        transfer->data.assign(payload.begin(), payload.end());
      }
    }
    if (!failed && !fits) return false;
  }
  news_.notify_all();
  return true;
}

}  // namespace npu::model::vfio_user
