// SPDX-License-Identifier: Apache-2.0
// The table of guarded mappings and the handler. The handler uses system calls and atomics only.
#include "firmware-model/vfio_user/bus_guard.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

namespace npu::model::vfio_user {
namespace {

constexpr size_t kSlots = size_t{1} << 17;  // twice the maps of one device

// All zero at first: the table is no part of the file of the program.
struct Slot {
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> bytes{0};  // 0: free
  std::atomic<int> notify_fd{0};
  std::atomic<bool> broke{false};
};

// The pages of slots that were never used cost nothing.
std::array<Slot, kSlots> g_slots;
std::atomic<size_t> g_used{0};  // slots behind it were never used
struct sigaction g_before;

struct FreeSlots {
  std::mutex mutex;
  std::vector<int32_t> list;
};

FreeSlots& free_slots() {
  static FreeSlots slots;
  return slots;
}

bool patch(uintptr_t address) {
  const size_t used = std::min(g_used.load(std::memory_order_acquire), kSlots);
  for (size_t i = 0; i < used; ++i) {
    Slot& slot = g_slots[i];
    // pairs with bus_guard.cpp : BusGuard::watch
    const size_t bytes = slot.bytes.load(std::memory_order_acquire);
    const uintptr_t begin = slot.begin.load(std::memory_order_relaxed);
    if (address < begin || address - begin >= bytes) continue;
    if (!replace_by_zeros(reinterpret_cast<void*>(begin), bytes)) return false;
    slot.broke.store(true);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(slot.notify_fd.load(), &one, sizeof(one));
    return true;
  }
  return false;
}

void on_bus_error(int number, siginfo_t* info, void*) {
  const int saved_errno = errno;
  if (info->si_code > 0 && patch(reinterpret_cast<uintptr_t>(info->si_addr))) {
    errno = saved_errno;
    return;
  }
  // Not ours: the access is repeated under the handler that was there before.
  sigaction(number, &g_before, nullptr);
  errno = saved_errno;
}

}  // namespace

bool replace_by_zeros(void* begin, size_t bytes) {
  // The system call itself: sanitizers put code of theirs around mmap(), which must not run in a
  // handler.
  const long result = syscall(SYS_mmap, begin, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  return result == static_cast<long>(reinterpret_cast<uintptr_t>(begin));
}

void BusGuard::install() {
  static const bool once = [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &g_before) == 0;
  }();
  static_cast<void>(once);
}

BusGuard::BusGuard(BusGuard&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}

BusGuard& BusGuard::operator=(BusGuard&& other) noexcept {
  if (this != &other) {
    release();
    slot_ = std::exchange(other.slot_, -1);
  }
  return *this;
}

bool BusGuard::watch(void* begin, size_t bytes, int notify_fd) {
  release();
  FreeSlots& free = free_slots();
  std::lock_guard lock(free.mutex);
  if (!free.list.empty()) {
    slot_ = free.list.back();
    free.list.pop_back();
  } else if (const size_t used = g_used.load(std::memory_order_relaxed); used < kSlots) {
    slot_ = static_cast<int32_t>(used);
    g_used.store(used + 1, std::memory_order_release);
  } else {
    return false;
  }
  Slot& slot = g_slots[static_cast<size_t>(slot_)];
  slot.begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_relaxed);
  slot.notify_fd.store(notify_fd, std::memory_order_relaxed);
  slot.broke.store(false, std::memory_order_relaxed);
  // pairs with bus_guard.cpp : patch
  slot.bytes.store(bytes, std::memory_order_release);
  return true;
}

void BusGuard::release() {
  if (slot_ < 0) return;
  g_slots[static_cast<size_t>(slot_)].bytes.store(0, std::memory_order_relaxed);
  FreeSlots& free = free_slots();
  std::lock_guard lock(free.mutex);
  free.list.push_back(std::exchange(slot_, -1));
}

bool BusGuard::broke() const {
  return slot_ >= 0 && g_slots[static_cast<size_t>(slot_)].broke.load();
}

}  // namespace npu::model::vfio_user
