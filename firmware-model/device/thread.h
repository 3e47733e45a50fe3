// SPDX-License-Identifier: Apache-2.0
// Threads of the device: how they start, and how they wait for something that is about to happen.
#ifndef NPU_MODEL_DEVICE_THREAD_H_
#define NPU_MODEL_DEVICE_THREAD_H_

#include <chrono>
#include <functional>
#include <thread>

namespace npu::model {

// Starts a thread that takes no signal of the process: handlers belong to the program that the
// device lives in.
std::thread start_device_thread(const char* name, std::function<void()> body);

// CPUs that this process may use.
unsigned usable_cpus();

// The CPU that the caller runs on at this moment; -1: not known.
int present_cpu();

// Keeps a thread off the CPU of the one that it works together with. The kernel wakes a thread beside its waker, and may leave the two there for milliseconds while another CPU idles:
// a thread that was hot a moment ago is not worth a move to it. Belongs to one thread.
class Apart {
 public:
  // Moves the calling thread away when it runs on |cpu| and may run on another; at most once a millisecond, so that it does not wander about on a busy machine. Whether it was moved.
  bool from(int cpu);

 private:
  std::chrono::steady_clock::time_point next_{};
};

// Whether another thread can make progress while this one spins.
inline bool spinning_helps() {
  static const bool several = usable_cpus() > 1;
  return several;
}

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_THREAD_H_
