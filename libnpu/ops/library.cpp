// SPDX-License-Identifier: Apache-2.0
// Loading, launching, and the handle table.
#include "libnpu/ops/library.h"

#include <npu/npu_device.h>
#include <npu/npu_prof.h>

#include <cinttypes>
#include <filesystem>

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
  auto library = std::make_shared<Library>(context, found);
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
  if (wide_module_ != nullptr) npuModuleUnload(wide_module_);
}

const Chip& Library::chip() {
  std::call_once(chip_once_, [this] { ask_device(); });
  return chip_;
}

// "npu_ops.nfw" has "npu_ops_wide4.nfw" beside it.
std::string Library::wide_path() const {
  const std::filesystem::path path(path_);
  return (path.parent_path() / (path.stem().string() + "_wide" + std::to_string(chip_.wide_l1) +
                                path.extension().string()))
      .string();
}

void Library::ask_device() {
  npuDevice device;
  npuDeviceInfo info{};
  info.struct_size = sizeof(info);
  if (npuContextGetDevice(context_, &device) != NPU_OK || npuDeviceGetInfo(device, &info) != NPU_OK)
    return;
  const auto ask = [&](const char* name) -> uint64_t {
    npuProfCounter counter{};
    counter.struct_size = sizeof(counter);
    const bool told = npuProfGetCounter(device, name, &counter) == NPU_OK && counter.value > 0;
    return told ? static_cast<uint64_t>(counter.value) : 0;
  };
  static constexpr const char* kRates[kRateCount] = {
      "macs_f32_per_second_max", "macs_bf16_per_second_max", "macs_fp8_per_second_max",
      "macs_i8_per_second_max",  "macs_fp6_per_second_max",  "macs_fp4_per_second_max"};
  chip_.tiles = info.clusters * info.tiles_per_cluster;
  chip_.core_clock_khz = info.core_clock_khz;
  chip_.memory_bytes_per_second = ask("memory_bytes_per_second_max");
  for (uint32_t i = 0; i < kRateCount; ++i) chip_.macs_per_second[i] = ask(kRates[i]);
  chip_.wide_l1 = wide_l1_of(info.l1_bytes, info.acc_bytes);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(wide_path(), ignored)) chip_.wide_l1 = 0;
}

npuResult Library::module_of(uint32_t program, npuModule* out) {
  *out = module_;
  if (program < kProgramGemmWide) return NPU_OK;
  std::lock_guard lock(mutex_);
  if (wide_module_ == nullptr)
    NPU_OPS_TRY(passed_on(npuModuleLoad(context_, wide_path().c_str(), &wide_module_)));
  *out = wide_module_;
  return NPU_OK;
}

npuResult Library::find(const Plan& plan, npuKernel* out) {
  const std::string name = program_name(plan.program);
  npuModule module;
  npuKernel kernel;
  NPU_OPS_TRY(module_of(plan.program, &module));
  NPU_OPS_TRY(passed_on(npuModuleGetKernel(module, name.c_str(), &kernel)));
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
