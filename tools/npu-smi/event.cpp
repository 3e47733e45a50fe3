// SPDX-License-Identifier: Apache-2.0
// Several devices are asked in turn: an event is shown at most a slice late.
#include "tools/npu-smi/event.h"

#include <cstdio>
#include <memory>
#include <vector>

#include "tools/npu-smi/exit_code.h"
#include "tools/npu-smi/loop.h"
#include "tools/npu-smi/output.h"
#include "tools/npu-smi/port.h"

namespace npu::smi {
namespace {

constexpr int64_t kSliceNs = 100'000'000;

struct Closer {
  void operator()(npuMlDevice device) const { npuMlClose(device); }
};

struct Watched {
  uint32_t index;
  std::unique_ptr<npuMlDeviceObject, Closer> handle;
};

const char* kind_word(npuMlEventKind kind) {
  return kind == NPU_ML_EVENT_PORT_STATE ? "port_state" : "device_reset";
}

int fail(uint32_t index, npuResult code) {
  const Failure failure = last_failure(code);
  std::fprintf(stderr, "npu-smi: device %u: %s. %s\n", index, failure.text.c_str(),
               failure.remedy.c_str());
  return exit_code_of(code);
}

// 0, or the exit code.
int watch(const Selector& selector, std::vector<Watched>* out) {
  const Snapshot snapshot = take_snapshot(selector);
  if (snapshot.failure) {
    std::fprintf(stderr, "npu-smi: %s. %s\n", snapshot.failure->text.c_str(),
                 snapshot.failure->remedy.c_str());
    return exit_code_of(snapshot.failure->code);
  }
  for (const Device& device : snapshot.devices) {
    npuMlDevice handle = nullptr;
    npuResult result = npuMlOpen(std::to_string(device.index).c_str(), &handle);
    out->push_back({device.index, std::unique_ptr<npuMlDeviceObject, Closer>(handle)});
    if (result == NPU_OK) {
      result = npuMlSelectEvents(handle, NPU_ML_EVENT_DEVICE_RESET | NPU_ML_EVENT_PORT_STATE);
    }
    if (result != NPU_OK) return fail(device.index, result);
  }
  return kExitDone;
}

Json event_object(const std::string& timestamp, uint32_t index, const npuMlEvent& event) {
  const bool is_port = event.kind == NPU_ML_EVENT_PORT_STATE;
  Json object;
  object["schema"] = "npu-smi-event/1.0";
  object["timestamp"] = timestamp;
  object["device"] = index;
  object["event"] = kind_word(event.kind);
  object["port"] = is_port ? Json(event.port) : Json(nullptr);
  object["state"] = is_port ? Json(port_state_word(event.port_state)) : Json(nullptr);
  object["epoch"] = is_port ? Json(nullptr) : Json(event.epoch);
  object["lost_before"] = event.lost != 0;
  object["time_ns"] = event.time_ns;
  return object;
}

bool print_line(const std::string& line) {
  if (std::fputs(line.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return true;
  std::perror("npu-smi: writing to stdout");
  return false;
}

}  // namespace

std::string event_line(Format format, const std::string& timestamp, uint32_t index,
                       const npuMlEvent& event) {
  const Json object = event_object(timestamp, index, event);
  if (format == Format::kJson) return object.dump() + "\n";
  const std::string port = object["port"].is_null() ? "" : object["port"].dump();
  const std::string state = object["state"].is_null() ? "" : object["state"].get<std::string>();
  const std::string epoch = object["epoch"].is_null() ? "" : object["epoch"].dump();
  if (format == Format::kCsv) {
    return timestamp + "," + std::to_string(index) + "," + kind_word(event.kind) + "," + port +
           "," + state + "," + epoch + "," + (event.lost != 0 ? "true" : "false") + "\n";
  }
  return timestamp + "  device " + std::to_string(index) +
         (port.empty() ? "  was reset, epoch " + epoch : "  port " + port + " is " + state) +
         (event.lost != 0 ? "  (events before this one were lost)" : "") + "\n";
}

int follow_events(const Options& options, const Selector& selector) {
  std::vector<Watched> devices;
  if (const int code = watch(selector, &devices); code != kExitDone) return code;
  catch_end_signals();
  if (options.format == Format::kCsv && options.csv_header &&
      !print_line("timestamp,device,event,port,state,epoch,lost_before\n")) {
    return kExitInternal;
  }
  const int64_t slice_ns = kSliceNs / static_cast<int64_t>(devices.size());
  for (uint64_t shown = 0; !end_was_asked();) {
    for (const Watched& device : devices) {
      npuMlEvent event{};
      event.struct_size = sizeof event;
      const npuResult result = npuMlWaitEvent(device.handle.get(), slice_ns, &event);
      if (result == NPU_TIMEOUT) continue;
      if (result != NPU_OK) return fail(device.index, result);
      if (!print_line(event_line(options.format, now_text(), device.index, event))) {
        return kExitInternal;
      }
      if (++shown == options.event_count) return kExitDone;
    }
  }
  return kExitDone;
}

}  // namespace npu::smi
