// SPDX-License-Identifier: Apache-2.0
// Slots of subscribers.
#include "libnpu/src/core/subscriber.h"

#include <atomic>
#include <mutex>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

constexpr uint64_t kMark = 6ull << 60;  // no handle of the table (handle.h)
constexpr uint32_t kSlots = 16;

struct Slot {
  std::atomic<uint64_t> handle{0};  // 0: free or ending
  std::atomic<uint32_t> running{0};
  uint64_t first_call = 0;
  npuProfCallback callback = nullptr;
  void* user_data = nullptr;
  bool taken = false;  // by the mutex
};

std::mutex g_mutex;  // of taking and giving back slots
Slot g_slots[kSlots];
uint64_t g_generation = 0;
uint32_t g_count = 0;

thread_local Slot* t_running = nullptr;

uint64_t make_handle(uint64_t generation, uint32_t index) {
  return kMark | (generation & 0xffffffff) << 8 | index;
}

// Ends a visit of a slot. Who waits for the last one is told.
void leave(Slot& slot) {
  if (slot.running.fetch_sub(1, std::memory_order_seq_cst) == 1 &&
      slot.handle.load(std::memory_order_seq_cst) == 0) {
    slot.running.notify_all();
  }
}

void tell_one(Slot& slot, const npuProfCall& call) {
  slot.running.fetch_add(1, std::memory_order_seq_cst);
  const bool alive = slot.handle.load(std::memory_order_seq_cst) != 0;
  if (alive && call.correlation_id >= slot.first_call) {
    t_running = &slot;
    slot.callback(&call, slot.user_data);
    t_running = nullptr;
  }
  leave(slot);
}

}  // namespace

bool Subscribers::of_this_thread() { return t_running != nullptr; }

Status Subscribers::add(npuProfCallback callback, void* user_data, uint64_t* out_handle) {
  std::lock_guard lock(g_mutex);
  for (uint32_t i = 0; i < kSlots; i++) {
    Slot& slot = g_slots[i];
    if (slot.taken) continue;
    slot.taken = true;
    slot.callback = callback;
    slot.user_data = user_data;
    slot.first_call = Call::next_id();
    *out_handle = make_handle(++g_generation, i);
    slot.handle.store(*out_handle, std::memory_order_seq_cst);
    if (g_count++ == 0) Hooks::set(Hook::kSubscribers, true);
    return Status::ok();
  }
  const Status status = fail(NPU_ERROR_QUOTA, "there are %u subscribers already", kSlots);
  set_remedy("End one with npuProfUnsubscribe.");
  return status;
}

Status Subscribers::remove(uint64_t handle) {
  if (t_running != nullptr) {
    return fail(NPU_ERROR_IN_CALLBACK, "a callback of a subscriber cannot end a subscription");
  }
  Slot& slot = g_slots[handle % kSlots];
  uint64_t expected = handle;
  const bool known = (handle & 0xff) < kSlots && handle >> 60 == kMark >> 60 &&
                     slot.handle.compare_exchange_strong(expected, 0, std::memory_order_seq_cst);
  if (!known) {
    return fail(NPU_ERROR_INVALID_HANDLE, "subscriber 0x%llx is no live subscription",
                static_cast<unsigned long long>(handle));
  }
  for (;;) {
    const uint32_t running = slot.running.load(std::memory_order_seq_cst);
    if (running == 0) break;
    slot.running.wait(running, std::memory_order_seq_cst);
  }
  std::lock_guard lock(g_mutex);
  slot.taken = false;
  if (--g_count == 0) Hooks::set(Hook::kSubscribers, false);
  return Status::ok();
}

void Subscribers::tell(const Call& call, bool is_exit) {
  if (t_running != nullptr) return;  // calls of a callback are its own business
  uint64_t values[Call::kArgsMost];
  npuProfCall told{};
  told.struct_size = sizeof told;
  told.phase = is_exit ? NPU_PROF_EXIT : NPU_PROF_ENTER;
  told.function = call.function();
  told.arg_names = call.arg_names();
  told.args = values;
  for (const CallArg& arg : call.args()) values[told.arg_count++] = arg.value;
  told.result = call.result();
  told.correlation_id = call.id();
  told.thread_id = call.thread_id();
  told.time_ns = is_exit ? call.leave_ns() : call.enter_ns();
  const ErrorsKept errors;
  for (Slot& slot : g_slots) {
    if (slot.handle.load(std::memory_order_relaxed) != 0) tell_one(slot, told);
  }
}

void Subscribers::before_fork() { g_mutex.lock(); }

void Subscribers::after_fork_in_parent() { g_mutex.unlock(); }

void Subscribers::after_fork_in_child() {
  for (Slot& slot : g_slots) {
    slot.running.store(&slot == t_running ? 1 : 0, std::memory_order_relaxed);
    // An unsubscription that another thread of the parent was in is over here.
    if (slot.taken && slot.handle.load(std::memory_order_relaxed) == 0) {
      slot.taken = false;
      g_count--;
    }
  }
  Hooks::set(Hook::kSubscribers, g_count != 0);
  g_mutex.unlock();
}

}  // namespace npu
