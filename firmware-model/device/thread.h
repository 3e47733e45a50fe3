// SPDX-License-Identifier: Apache-2.0
// Threads of the device: how they start, and how they wait for something that is about to happen.
#ifndef NPU_MODEL_DEVICE_THREAD_H_
#define NPU_MODEL_DEVICE_THREAD_H_

#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
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
// a thread that was hot a moment ago is not worth a move to it. Belongs to one thread; the destructor any thread.
class Apart {
 public:
  Apart() = default;
  ~Apart();
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;

  // Moves the calling thread away when it runs on |cpu| and may run on another; at most once a millisecond, so that it does not wander about on a busy machine. Whether it was moved.
  bool from(int cpu);
  // The same for others that have called this and not rest(), command threads of this process that may signal each other: to a CPU with none of them, if there is one.
  bool from_others();
  // How many have called from_others() and not rest() since; a hint.
  static unsigned awake();
  // The thread is about to sleep: whoever comes to its CPU meanwhile may stay.
  void rest();

 private:
  static constexpr int kPlaces = 64;
  // CPUs where threads are that are awake, by place; -1: asleep. Bits of taken_: places in use.
  static std::atomic<uint64_t> taken_;
  static std::array<std::atomic<int>, kPlaces> cpus_;

  bool take_place();
  bool move_off(const cpu_set_t& avoided);

  int place_ = -1;
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
