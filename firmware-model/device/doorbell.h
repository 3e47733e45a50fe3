// SPDX-License-Identifier: Apache-2.0
// Doorbell pages: which slot belongs to which queue, and which slots were rung. Registers and
// shared memory look the same from here on.
//
// Thread safety: guarded by the scheduler's mutex. Memory ordering: struct npu_doorbell_aux in
// uapi/npu_wire.h tells both sides of the protocol.
#ifndef NPU_MODEL_DEVICE_DOORBELL_H_
#define NPU_MODEL_DEVICE_DOORBELL_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "uapi/npu_regs.h"
#include "uapi/npu_wire.h"

namespace npu::model {

struct Queue;

class Doorbells {
 public:
  static constexpr uint32_t kPages = NPU_BAR0_DOORBELL_PAGES_MAX;

  // False: the slot is taken. The slot's value becomes 0.
  bool bind(uint32_t page, uint32_t slot, Queue* queue);
  void unbind(uint32_t page, uint32_t slot);
  // Shared memory for a page, or nullptr twice: back to the registers.
  void set_memory(uint32_t page, void* slots, void* aux, uint64_t epoch, bool sleeping);
  // A write to the register of a slot. True: the command processor must be woken.
  bool ring(uint32_t page, uint32_t slot, uint64_t value);
  void set_sleeping(bool sleeping);
  void set_epoch(uint64_t epoch);
  bool any_pending() const;
  // Tells clients where the device's work is done; -1: not known.
  void show_cpu(int cpu) {
    if (cpu != shown_cpu_) [[unlikely]]
      store_cpu(cpu);
  }

  // Calls found(queue, value) for every queue whose slot was rung since the last call. True:
  // somebody rang, whether or not a queue listens there.
  template <typename Found>
  bool collect(Found&& found);

  // The CPU from which a client with something pending has woken the device, as it says; -1: not known.
  int waker_cpu() const;

 private:
  struct Memory {  // what a page has while no client shares its own
    std::array<uint64_t, NPU_DOORBELL_SLOTS> slots{};
    npu_doorbell_aux aux{};
  };
  struct Page {
    uint64_t* slots = nullptr;
    npu_doorbell_aux* aux = nullptr;
    std::unique_ptr<Memory> own;
    std::vector<Queue*> queues;  // by slot
    uint32_t bound = 0;
  };
  void use_own_memory(Page* page);
  static uint64_t take_pending(npu_doorbell_aux* aux, unsigned word);
  static uint64_t load_slot(const Page& page, unsigned slot);
  static bool is_pending(const Page& page);
  void store_cpu(int cpu);

  std::array<Page, kPages> pages_;
  std::vector<uint32_t> active_;  // pages with a bound queue, ascending
  int shown_cpu_ = -1;
};

template <typename Found>
bool Doorbells::collect(Found&& found) {
  bool any = false;
  for (const uint32_t number : active_) {
    Page& page = pages_[number];
    for (unsigned word = 0; word < NPU_DOORBELL_WORDS; ++word) {
      uint64_t bits = take_pending(page.aux, word);
      any |= bits != 0;
      for (; bits != 0; bits &= bits - 1) {
        const unsigned slot = word * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
        if (page.queues[slot] != nullptr) found(*page.queues[slot], load_slot(page, slot));
      }
    }
  }
  return any;
}

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_DOORBELL_H_
