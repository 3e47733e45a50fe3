// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/handles.h"

namespace npu::ccl {
namespace {

constexpr size_t kSlotsMax = 1 << 16;

struct Slot {
  CommunicatorPtr communicator;
  uint32_t generation = 1;
};
struct Table {
  std::mutex mutex;
  std::vector<Slot> slots;
};

// Never destroyed: other threads may still be inside the library when the process ends.
Table& table() {
  static Table* const made = new Table;
  return *made;
}

Slot* slot_of(npuCclComm handle) {
  const auto bits = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(handle));
  const uint64_t number = bits & UINT32_MAX;
  if (number == 0 || number > table().slots.size()) return nullptr;
  Slot& slot = table().slots[number - 1];
  return slot.generation == bits >> 32 && slot.communicator != nullptr ? &slot : nullptr;
}

npuResult no_handle() {
  return fail(NPU_ERROR_INVALID_HANDLE,
              "comm is NULL, was destroyed, or is no communicator of this process");
}

}  // namespace

npuResult add_handle(CommunicatorPtr communicator, npuCclComm* out) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  size_t number = 0;
  while (number < t.slots.size() && t.slots[number].communicator != nullptr) number++;
  if (number == kSlotsMax) return fail(NPU_ERROR_QUOTA, "there are %zu communicators", kSlotsMax);
  if (number == t.slots.size()) t.slots.emplace_back();
  t.slots[number].communicator = std::move(communicator);
  const uint64_t bits = uint64_t{t.slots[number].generation} << 32 | (number + 1);
  *out = reinterpret_cast<npuCclComm>(static_cast<uintptr_t>(bits));
  return NPU_OK;
}

npuResult find_handle(npuCclComm handle, CommunicatorPtr* out) {
  std::lock_guard lock(table().mutex);
  const Slot* slot = slot_of(handle);
  if (slot == nullptr) return no_handle();
  *out = slot->communicator;
  return NPU_OK;
}

npuResult take_handle(npuCclComm handle, CommunicatorPtr* out) {
  std::lock_guard lock(table().mutex);
  Slot* slot = slot_of(handle);
  if (slot == nullptr) return no_handle();
  *out = std::move(slot->communicator);
  slot->communicator.reset();
  slot->generation++;
  return NPU_OK;
}

}  // namespace npu::ccl
