// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/layer.h"

#include <cstdlib>

#include "libnpu/src/core/activity.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/library.h"
#include "libnpu/src/core/live_object.h"
#include "libnpu/src/core/recorder.h"
#include "libnpu/src/core/trace.h"

namespace npu {
namespace {

constexpr uint64_t kMegabyte = 1'000'000;

bool g_watches_exit = false;

bool has(const Environment& environment, Layer layer) {
  return (environment.layers & static_cast<uint32_t>(layer)) != 0;
}

Status start_record(const Environment& environment) {
  if (!has(environment, Layer::kRecord)) return Status::ok();
  if (environment.record_file.empty()) {
    const Status status =
        fail(NPU_ERROR_BAD_ENVIRONMENT, "NPU_LAYERS has record, but NPU_RECORD_FILE is not set");
    set_remedy("Set NPU_RECORD_FILE to the path of the record.");
    return status;
  }
  return Recorder::start(environment.record_file, environment.record_max_mb * kMegabyte);
}

Status start_trace(const Environment& environment) {
  if (environment.trace_file.empty()) return Status::ok();
  NPU_TRY(Trace::start(environment.trace_file, environment.record_max_mb * kMegabyte));
  Activities::set_trace(true);
  return Status::ok();
}

}  // namespace

Status Layers::start(const Environment& environment) {
  NPU_TRY(start_record(environment));
  if (const Status status = start_trace(environment); !status.is_ok()) {
    Recorder::stop("failed start");
    return status;
  }
  Hooks::set(Hook::kLeak, has(environment, Layer::kLeak));
  Hooks::set(Hook::kValidation, has(environment, Layer::kValidation));
  Hooks::set(Hook::kBlocking, environment.launch_blocking);
  const bool wants_end = has(environment, Layer::kLeak) || has(environment, Layer::kRecord) ||
                         !environment.trace_file.empty();
  if (wants_end && !g_watches_exit) g_watches_exit = std::atexit(&Library::at_exit) == 0;
  return Status::ok();
}

void Layers::report(Library& library, const char* when) {
  if (Hooks::has(Hook::kLeak)) log_live_objects(library, when);
}

void Layers::stop(const char* why) {
  Activities::set_trace(false);
  Trace::stop();
  Recorder::stop(why);
  Activities::end();
  after_fork_in_child();
}

void Layers::after_fork_in_child() {
  Hooks::set(Hook::kLeak, false);
  Hooks::set(Hook::kValidation, false);
  Hooks::set(Hook::kBlocking, false);
}

}  // namespace npu
