// SPDX-License-Identifier: Apache-2.0
// npu_module.h: check, call, translate.
#include <npu/npu_module.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/module.h"

using namespace npu;
using api::guard;

namespace {

Status load(Pin<Context>& context, std::span<const std::byte> blob, npuModule* out_module) {
  NPU_TRY_ASSIGN(Ref<Module> module, Module::load(context.ref(), blob));
  return api::publish(Ref<Object>::adopt(module.leak()), context->children(), out_module);
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
    NPU_TRY(api::need(path, "path"));
    std::vector<std::byte> blob;
    const int error = read_file(path, NPU_BLOB_MAX_BYTES, &blob);
    if (error == EFBIG) {
      return fail(NPU_ERROR_BLOB_TOO_LARGE, "%.256s is larger than %u bytes", path,
                  NPU_BLOB_MAX_BYTES);
    }
    if (error != 0) return fail_errno(NPU_ERROR_FILE, error, "reading %.256s failed", path);
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

}  // extern "C"
