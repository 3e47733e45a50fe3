// SPDX-License-Identifier: Apache-2.0
// Threads, their watch, and the last look.
#include "tests/soak/worker.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "libnpu/src/core/object.h"
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

// A thread that has given no sign of life for too long.
bool hangs(const std::vector<std::unique_ptr<Session>>& sessions, int64_t limit_ns) {
  for (const auto& session : sessions) {
    if (now_ns() - session->last_sign_ns() < limit_ns) continue;
    std::fprintf(stderr, "soak: a thread hangs in action %s; all threads:\n",
                 session->action_name());
    return true;
  }
  return false;
}

void open_commons(Session& s, Worker& worker) {
  s.must(npuInit(), "npuInit");
  s.must(npuDeviceOpen(nullptr, &worker.device), "npuDeviceOpen");
  // Others that were killed give back what they had only when the daemon has noticed.
  const int64_t deadline = now_ns() + kLongNs;
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
    if (now_ns() > deadline) s.fail("the start", "found no room on the device");
    s.must(npuQueueDestroy(worker.common_queue), "npuQueueDestroy");
    worker.common_queue = nullptr;
  }
}

}  // namespace

int run_worker(const WorkerOptions& options) {
  Worker worker;
  worker.seed = options.seed;
  worker.number = options.number;
  worker.blob = options.blob;
  worker.exchange_in = options.exchange_in;
  worker.exchange_out = options.exchange_out;
  const int descriptors = open_descriptors("/proc/self/fd");
  Session last(worker, options.threads);
  open_commons(last, worker);

  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < options.threads; i++) {
    sessions.push_back(std::make_unique<Session>(worker, i));
    threads.emplace_back([&stop, session = sessions.back().get()] { session->run(stop); });
  }
  const int64_t end_ns = now_ns() + int64_t{options.seconds} * 1'000'000'000;
  const int64_t limit_ns = int64_t{options.hang_seconds} * 1'000'000'000;
  std::atomic<bool> joined{false};
  std::thread watch([&] {
    while (!joined) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (now_ns() > end_ns) stop = true;
      // At the end the sign is that of the last action, so the limit holds for it too.
      if (!joined && hangs(sessions, limit_ns)) {
        test::dump_threads();
        _exit(3);
      }
    }
  });
  for (std::thread& thread : threads) thread.join();
  joined = true;
  watch.join();

  last.must(npuContextDestroy(worker.commons), "npuContextDestroy");
  last.must(npuDeviceClose(worker.device), "npuDeviceClose");
  last.must(npuShutdown(), "npuShutdown");
  last.expect(Object::live_count() == 0, "no object of the library is left at the end");
  last.expect(open_descriptors("/proc/self/fd") == descriptors, "no descriptor is left at the end");
  uint64_t actions = 0;
  for (const auto& session : sessions) actions += session->actions();
  std::fprintf(stderr, "soak: worker %u (seed %llu): %llu actions\n", options.number,
               static_cast<unsigned long long>(options.seed),
               static_cast<unsigned long long>(actions));
  // A worker in which nothing happened shows nothing; one that got no processor could do nothing.
  last.expect(actions != 0 || processor_seconds() < 1, "the threads got something done");
  return 0;
}

}  // namespace npu::soak
