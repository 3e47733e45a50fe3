// SPDX-License-Identifier: Apache-2.0
// npu_load: keeps a device busy through the public API while something bad happens to it, and checks what a program may rely on: every wait
// ends by its deadline, every result is either right or an error that the situation allows, and the next open works again once the
// device does.
//
//   npu_load --seconds 10 [--threads 2] [--seed 1] [--allow none|reset|unplug] [--signals] [--hold]
//
// --allow    which errors are expected: of a device reset, or of a device that goes away for good. Anything else is a failure.
// --signals  a timer interrupts the process every 500 us (no SA_RESTART)
// --hold     after the first work, stop working and wait to be killed: for clients that die with everything in their hands
//
// Exit status: 0 as expected (the counts are printed), 1 a broken promise, 2 wrong use.
#include <npu/npu.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kWaitNs = 5'000'000'000;
// A wait may overshoot its deadline by what a loaded virtual machine needs to schedule a thread.
constexpr auto kSlack = std::chrono::seconds(20);
constexpr uint32_t kWords = 16 << 10;

struct Options {
  int seconds = 10;
  int threads = 2;
  uint32_t seed = 1;
  std::string allow = "none";
  bool signals = false;
  bool hold = false;
};

struct Counts {
  std::atomic<uint64_t> rounds{0};
  std::atomic<uint64_t> resets{0};
  std::atomic<uint64_t> late{0};
  std::atomic<uint64_t> wrong{0};
  std::atomic<bool> gone{false};
};

std::string describe(npuResult result) {
  npuErrorInfo info{};
  info.struct_size = sizeof info;
  npuErrorGetInfo(&info);
  return std::to_string(result) + " " + npuResultGetName(result) + ": " + info.text;
}

class Worker {
 public:
  Worker(const Options& options, Counts* counts, uint32_t number)
      : options_(options), counts_(*counts), number_(number), random_(options.seed + number) {}

  void run(Clock::time_point end) {
    while (Clock::now() < end && !counts_.gone) {
      npuDevice device = nullptr;
      const npuResult opened = npuDeviceOpen(nullptr, &device);
      if (opened == NPU_OK) {
        use(device, end);
        npuDeviceClose(device);
      } else if (!expected(opened, "npuDeviceOpen")) {
        return;
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

 private:
  struct Memory {
    npuDevPtr from = 0;
    npuDevPtr to = 0;
  };

  // Errors that the situation explains. Others are counted as broken promises.
  bool expected(npuResult result, const char* where) {
    const bool reset = result == NPU_ERROR_CONTEXT_LOST || result == NPU_ERROR_QUEUE_DEAD ||
                       result == NPU_ERROR_CANCELED || result == NPU_ERROR_WATCHDOG;
    const bool lost = result == NPU_ERROR_DEVICE_LOST || result == NPU_ERROR_NO_DEVICE;
    if (options_.allow != "none" && reset) {
      ++counts_.resets;
      return true;
    }
    if (options_.allow == "unplug" && lost) {
      counts_.gone = true;
      return true;
    }
    fprintf(stderr, "thread %u: %s: %s\n", number_, where, describe(result).c_str());
    ++counts_.wrong;
    return false;
  }

  void use(npuDevice device, Clock::time_point end) {
    npuContext context = nullptr;
    npuResult result = npuContextCreate(device, &context);
    if (result != NPU_OK) {
      expected(result, "npuContextCreate");
      return;
    }
    npuQueue queue = nullptr;
    Memory memory;
    result = npuQueueCreate(context, nullptr, &queue);
    if (result == NPU_OK) result = npuMemAlloc(context, NPU_MEM_DEVICE, kWords * 4, &memory.from);
    if (result == NPU_OK) result = npuMemAlloc(context, NPU_MEM_HOST, kWords * 4, &memory.to);
    if (result != NPU_OK) expected(result, "creating objects");
    while (result == NPU_OK && Clock::now() < end && !counts_.gone) {
      result = round(context, queue, memory);
      if (result != NPU_OK) expected(result, "a round of work");
      ++counts_.rounds;
      if (options_.hold) hold();
    }
    npuContextDestroy(context);
  }

  [[noreturn]] void hold() {
    printf("holding\n");
    fflush(stdout);
    for (;;) pause();
  }

  // Fills, copies to host memory, waits, looks at every word.
  npuResult round(npuContext context, npuQueue queue, const Memory& memory) {
    const uint32_t word = random_();
    uint64_t value = 0;
    npuResult result = npuQueueFill(queue, memory.from, word, 4, kWords * 4, nullptr);
    if (result != NPU_OK) return result;
    result = npuQueueCopy(queue, memory.to, memory.from, kWords * 4, &value);
    if (result != NPU_OK) return result;
    const auto start = Clock::now();
    result = npuQueueWait(queue, value, kWaitNs);
    if (Clock::now() - start > std::chrono::nanoseconds(kWaitNs) + kSlack) {
      fprintf(stderr, "thread %u: a wait came back late\n", number_);
      ++counts_.late;
    }
    if (result == NPU_TIMEOUT) return NPU_OK;  // a slow machine is no broken promise
    if (result != NPU_OK) return result;
    return check(context, memory.to, word);
  }

  npuResult check(npuContext context, npuDevPtr at, uint32_t word) {
    std::vector<uint32_t> words(kWords);
    const npuResult result = npuMemCopyToHost(context, words.data(), at, kWords * 4);
    if (result != NPU_OK) return result;
    for (uint32_t i = 0; i < kWords; ++i) {
      if (words[i] == word) continue;
      fprintf(stderr, "thread %u: word %u is 0x%x, expected 0x%x\n", number_, i, words[i], word);
      ++counts_.wrong;
      break;
    }
    return NPU_OK;
  }

  const Options& options_;
  Counts& counts_;
  const uint32_t number_;
  std::mt19937 random_;
};

void start_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGALRM, &action, nullptr);
  const itimerval timer{{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

int run(const Options& options) {
  printf("seed %u\n", options.seed);
  fflush(stdout);
  if (const npuResult result = npuInit(); result != NPU_OK) {
    fprintf(stderr, "npuInit: %s\n", describe(result).c_str());
    return 1;
  }
  if (options.signals) start_signals();
  Counts counts;
  const auto end = Clock::now() + std::chrono::seconds(options.seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < options.threads; ++i) {
    threads.emplace_back([&, i] { Worker(options, &counts, static_cast<uint32_t>(i)).run(end); });
  }
  for (std::thread& thread : threads) thread.join();
  npuShutdown();
  printf("rounds %llu, ended by resets %llu, late %llu, wrong %llu%s\n",
         static_cast<unsigned long long>(counts.rounds),
         static_cast<unsigned long long>(counts.resets),
         static_cast<unsigned long long>(counts.late),
         static_cast<unsigned long long>(counts.wrong), counts.gone ? ", device gone" : "");
  const bool idle = counts.rounds == 0 && !counts.gone;
  if (idle) fprintf(stderr, "no round of work was done\n");
  return counts.late != 0 || counts.wrong != 0 || idle ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Keeps a device busy while something bad happens to it."};
  app.add_option("--seconds", options.seconds, "How long")->check(CLI::Range(1, 3600));
  app.add_option("--threads", options.threads, "Threads that work")->check(CLI::Range(1, 64));
  app.add_option("--seed", options.seed, "Of the random numbers");
  app.add_option("--allow", options.allow, "Errors that are expected")
      ->check(CLI::IsMember({"none", "reset", "unplug"}));
  app.add_flag("--signals", options.signals, "Interrupt the process all the time");
  app.add_flag("--hold", options.hold, "Wait to be killed after the first work");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : 2;
  }
  return run(options);
}
