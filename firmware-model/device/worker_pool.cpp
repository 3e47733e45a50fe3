// SPDX-License-Identifier: Apache-2.0
// Hand-over of jobs to the helper threads.
#include "firmware-model/device/worker_pool.h"

#include <chrono>

#include "firmware-model/device/thread.h"

namespace npu::model {
namespace {

// How long a helper looks for the next job before it sleeps: about the cost of waking it.
constexpr auto kHelperSpin = std::chrono::microseconds(20);

}  // namespace

WorkerPool::~WorkerPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void WorkerPool::start_helpers() {
  while (helpers_.size() + 1 < threads_) {
    helpers_.push_back(start_device_thread("npu-worker", [this] { help(); }));
  }
}

void WorkerPool::run(Job& job, bool share) {
  if (own_worker_ == nullptr) own_worker_ = std::make_unique<Worker>(params_);
  if (!share || threads_ < 2) return job.work(*own_worker_);
  start_helpers();
  {
    std::lock_guard lock(mutex_);
    job_ = &job;
    jobs_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  job.work(*own_worker_);
  std::unique_lock lock(mutex_);
  // A helper that wakes from here on finds no job; those that joined are waited for.
  job_ = nullptr;
  done_.wait(lock, [this] { return active_ == 0; });
}

bool WorkerPool::wait_for_job(std::unique_lock<std::mutex>& lock, uint64_t* seen) {
  const auto news = [&] {
    return stop_.load(std::memory_order_relaxed) || jobs_.load(std::memory_order_acquire) != *seen;
  };
  if (!news() && spinning_helps()) {
    lock.unlock();
    const auto end = std::chrono::steady_clock::now() + kHelperSpin;
    while (!news() && std::chrono::steady_clock::now() < end) cpu_relax();
    lock.lock();
  }
  wake_.wait(lock, news);
  *seen = jobs_.load(std::memory_order_relaxed);
  return !stop_.load(std::memory_order_relaxed);
}

void WorkerPool::help() {
  Worker worker(params_);
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (wait_for_job(lock, &seen)) {
    if (job_ == nullptr) continue;
    Job* job = job_;
    ++active_;
    lock.unlock();
    job->work(worker);
    lock.lock();
    if (--active_ == 0) done_.notify_one();
  }
}

}  // namespace npu::model
