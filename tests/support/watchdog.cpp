// SPDX-License-Identifier: Apache-2.0
// A signal to each thread, whose handler writes the thread's own stack.
#include "tests/support/watchdog.h"

#include <dirent.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace npu::test {
namespace {

constexpr int kFrames = 48;
std::atomic<int> g_dumped{0};

void write_stack(int) {
  void* frames[kFrames];
  const int count = backtrace(frames, kFrames);
  char text[64];
  const int length =
      std::snprintf(text, sizeof text, "--- thread %d\n", static_cast<int>(syscall(SYS_gettid)));
  if (write(STDERR_FILENO, text, static_cast<size_t>(length)) < 0) return;
  backtrace_symbols_fd(frames, count, STDERR_FILENO);
  g_dumped.fetch_add(
      1, std::memory_order_release);  // pairs with tests/support/watchdog.cpp : dump_one
}

void dump_one(int tid) {
  const int before = g_dumped.load(
      std::memory_order_acquire);  // pairs with tests/support/watchdog.cpp : write_stack
  if (syscall(SYS_tgkill, getpid(), tid, SIGUSR2) != 0) return;
  for (int i = 0; i < 200 && g_dumped.load(std::memory_order_acquire) == before; i++) usleep(1000);
}

}  // namespace

void dump_threads() {
  struct sigaction action {};
  action.sa_handler = write_stack;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR2, &action, nullptr);
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return;
  while (const dirent* entry = readdir(tasks)) {
    if (const int tid = std::atoi(entry->d_name); tid > 0) dump_one(tid);
  }
  closedir(tasks);
}

Watchdog::Watchdog(uint32_t deadline_s) : thread_([this, deadline_s] { watch(deadline_s); }) {}

Watchdog::~Watchdog() {
  stop_ = true;
  thread_.join();
}

void Watchdog::watch(uint32_t deadline_s) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kTurn(50);
  uint64_t seen = life_.load(std::memory_order_relaxed);
  Clock::duration silence{};
  auto last = Clock::now();
  while (!stop_) {
    std::this_thread::sleep_for(kTurn);
    const auto turned = Clock::now();
    // Where this thread was stopped or starved, so were the others: it says nothing about them.
    silence += std::min<Clock::duration>(turned - last, 2 * kTurn);
    last = turned;
    const uint64_t now = life_.load(std::memory_order_relaxed);
    if (now != seen) {
      seen = now;
      silence = {};
    } else if (silence > std::chrono::seconds(deadline_s)) {
      std::fprintf(stderr, "process %d: no progress for %u s; its threads:\n",
                   static_cast<int>(getpid()), deadline_s);
      dump_threads();
      std::abort();
    }
  }
}

}  // namespace npu::test
