// SPDX-License-Identifier: Apache-2.0
// One thread of a worker: a context of its own, random actions in it, and what they expect.
#pragma once

#include <npu/npu.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/soak/board.h"
#include "tests/support/launch_info.h"
#include "tests/support/rng.h"

namespace npu::soak {

using test::Rng;

// No wait ends by its own time: whether one hangs, or the machine is busy, the parent tells long before (judge.h).
inline constexpr int64_t kLongNs = 3'600'000'000'000;

// What the threads of a worker share.
struct Worker {
  uint64_t seed = 0;
  uint32_t number = 0;
  std::string blob;
  int exchange_in = -1;  // datagrams with memory of any worker
  int exchange_out = -1;
  npuDevice device = nullptr;
  npuContext commons = nullptr;  // a context in which all threads work
  npuQueue common_queue = nullptr;
  npuModule common_module = nullptr;
};

class Session {
 public:
  // |slot|: where this thread gives its signs of life.
  Session(Worker& worker, uint32_t number, Slot& slot);
  void run(const std::atomic<bool>& stop);

  // True: it went well. False: it did not, for a reason that is legal where many share a device (the quotas), or that is among |also|. Anything else ends the process.
  bool good(npuResult result, const char* what, std::initializer_list<npuResult> also = {});
  void must(npuResult result, const char* what);
  void must_be(npuResult expected, npuResult result, const char* what);
  void expect(bool condition, const char* what);
  [[noreturn]] void fail(const char* what, const char* why);

  uint64_t actions() const { return actions_.load(std::memory_order_relaxed); }
  const char* action_name() const { return name_.load(std::memory_order_relaxed); }

  Worker& worker;
  Rng rng;
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuQueue second = nullptr;
  npuModule module = nullptr;

 private:
  bool open();
  void close();

  uint32_t number_;
  Slot& slot_;
  std::atomic<uint64_t> actions_{0};
  std::atomic<const char*> name_{""};
};

struct Action {
  const char* name;
  void (*run)(Session& s);
  uint32_t weight;
};
extern const Action kMemoryActions[];
extern const size_t kMemoryActionCount;
extern const Action kQueueActions[];
extern const size_t kQueueActionCount;

// An allocation for the length of an action; at is 0 when the device has none left.
struct Memory {
  Memory(Session& session, uint64_t size_bytes, npuMemKind kind = NPU_MEM_DEVICE)
      : s(session), context(session.context) {
    if (!s.good(npuMemAlloc(context, kind, size_bytes, &at), "npuMemAlloc")) at = 0;
  }
  ~Memory() { s.must(npuMemFree(context, at), "npuMemFree"); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  explicit operator bool() const { return at != 0; }

  Session& s;
  npuContext context;
  npuDevPtr at = 0;
};

// A handle for the length of an action.
template <typename T, npuResult (*End)(T)>
struct Own {
  explicit Own(Session& session) : s(session) {}
  ~Own() { s.must(End(handle), "the end of an object"); }
  Own(const Own&) = delete;
  Own& operator=(const Own&) = delete;
  explicit operator bool() const { return handle != nullptr; }

  Session& s;
  T handle = nullptr;
};

npuKernel kernel_of(Session& s, npuModule module, const char* name);
using test::launch_info;
npuResult fill(npuQueue queue, npuDevPtr at, uint32_t word, uint64_t size_bytes,
               uint64_t* out_value = nullptr);
// Every word of the memory is |word|.
void expect_words(Session& s, npuContext context, npuDevPtr at, uint32_t word, uint64_t size_bytes,
                  const char* what);

// Argument block of kernel "add_scalar": y = x + s for 256 elements a group.
struct AddArgs {
  npuDevPtr x;
  npuDevPtr y;
  float s;
  uint32_t pad;
};

int64_t now_ns();

}  // namespace npu::soak
