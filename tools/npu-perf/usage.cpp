// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-perf/usage.h"

#include <algorithm>

namespace npu::perf {
namespace {

constexpr double kPsPerSecond = 1e12;
constexpr double kFlopsPerMac = 2;

void grow(uint64_t* sum, uint64_t by) {
  if (__builtin_add_overflow(*sum, by, sum)) *sum = UINT64_MAX;
}

double per_second(double amount, uint64_t ps) {
  return ps == 0 ? 0 : amount * kPsPerSecond / static_cast<double>(ps);
}

std::vector<Sum> sorted(const std::map<std::string, Sum>& sums) {
  std::vector<Sum> all;
  for (const auto& [name, sum] : sums) {
    all.push_back(sum);
    all.back().name = name;
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Sum& a, const Sum& b) { return a.total_ps > b.total_ps; });
  return all;
}

}  // namespace

void Sum::add(const trace::Work& work) {
  if (!work.succeeded) {
    failed++;
    return;
  }
  const uint64_t duration_ps = work.duration_ps();
  min_ps = calls == 0 ? duration_ps : std::min(min_ps, duration_ps);
  max_ps = std::max(max_ps, duration_ps);
  calls++;
  grow(&total_ps, duration_ps);
  grow(&bytes, work.is_kernel ? work.hbm_bytes : work.bytes);
  grow(&macs, work.macs);
  grow(&tensor_ps, work.tensor_ps);
  untold += work.macs != 0 && work.tensor_ps == 0;
}

void Sum::add(const trace::LaunchEngines& launch) {
  for (const auto& [engine, ps] : launch.busy_ps) grow(&busy_ps[engine], ps);
  const uint64_t body_ps = launch.end_ps > launch.start_ps ? launch.end_ps - launch.start_ps : 0;
  uint64_t all_ps = 0;
  grow(&tiles_ps, __builtin_mul_overflow(body_ps, launch.tiles, &all_ps) ? UINT64_MAX : all_ps);
}

double Sum::utilisation(const std::string& engine) const {
  const auto found = busy_ps.find(engine);
  if (found == busy_ps.end() || tiles_ps == 0) return 0;
  return static_cast<double>(found->second) / static_cast<double>(tiles_ps);
}

double Sum::bytes_per_second() const { return per_second(static_cast<double>(bytes), total_ps); }

double Sum::flops_per_second() const {
  return per_second(kFlopsPerMac * static_cast<double>(macs), total_ps);
}

double Sum::peak_flops_per_second() const {
  return untold != 0 ? 0 : per_second(kFlopsPerMac * static_cast<double>(macs), tensor_ps);
}

double Sum::of_peak() const {
  if (untold != 0 || total_ps == 0) return 0;
  return static_cast<double>(tensor_ps) / static_cast<double>(total_ps);
}

double DeviceUsage::share(const Sum& kernel) const {
  return kernels_ps == 0 ? 0
                         : static_cast<double>(kernel.total_ps) / static_cast<double>(kernels_ps);
}

trace::Outcome<trace::RecordingEnd> UsageBuilder::add(const std::string& recording) {
  auto end = trace::read_recording(recording, [this](trace::Json& event) {
    if (const auto work = trace::work_of(event); work) add(*work);
    if (const auto launch = trace::launch_of(event); launch) add(*launch);
    if (const auto peaks = trace::peaks_of(event); peaks) add(*peaks);
  });
  if (!end) return end;
  usage_.processes++;
  usage_.unfinished_processes += end->is_whole ? 0 : 1;
  grow(&usage_.lost_activities, end->lost_activities);
  return end;
}

trace::Outcome<trace::RecordingEnd> UsageBuilder::add_engines(const std::string& recording) {
  return trace::read_recording(recording, [this](trace::Json& event) {
    if (const auto launch = trace::launch_of(event); launch) add(*launch);
  });
}

void UsageBuilder::add(const trace::LaunchEngines& launch) {
  Device& device = devices_[launch.device];
  device.peaks.index = launch.device;
  device.kernels[launch.kernel].add(launch);
}

void UsageBuilder::add(const trace::Work& work) {
  // Waits take as long as what they wait for; a graph is counted by its nodes.
  const bool is_transfer =
      work.kind == "copy" || work.kind == "fill" || work.kind == "module" ||
      (work.kind == "graph node" && (work.name == "copy" || work.name == "fill"));
  if (!work.is_kernel && !is_transfer) return;
  Device& device = devices_[work.device];
  device.peaks.index = work.device;
  (work.is_kernel ? device.kernels : device.transfers)[work.name].add(work);
}

void UsageBuilder::add(const trace::DevicePeaks& peaks) { devices_[peaks.index].peaks = peaks; }

Usage UsageBuilder::finish() const {
  Usage usage = usage_;
  for (const auto& [index, device] : devices_) {
    DeviceUsage one;
    one.peaks = device.peaks;
    one.kernels = sorted(device.kernels);
    one.transfers = sorted(device.transfers);
    for (const Sum& kernel : one.kernels) grow(&one.kernels_ps, kernel.total_ps);
    usage.devices.push_back(std::move(one));
  }
  return usage;
}

}  // namespace npu::perf
