// SPDX-License-Identifier: Apache-2.0
// Doorbell pages.
#include "firmware-model/device/doorbell.h"

#include <algorithm>
#include <atomic>

namespace npu::model {

uint64_t Doorbells::take_pending(npu_doorbell_aux* aux, unsigned word) {
  std::atomic_ref<__u64> pending(aux->pending[word]);
  if (pending.load(std::memory_order_relaxed) == 0) return 0;
  // pairs with libnpu/src/backend/model.cpp : ModelBackend::ring
  return pending.exchange(0, std::memory_order_acquire);
}

uint64_t Doorbells::load_slot(const Page& page, unsigned slot) {
  // pairs with libnpu/src/backend/model.cpp : ModelBackend::ring
  return std::atomic_ref<uint64_t>(page.slots[slot]).load(std::memory_order_acquire);
}

void Doorbells::use_own_memory(Page* page) {
  if (page->own == nullptr) page->own = std::make_unique<Memory>();
  page->slots = page->own->slots.data();
  page->aux = &page->own->aux;
}

bool Doorbells::bind(uint32_t number, uint32_t slot, Queue* queue) {
  Page& page = pages_[number];
  if (page.queues.empty()) page.queues.resize(NPU_DOORBELL_SLOTS);
  if (page.queues[slot] != nullptr) return false;
  if (page.slots == nullptr) use_own_memory(&page);
  std::atomic_ref<uint64_t>(page.slots[slot]).store(0, std::memory_order_release);
  page.queues[slot] = queue;
  if (page.bound++ == 0) {
    active_.insert(std::lower_bound(active_.begin(), active_.end(), number), number);
    shown_cpu_ = -1;
  }
  return true;
}

void Doorbells::unbind(uint32_t number, uint32_t slot) {
  Page& page = pages_[number];
  page.queues[slot] = nullptr;
  if (--page.bound == 0) std::erase(active_, number);
}

void Doorbells::set_memory(uint32_t number, void* slots, void* aux, uint64_t epoch, bool sleeping) {
  Page& page = pages_[number];
  if (slots == nullptr) {
    page.slots = nullptr;
    page.aux = nullptr;
    if (page.bound != 0) use_own_memory(&page);
    return;
  }
  page.slots = static_cast<uint64_t*>(slots);
  page.aux = static_cast<npu_doorbell_aux*>(aux);
  std::atomic_ref<__u64>(page.aux->epoch).store(epoch);
  std::atomic_ref<uint32_t>(page.aux->device_sleeping).store(sleeping ? 1 : 0);
  shown_cpu_ = -1;
}

bool Doorbells::ring(uint32_t number, uint32_t slot, uint64_t value) {
  Page& page = pages_[number];
  if (page.slots == nullptr) return false;
  std::atomic_ref<uint64_t>(page.slots[slot]).store(value, std::memory_order_release);
  std::atomic_ref<__u64> pending(page.aux->pending[slot / 64]);
  // Both in the one order of sequentially consistent operations, which the fence of the other side is in too.
  // pairs with scheduler.cpp : Scheduler::sleep
  pending.fetch_or(uint64_t{1} << (slot % 64), std::memory_order_seq_cst);
  return std::atomic_ref<uint32_t>(page.aux->device_sleeping).load(std::memory_order_seq_cst) != 0;
}

void Doorbells::set_sleeping(bool sleeping) {
  for (const uint32_t number : active_) {
    std::atomic_ref<uint32_t>(pages_[number].aux->device_sleeping)
        .store(sleeping ? 1 : 0, std::memory_order_relaxed);
  }
}

void Doorbells::store_cpu(int cpu) {
  shown_cpu_ = cpu;
  for (const uint32_t number : active_) {
    std::atomic_ref<__u32>(pages_[number].aux->device_cpu)
        .store(static_cast<__u32>(cpu + 1), std::memory_order_relaxed);
  }
}

void Doorbells::set_epoch(uint64_t epoch) {
  for (Page& page : pages_) {
    if (page.aux == nullptr) continue;
    std::atomic_ref<__u64>(page.aux->epoch).store(epoch);
  }
}

bool Doorbells::is_pending(const Page& page) {
  for (__u64& word : page.aux->pending) {
    if (std::atomic_ref<__u64>(word).load(std::memory_order_relaxed) != 0) return true;
  }
  return false;
}

bool Doorbells::any_pending() const {
  for (const uint32_t number : active_) {
    if (is_pending(pages_[number])) return true;
  }
  return false;
}

int Doorbells::waker_cpu() const {
  for (const uint32_t number : active_) {
    const Page& page = pages_[number];
    if (!is_pending(page)) continue;
    const uint32_t said =
        std::atomic_ref<__u32>(page.aux->waker_cpu).load(std::memory_order_relaxed);
    return said == 0 || said > INT32_MAX ? -1 : static_cast<int>(said - 1);
  }
  return -1;
}

}  // namespace npu::model
