// SPDX-License-Identifier: Apache-2.0
// Start of device threads.
#include "firmware-model/device/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
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

bool Apart::from(int cpu) {
  constexpr auto kRest = std::chrono::milliseconds(1);
  if (cpu < 0 || cpu >= CPU_SETSIZE || cpu != present_cpu()) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return false;
  next_ = now + kRest;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) < 2) return false;
  cpu_set_t others = allowed;
  CPU_CLR(cpu, &others);
  // The first call moves the thread, the second one leaves later moves to the kernel again.
  if (sched_setaffinity(0, sizeof(others), &others) != 0) return false;
  sched_setaffinity(0, sizeof(allowed), &allowed);
  return true;
}

}  // namespace npu::model
