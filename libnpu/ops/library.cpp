// SPDX-License-Identifier: Apache-2.0
// Loading, launching, and the handle table.
#include "libnpu/ops/library.h"

#include <npu/npu_error.h>

#include <cinttypes>
#include <mutex>
#include <vector>

#include "libnpu/ops/check.h"

namespace npu::ops {
namespace {

// A handle is the slot's number plus one in the low half and the slot's generation in the high half.
struct Slot {
  std::shared_ptr<Library> library;
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

constexpr size_t kSlotsMax = 1 << 16;

// A failure of libnpu becomes this library's own, so that one text tells of every failing call here.
npuResult passed_on(npuResult result) {
  if (result >= 0) return result;
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  return fail(result, "%s: %s", info.function, info.text);
}

Slot* slot_of(Table& t, npuOps handle) {
  const auto bits = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(handle));
  const uint64_t number = bits & UINT32_MAX;
  if (number == 0 || number > t.slots.size()) return nullptr;
  Slot& slot = t.slots[number - 1];
  return slot.generation == bits >> 32 && slot.library != nullptr ? &slot : nullptr;
}

}  // namespace

npuOps add_handle(std::shared_ptr<Library> library) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  size_t number = 0;
  while (number < t.slots.size() && t.slots[number].library != nullptr) ++number;
  if (number == kSlotsMax) return nullptr;
  if (number == t.slots.size()) t.slots.emplace_back();
  t.slots[number].library = std::move(library);
  const uint64_t bits = uint64_t{t.slots[number].generation} << 32 | (number + 1);
  return reinterpret_cast<npuOps>(static_cast<uintptr_t>(bits));
}

std::shared_ptr<Library> find_handle(npuOps handle) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const Slot* slot = slot_of(t, handle);
  return slot != nullptr ? slot->library : nullptr;
}

bool remove_handle(npuOps handle) {
  std::shared_ptr<Library> last;  // unloads after the lock was given back
  Table& t = table();
  std::lock_guard lock(t.mutex);
  Slot* slot = slot_of(t, handle);
  if (slot == nullptr) return false;
  last = std::move(slot->library);
  slot->library.reset();
  ++slot->generation;
  return true;
}

npuResult Library::create(npuContext context, const char* path, std::shared_ptr<Library>* out) {
  const std::string found = path != nullptr ? path : blob_path();
  if (found.empty()) {
    return fail(NPU_ERROR_FILE,
                "npu_ops.nfw was not found beside the library; set NPU_OPS_BLOB or give its path");
  }
  auto library = std::make_shared<Library>();
  NPU_OPS_TRY(passed_on(npuModuleLoad(context, found.c_str(), &library->module_)));
  npuKernel kernel;
  const std::string name = program_name(0);
  if (npuModuleGetKernel(library->module_, name.c_str(), &kernel) != NPU_OK) {
    return fail(NPU_ERROR_NOT_FOUND, "'%s' holds other kernels: it has no program '%s'",
                found.c_str(), name.c_str());
  }
  *out = std::move(library);
  return NPU_OK;
}

Library::~Library() {
  // The context may have ended before: then the module is gone already.
  if (module_ != nullptr) npuModuleUnload(module_);
}

npuResult Library::find(const Plan& plan, npuKernel* out) {
  const std::string name = program_name(plan.program);
  npuKernel kernel;
  NPU_OPS_TRY(passed_on(npuModuleGetKernel(module_, name.c_str(), &kernel)));
  npuKernelInfo info{};
  info.struct_size = sizeof(info);
  NPU_OPS_TRY(passed_on(npuKernelGetInfo(kernel, &info)));
  if (info.args_bytes != plan.block_bytes()) {
    return fail(NPU_ERROR_ARGUMENT_LAYOUT,
                "program '%s' of the blob takes %" PRIu32
                " bytes of arguments, this library gives %" PRIu32,
                name.c_str(), info.args_bytes, plan.block_bytes());
  }
  kernels_[plan.program].store(kernel, std::memory_order_relaxed);
  *out = kernel;
  return NPU_OK;
}

npuResult Library::kernel_of(const Plan& plan, npuKernel* out) {
  *out = kernels_[plan.program].load(std::memory_order_relaxed);
  return *out != nullptr ? NPU_OK : find(plan, out);
}

npuResult Library::launch(npuQueue queue, const Plan& plan, uint64_t* out_value) {
  npuKernel kernel;
  NPU_OPS_TRY(kernel_of(plan, &kernel));
  npuLaunchInfo info{};
  info.struct_size = sizeof(info);
  info.grid_x = plan.grid[0];
  info.grid_y = plan.grid[1];
  info.grid_z = plan.grid[2];
  info.args = plan.args;
  info.args_bytes = plan.block_bytes();
  return passed_on(npuQueueLaunch(queue, kernel, &info, out_value));
}

}  // namespace npu::ops
