// SPDX-License-Identifier: Apache-2.0
// The tables: one of kernels and one of transfers for each device.
#include <algorithm>
#include <utility>
#include <vector>

#include "tools/npu-perf/output.h"
#include "tools/npu-perf/quantity.h"
#include "tools/npu-perf/roofline.h"

namespace npu::perf {
namespace {

// Names come from files: nothing in them may move a terminal's cursor.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text.empty() ? "?" : text;
}

Row times(const Sum& sum) {
  return {printable(sum.name),
          std::to_string(sum.calls),
          std::to_string(sum.failed),
          duration(static_cast<double>(sum.total_ps)),
          duration(sum.mean_ps()),
          duration(static_cast<double>(sum.min_ps)),
          duration(static_cast<double>(sum.max_ps))};
}

Row kernel_row(const Sum& kernel, const DeviceUsage& device, const std::optional<Roof>& roof) {
  Row row = times(kernel);
  row.push_back(percent(device.share(kernel)));
  row.push_back(with_prefix(static_cast<double>(kernel.bytes), "B"));
  row.push_back(with_prefix(static_cast<double>(kernel.macs), ""));
  row.push_back(with_prefix(kernel.bytes_per_second(), "B/s"));
  row.push_back(with_prefix(kernel.flops_per_second(), "FLOP/s"));
  const double peak = kernel.peak_flops_per_second();
  row.push_back(peak == 0 ? "-" : with_prefix(peak, "FLOP/s"));
  row.push_back(peak == 0 ? "-" : percent(kernel.of_peak()));
  if (!roof) {
    row.insert(row.end(), {"-", "-", "-"});
    return row;
  }
  const Position position = position_of(kernel, *roof);
  const bool has_limit = position.limit == Limit::kMemory || position.limit == Limit::kArithmetic;
  row.push_back(with_prefix(position.flops_per_byte, ""));
  row.push_back(has_limit ? percent(position.of_roof) : "-");
  row.push_back(position.limit == Limit::kNone ? "-" : word_of(position.limit));
  return row;
}

std::string kernel_table(const DeviceUsage& device, const std::optional<Roof>& roof) {
  std::vector<Row> rows = {{"kernel", "calls", "failed", "total", "mean", "min", "max", "share",
                            "bytes", "mul-adds", "bandwidth", "arithmetic", "peak", "of peak",
                            "FLOP/B", "of roof", "limit"}};
  for (const Sum& kernel : device.kernels) rows.push_back(kernel_row(kernel, device, roof));
  return rows.size() == 1 ? "no kernels\n" : align(rows);
}

// How busy the engines of all tiles were, where they were recorded.
std::string engine_table(const DeviceUsage& device) {
  constexpr const char* kEngines[] = {"LD", "ST", "MM", "VE"};
  std::vector<Row> rows = {{"engines busy", "LD", "ST", "MM", "VE"}};
  for (const Sum& kernel : device.kernels) {
    if (kernel.tiles_ps == 0) continue;
    Row row = {printable(kernel.name)};
    for (const char* engine : kEngines) row.push_back(percent(kernel.utilisation(engine)));
    rows.push_back(std::move(row));
  }
  return rows.size() == 1 ? "" : "\n" + align(rows);
}

std::string transfer_table(const DeviceUsage& device) {
  std::vector<Row> rows = {
      {"transfer", "calls", "failed", "total", "mean", "min", "max", "bytes", "bandwidth"}};
  for (const Sum& transfer : device.transfers) {
    Row row = times(transfer);
    row.push_back(with_prefix(static_cast<double>(transfer.bytes), "B"));
    row.push_back(with_prefix(transfer.bytes_per_second(), "B/s"));
    rows.push_back(std::move(row));
  }
  return rows.size() == 1 ? "" : "\n" + align(rows);
}

std::string heading(const DeviceUsage& device, const std::optional<Roof>& roof) {
  std::string text = "NPU " + std::to_string(device.peaks.index);
  if (!device.peaks.name.empty()) text += " " + printable(device.peaks.name);
  if (!roof) return text + ": peaks not known\n";
  text += ": at most " + with_prefix(roof->flops_per_second, "FLOP/s");
  const char* before = " (";
  for (size_t i = 0; i < roof->flops_of_type.size(); i++) {
    if (roof->flops_of_type[i] == 0) continue;
    text += std::string(std::exchange(before, ", ")) + trace::kTypePeaks[i].name + " " +
            with_prefix(roof->flops_of_type[i], "FLOP/s");
  }
  return text + (*before == ',' ? "), " : ", ") + with_prefix(roof->bytes_per_second, "B/s") +
         "; ridge at " + with_prefix(roof->ridge(), "FLOP/B") + "\n";
}

}  // namespace

std::string make_table(const Usage& usage) {
  std::string text;
  for (const DeviceUsage& device : usage.devices) {
    const std::optional<Roof> roof = roof_of(device.peaks);
    if (!text.empty()) text += "\n";
    text += heading(device, roof) + kernel_table(device, roof) + engine_table(device) +
            transfer_table(device);
  }
  return text.empty() ? "no device did anything\n" : text;
}

}  // namespace npu::perf
