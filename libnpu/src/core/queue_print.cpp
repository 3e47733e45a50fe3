// SPDX-License-Identifier: Apache-2.0
// What the kernels of a queue print: its buffer, and the way from there to the user.
#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/queue.h"

namespace npu {
namespace {

// Texts of failed assertions that are kept for the faults, as many as faults are.
constexpr size_t kTextsKept = 256;

// What |records|, of one command, say together.
std::string report_of(std::span<const npu_print_record> records) {
  std::string text;
  for (const npu_print_record& record :
       records.first(std::min<size_t>(records.size(), NPU_PRINT_REPORT_MAX))) {
    const auto* bytes = reinterpret_cast<const char*>(record.args);
    text.append(bytes, strnlen(bytes, sizeof record.args));
  }
  // It comes from the device and goes to terminals.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

// How many records from the first one on are parts of its report; 0: it is none.
size_t report_length(std::span<const npu_print_record> records) {
  const auto other = std::find_if(records.begin(), records.end(), [&](const auto& record) {
    return (record.flags & NPU_PRINT_REPORT) == 0 || record.seq != records.front().seq;
  });
  return static_cast<size_t>(other - records.begin());
}

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

void Queue::keep_text_locked(uint64_t value, std::string text) {
  if (assert_texts_.size() == kTextsKept) assert_texts_.erase(assert_texts_.begin());
  assert_texts_[value] = std::move(text);
}

void Queue::collect_prints_locked() {
  if (print_buffer_ == nullptr) return;
  std::vector<npu_print_record> records;
  print_dropped_ += print_buffer_->take(&records);
  for (size_t i = 0; i < records.size(); i++) {
    const npu_print_record& record = records[i];
    Printed printed;
    printed.record = record;
    printed.value = base_ + record.seq + 1;
    printed.image = context_->image_of(record.module);
    const size_t parts = report_length(std::span(records).subspan(i));
    if (parts != 0) {
      keep_text_locked(printed.value,
                       with_places(printed.image.get(), report_of({&records[i], parts})));
      i += parts - 1;
      continue;
    }
    if ((record.flags & NPU_PRINT_ASSERT) != 0) {
      keep_text_locked(printed.value,
                       format_record(printed.image.get(), record.format, record.args));
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
