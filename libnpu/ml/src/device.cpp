// SPDX-License-Identifier: Apache-2.0
// Selecting a device, and DEV_QUERY translated into the structs of npu_ml.h.
#include "libnpu/ml/src/device.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "libnpu/ml/src/library.h"
#include "libnpu/ml/src/metric.h"
#include "libnpu/ml/src/port.h"
#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/time.h"
#include "libnpu/src/core/uuid.h"
#include "uapi/npu_metrics.h"

namespace npu::ml {
namespace {

constexpr uint32_t kMaxIndexDigits = 4;
// Lists change between the question for their length and the question for their content.
constexpr int kQueryTries = 8;

bool is_index(const char* text, uint32_t* out) {
  const size_t digits = std::strlen(text);
  if (digits == 0 || digits > kMaxIndexDigits) return false;
  *out = 0;
  for (const char* c = text; *c != '\0'; c++) {
    if (*c < '0' || *c > '9') return false;
    *out = *out * 10 + static_cast<uint32_t>(*c - '0');
  }
  return true;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_text(const char* a, const char* b) {
  for (; *a != '\0' && lower(*a) == lower(*b); a++) b++;
  return lower(*a) == lower(*b);
}

template <size_t kBytes>
void write_hex(const uint8_t (&bytes)[kBytes], char* out) {
  for (const uint8_t byte : bytes) out += std::sprintf(out, "%02x", byte);
}

// A name as the other side wrote it: perhaps without its NUL.
template <size_t kOut, size_t kIn>
void copy_name(const char (&in)[kIn], char (&out)[kOut]) {
  static_assert(kOut >= kIn);
  std::memcpy(out, in, kIn);
  out[kIn - 1] = '\0';
}

npuMlInfo translate(const npu_dev_info& in) {
  npuMlInfo out{};
  out.struct_size = sizeof out;
  out.index = in.index;
  copy_name(in.name, out.name);
  format_uuid(in.uuid, out.uuid);
  write_hex(in.fw_build_id, out.firmware_build);
  if (in.pci_vendor != 0) {
    std::snprintf(out.bus_id, sizeof out.bus_id, "%04x:%02x:%02x.%x", in.pci_domain, in.pci_bus,
                  in.pci_devfn >> 3, in.pci_devfn & 7);
  }
  out.is_virtual = in.platform != NPU_PLATFORM_SILICON;
  out.health = static_cast<npuMlHealth>(in.health);
  out.clusters = in.clusters;
  out.tiles_per_cluster = in.tiles_per_cluster;
  out.ports = in.ports;
  out.core_clock_khz = in.core_clock_khz;
  out.memory_clock_khz = in.hbm_clock_khz;
  out.firmware_version = in.fw_abi_major << 16 | in.fw_abi_minor;
  out.isa_version = in.isa_major << 16 | in.isa_minor;
  out.uapi_version = in.uapi_major << 16 | in.uapi_minor;
  out.hbm_bytes = in.hbm_bytes;
  out.l1_bytes = in.l1_bytes;
  out.l2_bytes = in.l2_bytes;
  out.acc_bytes = in.acc_bytes;
  out.epoch = in.epoch;
  return out;
}

npuMlProcess translate(const npu_client_info& in) {
  npuMlProcess out{};
  out.struct_size = sizeof out;
  out.pid = in.pid;
  out.uid = in.uid;
  out.queues = in.queues;
  out.contexts = in.vms;
  out.hbm_bytes = in.hbm_bytes;
  out.host_bytes = in.system_bytes;
  out.busy_ns = in.busy_ns;
  out.launches = in.launches;
  copy_name(in.comm, out.command);
  return out;
}

Result<Ref<Device>> open_index(const Environment& environment, uint32_t index) {
  NPU_TRY_ASSIGN(std::unique_ptr<Backend> backend, open_backend(environment, index));
  return make_ref<Device>(std::move(backend));
}

// The device whose UUID or PCI address is |name|; devices that cannot be opened are passed over. One that may not be opened could be the one: if no
// other is, that is the error.
Result<Ref<Device>> open_named(const Environment& environment, const char* name) {
  NPU_TRY_ASSIGN(const uint32_t count, count_devices(environment));
  uint32_t forbidden = count;
  for (uint32_t index = 0; index < count; index++) {
    Result<Ref<Device>> device = open_index(environment, index);
    if (!device.is_ok() && device.status().code() == NPU_ERROR_START_MODEL) return device;
    if (!device.is_ok() && device.status().code() == NPU_ERROR_PERMISSION) forbidden = index;
    if (!device.is_ok()) continue;
    Result<npuMlInfo> info = device.value()->info();
    if (!info.is_ok()) continue;
    const bool has_address = info.value().bus_id[0] != '\0';
    if (same_text(name, info.value().uuid)) return device;
    if (has_address && same_text(name, info.value().bus_id)) return device;
  }
  if (forbidden < count) return open_index(environment, forbidden);
  return fail(NPU_ERROR_NO_DEVICE, "none of the %u devices is called '%.64s'", count, name);
}

}  // namespace

Result<Ref<Device>> Device::open(const char* selector) {
  NPU_TRY_ASSIGN(const Environment environment, current_environment());
  uint32_t index = 0;
  if (selector == nullptr || is_index(selector, &index)) return open_index(environment, index);
  return open_named(environment, selector);
}

template <typename T>
Status Device::query(uint32_t type, const char* what, std::vector<T>* out) {
  uint32_t count = 1;
  for (int i = 0; i < kQueryTries; i++) {
    out->assign(count, T{});
    const uint32_t room = count;
    const int error = query_some(*backend_, type, out->data(), &count);
    if (error != 0) return fail_call(error, what);
    if (count <= room) {
      out->resize(count);
      return Status::ok();
    }
    count = std::min<uint32_t>(count, NPU_MAX_QUERY_ELEMS);
  }
  return fail(NPU_ERROR_BUSY, "%s failed: the list kept growing", what);
}

Result<npuMlInfo> Device::info() {
  std::vector<npu_dev_info> rows;
  NPU_TRY(query(NPU_QUERY_DEVICE, "asking what the device is", &rows));
  if (rows.empty()) return fail(NPU_ERROR_PROTOCOL, "the driver does not say what the device is");
  return translate(rows[0]);
}

Result<std::vector<npuMlMetric>> Device::metrics() {
  std::vector<npu_metric> rows;
  NPU_TRY(query(NPU_QUERY_METRICS, "reading the metrics", &rows));
  std::vector<npuMlMetric> out;
  for (const npu_metric& row : rows) {
    if (npu_metric_exists(row.id)) out.push_back(translate_metric(row));
  }
  return out;
}

Result<std::vector<npuMlProcess>> Device::processes() {
  std::vector<npu_client_info> rows;
  NPU_TRY(query(NPU_QUERY_CLIENTS, "listing the processes", &rows));
  std::vector<npuMlProcess> out;
  for (const npu_client_info& row : rows) out.push_back(translate(row));
  return out;
}

Result<std::vector<npuMlPort>> Device::ports() {
  std::vector<npu_port_info> rows;
  NPU_TRY(query(NPU_QUERY_PORTS, "listing the ports", &rows));
  std::vector<npuMlPort> out;
  for (const npu_port_info& row : rows) out.push_back(translate_port(row));
  return out;
}

Status Device::select_events(npuMlEventKind kinds) {
  constexpr npuMlEventKind kAll = NPU_ML_EVENT_DEVICE_RESET | NPU_ML_EVENT_PORT_STATE;
  if ((kinds & ~kAll) != 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "kinds is 0x%x, which is not made of NPU_ML_EVENT_*",
                kinds);
  }
  npu_event_mask args{};
  args.mask = kinds;
  const int error = call_event_mask(*backend_, args);
  return error == 0 ? Status::ok() : fail_call(error, "choosing the events");
}

Status Device::wait_event(int64_t timeout_ns, npuMlEvent* out) {
  const Deadline deadline = Deadline::in(timeout_ns);
  for (;;) {
    std::byte bytes[NPU_EVENT_MAX_BYTES] = {};
    const int error = backend_->next_event(bytes, sizeof bytes, deadline.left_ns());
    if (error == ETIME) return Status(NPU_TIMEOUT);
    if (error != 0) return fail_call(error, "waiting for an event");
    if (translate_event(bytes, out)) return Status::ok();
  }
}

}  // namespace npu::ml
