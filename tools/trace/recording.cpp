// SPDX-License-Identifier: Apache-2.0
// One event a line, with a comma behind it; the first line opens the list, the last one closes it.
#include "tools/trace/recording.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

namespace npu::trace {
namespace {

constexpr std::string_view kFirstLine = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [";
constexpr std::string_view kLastLine = "]}";
constexpr std::string_view kLost = "lost activities: ";
// libnpu writes lines of a few hundred bytes.
constexpr size_t kLineMost = 1 << 16;
constexpr double kTimeMostNs = 9e18;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// The next line without its end. False: the file has ended; what stood behind the last end of a line was never finished. A line that is too long comes out empty.
bool next_line(std::FILE* file, std::string* out) {
  out->clear();
  bool is_long = false;
  for (int c = getc_unlocked(file); c != EOF; c = getc_unlocked(file)) {
    if (c == '\n') {
      if (is_long) out->clear();
      return true;
    }
    is_long |= out->size() >= kLineMost;
    if (!is_long) out->push_back(static_cast<char>(c));
  }
  return false;
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

const Json& args_of(const Json& event) {
  static const Json kNothing;
  const Json* args = member(event, "args");
  return args != nullptr ? *args : kNothing;
}

uint64_t lost_in(const Json& event) {
  const std::string labels = text_at(args_of(event), "labels");
  uint64_t count = 0;
  if (labels.starts_with(kLost)) {
    std::from_chars(labels.data() + kLost.size(), labels.data() + labels.size(), count);
  }
  return count;
}

bool is_on_device(const Json& event) {
  const uint64_t pid = number_at(event, "pid");
  return pid >= kDevicePidFirst && pid - kDevicePidFirst <= UINT32_MAX;
}

uint64_t added(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

}  // namespace

uint64_t number_at(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_number_unsigned() ? value->get<uint64_t>() : 0;
}

std::string text_at(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

Outcome<RecordingEnd> read_recording(const std::string& path,
                                     const std::function<void(Json& event)>& visit) {
  const File file(std::fopen(path.c_str(), "re"));
  std::string line;
  if (file == nullptr) {
    return Failure{"'" + path + "' cannot be read: " + std::strerror(errno) +
                   ". Give a file that NPU_TRACE or npu-trace wrote."};
  }
  if (!next_line(file.get(), &line) || line != kFirstLine) {
    return Failure{"'" + path +
                   "' is no trace of libnpu. Give a file that NPU_TRACE or npu-trace wrote."};
  }
  RecordingEnd end;
  while (next_line(file.get(), &line)) {
    std::string_view text = line;
    if (text == kLastLine) {
      end.is_whole = true;
      break;
    }
    if (text.ends_with(',')) text.remove_suffix(1);
    Json event = Json::parse(text, nullptr, false);
    if (!event.is_object()) {
      end.unreadable_lines++;
      continue;
    }
    if (text_at(event, "name") == "process_labels") end.lost_activities += lost_in(event);
    visit(event);
  }
  return end;
}

bool is_engine_op(const Json& event) {
  return text_at(event, "cat") == "engine" && is_on_device(event);
}

std::optional<LaunchEngines> launch_of(const Json& event) {
  if (text_at(event, "name") != "npu_launch" || !is_on_device(event)) return std::nullopt;
  const Json& args = args_of(event);
  LaunchEngines launch;
  launch.kernel = text_at(args, "kernel");
  launch.device = static_cast<uint32_t>(number_at(event, "pid") - kDevicePidFirst);
  launch.start_ps = number_at(args, "start_ps");
  launch.end_ps = number_at(args, "end_ps");
  launch.tiles = number_at(args, "tiles");
  launch.dropped = number_at(args, "dropped");
  launch.step_ps = number_at(args, "step_ps");
  if (const Json* busy = member(args, "busy_ps"); busy != nullptr && busy->is_object()) {
    for (const auto& [engine, ps] : busy->items())
      launch.busy_ps[engine] = number_at(*busy, engine.c_str());
  }
  if (const Json* steps = member(args, "hbm_bytes"); steps != nullptr && steps->is_array()) {
    for (const Json& bytes : *steps)
      launch.hbm_bytes.push_back(bytes.is_number_unsigned() ? bytes.get<uint64_t>() : 0);
  }
  return launch;
}

std::optional<Work> work_of(const Json& event) {
  if (text_at(event, "ph") != "X" || !is_on_device(event) || is_engine_op(event))
    return std::nullopt;
  const Json& args = args_of(event);
  Work work;
  work.name = text_at(event, "name");
  work.kind = text_at(event, "cat");
  work.device = static_cast<uint32_t>(number_at(event, "pid") - kDevicePidFirst);
  work.succeeded = text_at(args, "result") == "NPU_OK";
  work.is_kernel =
      work.kind == "kernel" || (work.kind == "graph node" && member(args, "grid") != nullptr);
  if (const Json* ts = member(event, "ts"); ts != nullptr && ts->is_number()) {
    const double ns = ts->get<double>() * 1000;
    if (std::fabs(ns) < kTimeMostNs) work.host_start_ns = std::llround(ns);
  }
  work.start_ps = number_at(args, "start_ps");
  work.end_ps = number_at(args, "end_ps");
  work.bytes = number_at(args, "bytes");
  work.macs = number_at(args, "macs");
  work.tensor_ps = number_at(args, "tensor_ps");
  work.hbm_bytes = added(number_at(args, "hbm_read"), number_at(args, "hbm_write"));
  return work;
}

std::optional<DevicePeaks> peaks_of(const Json& event) {
  if (text_at(event, "name") != "npu_device" || !is_on_device(event)) return std::nullopt;
  const Json& args = args_of(event);
  DevicePeaks peaks;
  peaks.index = static_cast<uint32_t>(number_at(event, "pid") - kDevicePidFirst);
  peaks.name = text_at(args, "name");
  peaks.memory_bytes_per_second = number_at(args, "memory_bytes_per_second");
  peaks.macs_per_second = number_at(args, "macs_per_second");
  for (const TypePeak& type : kTypePeaks) {
    const std::string key = std::string("macs_") + type.key + "_per_second";
    peaks.*type.macs_per_second = number_at(args, key.c_str());
  }
  return peaks;
}

}  // namespace npu::trace
