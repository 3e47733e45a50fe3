// SPDX-License-Identifier: Apache-2.0
// Reading devices through libnpuml.
#include "tools/npu-smi/device.h"

#include <pwd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace npu::smi {
namespace {

constexpr uint32_t kMetricIdEnd = 256;  // npu_ml.h: ids are below it
constexpr int kListTries = 8;           // a list may grow between the two calls

const std::map<std::string, npuMlMetricDescription>& descriptions() {
  static const auto kAll = [] {
    std::map<std::string, npuMlMetricDescription> all;
    for (uint32_t id = 0; id < kMetricIdEnd; id++) {
      npuMlMetricDescription description{};
      description.struct_size = sizeof description;
      if (npuMlGetMetricDescription(id, &description) == NPU_OK) all[description.key] = description;
    }
    return all;
  }();
  return kAll;
}

std::string key_of(uint32_t id) {
  npuMlMetricDescription description{};
  description.struct_size = sizeof description;
  return npuMlGetMetricDescription(id, &description) == NPU_OK ? description.key : "";
}

// Calls |list|(count, array) of npu_ml.h until the array was large enough.
template <typename T, typename List>
npuResult read_list(std::vector<T>* out, List list) {
  npuResult result = NPU_INCOMPLETE;
  for (int i = 0; i < kListTries && result == NPU_INCOMPLETE; i++) {
    uint32_t count = 0;
    result = list(&count, static_cast<T*>(nullptr));
    if (result != NPU_OK) return result;
    out->assign(count + 1, T{});
    if constexpr (requires(T t) { t.struct_size; }) out->front().struct_size = sizeof(T);
    count = static_cast<uint32_t>(out->size());
    result = list(&count, out->data());
    out->resize(count);
  }
  return result;
}

std::string user_name(uint32_t uid) {
  char buffer[4096];
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr)
    return entry.pw_name;
  return std::to_string(uid);
}

npuResult read_processes(npuMlDevice handle, Device* out) {
  std::vector<npuMlProcess> rows;
  const npuResult result = read_list(&rows, [&](uint32_t* count, npuMlProcess* array) {
    return npuMlGetProcesses(handle, count, array);
  });
  for (const npuMlProcess& row : rows) {
    if (row.pid == static_cast<uint32_t>(getpid())) continue;
    out->processes.push_back({out->index, row, user_name(row.uid)});
  }
  return result;
}

npuResult read_open(npuMlDevice handle, Device* out) {
  out->info.struct_size = sizeof out->info;
  npuResult result = npuMlGetInfo(handle, &out->info);
  if (result != NPU_OK) return result;
  std::vector<npuMlMetric> metrics;
  result = read_list(&metrics, [&](uint32_t* count, npuMlMetric* array) {
    return npuMlGetMetrics(handle, count, array);
  });
  if (result != NPU_OK) return result;
  for (const npuMlMetric& metric : metrics) out->metrics[key_of(metric.id)] = metric;
  result = read_list(&out->ports, [&](uint32_t* count, npuMlPort* array) {
    return npuMlGetPorts(handle, count, array);
  });
  return result == NPU_OK ? read_processes(handle, out) : result;
}

Device read_device(uint32_t index) {
  Device device;
  device.index = index;
  npuMlDevice handle = nullptr;
  npuResult result = npuMlOpen(std::to_string(index).c_str(), &handle);
  if (result == NPU_OK) result = read_open(handle, &device);
  if (result != NPU_OK) device.failure = last_failure(result);
  npuMlClose(handle);
  return device;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return text;
}

bool is_called(const Device& device, const std::string& name) {
  return !device.failure && (lower(device.info.uuid) == name || lower(device.info.bus_id) == name);
}

// The devices of |names|; one that is not there is the snapshot's failure.
void keep_named(const std::vector<std::string>& names, Snapshot* snapshot) {
  std::vector<Device> kept;
  for (const std::string& name : names) {
    const auto found = std::find_if(snapshot->devices.begin(), snapshot->devices.end(),
                                    [&](const Device& device) { return is_called(device, name); });
    if (found == snapshot->devices.end()) {
      // A device that could not be read could be the one; why it could not says more than that it was not found.
      for (const Device& device : snapshot->devices) {
        if (device.failure) snapshot->failure = device.failure;
      }
      if (snapshot->failure) return;
      snapshot->failure = Failure{NPU_ERROR_NO_DEVICE, "no device is called '" + name + "'",
                                  "npu-smi list shows the devices."};
      return;
    }
    kept.push_back(*found);
  }
  snapshot->devices = std::move(kept);
}

}  // namespace

Failure last_failure(npuResult code) {
  npuErrorInfo info{};
  info.struct_size = sizeof info;
  if (npuMlErrorGetInfo(&info) != NPU_OK || info.code != code) return {code, "no detail", ""};
  return {code, info.text, info.remedy};
}

std::string now_text() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  char text[64];
  const size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + used, sizeof text - used, ".%06ldZ", now.tv_nsec / 1000);
  return text;
}

const npuMlMetricDescription* find_metric(const std::string& key) {
  const auto found = descriptions().find(key);
  return found == descriptions().end() ? nullptr : &found->second;
}

std::vector<std::string> metric_keys() {
  std::vector<std::string> keys;
  for (const auto& [key, description] : descriptions()) keys.push_back(key);
  return keys;
}

Snapshot take_snapshot(const Selector& selector) {
  Snapshot snapshot;
  snapshot.timestamp = now_text();
  uint32_t count = 0;
  const npuResult result = npuMlGetDeviceCount(&count);
  if (result != NPU_OK) {
    snapshot.failure = last_failure(result);
    return snapshot;
  }
  if (count == 0) {
    snapshot.failure =
        Failure{NPU_ERROR_NO_DEVICE, "there is no NPU", "Check NPU_DEVICE; see npu(7)."};
    return snapshot;
  }
  for (const uint32_t index : selector.indices) {
    if (index < count) continue;
    snapshot.failure = Failure{
        NPU_ERROR_NO_DEVICE,
        "there is no device " + std::to_string(index) + ": there are " + std::to_string(count),
        "npu-smi list shows the devices."};
    return snapshot;
  }
  const bool by_index = !selector.indices.empty();
  for (uint32_t i = 0; i < (by_index ? selector.indices.size() : count); i++) {
    snapshot.devices.push_back(read_device(by_index ? selector.indices[i] : i));
  }
  if (!selector.names.empty()) keep_named(selector.names, &snapshot);
  return snapshot;
}

}  // namespace npu::smi
