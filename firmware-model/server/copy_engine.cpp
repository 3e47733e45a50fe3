// SPDX-License-Identifier: Apache-2.0
// The copy queue: chunks, windows, completions.
#include "firmware-model/server/copy_engine.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "firmware-model/server/client.h"
#include "uapi/npu_status.h"
#include "uapi/npu_validate.h"
#include "uapi/npu_wire.h"

namespace npu::model::server {
namespace {

constexpr uint32_t kRingLog2 = NPU_RING_LOG2_MIN;
constexpr uint32_t kInFlight = 16;
constexpr uint64_t kChunkBytes = 16ull << 20;
// Own memory first, then the windows; they go round, and far fewer bytes are in flight than there are addresses.
constexpr uint64_t kRingDva = 1ull << 21;
constexpr uint64_t kWindowBegin = 1ull << 30;
constexpr uint64_t kWindowEnd = 1ull << 46;

uint64_t ctrl_dva() { return kRingDva + npu_ring_bytes(kRingLog2); }

Limits no_limits() {
  Limits limits;
  limits.fill(UINT64_MAX / 2);
  return limits;
}

}  // namespace

CopyEngine::~CopyEngine() { stop(); }

int CopyEngine::start() {
  if (queue_ != nullptr) return 0;
  account_ = std::make_shared<Account>(no_limits(), nullptr);
  int err = Vm::create(device_, account_, NPU_VA_USER_END, &vm_);
  npu_bo_create bo{};
  bo.size_bytes = npu_ring_bytes(kRingLog2) + npu_ctrl_bytes(kRingLog2);
  bo.region = NPU_REGION_SYSTEM;
  bo.flags = NPU_BO_SYNC;
  if (err == 0) err = Bo::create(device_, account_, bo, &memory_);
  if (err == 0) {
    BindStep step;
    step.bo = memory_;
    step.op.dva = kRingDva;
    step.op.size_bytes = memory_->bytes();
    uint32_t failed = 0;
    err = vm_->bind({&step, 1}, &failed);
  }
  npu_queue_create args{};
  args.queue_class = NPU_QUEUE_COPY;
  args.priority = NPU_PRIO_NORMAL;
  args.ring_dva = kRingDva;
  args.ctrl_dva = ctrl_dva();
  args.ctrl_offset = npu_ring_bytes(kRingLog2);
  args.ring_log2 = kRingLog2;
  if (err == 0) {
    doorbells_ = std::make_unique<Doorbells>(device_);
    err = doorbells_->open();
  }
  const Queue::Places places{device_, vm_.get(), doorbells_.get(), this, memory_};
  if (err == 0) err = Queue::create(places, account_, args, &queue_);
  if (err != 0) {
    stop();
    return err;
  }
  device_->events().watch(queue_->view(), 1);
  submitted_ = 0;
  reaped_ = 0;
  next_dva_ = kWindowBegin;
  return 0;
}

void CopyEngine::stop() {
  queue_.reset();
  doorbells_.reset();
  chunks_.clear();
  vm_.reset();
  memory_.reset();
}

int CopyEngine::submit(Client* owner, std::vector<CopyStep> steps, CopyJob** out) {
  const int err = start();
  if (err != 0) return err;
  jobs_.push_back({.owner = owner, .steps = std::move(steps)});
  *out = &jobs_.back();
  pump();
  return 0;
}

void CopyEngine::abandon(CopyJob* job) {
  job->owner = nullptr;
  job->step = job->steps.size();
  finish_ended_jobs();
}

void CopyEngine::pump() {
  bool issued = true;
  while (issued && chunks_.size() < kInFlight) {
    issued = false;
    // One chunk of each job in turn: a long copy does not hold up a short one.
    for (CopyJob& job : jobs_) {
      if (chunks_.size() < kInFlight && issue(&job)) issued = true;
    }
  }
  if (!chunks_.empty()) arm_interrupt(queue_->view()->ctrl, reaped_ + 1);
  // The completion may have come before the arming; a job without anything in flight gets no interrupt at all.
  needs_service_ = needs_service_ || chunks_.empty() || queue_->view()->completed() > reaped_;
}

void CopyEngine::service() {
  if (!needs_service_) return;
  needs_service_ = false;
  on_queue_progress(0);
}

bool CopyEngine::issue(CopyJob* job) {
  if (job->error != 0 || job->step >= job->steps.size()) return false;
  const CopyStep& step = job->steps[job->step];
  const uint64_t bytes = std::min<uint64_t>(kChunkBytes, step.op.size_bytes - job->offset);
  Chunk chunk{.job = job, .src = {}, .dst = {}};
  uint64_t src_dva = 0;
  uint64_t dst_dva = 0;
  int err = map(step.dst, step.op.dst_offset + job->offset, bytes, true, &chunk.dst, &dst_dva);
  if (err == 0 && step.src != nullptr) {
    err = map(step.src, step.op.src_offset + job->offset, bytes, false, &chunk.src, &src_dva);
    if (err != 0) unmap(chunk.dst);
  }
  if (err != 0) {
    job->error = err;
    needs_service_ = true;
    return false;
  }
  npu_cmd command{};
  if (step.src != nullptr) {
    npu_cmd_copy copy{};
    copy.op = NPU_CMD_COPY;
    copy.src_dva = src_dva;
    copy.dst_dva = dst_dva;
    copy.width_bytes = bytes;
    copy.height = 1;
    copy.depth = 1;
    std::memcpy(&command, &copy, sizeof(command));
  } else {
    npu_cmd_fill fill{};
    fill.op = NPU_CMD_FILL;
    fill.dst_dva = dst_dva;
    fill.width_bytes = bytes;
    fill.pattern = step.op.pattern;
    fill.pattern_bytes = 8;
    fill.height = 1;
    std::memcpy(&command, &fill, sizeof(command));
  }
  job->offset += bytes;
  if (job->offset == step.op.size_bytes) {
    job->offset = 0;
    ++job->step;
  }
  ++job->in_flight;
  chunks_.push_back(chunk);
  write_command(command);
  return true;
}

int CopyEngine::map(const std::shared_ptr<Bo>& bo, uint64_t offset, uint64_t bytes, bool write,
                    Window* window, uint64_t* dva) {
  const uint64_t page = npu_region_page_bytes(bo->region());
  const uint64_t first = offset & ~(page - 1);
  const uint64_t end = (offset + bytes + page - 1) & ~(page - 1);
  const uint64_t room = (end - first + NPU_PAGE_2M - 1) & ~(NPU_PAGE_2M - 1);
  if (room > kWindowEnd - next_dva_) next_dva_ = kWindowBegin;
  BindStep step;
  step.bo = bo;
  step.op.flags = write ? 0 : NPU_BIND_READONLY;
  step.op.bo_offset = first;
  step.op.dva = next_dva_;
  step.op.size_bytes = end - first;
  uint32_t failed = 0;
  const int err = vm_->bind({&step, 1}, &failed);
  if (err != 0) return err;
  *window = {next_dva_, end - first};
  *dva = next_dva_ + (offset - first);
  next_dva_ += room;
  return 0;
}

void CopyEngine::unmap(const Window& window) {
  if (window.bytes == 0) return;
  BindStep step;
  step.op.kind = NPU_BIND_UNMAP;
  step.op.dva = window.dva;
  step.op.size_bytes = window.bytes;
  uint32_t failed = 0;
  vm_->bind({&step, 1}, &failed);
}

void CopyEngine::write_command(const npu_cmd& command) {
  const uint64_t slot = submitted_ % (1u << kRingLog2);
  std::memcpy(memory_->host(slot * sizeof(command)), &command, sizeof(command));
  // The protocol of npu_doorbell_aux, as any client follows it.
  uint64_t* word = doorbells_->word(queue_->slot());
  __atomic_store_n(word, ++submitted_, __ATOMIC_RELEASE);
  auto* aux = reinterpret_cast<npu_doorbell_aux*>(doorbells_->word(NPU_DOORBELL_SLOTS));
  __atomic_fetch_or(&aux->pending[queue_->slot() / 64], 1ull << queue_->slot() % 64,
                    __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (__atomic_load_n(&aux->device_sleeping, __ATOMIC_RELAXED) == 0 ||
      __atomic_exchange_n(&aux->device_sleeping, 0, __ATOMIC_RELAXED) == 0) {
    return;
  }
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(npu_device_wake_fd(device_->raw()), &one, sizeof(one));
}

void CopyEngine::reap() {
  const uint64_t completed = queue_->view()->completed();
  for (; reaped_ < completed && !chunks_.empty(); ++reaped_) {
    const Chunk chunk = chunks_.front();
    chunks_.pop_front();
    const uint64_t record = npu_ring_bytes(kRingLog2) + NPU_CTRL_BYTES +
                            reaped_ % (1u << kRingLog2) * sizeof(npu_completion);
    npu_completion completion;
    std::memcpy(&completion, memory_->host(record), sizeof(completion));
    if (completion.status != NPU_ST_OK) chunk.job->error = EIO;
    --chunk.job->in_flight;
    unmap(chunk.src);
    unmap(chunk.dst);
  }
}

void CopyEngine::finish_ended_jobs() {
  for (auto at = jobs_.begin(); at != jobs_.end();) {
    const bool over = at->error != 0 || at->step >= at->steps.size();
    if (!over || at->in_flight > 0) {
      ++at;
      continue;
    }
    std::list<CopyJob> ended;
    ended.splice(ended.end(), jobs_, at++);
    if (ended.front().owner != nullptr) {
      ended.front().owner->copy_done(&ended.front(), ended.front().error);
    }
  }
}

void CopyEngine::on_queue_progress(uint32_t) {
  if (queue_ == nullptr) return;
  reap();
  pump();
  finish_ended_jobs();
}

void CopyEngine::on_queue_fault(uint32_t, const npu_event_record&) {
  if (queue_ == nullptr) return;
  // Everything it touches is mapped and checked, so the memory itself is at fault: these jobs fail, the next ones get a
  // new queue.
  for (const Chunk& chunk : chunks_) {
    chunk.job->error = EIO;
    chunk.job->in_flight = 0;
  }
  stop();
  finish_ended_jobs();
  if (jobs_.empty()) return;
  if (start() == 0) {
    pump();
  } else {
    for (CopyJob& job : jobs_) job.error = EIO;
  }
  finish_ended_jobs();
}

}  // namespace npu::model::server
