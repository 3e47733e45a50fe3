// SPDX-License-Identifier: Apache-2.0
// What the kernels of a queue print: its buffer, and the way from there to the user.
#include <utility>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/queue.h"

namespace npu {
namespace {

// Texts of failed assertions that are kept for the faults, as many as faults are.
constexpr size_t kTextsKept = 256;

}  // namespace

// The first launch that prints on a ring comes behind the command that names the buffer.
Status Queue::prepare_prints(std::unique_lock<std::mutex>& lock) {
  if (print_buffer_ == nullptr) {
    NPU_TRY_ASSIGN(print_buffer_, PrintBuffer::create(context_->vm()));
    may_print_.store(true, std::memory_order_relaxed);
  }
  NPU_TRY(wait_for_room(lock, 1, 0));
  if (print_ready_) return Status::ok();  // another thread was faster
  push_locked({.command = print_buffer_->command()});
  print_ready_ = true;
  return Status::ok();
}

void Queue::collect_prints_locked() {
  if (print_buffer_ == nullptr) return;
  std::vector<npu_print_record> records;
  print_dropped_ += print_buffer_->take(&records);
  for (const npu_print_record& record : records) {
    Printed printed;
    printed.record = record;
    printed.value = base_ + record.seq + 1;
    printed.image = context_->image_of(record.module);
    if ((record.flags & NPU_PRINT_ASSERT) != 0) {
      if (assert_texts_.size() == kTextsKept) assert_texts_.erase(assert_texts_.begin());
      assert_texts_[printed.value] = format_record(printed.image.get(), record.format, record.args);
    }
    printed_.push_back(std::move(printed));
  }
  if (!printed_.empty()) printed_.back().dropped += std::exchange(print_dropped_, 0);
}

void Queue::collect_prints() {
  if (!may_print_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  collect_prints_locked();
}

void Queue::deliver_prints() {
  if (!may_print_.load(std::memory_order_relaxed)) return;
  std::lock_guard delivery(delivery_mutex_);
  if (delivering_) return;  // the user's function has called us; whoever called it goes on after it
  delivering_ = true;
  for (;;) {
    std::deque<Printed> taken;
    {
      std::lock_guard lock(mutex_);
      collect_prints_locked();
      taken.swap(printed_);
    }
    if (taken.empty()) break;
    const PrintSink sink = context_->print_sink();
    for (const Printed& printed : taken) deliver(sink, handle(), printed);
  }
  delivering_ = false;
}

}  // namespace npu
