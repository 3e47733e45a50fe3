// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/trace.h"

#include <cinttypes>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/json.h"
#include "libnpu/src/core/log.h"
#include "libnpu/src/core/output_file.h"
#include "libnpu/src/core/text.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_metrics.h"

namespace npu {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
// Devices are processes of the picture, with numbers that no process has.
constexpr uint64_t kDevicePidFirst = 1ull << 31;

struct TraceFile {
  OutputFile file;
  uint64_t pid = 0;
  uint64_t lost = 0;
  std::map<uint64_t, uint32_t> queues;  // handle -> number of the track
  std::set<uint32_t> devices;
  std::set<uint32_t> described;
};

std::mutex g_mutex;  // of what follows
TraceFile* g_trace = nullptr;

constexpr const char* kKindNames[] = {"kernel", "copy",       "fill",   "sync", "host",
                                      "graph",  "graph node", "module", "call"};

// Microseconds with three digits behind the point.
std::string microseconds(int64_t ns) {
  return formatted("%" PRId64 ".%03d", ns / 1000, static_cast<int>(ns % 1000));
}

std::string name_track(const char* what, uint64_t pid, uint64_t tid, const std::string& name) {
  return formatted("{\"ph\": \"M\", \"name\": \"%s\", \"pid\": %" PRIu64 ", \"tid\": %" PRIu64
                   ", \"args\": {\"name\": \"%s\"}},\n",
                   what, pid, tid, name.c_str());
}

std::string slice(const npuProfActivity& activity, uint64_t pid, uint64_t tid) {
  const StatusText* status = find_status_text(activity.result);
  std::string text = "{\"ph\": \"X\", \"name\": " + json_quoted(activity.name);
  text += formatted(", \"cat\": \"%s\", \"pid\": %" PRIu64 ", \"tid\": %" PRIu64 ", \"ts\": ",
                    kKindNames[activity.kind], pid, tid);
  text += microseconds(activity.host_start_ns) + ", \"dur\": ";
  text += microseconds(activity.host_end_ns - activity.host_start_ns);
  text += formatted(", \"args\": {\"correlation\": %" PRIu64 ", \"result\": \"%s\"",
                    activity.correlation_id, status != nullptr ? status->name : "?");
  if (activity.kind == NPU_PROF_CALL) return text + "}},\n";
  text += formatted(", \"value\": %" PRIu64 ", \"start_ps\": %" PRIu64 ", \"end_ps\": %" PRIu64
                    ", \"bytes\": %" PRIu64,
                    activity.value, activity.start_ps, activity.end_ps, activity.bytes);
  if (activity.grid_x != 0) {
    text +=
        formatted(", \"grid\": [%u, %u, %u]", activity.grid_x, activity.grid_y, activity.grid_z);
  }
  if (activity.mac_ops != 0 || activity.hbm_read_bytes != 0 || activity.hbm_write_bytes != 0) {
    text += formatted(", \"macs\": %" PRIu64 ", \"hbm_read\": %" PRIu64 ", \"hbm_write\": %" PRIu64,
                      activity.mac_ops, activity.hbm_read_bytes, activity.hbm_write_bytes);
  }
  if (activity.tensor_ps != 0) text += formatted(", \"tensor_ps\": %" PRIu64, activity.tensor_ps);
  if (activity.node_id != 0) text += formatted(", \"node\": %u", activity.node_id);
  return text + "}},\n";
}

// What is written of a device.
constexpr struct {
  const char* key;
  uint32_t id;
} kPeaks[] = {
    {"memory_bytes_per_second", NPU_METRIC_MEMORY_RATE_MAX},
    {"macs_per_second", NPU_METRIC_MAC_RATE_MAX},
    {"macs_f32_per_second", NPU_METRIC_MAC_RATE_F32_MAX},
    {"macs_bf16_per_second", NPU_METRIC_MAC_RATE_BF16_MAX},
    {"macs_fp8_per_second", NPU_METRIC_MAC_RATE_FP8_MAX},
    {"macs_i8_per_second", NPU_METRIC_MAC_RATE_I8_MAX},
    {"macs_fp6_per_second", NPU_METRIC_MAC_RATE_FP6_MAX},
    {"macs_fp4_per_second", NPU_METRIC_MAC_RATE_FP4_MAX},
};

// The peak |id| of |device|; 0: it does not tell.
int64_t peak(Device& device, uint32_t id) {
  npu_metric metric{};
  return device.read_metric(id, &metric).is_ok() ? metric.value : 0;
}

// An arrow from the call to what it submitted.
std::string arrow(const npuProfActivity& activity, uint64_t from_pid, uint64_t pid, uint64_t tid) {
  if (activity.correlation_id == 0 || activity.kind == NPU_PROF_GRAPH_NODE) return {};
  const std::string id = formatted("%" PRIu64 ".%" PRIu64, activity.correlation_id, activity.value);
  std::string text = formatted(
      "{\"ph\": \"s\", \"name\": \"submit\", \"cat\": \"submit\", \"id\": \"%s\", "
      "\"pid\": %" PRIu64 ", \"tid\": %" PRIu64 ", \"ts\": ",
      id.c_str(), from_pid, activity.thread_id);
  text += microseconds(activity.queued_ns) + "},\n";
  text += formatted(
      "{\"ph\": \"f\", \"bp\": \"e\", \"name\": \"submit\", \"cat\": \"submit\", \"id\": \"%s\", "
      "\"pid\": %" PRIu64 ", \"tid\": %" PRIu64 ", \"ts\": ",
      id.c_str(), pid, tid);
  return text + microseconds(activity.host_start_ns) + "},\n";
}

// The track of a queue, which has a name before anything lies on it.
uint32_t track_of(TraceFile& trace, const npuProfActivity& activity, uint64_t pid,
                  std::string* text) {
  if (trace.devices.insert(activity.device_index).second) {
    *text += name_track("process_name", pid, 0, "NPU " + std::to_string(activity.device_index));
  }
  const auto handle = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(activity.queue));
  const auto [found, is_new] =
      trace.queues.emplace(handle, static_cast<uint32_t>(trace.queues.size() + 1));
  if (is_new) {
    char name[40];
    std::snprintf(name, sizeof name, "queue 0x%" PRIx64, handle);
    *text += name_track("thread_name", pid, found->second, handle != 0 ? name : "modules");
  }
  return found->second;
}

}  // namespace

Status Trace::start(const std::string& path, uint64_t limit_bytes) {
  std::lock_guard lock(g_mutex);
  if (g_trace == nullptr) g_trace = new TraceFile;
  NPU_TRY(g_trace->file.open("NPU_TRACE", path, limit_bytes, kBufferBytes));
  g_trace->pid = process_id();
  g_trace->lost = 0;
  g_trace->queues.clear();
  g_trace->devices.clear();
  g_trace->described.clear();
  g_trace->file.write("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n" +
                      name_track("process_name", g_trace->pid, 0, "calls of libnpu"));
  return Status::ok();
}

void Trace::write(const npuProfActivity& activity) {
  std::lock_guard lock(g_mutex);
  if (g_trace == nullptr || !g_trace->file.is_open()) return;
  std::string text;
  if (activity.kind == NPU_PROF_CALL) {
    text = slice(activity, g_trace->pid, activity.thread_id);
  } else {
    const uint64_t pid = kDevicePidFirst + activity.device_index;
    const uint32_t tid = track_of(*g_trace, activity, pid, &text);
    text += slice(activity, pid, tid) + arrow(activity, g_trace->pid, pid, tid);
  }
  if (g_trace->file.write(text)) return;
  if (g_trace->lost++ == 0) {
    log_message(LogLevel::kWarn,
                "NPU_TRACE has reached NPU_RECORD_MAX_MB; what follows is not in it");
  }
}

void Trace::describe(Device& device) {
  std::string peaks;
  for (const auto& [key, id] : kPeaks)
    peaks += formatted(", \"%s\": %" PRId64, key, peak(device, id));
  const uint32_t index = device.info().index;
  std::lock_guard lock(g_mutex);
  if (g_trace == nullptr || !g_trace->file.is_open()) return;
  if (!g_trace->described.insert(index).second) return;
  g_trace->file.write(formatted("{\"ph\": \"M\", \"name\": \"npu_device\", \"pid\": %" PRIu64
                                ", \"args\": {\"index\": %u, \"name\": ",
                                kDevicePidFirst + index, index) +
                      json_quoted(device.info().name, sizeof device.info().name) + peaks + "}},\n");
}

void Trace::flush() {
  std::lock_guard lock(g_mutex);
  if (g_trace != nullptr && g_trace->file.is_open()) g_trace->file.flush();
}

void Trace::stop() {
  std::lock_guard lock(g_mutex);
  if (g_trace == nullptr || !g_trace->file.is_open()) return;
  g_trace->file.close(formatted("{\"ph\": \"M\", \"name\": \"process_labels\", \"pid\": %" PRIu64
                                ", \"args\": {\"labels\": \"lost activities: %" PRIu64 "\"}}\n]}\n",
                                g_trace->pid, g_trace->lost));
}

void Trace::before_fork() { g_mutex.lock(); }

void Trace::after_fork_in_parent() { g_mutex.unlock(); }

void Trace::after_fork_in_child() {
  if (g_trace != nullptr) g_trace->file.abandon();
  g_mutex.unlock();
}

}  // namespace npu
