// SPDX-License-Identifier: Apache-2.0
// Start of device threads.
#include "firmware-model/device/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace npu::model {

std::thread start_device_thread(const char* name, std::function<void()> body) {
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  // Faults of the thread itself stay open: a blocked one would end the process before its handler
  // (firmware-model/vfio_user/bus_guard.h) could run.
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, fault);
  // The new thread inherits the mask.
  pthread_sigmask(SIG_SETMASK, &all, &old);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

unsigned usable_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&cpus)));
}

int present_cpu() { return sched_getcpu(); }

std::atomic<uint64_t> Apart::taken_{0};
std::array<std::atomic<int>, Apart::kPlaces> Apart::cpus_;

Apart::~Apart() {
  if (place_ < 0) return;
  rest();
  taken_.fetch_and(~(uint64_t{1} << place_));
}

// False: as many devices as there are places run already; then this one goes without.
bool Apart::take_place() {
  uint64_t taken = taken_.load();
  while (place_ < 0 && taken != UINT64_MAX) {
    const int free = std::countr_one(taken);
    if (!taken_.compare_exchange_weak(taken, taken | uint64_t{1} << free)) continue;
    place_ = free;
    rest();
  }
  return place_ >= 0;
}

unsigned Apart::awake() {
  unsigned count = 0;
  for (uint64_t left = taken_.load(std::memory_order_relaxed); left != 0; left &= left - 1) {
    const auto place = static_cast<size_t>(std::countr_zero(left));
    count += cpus_[place].load(std::memory_order_relaxed) >= 0;
  }
  return count;
}

void Apart::rest() {
  if (place_ >= 0) cpus_[static_cast<size_t>(place_)].store(-1, std::memory_order_relaxed);
}

// The first call moves the thread, the second one leaves later moves to the kernel again.
bool Apart::move_off(const cpu_set_t& avoided) {
  constexpr auto kRest = std::chrono::milliseconds(1);
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return false;
  next_ = now + kRest;
  cpu_set_t allowed, rest;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return false;
  CPU_AND(&rest, &allowed, &avoided);
  CPU_XOR(&rest, &allowed, &rest);
  if (CPU_COUNT(&rest) == 0 || sched_setaffinity(0, sizeof(rest), &rest) != 0) return false;
  sched_setaffinity(0, sizeof(allowed), &allowed);
  return true;
}

bool Apart::from(int cpu) {
  if (cpu < 0 || cpu >= CPU_SETSIZE || cpu != present_cpu()) return false;
  cpu_set_t avoided;
  CPU_ZERO(&avoided);
  CPU_SET(cpu, &avoided);
  return move_off(avoided);
}

bool Apart::from_others() {
  const int own = present_cpu();
  if (own < 0 || own >= CPU_SETSIZE || (place_ < 0 && !take_place())) return false;
  cpus_[static_cast<size_t>(place_)].store(own, std::memory_order_relaxed);
  cpu_set_t avoided;
  bool shares = false;
  uint64_t others = taken_.load(std::memory_order_relaxed) & ~(uint64_t{1} << place_);
  if (others == 0) return false;
  CPU_ZERO(&avoided);
  for (; others != 0; others &= others - 1) {
    const auto place = static_cast<size_t>(std::countr_zero(others));
    const int cpu = cpus_[place].load(std::memory_order_relaxed);
    if (cpu < 0) continue;
    CPU_SET(cpu, &avoided);
    // Of two that share one CPU the later one goes, or they might swap.
    shares = shares || (cpu == own && place < static_cast<size_t>(place_));
  }
  if (!shares || !move_off(avoided)) return false;
  cpus_[static_cast<size_t>(place_)].store(present_cpu(), std::memory_order_relaxed);
  return true;
}

}  // namespace npu::model
