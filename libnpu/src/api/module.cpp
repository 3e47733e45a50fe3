// SPDX-License-Identifier: Apache-2.0
// npu_module.h: check, call, translate.
#include <npu/npu_module.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/command.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/module.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_isa.h"

using namespace npu;
using api::guard;

namespace {

Status load(Pin<Context>& context, std::span<const std::byte> blob, npuModule* out_module) {
  NPU_TRY_ASSIGN(Ref<Module> module, Module::load(context.ref(), blob));
  return api::publish(Ref<Object>::adopt(module.leak()), context->children(), out_module);
}

Status read_blob(const char* path, std::vector<std::byte>* out_blob) {
  NPU_TRY(api::need(path, "path"));
  const int error = read_file(path, NPU_BLOB_MAX_BYTES, out_blob);
  if (error == EFBIG) {
    return fail(NPU_ERROR_BLOB_TOO_LARGE, "%.256s is larger than %u bytes", path,
                NPU_BLOB_MAX_BYTES);
  }
  if (error != 0) return fail_errno(NPU_ERROR_FILE, error, "reading %.256s failed", path);
  return Status::ok();
}

Status check_blob(Pin<Device>& device, std::span<const std::byte> blob) {
  NPU_TRY_ASSIGN(Library * library, Library::get());
  return Module::check(*device, blob, library->handles());
}

const char* kind_text(uint32_t kind) {
  static constexpr const char* kNames[] = {"none", "uint32", "int32", "float", "uint64", "address"};
  return kind < std::size(kNames) ? kNames[kind] : "unknown";
}

Status pack(const KernelImage& image, std::span<const npuArgValue> values, std::byte* block) {
  for (size_t i = 0; i < values.size(); i++) {
    const npu_note_arg& arg = image.args[i];
    if (values[i].reserved != 0) {
      return fail(NPU_ERROR_RESERVED_NOT_ZERO, "values[%zu].reserved is not 0", i);
    }
    if (values[i].kind != arg.kind) {
      return fail(NPU_ERROR_ARGUMENT_LAYOUT, "argument %zu of kernel '%s', '%s', is %s, not %s", i,
                  image.note.name, arg.name, kind_text(arg.kind), kind_text(values[i].kind));
    }
    // All members begin at the same place.
    std::memcpy(block + arg.offset, &values[i].as, arg.size);
  }
  return Status::ok();
}

Status hand_out(Pin<Module>& module, uint32_t index, npuKernel* out_kernel) {
  NPU_TRY_ASSIGN(Library * library, Library::get());
  const uint64_t handle = module->kernel_handle(index, library->handles());
  if (handle == 0) return fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "too many handles are in use");
  *out_kernel = reinterpret_cast<npuKernel>(static_cast<uintptr_t>(handle));
  return Status::ok();
}

}  // namespace

extern "C" {

npuResult npuModuleLoad(npuContext context, const char* path, npuModule* out_module) {
  return guard(__func__, NPU_ARGS(context, path, out_module), [&]() -> Status {
    NPU_TRY(api::need(out_module, "out_module"));
    *out_module = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    std::vector<std::byte> blob;
    NPU_TRY(read_blob(path, &blob));
    return load(pin, blob, out_module);
  });
}

npuResult npuModuleLoadData(npuContext context, const void* data, uint64_t size_bytes,
                            npuModule* out_module) {
  return guard(__func__, NPU_ARGS(context, data, size_bytes, out_module), [&]() -> Status {
    NPU_TRY(api::need(out_module, "out_module"));
    *out_module = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::need(data, "data"));
    return load(pin, {static_cast<const std::byte*>(data), static_cast<size_t>(size_bytes)},
                out_module);
  });
}

npuResult npuModuleCheck(npuDevice device, const char* path) {
  return guard(__func__, NPU_ARGS(device, path), [&]() -> Status {
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    std::vector<std::byte> blob;
    NPU_TRY(read_blob(path, &blob));
    return check_blob(pin, blob);
  });
}

npuResult npuModuleCheckData(npuDevice device, const void* data, uint64_t size_bytes) {
  return guard(__func__, NPU_ARGS(device, data, size_bytes), [&]() -> Status {
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    NPU_TRY(api::need(data, "data"));
    return check_blob(pin, {static_cast<const std::byte*>(data), static_cast<size_t>(size_bytes)});
  });
}

npuResult npuModuleGetCacheStats(npuContext context, npuModuleCacheStats* inout_stats) {
  return guard(__func__, NPU_ARGS(context, inout_stats), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::check_out_struct(inout_stats, "inout_stats"));
    const CodeCache::Stats known = pin->code_cache().stats();
    npuModuleCacheStats stats{};
    stats.copies = known.copies;
    stats.modules = known.modules;
    stats.bytes = known.bytes;
    stats.hits = known.hits;
    stats.misses = known.misses;
    api::write_struct(inout_stats, stats);
    return Status::ok();
  });
}

npuResult npuModuleUnload(npuModule module) {
  return guard(__func__, NPU_ARGS(module), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(module), Kind::kModule, "module", &object));
    if (!object) return Status::ok();
    NPU_TRY_ASSIGN(Library * library, Library::get());
    static_cast<Module&>(*object).context().children().remove(object.get());
    object->end(library->handles());
    return Status::ok();
  });
}

npuResult npuModuleGetKernel(npuModule module, const char* name, npuKernel* out_kernel) {
  return guard(__func__, NPU_ARGS(module, name, out_kernel), [&]() -> Status {
    NPU_TRY(api::need(out_kernel, "out_kernel"));
    *out_kernel = nullptr;
    Pin<Module> pin;
    NPU_TRY(api::take(pin, module, "module"));
    NPU_TRY(api::need(name, "name"));
    const int32_t index = pin->image().find(name);
    if (index < 0) {
      return fail(NPU_ERROR_NOT_FOUND, "the module has no kernel '%.64s' among its %zu", name,
                  pin->image().kernels.size());
    }
    return hand_out(pin, static_cast<uint32_t>(index), out_kernel);
  });
}

npuResult npuModuleGetKernelCount(npuModule module, uint32_t* out_count) {
  return guard(__func__, NPU_ARGS(module, out_count), [&]() -> Status {
    NPU_TRY(api::need(out_count, "out_count"));
    *out_count = 0;
    Pin<Module> pin;
    NPU_TRY(api::take(pin, module, "module"));
    *out_count = static_cast<uint32_t>(pin->image().kernels.size());
    return Status::ok();
  });
}

npuResult npuModuleGetKernelAt(npuModule module, uint32_t number, npuKernel* out_kernel) {
  return guard(__func__, NPU_ARGS(module, number, out_kernel), [&]() -> Status {
    NPU_TRY(api::need(out_kernel, "out_kernel"));
    *out_kernel = nullptr;
    Pin<Module> pin;
    NPU_TRY(api::take(pin, module, "module"));
    if (number >= pin->image().kernels.size()) {
      return fail(NPU_ERROR_NOT_FOUND, "kernel number %u: the module has %zu", number,
                  pin->image().kernels.size());
    }
    return hand_out(pin, number, out_kernel);
  });
}

npuResult npuKernelGetInfo(npuKernel kernel, npuKernelInfo* inout_info) {
  return guard(__func__, NPU_ARGS(kernel, inout_info), [&]() -> Status {
    Pin<Kernel> pin;
    NPU_TRY(api::take(pin, kernel, "kernel"));
    NPU_TRY(api::check_out_struct(inout_info, "inout_info"));
    const npu_note_kernel& note = pin->image().note;
    npuKernelInfo info{};
    info.arg_count = note.nargs;
    info.args_bytes = note.args_bytes;
    info.group_tiles = note.group_tiles;
    info.l1_bytes = note.l1_bytes;
    info.l2_bytes = note.l2_bytes;
    info.acc_bytes = note.acc_bytes;
    std::snprintf(info.name, sizeof info.name, "%s", note.name);
    const KernelUse& use = pin->image().use;
    info.code_bytes = note.insn_count * NPU_INSN_BYTES;
    info.registers = use.registers;
    info.descriptors = use.descriptors;
    info.semaphores = use.semaphores;
    info.flags = use.prints ? NPU_KERNEL_PRINTS : 0;
    info.max_groups = kGroupsMax;
    api::write_struct(inout_info, info);
    return Status::ok();
  });
}

npuResult npuKernelGetArg(npuKernel kernel, uint32_t number, npuArgInfo* inout_info) {
  return guard(__func__, NPU_ARGS(kernel, number, inout_info), [&]() -> Status {
    Pin<Kernel> pin;
    NPU_TRY(api::take(pin, kernel, "kernel"));
    NPU_TRY(api::check_out_struct(inout_info, "inout_info"));
    const KernelImage& image = pin->image();
    if (number >= image.args.size()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "number is %u: kernel '%s' has %zu arguments", number,
                  image.note.name, image.args.size());
    }
    const npu_note_arg& arg = image.args[number];
    npuArgInfo info{};
    info.offset_bytes = arg.offset;
    info.size_bytes = arg.size;
    info.kind = arg.kind;
    std::snprintf(info.name, sizeof info.name, "%s", arg.name);
    api::write_struct(inout_info, info);
    return Status::ok();
  });
}

npuResult npuKernelGetOccupancy(npuKernel kernel, npuOccupancy* inout_occupancy) {
  return guard(__func__, NPU_ARGS(kernel, inout_occupancy), [&]() -> Status {
    Pin<Kernel> pin;
    NPU_TRY(api::take(pin, kernel, "kernel"));
    NPU_TRY(api::check_out_struct(inout_occupancy, "inout_occupancy"));
    const npu_dev_info& device = pin->module().context().device().info();
    const uint32_t tiles = device.clusters * device.tiles_per_cluster;
    const uint32_t group_tiles = std::max(pin->image().note.group_tiles, 1u);
    npuOccupancy occupancy{};
    occupancy.groups_per_cluster = device.tiles_per_cluster / group_tiles;
    occupancy.groups = occupancy.groups_per_cluster * device.clusters;
    occupancy.busy_tiles = occupancy.groups * group_tiles;
    occupancy.idle_tiles = tiles - occupancy.busy_tiles;
    occupancy.limited_by =
        occupancy.idle_tiles == 0 ? NPU_LIMITED_BY_TILES : NPU_LIMITED_BY_GROUP_SIZE;
    api::write_struct(inout_occupancy, occupancy);
    return Status::ok();
  });
}

npuResult npuKernelPackArgs(npuKernel kernel, uint32_t count, const npuArgValue* values,
                            void* out_block, uint32_t block_bytes) {
  return guard(__func__, NPU_ARGS(kernel, count, values, out_block, block_bytes), [&]() -> Status {
    Pin<Kernel> pin;
    NPU_TRY(api::take(pin, kernel, "kernel"));
    const KernelImage& image = pin->image();
    if (count != image.args.size()) {
      const bool fewer = count < image.args.size();
      return fail(NPU_ERROR_ARGUMENT_LAYOUT, "count is %u, kernel '%s' takes %zu arguments%s%s%s",
                  count, image.note.name, image.args.size(), fewer ? ": '" : "",
                  fewer ? image.args[count].name : "", fewer ? "' is missing" : "");
    }
    if (block_bytes < image.note.args_bytes) {
      return fail(NPU_ERROR_ARGUMENT_LAYOUT, "block_bytes is %u, kernel '%s' needs %u", block_bytes,
                  image.note.name, image.note.args_bytes);
    }
    if (image.note.args_bytes == 0) return Status::ok();
    NPU_TRY(api::need(out_block, "out_block"));
    if (count != 0) NPU_TRY(api::need(values, "values"));
    std::array<std::byte, NPU_ARGS_MAX_BYTES> block{};
    NPU_TRY(pack(image, {values, count}, block.data()));
    std::memcpy(out_block, block.data(), image.note.args_bytes);
    return Status::ok();
  });
}

}  // extern "C"
