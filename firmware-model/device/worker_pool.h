// SPDX-License-Identifier: Apache-2.0
// Threads that run work-groups. The thread that calls run() is one of them; the others start when
// they are first needed.
//
// Thread safety: run() by one thread at a time (the command processor).
#ifndef NPU_MODEL_DEVICE_WORKER_POOL_H_
#define NPU_MODEL_DEVICE_WORKER_POOL_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "firmware-model/tile/tile.h"

namespace npu::model {

class WorkerPool {
 public:
  // Work that any number of threads may share; returns when nothing is left to take.
  class Job {
   public:
    virtual ~Job() = default;
    virtual void work(Worker& worker) = 0;
  };

  WorkerPool(const TileParams& params, unsigned threads) : params_(params), threads_(threads) {}
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  unsigned threads() const { return threads_; }
  // Runs |job| to its end on this thread and, when |share|, on the others.
  void run(Job& job, bool share);
  // Whether a helper looks for a job at this moment, and needs no wake-up.
  bool helper_is_awake() const { return looking_.load(std::memory_order_relaxed) != 0; }
  // Of the thread that calls run().
  Worker& own_worker() {
    if (own_worker_ == nullptr) own_worker_ = std::make_unique<Worker>(params_);
    return *own_worker_;
  }

 private:
  void start_helpers();
  void help();
  bool wait_for_job(std::unique_lock<std::mutex>& lock, uint64_t* seen,
                    std::chrono::nanoseconds* budget);

  const TileParams& params_;
  const unsigned threads_;
  std::unique_ptr<Worker> own_worker_;
  std::vector<std::thread> helpers_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<uint64_t> jobs_{0};  // number of shared jobs so far; written under the mutex
  std::atomic<bool> stop_{false};
  Job* job_ = nullptr;
  std::atomic<unsigned> looking_{0};  // helpers that spin; a hint
  std::atomic<unsigned> active_{0};   // helpers at work; written under the mutex
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_WORKER_POOL_H_
