// SPDX-License-Identifier: Apache-2.0
// The public functions of npu_ml.h: check, call, translate.
#include <npu/npu_ml.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <new>

#include "libnpu/ml/src/device.h"
#include "libnpu/ml/src/library.h"
#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/error.h"
#include "uapi/npu_accel.h"
#define NPU_METRICS_WANT_TABLE
#include "uapi/npu_metrics.h"

namespace npu::ml {
namespace {

// No struct of ours will ever be so large: a size above it was never set.
constexpr uint32_t kMaxStructBytes = 4096;

#define NPU_METRIC_UNIT(nr, NAME, symbol, mul, div, base) constexpr npuMlUnit kUnit##NAME = nr;
#include "uapi/spec/metrics.def"
static_assert(kUnitCOUNT == NPU_ML_COUNT && kUnitBYTES == NPU_ML_BYTES &&
              kUnitCENTIPERCENT == NPU_ML_CENTIPERCENT && kUnitKHZ == NPU_ML_KHZ &&
              kUnitMILLIDEG == NPU_ML_MILLIDEG && kUnitMILLIWATT == NPU_ML_MILLIWATT &&
              kUnitMICROJOULE == NPU_ML_MICROJOULE && kUnitNANOSECOND == NPU_ML_NANOSECOND &&
              kUnitPICOSECOND == NPU_ML_PICOSECOND && kUnitBITS == NPU_ML_BITS);
static_assert(std::size(npu_metric_unit_table) == NPU_ML_BITS + 1);
static_assert(int{NPU_ML_HEALTH_WEDGED} == int{NPU_HEALTH_WEDGED});
static_assert(int{NPU_ML_GAUGE} == int{NPU_METRIC_KIND_GAUGE});
static_assert(int{NPU_ML_COUNTER} == int{NPU_METRIC_KIND_COUNTER});
static_assert(NPU_ML_THROTTLE_HW_SLOWDOWN == NPU_THROTTLE_HW_SLOWDOWN);

// Runs |body|, which returns a Status, as the public function |name|.
template <typename Body>
npuResult run(const char* name, Body body) noexcept {
  Status status;
  try {
    status = body();
  } catch (const std::bad_alloc&) {
    status = Status(NPU_ERROR_OUT_OF_HOST_MEMORY);
  } catch (...) {
    status = fail(NPU_ERROR_INTERNAL, "an exception reached the border of the library");
  }
  return status.is_ok() || status.code() > 0 ? status.code() : commit_error(name, status.code());
}

Status null_argument(const char* name) {
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is NULL", name);
}

Status check_struct_size(const char* name, uint32_t size, size_t least) {
  if (size >= least && size <= kMaxStructBytes) return Status::ok();
  return fail(NPU_ERROR_STRUCT_SIZE, "%s has struct_size %u, which is not in [%zu, %u]", name, size,
              least, kMaxStructBytes);
}

// Writes |value| to a struct of the caller that is |size| bytes long; what this library does not know of it becomes 0.
template <typename T>
void write_struct(const T& value, void* out, uint32_t size) {
  std::memcpy(out, &value, sizeof value);
  std::memset(static_cast<char*>(out) + sizeof value, 0, size - sizeof value);
  std::memcpy(out, &size, sizeof size);  // struct_size comes first
}

// A pinned device for the time of one call.
class Pin {
 public:
  explicit Pin(npuMlDevice device)
      : slot_(Library::get().handles().pin(reinterpret_cast<uintptr_t>(device), Kind::kDevice)) {}
  ~Pin() {
    if (slot_ != nullptr) Library::get().handles().unpin(slot_);
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  bool valid() const { return slot_ != nullptr; }
  Device* get() const { return static_cast<Device*>(slot_->object); }
  Device* operator->() const { return get(); }

 private:
  HandleTable::Slot* slot_;
};

Status bad_handle(npuMlDevice device) {
  return fail(NPU_ERROR_INVALID_HANDLE, "%p is no open device of npuMlOpen",
              static_cast<void*>(device));
}

// The list protocol of npu_types.h for elements of |stride| bytes.
template <typename T, typename Write>
Status write_list(const std::vector<T>& rows, bool wants_count, uint32_t* inout_count,
                  Write write) {
  const auto there = static_cast<uint32_t>(rows.size());
  const uint32_t room = wants_count ? there : *inout_count;
  const uint32_t written = std::min(room, there);
  if (!wants_count) {
    for (uint32_t i = 0; i < written; i++) write(i, rows[i]);
  }
  *inout_count = written;
  return written < there ? Status(NPU_INCOMPLETE) : Status::ok();
}

Status describe_metric(uint32_t id, npuMlMetricDescription* out) {
  for (const npu_metric_info& row : npu_metric_table) {
    if (row.id != id) continue;
    const npu_metric_unit_info& unit = npu_metric_unit_table[row.unit];
    npuMlMetricDescription description{};
    description.id = id;
    description.unit = static_cast<npuMlUnit>(row.unit);
    description.kind = static_cast<npuMlKind>(row.kind);
    description.key = row.json_key;
    description.symbol = unit.symbol;
    description.base = unit.base;
    description.exporter_name = row.exporter_name;
    description.doc = row.doc;
    description.mul = unit.mul;
    description.div = unit.div;
    write_struct(description, out, out->struct_size);
    return Status::ok();
  }
  return fail(NPU_ERROR_NOT_FOUND, "there is no metric 0x%x", id);
}

// A list of structs that may have grown, made by |rows| of the device.
template <typename T>
Status get_structs(npuMlDevice device, uint32_t* inout_count, T* array,
                   Result<std::vector<T>> (Device::*rows)()) {
  if (inout_count == nullptr) return null_argument("inout_count");
  uint32_t stride = sizeof(T);
  if (array != nullptr && *inout_count > 0) {
    stride = array->struct_size;
    NPU_TRY(check_struct_size("array[0]", stride, sizeof(T)));
  }
  const Pin pin(device);
  if (!pin.valid()) return bad_handle(device);
  NPU_TRY_ASSIGN(const std::vector<T> made, (pin.get()->*rows)());
  return write_list(made, array == nullptr, inout_count, [&](uint32_t i, const T& row) {
    write_struct(row, reinterpret_cast<char*>(array) + size_t{i} * stride, stride);
  });
}

Status wait_event(npuMlDevice device, int64_t timeout_ns, npuMlEvent* inout_event) {
  if (inout_event == nullptr) return null_argument("inout_event");
  if (timeout_ns < 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "timeout_ns is %lld",
                static_cast<long long>(timeout_ns));
  }
  NPU_TRY(check_struct_size("inout_event", inout_event->struct_size, sizeof(npuMlEvent)));
  const Pin pin(device);
  if (!pin.valid()) return bad_handle(device);
  npuMlEvent event{};
  const Status status = pin->wait_event(timeout_ns, &event);
  if (status.is_ok()) write_struct(event, inout_event, inout_event->struct_size);
  return status;
}

Status describe(uint32_t number, npuMlVariable* out) {
  VariableState state;
  if (!describe_variable(number, &state)) {
    return fail(NPU_ERROR_NOT_FOUND, "there is no variable %u", number);
  }
  npuMlVariable variable{};
  variable.is_set = state.value != nullptr;
  variable.is_bad = state.is_bad;
  variable.name = state.name;
  variable.accepted = state.accepted;
  variable.fallback = state.fallback;
  variable.doc = state.doc;
  if (state.value != nullptr) {
    std::snprintf(variable.value, sizeof variable.value, "%s", state.value);
  }
  write_struct(variable, out, out->struct_size);
  return Status::ok();
}

}  // namespace
}  // namespace npu::ml

using namespace npu;
using namespace npu::ml;

npuResult npuMlErrorGetInfo(npuErrorInfo* inout_info) {
  const ErrorDetail detail = last_error();
  return run("npuMlErrorGetInfo", [&]() -> Status {
    if (inout_info == nullptr) return null_argument("inout_info");
    NPU_TRY(check_struct_size("inout_info", inout_info->struct_size, sizeof(npuErrorInfo)));
    npuErrorInfo info{};
    info.code = detail.code;
    info.sys_errno = detail.sys_errno;
    static_assert(sizeof info.function == sizeof detail.function);
    static_assert(sizeof info.text == sizeof detail.text);
    static_assert(sizeof info.remedy == sizeof detail.remedy);
    std::memcpy(info.function, detail.function, sizeof info.function);
    std::memcpy(info.text, detail.text, sizeof info.text);
    std::memcpy(info.remedy, detail.remedy, sizeof info.remedy);
    write_struct(info, inout_info, inout_info->struct_size);
    return Status::ok();
  });
}

npuResult npuMlGetDeviceCount(uint32_t* out_count) {
  return run("npuMlGetDeviceCount", [&]() -> Status {
    if (out_count == nullptr) return null_argument("out_count");
    *out_count = 0;
    NPU_TRY_ASSIGN(const Environment environment, current_environment());
    NPU_TRY_ASSIGN(*out_count, count_devices(environment));
    return Status::ok();
  });
}

npuResult npuMlOpen(const char* selector, npuMlDevice* out_device) {
  return run("npuMlOpen", [&]() -> Status {
    if (out_device == nullptr) return null_argument("out_device");
    *out_device = nullptr;
    HandleTable& handles = Library::get().handles();
    NPU_TRY_ASSIGN(Ref<ml::Device> device, ml::Device::open(selector));
    const uint64_t handle = handles.insert(Ref<Object>::adopt(device.leak()));
    if (handle == 0) return fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "too many open devices");
    *out_device = reinterpret_cast<npuMlDevice>(handle);
    return Status::ok();
  });
}

npuResult npuMlClose(npuMlDevice device) {
  return run("npuMlClose", [&]() -> Status {
    if (device == nullptr) return Status::ok();
    const auto handle = reinterpret_cast<uintptr_t>(device);
    if (!Library::get().handles().remove(handle, Kind::kDevice)) return bad_handle(device);
    return Status::ok();
  });
}

npuResult npuMlGetInfo(npuMlDevice device, npuMlInfo* inout_info) {
  return run("npuMlGetInfo", [&]() -> Status {
    if (inout_info == nullptr) return null_argument("inout_info");
    NPU_TRY(check_struct_size("inout_info", inout_info->struct_size, sizeof(npuMlInfo)));
    const Pin pin(device);
    if (!pin.valid()) return bad_handle(device);
    NPU_TRY_ASSIGN(const npuMlInfo info, pin->info());
    write_struct(info, inout_info, inout_info->struct_size);
    return Status::ok();
  });
}

npuResult npuMlGetMetrics(npuMlDevice device, uint32_t* inout_count, npuMlMetric* array) {
  return run("npuMlGetMetrics", [&]() -> Status {
    if (inout_count == nullptr) return null_argument("inout_count");
    const Pin pin(device);
    if (!pin.valid()) return bad_handle(device);
    NPU_TRY_ASSIGN(const std::vector<npuMlMetric> rows, pin->metrics());
    return write_list(rows, array == nullptr, inout_count,
                      [&](uint32_t i, const npuMlMetric& row) { array[i] = row; });
  });
}

npuResult npuMlGetMetricDescription(uint32_t id, npuMlMetricDescription* inout_description) {
  return run("npuMlGetMetricDescription", [&]() -> Status {
    if (inout_description == nullptr) return null_argument("inout_description");
    NPU_TRY(check_struct_size("inout_description", inout_description->struct_size,
                              sizeof(npuMlMetricDescription)));
    return describe_metric(id, inout_description);
  });
}

npuResult npuMlGetProcesses(npuMlDevice device, uint32_t* inout_count, npuMlProcess* array) {
  return run("npuMlGetProcesses", [&]() -> Status {
    return get_structs(device, inout_count, array, &ml::Device::processes);
  });
}

npuResult npuMlGetPorts(npuMlDevice device, uint32_t* inout_count, npuMlPort* array) {
  return run("npuMlGetPorts", [&]() -> Status {
    return get_structs(device, inout_count, array, &ml::Device::ports);
  });
}

npuResult npuMlSelectEvents(npuMlDevice device, npuMlEventKind kinds) {
  return run("npuMlSelectEvents", [&]() -> Status {
    const Pin pin(device);
    if (!pin.valid()) return bad_handle(device);
    return pin->select_events(kinds);
  });
}

npuResult npuMlWaitEvent(npuMlDevice device, int64_t timeout_ns, npuMlEvent* inout_event) {
  return run("npuMlWaitEvent",
             [&]() -> Status { return wait_event(device, timeout_ns, inout_event); });
}

npuResult npuMlGetVariable(uint32_t number, npuMlVariable* inout_variable) {
  return run("npuMlGetVariable", [&]() -> Status {
    if (inout_variable == nullptr) return null_argument("inout_variable");
    NPU_TRY(
        check_struct_size("inout_variable", inout_variable->struct_size, sizeof(npuMlVariable)));
    return describe(number, inout_variable);
  });
}
