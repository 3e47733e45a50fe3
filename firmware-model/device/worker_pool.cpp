// SPDX-License-Identifier: Apache-2.0
// Hand-over of jobs to the helper threads.
#include "firmware-model/device/worker_pool.h"

#include <algorithm>
#include <chrono>

#include "firmware-model/device/thread.h"

namespace npu::model {
namespace {

// How long a helper looks for the next job before it sleeps: at least about the cost of waking it, longer while jobs come
// soon after each other, as the launches of a graph do.
constexpr auto kHelperSpinLeast = std::chrono::microseconds(20);
constexpr auto kHelperSpinMost = std::chrono::microseconds(160);
// After so long a spin lets others have the CPU between two looks.
constexpr auto kSelfishSpin = std::chrono::microseconds(2);
// How long the last helper is waited for awake. It has one work-group in its hands.
constexpr auto kJoinSpin = std::chrono::microseconds(50);

// Looks until |news| or for |most|; whether there was news.
template <typename News>
bool spin(const News& news, std::chrono::nanoseconds most) {
  if (!spinning_helps()) return news();
  const auto begin = std::chrono::steady_clock::now();
  for (auto now = begin; now - begin < most; now = std::chrono::steady_clock::now()) {
    if (now - begin >= kSelfishSpin) std::this_thread::yield();
    for (int look = 0; look < 32; ++look) {
      if (news()) return true;
      cpu_relax();
    }
  }
  return false;
}

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
  if (!share || threads_ < 2) return job.work(own_worker());
  start_helpers();
  {
    std::lock_guard lock(mutex_);
    job_ = &job;
    jobs_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  job.work(own_worker());
  std::unique_lock lock(mutex_);
  // A helper that wakes from here on finds no job; those that joined are waited for.
  job_ = nullptr;
  // pairs with worker_pool.cpp : WorkerPool::help
  const auto alone = [this] { return active_.load(std::memory_order_acquire) == 0; };
  if (alone()) return;
  lock.unlock();
  if (spin(alone, kJoinSpin)) return;
  lock.lock();
  done_.wait(lock, alone);
}

bool WorkerPool::wait_for_job(std::unique_lock<std::mutex>& lock, uint64_t* seen,
                              std::chrono::nanoseconds* budget) {
  const auto news = [&] {
    return stop_.load(std::memory_order_relaxed) || jobs_.load(std::memory_order_acquire) != *seen;
  };
  if (!news()) {
    lock.unlock();
    looking_.fetch_add(1, std::memory_order_relaxed);
    const bool paid = spin(news, *budget);
    looking_.fetch_sub(1, std::memory_order_relaxed);
    *budget = paid ? std::min<std::chrono::nanoseconds>(*budget * 2, kHelperSpinMost)
                   : std::max<std::chrono::nanoseconds>(*budget / 2, kHelperSpinLeast);
    lock.lock();
  }
  wake_.wait(lock, news);
  *seen = jobs_.load(std::memory_order_relaxed);
  return !stop_.load(std::memory_order_relaxed);
}

void WorkerPool::help() {
  Worker worker(params_);
  uint64_t seen = 0;
  std::chrono::nanoseconds budget = kHelperSpinLeast;
  std::unique_lock lock(mutex_);
  while (wait_for_job(lock, &seen, &budget)) {
    if (job_ == nullptr) continue;
    Job* job = job_;
    active_.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    job->work(worker);
    lock.lock();
    // pairs with worker_pool.cpp : WorkerPool::run
    if (active_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_one();
  }
}

}  // namespace npu::model
