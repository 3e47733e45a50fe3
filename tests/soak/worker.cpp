// SPDX-License-Identifier: Apache-2.0
// Threads, their watch, and the last look.
#include "tests/soak/worker.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "libnpu/src/core/object.h"
#include "tests/soak/board.h"
#include "tests/soak/session.h"
#include "tests/support/watchdog.h"

namespace npu::soak {

int open_descriptors(const char* folder) {
  DIR* const entries = opendir(folder);
  if (entries == nullptr) return -1;
  int count = 0;
  while (readdir(entries) != nullptr) count++;
  closedir(entries);
  return count;
}

namespace {

// That this process had so far.
double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// When the parent asks where a thread is: the answer, and the end.
class Watch {
 public:
  Watch(Page& page, const std::vector<std::unique_ptr<Session>>& sessions)
      : page_(page), sessions_(sessions), thread_([this] { watch(); }) {}
  ~Watch() {
    is_over_ = true;
    thread_.join();
  }
  void stop_at(int64_t end_ns) { end_ns_ = end_ns; }
  // True: it is time.
  const std::atomic<bool>& stop() const { return stop_; }

 private:
  void watch() {
    while (!is_over_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (now_ns() > end_ns_) stop_ = true;
      if (const uint32_t question = page_.question) {
        const uint32_t thread = question - 1;
        const bool is_first = thread >= sessions_.size();
        std::fprintf(stderr, "soak: it hangs in %s; all threads:\n",
                     is_first ? "its first thread" : sessions_[thread]->action_name());
        test::dump_threads();
        _exit(3);
      }
    }
  }

  Page& page_;
  const std::vector<std::unique_ptr<Session>>& sessions_;
  std::atomic<int64_t> end_ns_{INT64_MAX};
  std::atomic<bool> is_over_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void open_commons(Session& s, Worker& worker) {
  s.must(npuInit(), "npuInit");
  s.must(npuDeviceOpen(nullptr, &worker.device), "npuDeviceOpen");
  // Others that were killed give back what they had only when the daemon has noticed.
  for (;; usleep(10'000)) {
    if (worker.commons == nullptr &&
        !s.good(npuContextCreate(worker.device, &worker.commons), "npuContextCreate"))
      worker.commons = nullptr;
    if (worker.commons != nullptr &&
        s.good(npuQueueCreate(worker.commons, nullptr, &worker.common_queue), "npuQueueCreate") &&
        s.good(npuModuleLoad(worker.commons, worker.blob.c_str(), &worker.common_module),
               "npuModuleLoad")) {
      return;
    }
    s.must(npuQueueDestroy(worker.common_queue), "npuQueueDestroy");
    worker.common_queue = nullptr;
  }
}

void close_commons(Session& s, Worker& worker) {
  s.must(npuContextDestroy(worker.commons), "npuContextDestroy");
  s.must(npuDeviceClose(worker.device), "npuDeviceClose");
  s.must(npuShutdown(), "npuShutdown");
  s.expect(Object::live_count() == 0, "no object of the library is left at the end");
}

}  // namespace

int run_worker(const WorkerOptions& options) {
  Board board(options.board, options.processes);
  Page& page = board.page(options.number);
  Worker worker;
  worker.seed = options.seed;
  worker.number = options.number;
  worker.blob = options.blob;
  worker.exchange_in = options.exchange_in;
  worker.exchange_out = options.exchange_out;
  const int descriptors = open_descriptors("/proc/self/fd");
  Session first(worker, options.threads, page.first);
  std::vector<std::unique_ptr<Session>> sessions;
  for (uint32_t i = 0; i < options.threads; i++)
    sessions.push_back(std::make_unique<Session>(worker, i, page.threads[i]));
  page.first.enter(gettid());
  Watch watch(page, sessions);
  open_commons(first, worker);
  page.first.sign();

  const double seconds_before = processor_seconds();
  std::vector<std::thread> threads;
  for (const auto& session : sessions)
    threads.emplace_back([&watch, s = session.get()] { s->run(watch.stop()); });
  watch.stop_at(now_ns() + int64_t{options.seconds} * 1'000'000'000);
  for (std::thread& thread : threads) thread.join();
  page.first.sign();

  close_commons(first, worker);
  first.expect(open_descriptors("/proc/self/fd") == descriptors,
               "no descriptor is left at the end");
  uint64_t actions = 0;
  for (const auto& session : sessions) actions += session->actions();
  std::fprintf(stderr, "soak: worker %u (seed %llu): %llu actions\n", options.number,
               static_cast<unsigned long long>(options.seed),
               static_cast<unsigned long long>(actions));
  // A worker in which nothing happened shows nothing; one that got no processor could do nothing.
  first.expect(actions != 0 || processor_seconds() - seconds_before < 1,
               "the threads got something done");
  return 0;
}

}  // namespace npu::soak
