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

}  // namespace npu::model
