// SPDX-License-Identifier: Apache-2.0
// Commands of lanes, and their ends.
#include "libnpu/ccl/lanes.h"

#include <npu/npu_memory.h>
#include <npu/npu_semaphore.h>

#include <cstring>
#include <utility>

namespace npu::ccl {

npuResult Lanes::create(npuContext context, uint32_t ranks) {
  context_ = context;
  lanes_.resize(1 + 2 * size_t{ranks});
  for (Lane& lane : lanes_) lane.known.resize(lanes_.size());
  NPU_CCL_TRY(
      passed_on(npuMemAlloc(context, NPU_MEM_DEVICE, (lanes_.size() + 1) * 64, &words_dva_)));
  NPU_CCL_TRY(passed_on(npuSemaphoreCreate(context, 0, &nudge_)));
  return open(lanes_[kLocalLane]);
}

Lanes::~Lanes() {
  cut();
  if (nudge_ != nullptr) npuSemaphoreDestroy(nudge_);
  if (words_dva_ != 0) npuMemFree(context_, words_dva_);
}

npuResult Lanes::open(Lane& lane) {
  if (lane.queue != nullptr) return NPU_OK;
  npuQueue queue = nullptr;
  NPU_CCL_TRY(passed_on(npuQueueCreate(context_, nullptr, &queue)));
  std::lock_guard lock(mutex_);
  if (is_cut_) {
    npuQueueDestroy(queue);
    return fail(NPU_ERROR_DEPENDENCY_FAILED, "the communicator has failed");
  }
  lane.queue = queue;
  return NPU_OK;
}

npuCommand& Lanes::add(uint32_t lane, npuCommandKind kind) {
  npuCommand command{};
  command.struct_size = sizeof(command);
  command.kind = kind;
  return lanes_[lane].commands.emplace_back(command);
}

void Lanes::copy(uint32_t lane, npuDevPtr to, npuDevPtr from, uint64_t bytes) {
  npuCommand& command = add(lane, NPU_COMMAND_COPY);
  command.as.copy.dst = to;
  command.as.copy.src = from;
  command.as.copy.size_bytes = bytes;
}

void Lanes::signal(uint32_t lane, npuDevPtr word, uint64_t value) {
  npuCommand& command = add(lane, NPU_COMMAND_SIGNAL);
  command.as.semaphore.address = word;
  command.as.semaphore.value = value;
}

void Lanes::wait(uint32_t lane, npuDevPtr word, uint64_t value) {
  npuCommand& command = add(lane, NPU_COMMAND_WAIT_SEMAPHORE);
  command.as.semaphore.address = word;
  command.as.semaphore.value = value;
}

void Lanes::launch(uint32_t lane, npuKernel kernel, uint32_t groups,
                   std::span<const std::byte> args) {
  if (launches_used_ == launches_.size()) launches_.emplace_back();
  Launch& launch = launches_[launches_used_++];
  std::memcpy(launch.args.data(), args.data(), args.size());
  launch.info = {};
  launch.info.struct_size = sizeof(launch.info);
  launch.info.grid_x = groups;
  launch.info.grid_y = launch.info.grid_z = 1;
  launch.info.args = launch.args.data();
  launch.info.args_bytes = static_cast<uint32_t>(args.size());
  npuCommand& command = add(lane, NPU_COMMAND_LAUNCH);
  command.as.launch.kernel = kernel;
  command.as.launch.info = &launch.info;
}

Tick Lanes::tick(uint32_t lane) {
  const uint64_t count = ++lanes_[lane].ticks;
  signal(lane, word(lane), count);
  return {lane, count};
}

void Lanes::wait_tick(uint32_t lane, Tick tick) {
  uint64_t& known = lanes_[lane].known[tick.lane];
  if (tick.lane == lane || known >= tick.count) return;
  known = tick.count;
  wait(lane, word(tick.lane), tick.count);
}

Mark Lanes::mark(uint32_t lane) {
  return {lane, lanes_[lane].submitted + lanes_[lane].commands.size(), ++marks_};
}

npuResult Lanes::flush() {
  for (Lane& lane : lanes_) {
    if (lane.commands.empty()) continue;
    NPU_CCL_TRY(open(lane));
    uint64_t last = 0;
    NPU_CCL_TRY(passed_on(npuSubmitBatch(lane.queue, static_cast<uint32_t>(lane.commands.size()),
                                         lane.commands.data(), &last)));
    lane.commands.clear();
    std::lock_guard lock(mutex_);
    lane.submitted = last;
  }
  launches_used_ = 0;
  return NPU_OK;
}

bool Lanes::is_idle() const {
  const Lane& local = lanes_[kLocalLane];
  return local.commands.empty() && npuQueueSync(local.queue, 0) == NPU_OK;
}

// Whether all that |queue| holds came before its last wait for the local lane, which has waited for that then.
bool Lanes::follows(npuQueue queue, uint64_t submitted) const {
  return queue == followed_.queue && followed_.end_value != 0 && submitted == followed_.end_value;
}

npuResult Lanes::begin_after(npuQueue queue, bool* out_waits) {
  uint64_t now = 0;
  NPU_CCL_TRY(passed_on(npuQueueGetSubmitted(queue, &now)));
  const bool is_known = follows(queue, now);
  followed_ = {queue, now, 0};
  if (is_known || npuQueueSync(queue, 0) == NPU_OK) return NPU_OK;
  Lane& local = lanes_[kLocalLane];
  *out_waits = true;
  // The word behind those of the lanes: nobody waits for it.
  NPU_CCL_TRY(
      passed_on(npuQueueSignal(queue, word(static_cast<uint32_t>(lanes_.size())), ++forks_, &now)));
  followed_.begin_value = now;
  uint64_t last = 0;
  NPU_CCL_TRY(passed_on(npuQueueWaitQueue(local.queue, queue, now, &last)));
  std::lock_guard lock(mutex_);
  local.submitted = last;
  return NPU_OK;
}

npuResult Lanes::end_before(npuQueue queue, uint64_t* out_value) {
  const Lane& local = lanes_[kLocalLane];
  NPU_CCL_TRY(passed_on(npuQueueWaitQueue(queue, local.queue, local.submitted, out_value)));
  // Else somebody has submitted in between what no lane waits for yet.
  if (queue == followed_.queue && *out_value == followed_.begin_value + 1) {
    followed_.end_value = *out_value;
  }
  return NPU_OK;
}

npuResult Lanes::completed(uint64_t* out_value) const {
  std::lock_guard lock(mutex_);
  *out_value = 0;
  return npuQueueGetCompleted(lanes_[kLocalLane].queue, out_value);
}

npuResult Lanes::first_failure(uint32_t* out_lane) const {
  std::lock_guard lock(mutex_);
  for (*out_lane = 0; *out_lane < lanes_.size(); ++*out_lane) {
    const npuQueue queue = lanes_[*out_lane].queue;
    if (queue == nullptr) continue;
    const npuResult result = npuQueueSync(queue, 0);
    if (result < 0) return passed_on(result);
  }
  return NPU_OK;
}

npuResult Lanes::await(std::span<const Mark> marks, int64_t timeout_ns, uint32_t* out_index) const {
  std::vector<npuWaitItem> items;
  {
    std::lock_guard lock(mutex_);
    for (const Mark& mark : marks) {
      const Lane& lane = lanes_[mark.lane];
      if (lane.submitted < mark.value) return NPU_NOT_READY;
      items.push_back({lane.queue, mark.value});
    }
  }
  *out_index = 0;
  if (items.size() == 1) return npuQueueWait(items[0].queue, items[0].value, timeout_ns);
  return npuWaitMany(static_cast<uint32_t>(items.size()), items.data(), NPU_WAIT_ANY, timeout_ns,
                     out_index);
}

void Lanes::cut() {
  std::vector<npuQueue> queues;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(is_cut_, true)) return;
    for (Lane& lane : lanes_) {
      if (lane.queue != nullptr) queues.push_back(lane.queue);
    }
  }
  // The handles stay, stale: whoever is inside of a call gets an error.
  for (const npuQueue queue : queues) npuQueueDestroy(queue);
}

void Lanes::nudge() { npuSemaphoreSignal(nudge_, ++nudges_); }

}  // namespace npu::ccl
