// SPDX-License-Identifier: Apache-2.0
// Loading, launching, and the handle table.
#include "libnpu/ops/library.h"

#include <cinttypes>

#include "libnpu/common/blob_path.h"
#include "libnpu/common/handle_table.h"
#include "libnpu/ops/check.h"

namespace npu::ops {
namespace {

using Table = common::HandleTable<npuOps, Library>;

Table& table() {
  static Table* const made = new Table;
  return *made;
}

}  // namespace

npuOps add_handle(std::shared_ptr<Library> library) { return table().add(std::move(library)); }

std::shared_ptr<Library> find_handle(npuOps handle) { return table().find(handle); }

bool remove_handle(npuOps handle) { return table().take(handle) != nullptr; }

npuResult Library::create(npuContext context, const char* path, std::shared_ptr<Library>* out) {
  const std::string found =
      path != nullptr ? path : common::blob_path("NPU_OPS_BLOB", "npu_ops.nfw");
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
