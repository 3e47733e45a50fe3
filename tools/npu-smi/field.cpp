// SPDX-License-Identifier: Apache-2.0
// The list of fields, and how metrics become values.
#include "tools/npu-smi/field.h"

#include <algorithm>
#include <cstdlib>

#include "tools/npu-smi/port.h"

namespace npu::smi {
namespace {

// How a unit of the library is shown: divided, and under which name.
struct ShownUnit {
  npuMlUnit unit;
  int64_t divisor;  // 1: an integer stays an integer
  const char* name;
};
constexpr ShownUnit kShownUnits[] = {
    {NPU_ML_COUNT, 1, ""},
    {NPU_ML_BYTES, 1, "B"},
    {NPU_ML_CENTIPERCENT, 100, "%"},
    {NPU_ML_KHZ, 1000, "MHz"},
    {NPU_ML_MILLIDEG, 1000, "C"},
    {NPU_ML_MILLIWATT, 1000, "W"},
    {NPU_ML_MICROJOULE, 1000000, "J"},
    {NPU_ML_NANOSECOND, 1, "ns"},
    {NPU_ML_PICOSECOND, 1, "ps"},
    {NPU_ML_BITS, 1, ""},
};

const ShownUnit& shown(npuMlUnit unit) {
  for (const ShownUnit& row : kShownUnits) {
    if (row.unit == unit) return row;
  }
  return kShownUnits[0];
}

const char* word_of(npuMlReason reason) {
  switch (reason) {
    case NPU_ML_NOT_READY:
      return "not_ready";
    case NPU_ML_DENIED:
      return "permission";
    case NPU_ML_LOST:
      return "device_lost";
    default:
      return "not_supported";
  }
}

Json throttle_words(int64_t bits) {
  static constexpr std::pair<int64_t, const char*> kWords[] = {
      {NPU_ML_THROTTLE_IDLE, "idle"},
      {NPU_ML_THROTTLE_POWER_CAP, "power_cap"},
      {NPU_ML_THROTTLE_THERMAL, "thermal"},
      {NPU_ML_THROTTLE_ADMIN, "admin"},
      {NPU_ML_THROTTLE_HW_SLOWDOWN, "hw_slowdown"}};
  Json words = Json::array();
  for (const auto& [bit, word] : kWords) {
    if (bits & bit) words.push_back(word);
  }
  return words;
}

Reading read_metric(const char* key, const Device& device) {
  const auto found = device.metrics.find(key);
  const npuMlMetricDescription* description = find_metric(key);
  if (found == device.metrics.end() || description == nullptr) return {nullptr, "not_supported"};
  if (found->second.reason != NPU_ML_VALID) return {nullptr, word_of(found->second.reason)};
  const int64_t value = found->second.value;
  if (description->unit == NPU_ML_BITS) return {throttle_words(value)};
  const int64_t divisor = shown(description->unit).divisor;
  if (divisor == 1) return {value};
  return {static_cast<double>(value) / static_cast<double>(divisor)};
}

std::string version_text(uint32_t version) {
  return std::to_string(version >> 16) + "." + std::to_string(version & 0xffff);
}

const char* health_word(npuMlHealth health) {
  static constexpr const char* kWords[] = {"ok", "degraded", "resetting", "wedged"};
  return health >= 0 && health < 4 ? kWords[health] : "unknown";
}

Reading read_bus(const Device& device) {
  if (device.info.bus_id[0] == '\0') return {nullptr, "not_supported"};
  return {device.info.bus_id};
}

Reading read_ports(const Device& device) {
  Json ports = Json::array();
  for (const npuMlPort& port : device.ports) ports.push_back(port_object(port));
  return {std::move(ports)};
}

using D = Device;
const std::vector<Field> kDeviceFields = {
    {"index", "identity", nullptr, [](const D& d) { return Reading{d.index}; }, "", "integer",
     "Number of the device on this machine."},
    {"uuid", "identity", nullptr, [](const D& d) { return Reading{d.info.uuid}; }, "", "string",
     "Name of the board for its life."},
    {"bdf", "identity", nullptr, read_bus, "", "string",
     "PCI address; null where no PCI device stands behind it."},
    {"name", "identity", nullptr, [](const D& d) { return Reading{d.info.name}; }, "", "string",
     "Product name."},
    {"serial", "identity", nullptr,
     [](const D&) {
       return Reading{nullptr, "not_supported"};
     },
     "", "string", "Serial number of the board."},
    {"is_virtual", "identity", nullptr, [](const D& d) { return Reading{d.info.is_virtual != 0}; },
     "", "boolean", "True for a device model, false for silicon."},
    {"firmware.build", "firmware", nullptr,
     [](const D& d) { return Reading{d.info.firmware_build}; }, "", "string",
     "Build of the firmware."},
    {"firmware.interface", "firmware", nullptr,
     [](const D& d) { return Reading{version_text(d.info.firmware_version)}; }, "", "string",
     "Version of the interface between driver and firmware."},
    {"firmware.isa", "firmware", nullptr,
     [](const D& d) { return Reading{version_text(d.info.isa_version)}; }, "", "string",
     "Version of the tile instruction set."},
    {"firmware.uapi", "firmware", nullptr,
     [](const D& d) { return Reading{version_text(d.info.uapi_version)}; }, "", "string",
     "Version of the driver's calls."},
    {"architecture.clusters", "architecture", nullptr,
     [](const D& d) { return Reading{d.info.clusters}; }, "", "integer", "Clusters of tiles."},
    {"architecture.tiles_per_cluster", "architecture", nullptr,
     [](const D& d) { return Reading{d.info.tiles_per_cluster}; }, "", "integer",
     "Tiles of one cluster."},
    {"architecture.l1_bytes", "architecture", nullptr,
     [](const D& d) { return Reading{d.info.l1_bytes}; }, "B", "integer",
     "Scratchpad of one tile."},
    {"architecture.l2_bytes", "architecture", nullptr,
     [](const D& d) { return Reading{d.info.l2_bytes}; }, "B", "integer",
     "Scratchpad of one cluster."},
    {"architecture.accumulator_bytes", "architecture", nullptr,
     [](const D& d) { return Reading{d.info.acc_bytes}; }, "B", "integer",
     "Accumulator of one tile."},
    {"peak.memory_bytes_per_second", "architecture", "memory_bytes_per_second_max"},
    {"peak.macs_per_second", "architecture", "macs_per_second_max"},
    {"peak.macs_f32_per_second", "architecture", "macs_f32_per_second_max"},
    {"peak.macs_bf16_per_second", "architecture", "macs_bf16_per_second_max"},
    {"peak.macs_fp8_per_second", "architecture", "macs_fp8_per_second_max"},
    {"peak.macs_i8_per_second", "architecture", "macs_i8_per_second_max"},
    {"peak.macs_fp6_per_second", "architecture", "macs_fp6_per_second_max"},
    {"peak.macs_fp4_per_second", "architecture", "macs_fp4_per_second_max"},
    {"health.state", "health", nullptr,
     [](const D& d) { return Reading{health_word(d.info.health)}; }, "", "string",
     "ok, degraded, resetting, wedged or unknown."},
    {"health.epoch", "health", nullptr, [](const D& d) { return Reading{d.info.epoch}; }, "",
     "integer", "Changes with each reset; objects of an older epoch are lost."},
    {"temperature_c.die", "temperature", "temperature_die_millideg"},
    {"temperature_c.hbm", "temperature", "temperature_hbm_millideg"},
    {"temperature_c.limit_warn", "temperature", "temperature_warn_millideg"},
    {"temperature_c.limit_shutdown", "temperature", "temperature_shutdown_millideg"},
    {"power_w", "power", "power_mw"},
    {"power_cap_w", "power", "power_cap_mw"},
    {"energy_j", "power", "energy_uj"},
    {"clock_mhz.core", "clock", "clock_core_khz"},
    {"clock_mhz.core_max", "clock", "clock_core_max_khz"},
    {"clock_mhz.memory", "clock", "clock_memory_khz"},
    {"clock_mhz.memory_max", "clock", "clock_memory_max_khz"},
    {"throttle_reasons", "clock", "throttle_reasons_bits"},
    {"utilization_pct.core", "utilization", "utilization_core_centipercent"},
    {"utilization_pct.dma", "utilization", "utilization_dma_centipercent"},
    {"utilization_pct.memory_bw", "utilization", "utilization_memory_centipercent"},
    {"memory_bytes.total", "memory", "memory_total_bytes"},
    {"memory_bytes.used", "memory", "memory_used_bytes"},
    {"memory_bytes.reserved", "memory", "memory_reserved_bytes"},
    {"activity.launches", "activity", "launches"},
    {"activity.commands", "activity", "commands"},
    {"activity.copied_bytes", "activity", "copied_bytes"},
    {"activity.queues", "activity", "queues_used"},
    {"activity.contexts", "activity", "contexts_used"},
    {"activity.device_time_ps", "activity", "device_time_ps"},
    {"activity.uptime_ns", "activity", "uptime_ns"},
    {"ecc.corrected_volatile", "ras", "ecc_sbe_volatile"},
    {"ecc.uncorrected_volatile", "ras", "ecc_dbe_volatile"},
    {"faults", "ras", "faults"},
    {"resets", "ras", "resets"},
    {"nics", "nic", nullptr, read_ports, "", "array", "Network ports of the device."},
};

using P = Process;
const std::vector<ProcessField> kProcessFields = {
    {"device", "", "integer", "Index of the device.", [](const P& p) { return Json(p.device); }},
    {"pid", "", "integer", "Process.", [](const P& p) { return Json(p.row.pid); }},
    {"uid", "", "integer", "User of the process.", [](const P& p) { return Json(p.row.uid); }},
    {"user", "", "string", "Name of that user.", [](const P& p) { return Json(p.user); }},
    {"type", "", "string", "compute: has contexts or queues; monitor: only looks.",
     [](const P& p) { return Json(p.row.contexts + p.row.queues > 0 ? "compute" : "monitor"); }},
    {"queues", "", "integer", "Queues that it has.", [](const P& p) { return Json(p.row.queues); }},
    {"contexts", "", "integer", "Address spaces that it has.",
     [](const P& p) { return Json(p.row.contexts); }},
    {"memory_bytes.hbm", "B", "integer", "HBM that it holds.",
     [](const P& p) { return Json(p.row.hbm_bytes); }},
    {"memory_bytes.host", "B", "integer", "Pinned host memory that it holds.",
     [](const P& p) { return Json(p.row.host_bytes); }},
    {"busy_ns", "ns", "integer", "Device time that it used so far.",
     [](const P& p) { return Json(p.row.busy_ns); }},
    {"launches", "", "integer", "Kernels that it started so far.",
     [](const P& p) { return Json(p.row.launches); }},
    {"command", "", "string", "Name of its program.",
     [](const P& p) { return Json(p.row.command); }},
};

npuMlUnit metric_unit(const Field& field) {
  const npuMlMetricDescription* metric = find_metric(field.metric);
  return metric == nullptr ? NPU_ML_COUNT : metric->unit;
}

}  // namespace

const std::vector<Field>& device_fields() { return kDeviceFields; }
const std::vector<ProcessField>& process_fields() { return kProcessFields; }

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const Field& field : kDeviceFields) {
    if (std::find(names.begin(), names.end(), field.section) == names.end()) {
      names.push_back(field.section);
    }
  }
  return names;
}

std::string unit_of(const Field& field) {
  return field.metric == nullptr ? field.unit : shown(metric_unit(field)).name;
}

std::string type_of(const Field& field) {
  if (field.metric == nullptr) return field.type;
  const npuMlUnit unit = metric_unit(field);
  if (unit == NPU_ML_BITS) return "array";
  return shown(unit).divisor == 1 ? "integer" : "number";
}

std::string doc_of(const Field& field) {
  if (field.metric == nullptr) return field.doc;
  const npuMlMetricDescription* metric = find_metric(field.metric);
  return metric == nullptr ? "" : metric->doc;
}

Reading read_field(const Field& field, const Device& device) {
  return field.metric == nullptr ? field.read(device) : read_metric(field.metric, device);
}

const Field& field_at(const std::string& path) {
  const auto found = std::find_if(kDeviceFields.begin(), kDeviceFields.end(),
                                  [&](const Field& field) { return path == field.path; });
  if (found == kDeviceFields.end()) std::abort();
  return *found;
}

}  // namespace npu::smi
