// SPDX-License-Identifier: Apache-2.0
// Contexts, and the retirement of what their queues may still use.
#include "libnpu/src/core/context.h"

#include <algorithm>
#include <iterator>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/handle.h"
#include "libnpu/src/core/validation.h"
#include "libnpu/src/core/watch.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {
// Batches that one call looks at: a queue that never ends holds up its own, not the cost of every call.
constexpr size_t kCollectMost = 16;
// Queues that are asked to tell a sleeper of their progress; with more, the driver's own looks have to do.
constexpr size_t kAnnouncersMost = 16;
// Of the uapi: from here on drivers keep npu_queue_ctrl.live.
constexpr uint32_t kLiveWordMinor = 6;
}  // namespace

Context::Context(Ref<Device> device, std::unique_ptr<Vm> vm)
    : Object(kKind),
      device_(std::move(device)),
      vm_(std::move(vm)),
      memory_(*vm_),
      callbacks_(std::make_unique<Callbacks>(*this)) {}

Context::~Context() = default;

Result<Ref<Context>> Context::create(Ref<Device> device) {
  NPU_TRY_ASSIGN(std::unique_ptr<Vm> vm, Vm::create(device->backend()));
  return Ref<Context>::adopt(new Context(std::move(device), std::move(vm)));
}

Result<Ref<Queue>> Context::create_queue(RingOptions options, bool counted) {
  const npu_limits& limits = device_->limits();
  if (options.timeout_ms == 0) options.timeout_ms = device_->exec_timeout_ms();
  if (options.timeout_ms > limits.timeout_ms_max) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "timeout_ms is %u, the device allows %u",
                options.timeout_ms, limits.timeout_ms_max);
  }
  if (options.entries_log2 < limits.ring_log2_min || options.entries_log2 > limits.ring_log2_max) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "ring_entries is %u, the device allows %u to %u",
                1u << options.entries_log2, 1u << limits.ring_log2_min, 1u << limits.ring_log2_max);
  }
  // An older driver ends the queues of a newer device without a word there.
  options.has_live_word = device_->info().uapi_minor >= kLiveWordMinor;
  if (counted) NPU_TRY(vm_->budget().charge_queue());
  auto queue = Queue::create(Ref<Context>::share(this), options, device_->spin_ns());
  if (!queue.is_ok()) {
    if (counted) vm_->budget().refund_queue();
    return queue.status();
  }
  std::lock_guard lock(queues_mutex_);
  queues_.push_back(queue.value().get());
  if (!counted) uncounted_.push_back(queue.value().get());
  return queue;
}

void Context::forget_queue(Queue* queue) {
  std::lock_guard lock(queues_mutex_);
  const auto found = std::find(queues_.begin(), queues_.end(), queue);
  if (found == queues_.end()) return;
  *found = queues_.back();
  queues_.pop_back();
  if (std::erase(uncounted_, queue) == 0) vm_->budget().refund_queue();
}

std::vector<Context::QueuePoint> Context::busy_points() {
  std::vector<QueuePoint> points;
  std::lock_guard lock(queues_mutex_);
  for (Queue* queue : queues_) {
    if (const uint64_t value = queue->busy_until(); value != 0) {
      points.push_back({Ref<Queue>::share(queue), value});
    }
  }
  return points;
}

void Context::retire(Retired item) {
  std::vector<Retired> free;
  {
    std::lock_guard lock(retire_mutex_);
    std::vector<QueuePoint> points;
    if (!ended_) points = busy_points();
    const auto same = [](const QueuePoint& a, const QueuePoint& b) {
      return a.queue.get() == b.queue.get() && a.value == b.value;
    };
    if (points.empty()) {
      free.push_back(std::move(item));
    } else if (!batches_.empty() &&
               std::equal(points.begin(), points.end(), batches_.back().points.begin(),
                          batches_.back().points.end(), same)) {
      batches_.back().items.push_back(std::move(item));
    } else {
      Batch batch;
      batch.points = std::move(points);
      batch.items.push_back(std::move(item));
      batches_.push_back(std::move(batch));
    }
    collect_locked(&free);
  }
  give_back(std::move(free));
}

void Context::collect() {
  std::vector<Retired> free;
  {
    std::lock_guard lock(retire_mutex_);
    if (batches_.empty()) return;
    collect_locked(&free);
  }
  give_back(std::move(free));
}

void Context::collect_locked(std::vector<Retired>* out) {
  size_t looked = 0;
  for (auto batch = batches_.begin(); batch != batches_.end() && looked < kCollectMost; looked++) {
    const bool passed =
        std::all_of(batch->points.begin(), batch->points.end(),
                    [](const QueuePoint& p) { return p.queue->has_passed(p.value); });
    if (!passed) {
      ++batch;
      continue;
    }
    std::move(batch->items.begin(), batch->items.end(), std::back_inserter(*out));
    batch = batches_.erase(batch);
  }
}

void Context::give_back(std::vector<Retired> items) {
  for (Retired& item : items) {
    if (auto* memory = std::get_if<Memory::Detached>(&item)) {
      memory_.reclaim(std::move(*memory));
    } else if (const auto* module = std::get_if<RetiredModule>(&item)) {
      for (const Ref<Queue>& queue : some_queues(SIZE_MAX)) queue->collect_prints();
      const bool keep_names = is_blamed(module->number);
      if (!keep_names) {
        std::lock_guard lock(images_mutex_);
        images_.erase(module->number);
      }
      loader_.unload(module->number);
    }
  }
}

// Whether a stopped queue's fault still needs the names of this module.
bool Context::is_blamed(uint32_t module) {
  std::vector<Ref<Queue>> queues;
  {
    std::lock_guard lock(queues_mutex_);
    for (Queue* queue : queues_) queues.push_back(Ref<Queue>::share(queue));
  }
  return std::any_of(queues.begin(), queues.end(), [&](const Ref<Queue>& queue) {
    const std::vector<Fault> faults = queue->faults();
    return std::any_of(faults.begin(), faults.end(),
                       [&](const Fault& fault) { return fault.record.module == module; });
  });
}

void Context::enable_peer(uint64_t peer_handle) {
  std::lock_guard lock(peers_mutex_);
  peers_.insert(peer_handle);
}

bool Context::has_peer(uint64_t peer_handle) {
  std::lock_guard lock(peers_mutex_);
  return peers_.contains(peer_handle);
}

std::vector<Ref<Queue>> Context::some_queues(size_t most) {
  std::vector<Ref<Queue>> some;
  std::lock_guard lock(queues_mutex_);
  for (Queue* queue : queues_) {
    if (some.size() == most) break;
    some.push_back(Ref<Queue>::share(queue));
  }
  return some;
}

void Context::ring_any() {
  for (const Ref<Queue>& queue : some_queues(SIZE_MAX)) {
    if (queue->ring_again()) return;
  }
}

Status Context::watch_word(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd,
                           Watch* watch) {
  for (const Ref<Queue>& queue : some_queues(kAnnouncersMost)) {
    queue->watch_word(bo_handle, offset, value, fd, watch);
  }
  const uint64_t cookie = take_notify_cookie();
  const int error = request_notify(vm_->backend(), bo_handle, 0, offset, value, fd, cookie);
  if (error != 0) {
    return fail_call(error, "asking to be told of a semaphore's value");
  }
  watch->add(vm_->backend(), cookie);
  return Status::ok();
}

void Context::add_word(uint64_t dva) {
  std::lock_guard lock(words_mutex_);
  words_.insert(dva);
}

void Context::remove_word(uint64_t dva) {
  std::lock_guard lock(words_mutex_);
  words_.erase(dva);
}

bool Context::is_word(uint64_t dva) {
  std::lock_guard lock(words_mutex_);
  return words_.count(dva) != 0;
}

Status Context::check_word(uint64_t dva, const char* what, bool for_writing) {
  if (is_word(dva)) return Status::ok();
  return memory_.check(dva, sizeof(uint64_t), what, for_writing);
}

void Context::remember_image(uint32_t module, std::shared_ptr<const Image> image) {
  std::lock_guard lock(images_mutex_);
  images_[module] = std::move(image);
}

std::shared_ptr<const Image> Context::image_of(uint32_t module) {
  std::lock_guard lock(images_mutex_);
  const auto found = images_.find(module);
  return found == images_.end() ? nullptr : found->second;
}

void Context::set_print_sink(const PrintSink& sink) {
  std::lock_guard lock(print_mutex_);
  print_sink_ = sink;
}

PrintSink Context::print_sink() {
  std::lock_guard lock(print_mutex_);
  return print_sink_;
}

FaultPlace Context::place_of(const Fault& fault) {
  FaultPlace place;
  place.message = fault.message;
  std::lock_guard lock(images_mutex_);
  const auto found = fault.record.module == 0 ? images_.end() : images_.find(fault.record.module);
  if (found == images_.end()) return place;
  const Image& image = *found->second;
  if (fault.record.kernel < image.kernels.size()) {
    place.kernel = image.kernels[fault.record.kernel].note.name;
  }
  image.place_of(fault.record.line, &place.file, &place.line);
  const uint64_t code = fault.record.result;
  if (place.message.empty() && fault.code == NPU_ERROR_KERNEL_ASSERT &&
      (code & ~uint64_t{UINT32_MAX}) == NPU_ASSERT_FORMAT) {
    place.message = format_text(&image, static_cast<uint32_t>(code));
  }
  return place;
}

void Context::end(HandleTable& handles) {
  Validation::look_at_context_end(*this);
  for (const Ref<Object>& child : children_.close()) {
    handles.remove(child->handle(), child->kind());
    child->end(handles);
  }
  callbacks_->stop();
  {
    std::lock_guard lock(retire_mutex_);
    if (ended_) return;
    ended_ = true;
  }
  loader_.end();
  std::deque<Batch> rest;
  {
    std::lock_guard lock(retire_mutex_);
    rest.swap(batches_);
  }
  // Every queue has stopped; what they might have used is free now, and goes with its holders.
  for (Batch& batch : rest) give_back(std::move(batch.items));
  memory_.clear();
  device_->children().remove(this);
}

}  // namespace npu
