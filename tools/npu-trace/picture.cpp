// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-trace/picture.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/isa/command_line.h"

namespace npu::trace {
namespace {

// Tracks of devices that a recording may have; more of them would be mixed up with those of the next.
constexpr uint64_t kTracksEach = 1 << 20;
constexpr int64_t kPsPerNs = 1000;

Json microseconds(uint64_t ps) { return static_cast<double>(ps) / 1e6; }

Failure cannot_write(const std::string& path) {
  return {"'" + path + "' cannot be written: " + std::strerror(errno) +
          ". Give -o a path in a folder that is yours, with room."};
}

}  // namespace

Outcome<Picture> Picture::begin(const std::string& path, Clock clock) {
  std::FILE* file = std::fopen(isa::partial_path(path).c_str(), "we");
  if (file == nullptr) return cannot_write(path);
  std::fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", file);
  return Picture(path, file, clock);
}

Picture::Picture(std::string path, std::FILE* file, Clock clock)
    : path_(std::move(path)), partial_(isa::partial_path(path_)), file_(file), clock_(clock) {}

Picture::~Picture() {
  if (file_ != nullptr && partial_ != path_) unlink(partial_.c_str());
}

Outcome<RecordingEnd> Picture::add(const std::string& recording) {
  process_ = 0;
  auto end = read_recording(recording, [this](Json& event) { take(event); });
  recordings_++;
  return end;
}

void Picture::take(Json& event) {
  const std::string phase = text_at(event, "ph");
  const std::string name = text_at(event, "name");
  if (phase == "C") return;  // of an earlier picture: they are made anew
  const uint64_t pid = number_at(event, "pid");
  const bool on_device = pid >= kDevicePidFirst;
  if (!on_device && name == "process_name") process_ = pid;
  if (clock_ == Clock::kDevice && (!on_device || phase == "s" || phase == "f")) return;
  // Engines know no clock but that of their queue.
  if (clock_ == Clock::kHost && is_engine_op(event)) return;
  // Arrows of two processes may have the same number.
  if (phase == "s" || phase == "f") {
    event["id"] = std::to_string(recordings_) + "." + text_at(event, "id");
  }
  if (on_device && name != "process_name" && name != "npu_device" && name != "npu_launch") {
    event["tid"] = number_at(event, "tid") % kTracksEach + recordings_ * kTracksEach;
  }
  if (name == "thread_name" && on_device && process_ != 0 && event["args"].is_object()) {
    event["args"]["name"] =
        text_at(event["args"], "name") + " of process " + std::to_string(process_);
  }
  if (const std::optional<Work> work = work_of(event); work) take_work(*work, event);
  if (const std::optional<LaunchEngines> launch = launch_of(event); launch) take_launch(*launch);
  write(event);
}

void Picture::take_work(const Work& work, Json& event) {
  works_++;
  const uint64_t duration_ps = work.duration_ps();
  int64_t start_ns = work.host_start_ns;
  if (clock_ == Clock::kDevice) {
    event["ts"] = microseconds(work.start_ps);
    event["dur"] = microseconds(duration_ps);
    start_ns = static_cast<int64_t>(work.start_ps / kPsPerNs);
  }
  if (!work.succeeded) return;
  const auto duration_ns = static_cast<int64_t>(duration_ps / kPsPerNs);
  const bool copies =
      work.kind == "copy" || work.kind == "fill" || (work.kind == "graph node" && !work.is_kernel);
  Rates& rates = rates_[work.device];
  rates.bytes.add(start_ns, duration_ns, copies ? work.bytes : work.hbm_bytes);
  rates.macs.add(start_ns, duration_ns, work.macs);
  rates.tensor_ps.add(start_ns, duration_ns, work.tensor_ps);
}

void Picture::take_launch(const LaunchEngines& launch) {
  if (clock_ == Clock::kHost || launch.step_ps > INT64_MAX) return;
  Rate& rate = rates_[launch.device].engine_bytes;
  const auto ns = [&](size_t step) {
    return static_cast<int64_t>((launch.start_ps + step * launch.step_ps) / kPsPerNs);
  };
  for (size_t i = 0; i < launch.hbm_bytes.size(); i++)
    rate.add(ns(i), ns(i + 1) - ns(i), launch.hbm_bytes[i]);
}

void Picture::write(const Json& event) {
  const std::string text = event.dump(-1, ' ', true, Json::error_handler_t::replace) + ",\n";
  std::fwrite(text.data(), 1, text.size(), file_.get());
}

void Picture::write_counter(uint32_t device, const char* name, const char* series, const Rate& rate,
                            double unit) {
  for (const Rate::Step& step : rate.steps()) {
    Json event;
    event["ph"] = "C";
    event["name"] = name;
    event["pid"] = kDevicePidFirst + device;
    event["tid"] = 0;
    event["ts"] = static_cast<double>(step.at_ns) / 1000;
    event["args"][series] = step.per_second / unit;
    write(event);
  }
}

Outcome<uint64_t> Picture::finish() {
  for (const auto& [device, rates] : rates_) {
    write_counter(device, "memory traffic", "GB/s", rates.bytes, 1e9);
    write_counter(device, "memory traffic of engines", "GB/s", rates.engine_bytes, 1e9);
    write_counter(device, "multiply-adds", "10^12/s", rates.macs, 1e12);
    // 1 % of a second's picoseconds.
    write_counter(device, "tensor units", "%", rates.tensor_ps, 1e10);
  }
  // The list may not end with a comma.
  std::fputs("{\"ph\":\"M\",\"name\":\"npu_trace\",\"pid\":0,\"args\":{}}\n]}\n", file_.get());
  const bool good = std::ferror(file_.get()) == 0;
  const bool closed = std::fclose(file_.release()) == 0;
  const bool is_beside = partial_ != path_;
  if (!good || !closed || (is_beside && std::rename(partial_.c_str(), path_.c_str()) != 0)) {
    const Failure failure = cannot_write(path_);
    if (is_beside) unlink(partial_.c_str());
    return failure;
  }
  return works_;
}

}  // namespace npu::trace
