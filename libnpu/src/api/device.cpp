// SPDX-License-Identifier: Apache-2.0
// npu_device.h: check, call, translate.
#include <npu/npu_device.h>
#include <npu/npu_print.h>

#include <cstdio>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/callback.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/trace.h"
#include "libnpu/src/core/uuid.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_isa.h"

using namespace npu;
using api::guard;

namespace {

constexpr uint32_t pair_version(uint32_t major, uint32_t minor) { return major << 16 | minor; }

npuDeviceInfo translate(const npu_dev_info& from) {
  npuDeviceInfo info{};
  info.index = from.index;
  std::snprintf(info.name, sizeof info.name, "%.31s", from.name);
  format_uuid(from.uuid, info.uuid);
  info.is_virtual = from.platform != NPU_PLATFORM_SILICON ? 1 : 0;
  info.clusters = from.clusters;
  info.tiles_per_cluster = from.tiles_per_cluster;
  info.core_clock_khz = from.core_clock_khz;
  info.hbm_bytes = from.hbm_bytes;
  info.l1_bytes = from.l1_bytes;
  info.l2_bytes = from.l2_bytes;
  info.acc_bytes = from.acc_bytes;
  info.isa_version = pair_version(from.isa_major, from.isa_minor);
  info.uapi_version = pair_version(from.uapi_major, from.uapi_minor);
  info.epoch = static_cast<uint32_t>(from.epoch);
  return info;
}

// The end of a context waits for its callback thread, which this one is; a callback of a subscriber stands inside of a call.
Status refuse_in_callback(bool own) {
  if (Call::in_callback()) {
    return fail(NPU_ERROR_IN_CALLBACK, "a callback of a subscriber cannot end what calls may use");
  }
  if (!own) return Status::ok();
  return fail(NPU_ERROR_IN_CALLBACK, "a host function cannot end what it runs in");
}

}  // namespace

extern "C" {

npuResult npuGetVersions(npuVersions* inout_versions) {
  return guard(__func__, NPU_ARGS(inout_versions), [&]() -> Status {
    NPU_TRY(api::check_out_struct(inout_versions, "inout_versions"));
    npuVersions versions{};
    versions.header = inout_versions->header;
    versions.library = pair_version(NPU_VERSION_MAJOR, NPU_VERSION_MINOR);
    versions.uapi = pair_version(NPU_UAPI_MAJOR, NPU_UAPI_MINOR);
    versions.isa = pair_version(NPU_ISA_MAJOR, NPU_ISA_MINOR);
    api::write_struct(inout_versions, versions);
    return Status::ok();
  });
}

npuResult npuInit(void) {
  return guard(__func__, NPU_ARGS(), [] { return Library::init(); });
}

npuResult npuShutdown(void) {
  return guard(__func__, NPU_ARGS(), []() -> Status {
    NPU_TRY(refuse_in_callback(Callbacks::of_this_thread() != nullptr));
    return Library::shutdown();
  });
}

npuResult npuDeviceGetCount(uint32_t* out_count) {
  return guard(__func__, NPU_ARGS(out_count), [&]() -> Status {
    NPU_TRY(api::need(out_count, "out_count"));
    *out_count = 0;
    // Also before npuInit and in the child of a fork: then the environment is read for this call alone.
    const Result<Library*> library = Library::get();
    if (library.is_ok()) {
      NPU_TRY_ASSIGN(*out_count, count_devices(Library::get().take()->environment()));
      return Status::ok();
    }
    NPU_TRY_ASSIGN(const Environment environment, read_environment());
    NPU_TRY_ASSIGN(*out_count, count_devices(environment));
    return Status::ok();
  });
}

npuResult npuDeviceOpen(const char* selector, npuDevice* out_device) {
  return guard(__func__, NPU_ARGS(selector, out_device), [&]() -> Status {
    NPU_TRY(api::need(out_device, "out_device"));
    *out_device = nullptr;
    NPU_TRY_ASSIGN(Library * library, Library::get());
    const Environment environment = library->environment();
    NPU_TRY_ASSIGN(Ref<Device> device,
                   Device::open(environment, selector, spin_ns_of(environment)));
    if (!environment.trace_file.empty()) Trace::describe(*device);
    return api::publish(Ref<Object>::adopt(device.leak()), library->devices(), out_device);
  });
}

npuResult npuDeviceClose(npuDevice device) {
  return guard(__func__, NPU_ARGS(device), [&]() -> Status {
    const Context* running = Callbacks::of_this_thread();
    NPU_TRY(refuse_in_callback(running != nullptr &&
                               running->device().handle() == api::number_of(device)));
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(device), Kind::kDevice, "device", &object));
    if (!object) return Status::ok();
    NPU_TRY_ASSIGN(Library * library, Library::get());
    library->devices().remove(object.get());
    object->end(library->handles());
    return Status::ok();
  });
}

npuResult npuDeviceGetInfo(npuDevice device, npuDeviceInfo* inout_info) {
  return guard(__func__, NPU_ARGS(device, inout_info), [&]() -> Status {
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    NPU_TRY(api::check_out_struct(inout_info, "inout_info"));
    npu_dev_info info{};
    NPU_TRY(pin->refresh(&info));
    api::write_struct(inout_info, translate(info));
    return Status::ok();
  });
}

npuResult npuContextCreate(npuDevice device, npuContext* out_context) {
  return guard(__func__, NPU_ARGS(device, out_context), [&]() -> Status {
    NPU_TRY(api::need(out_context, "out_context"));
    *out_context = nullptr;
    Pin<Device> pin;
    NPU_TRY(api::take(pin, device, "device"));
    NPU_TRY_ASSIGN(Ref<Context> context, Context::create(pin.ref()));
    return api::publish(Ref<Object>::adopt(context.leak()), pin->children(), out_context);
  });
}

npuResult npuContextGetDevice(npuContext context, npuDevice* out_device) {
  return guard(__func__, NPU_ARGS(context, out_device), [&]() -> Status {
    NPU_TRY(api::need(out_device, "out_device"));
    *out_device = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    const uint64_t number = pin->device().handle();
    *out_device = reinterpret_cast<npuDevice>(static_cast<uintptr_t>(number));
    return Status::ok();
  });
}

npuResult npuContextSetPrint(npuContext context, npuPrintFunction function, void* user_data) {
  return guard(__func__, NPU_ARGS(context, function, user_data), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    pin->set_print_sink({function, user_data});
    return Status::ok();
  });
}

npuResult npuContextDestroy(npuContext context) {
  return guard(__func__, NPU_ARGS(context), [&]() -> Status {
    const Context* running = Callbacks::of_this_thread();
    NPU_TRY(refuse_in_callback(running != nullptr && running->handle() == api::number_of(context)));
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(context), Kind::kContext, "context", &object));
    if (!object) return Status::ok();
    NPU_TRY_ASSIGN(Library * library, Library::get());
    object->end(library->handles());
    return Status::ok();
  });
}

}  // extern "C"
