// SPDX-License-Identifier: Apache-2.0
// JSON output; docs/schema/npu-perf-1.0.json describes it.
#include <npu/npu_types.h>

#include "tools/npu-perf/output.h"
#include "tools/npu-perf/roofline.h"

namespace npu::perf {
namespace {

using trace::Json;

Json sum_object(const Sum& sum) {
  Json object;
  object["name"] = sum.name;
  object["calls"] = sum.calls;
  object["failed"] = sum.failed;
  object["device_time_ps"] = {
      {"total", sum.total_ps}, {"mean", sum.mean_ps()}, {"min", sum.min_ps}, {"max", sum.max_ps}};
  object["bytes"] = sum.bytes;
  object["bytes_per_second"] = sum.bytes_per_second();
  return object;
}

Json kernel_object(const Sum& kernel, const DeviceUsage& device, const std::optional<Roof>& roof) {
  Json object = sum_object(kernel);
  object["share"] = device.share(kernel);
  object["multiply_adds"] = kernel.macs;
  object["flops_per_second"] = kernel.flops_per_second();
  const double peak = kernel.peak_flops_per_second();
  object["tensor_time_ps"] = kernel.untold != 0 ? Json(nullptr) : Json(kernel.tensor_ps);
  object["peak_flops_per_second"] = peak == 0 ? Json(nullptr) : Json(peak);
  object["of_peak"] = peak == 0 ? Json(nullptr) : Json(kernel.of_peak());
  object["engines"] = nullptr;
  if (kernel.tiles_ps != 0) {
    object["engines"] = {{"tiles_time_ps", kernel.tiles_ps}};
    for (const auto& [engine, ps] : kernel.busy_ps)
      object["engines"]["busy"][engine] = {{"time_ps", ps},
                                           {"utilisation", kernel.utilisation(engine)}};
  }
  object["roofline"] = nullptr;
  if (!roof) return object;
  const Position position = position_of(kernel, *roof);
  object["roofline"] = {
      {"flops_per_byte", position.flops_per_byte},
      {"limit", word_of(position.limit)},
      {"of_roof", position.limit == Limit::kUnknown ? Json(nullptr) : Json(position.of_roof)}};
  return object;
}

Json device_object(const DeviceUsage& device) {
  const std::optional<Roof> roof = roof_of(device.peaks);
  Json object;
  object["index"] = device.peaks.index;
  object["name"] = device.peaks.name;
  object["peak"] = nullptr;
  if (roof) {
    object["peak"] = {{"bytes_per_second", roof->bytes_per_second},
                      {"flops_per_second", roof->flops_per_second},
                      {"ridge_flops_per_byte", roof->ridge()}};
    for (size_t i = 0; i < roof->flops_of_type.size(); i++)
      object["peak"][std::string("flops_") + trace::kTypePeaks[i].key + "_per_second"] =
          roof->flops_of_type[i];
  }
  object["kernels"] = Json::array();
  for (const Sum& kernel : device.kernels)
    object["kernels"].push_back(kernel_object(kernel, device, roof));
  object["transfers"] = Json::array();
  for (const Sum& transfer : device.transfers) object["transfers"].push_back(sum_object(transfer));
  return object;
}

}  // namespace

std::string make_json(const Usage& usage, std::optional<int> exit_code) {
  Json root;
  root["schema"] = "npu-perf/1.0";
  root["tool"]["version"] = std::to_string(NPU_VERSION_MAJOR) + "." +
                            std::to_string(NPU_VERSION_MINOR) + "." +
                            std::to_string(NPU_VERSION_PATCH);
  root["exit_code"] = exit_code ? Json(*exit_code) : Json(nullptr);
  root["processes"] = usage.processes;
  root["unfinished_processes"] = usage.unfinished_processes;
  root["lost_activities"] = usage.lost_activities;
  root["devices"] = Json::array();
  for (const DeviceUsage& device : usage.devices) root["devices"].push_back(device_object(device));
  return root.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace npu::perf
