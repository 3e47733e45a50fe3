// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/device/engine_trace.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <string_view>
#include <vector>

#include "firmware-model/device/virtual_time.h"

namespace npu::model {
namespace {

// As libnpu numbers devices, and below what npu-trace gives each recording; queues have the lower numbers.
constexpr uint64_t kDevicePidFirst = uint64_t{1} << 31;
constexpr uint32_t kTrackFirst = 1 << 16;
constexpr size_t kTracksMost = 1 << 18;
constexpr uint64_t kSteps = 256;
constexpr uint64_t kPsPerNs = 1000;

constexpr const char* kEngineNames[NPU_ENGINE_COUNT] = {
#define NPU_ENGINE(code, name, doc) #name,
#include "uapi/spec/isa.def"
#undef NPU_ENGINE
};

const char* op_name(uint8_t op) {
  switch (op) {
#define NPU_INSN(code, name, mnemonic, ...) \
  case code:                                \
    return #name;
#include "uapi/spec/isa.def"
#undef NPU_INSN
    default:
      return "?";
  }
}

[[gnu::format(printf, 2, 3)]] void add(std::string* text, const char* format, ...) {
  char line[256];
  va_list values;
  va_start(values, format);
  const int bytes = std::vsnprintf(line, sizeof line, format, values);
  va_end(values);
  text->append(line, static_cast<size_t>(std::clamp<int>(bytes, 0, sizeof line - 1)));
}

// Names come from blobs: anything may stand in them.
std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) {
    const bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    text.push_back(plain ? c : '?');
  }
  return text + "\"";
}

// Picoseconds as microseconds.
void add_time(std::string* text, const char* key, uint64_t ps) {
  add(text, ", \"%s\": %" PRIu64 ".%06" PRIu64, key, ps / 1'000'000, ps % 1'000'000);
}

// The bytes of |ops| in each of |count| steps of time; those of an operation evenly over its time, to the byte.
std::vector<uint64_t> traffic(const std::vector<OpRecord>& ops, uint64_t step_ps, uint64_t count) {
  using Wide = unsigned __int128;
  std::vector<uint64_t> steps(count);
  for (const OpRecord& op : ops) {
    const uint64_t duration_ps = op.end_ps - op.start_ps;
    if (op.hbm_bytes == 0 || duration_ps == 0) continue;
    uint64_t before = 0;
    for (uint64_t i = op.start_ps / step_ps; i < count && before < op.hbm_bytes; ++i) {
      const uint64_t until_ps = std::min(op.end_ps, (i + 1) * step_ps) - op.start_ps;
      const auto moved = static_cast<uint64_t>(Wide{op.hbm_bytes} * until_ps / duration_ps);
      steps[i] += moved - before;
      before = moved;
    }
  }
  return steps;
}

void add_traffic(const LaunchOutcome& done, uint64_t body_ps, std::string* text) {
  // Whole nanoseconds: counters of a picture know nothing less.
  const uint64_t step_ps = (body_ps / kSteps / kPsPerNs + 1) * kPsPerNs;
  // A time that no program reaches has no steps.
  const uint64_t count =
      body_ps > UINT64_MAX / 2 ? 0 : body_ps / step_ps + (body_ps % step_ps != 0);
  add(text, ", \"step_ps\": %" PRIu64 ", \"hbm_bytes\": [", step_ps);
  const char* comma = "";
  for (const uint64_t bytes : traffic(done.ops->records, step_ps, count)) {
    add(text, "%s%" PRIu64, comma, bytes);
    comma = ", ";
  }
  *text += "]";
}

// "kernel" and, where the blob has a line table, "line".
std::string args_of(const std::string& kernel, const Module& module, uint32_t line) {
  const SourcePlace place = module.place(line);
  std::string args = "\"kernel\": " + kernel;
  if (!place.file.empty())
    args += ", \"line\": " + quoted(place.file + ":" + std::to_string(place.line));
  return args;
}

}  // namespace

uint32_t EngineTrace::track_of(const Track& track, std::string* text) {
  const auto found = tracks_.find(track);
  if (found != tracks_.end()) return found->second;
  if (tracks_.size() >= kTracksMost) return 0;
  const auto number = static_cast<uint32_t>(kTrackFirst + tracks_.size());
  tracks_.emplace(track, number);
  const auto [queue, tile, engine] = track;
  const uint64_t pid = kDevicePidFirst + config_.device;
  add(text,
      "{\"ph\": \"M\", \"name\": \"thread_name\", \"pid\": %" PRIu64
      ", \"tid\": %u, \"args\": {\"name\": \"tile %u %s, queue %u\"}},\n",
      pid, number, tile, kEngineNames[engine], queue);
  const uint64_t order = (uint64_t{queue} << 16 | tile) * NPU_ENGINE_COUNT + engine;
  add(text,
      "{\"ph\": \"M\", \"name\": \"thread_sort_index\", \"pid\": %" PRIu64
      ", \"tid\": %u, \"args\": {\"sort_index\": %" PRIu64 "}},\n",
      pid, number, order);
  return number;
}

void EngineTrace::add_slice(const OpRecord& op, uint64_t body_ps, const std::string& args,
                            uint32_t track, std::string* text) const {
  const uint64_t start_ps = later_ps(body_ps, op.start_ps);
  const uint64_t end_ps = later_ps(body_ps, op.end_ps);
  add(text,
      "{\"ph\": \"X\", \"name\": \"%s\", \"cat\": \"engine\", \"pid\": %" PRIu64 ", \"tid\": %u",
      op_name(op.op), kDevicePidFirst + config_.device, track);
  add_time(text, "ts", start_ps);
  add_time(text, "dur", end_ps - start_ps);
  *text += ", \"args\": {" + args;
  add(text, ", \"start_ps\": %" PRIu64 ", \"end_ps\": %" PRIu64 ", \"bytes\": %" PRIu64 "}},\n",
      start_ps, end_ps, op.hbm_bytes);
}

void EngineTrace::write(const Begin& begin, const Module& module, const LaunchOutcome& done) {
  const std::string kernel = quoted(begin.kernel);
  const uint64_t overhead_ps = uint64_t{profile_.launch_overhead_ns} * 1000;
  const uint64_t start_ps = later_ps(begin.launch_ps, overhead_ps);
  const uint64_t body_ps = done.duration_ps > overhead_ps ? done.duration_ps - overhead_ps : 0;
  std::map<uint32_t, std::string> args;  // of each line
  uint64_t drawn = 0, left_out = 0, dropped = done.ops->dropped;
  std::string text;
  for (const OpRecord& op : done.ops->records) {
    if (op.tile >= config_.tiles) {
      ++left_out;
      continue;
    }
    const uint32_t track = track_of({begin.queue, op.tile, op.engine}, &text);
    if (track == 0) {
      ++dropped;
      continue;
    }
    std::string& of_line = args[op.line];
    if (of_line.empty()) of_line = args_of(kernel, module, op.line);
    add_slice(op, start_ps, of_line, track, &text);
    ++drawn;
  }
  add(&text,
      "{\"ph\": \"M\", \"name\": \"npu_launch\", \"pid\": %" PRIu64 ", \"args\": {\"kernel\": ",
      kDevicePidFirst + config_.device);
  text += kernel;
  add(&text, ", \"queue\": %u, \"start_ps\": %" PRIu64 ", \"end_ps\": %" PRIu64 ", \"tiles\": %u",
      begin.queue, start_ps, later_ps(start_ps, body_ps),
      profile_.clusters * profile_.tiles_per_cluster);
  text += ", \"busy_ps\": {";
  for (uint32_t e = NPU_ENGINE_LD; e < NPU_ENGINE_COUNT; ++e)
    add(&text, "%s\"%s\": %" PRIu64, e == NPU_ENGINE_LD ? "" : ", ", kEngineNames[e],
        done.stats.engine_busy_ps[e]);
  add(&text, "}, \"drawn\": %" PRIu64 ", \"left_out\": %" PRIu64 ", \"dropped\": %" PRIu64, drawn,
      left_out, dropped);
  add_traffic(done, body_ps, &text);
  put(text + "}},\n");
}

// Whole lines, appended at once: other devices may write to the same file.
void EngineTrace::put(const std::string& text) {
  if (text.size() > left_bytes_) {
    left_bytes_ = 0;
    return;
  }
  left_bytes_ -= text.size();
  for (size_t at = 0; at < text.size();) {
    const ssize_t bytes = ::write(config_.fd, text.data() + at, text.size() - at);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) {
      left_bytes_ = 0;
      return;
    }
    at += static_cast<size_t>(bytes);
  }
}

}  // namespace npu::model
