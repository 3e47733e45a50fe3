// SPDX-License-Identifier: Apache-2.0
// Opening a device in a fresh process: with a daemon that runs already, with one that must be started, inside the process; against the first calls of OpenCL.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/opencl.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kProcesses = 9;

// Output of this program with --probe-open |what|: seconds; negative when it cannot be done.
double run_probe(const std::string& what) {
  const std::string command = "'" + own_folder() + "/npu_bench' --probe-open " + what;
  FILE* pipe = popen(command.c_str(), "r");
  double seconds = -1;
  if (pipe != nullptr && std::fscanf(pipe, "%lf", &seconds) != 1) seconds = -1;
  if (pipe == nullptr || pclose(pipe) != 0) return -1;
  return seconds;
}

// The daemon ends by itself one second after its last client: how long until a start is a cold one again.
void wait_for_the_daemon_to_end() { usleep(2'500'000); }

bool publish_open(const std::string& name, const std::string& what, bool cold,
                  const std::string& folder) {
  std::vector<double> ours, theirs;
  for (int i = 0; i < (cold ? 3 : kProcesses); i++) {
    if (cold) wait_for_the_daemon_to_end();
    ours.push_back(run_probe(what));
    theirs.push_back(run_probe("opencl"));
    if (ours.back() < 0) return false;
  }
  Measurement m{.name = name, .value = median(ours) * 1e3, .unit = "ms"};
  m.peer = "OpenCL platform and context";
  if (median(theirs) > 0) m.peer_value = median(theirs) * 1e3;
  m.goal = 5;
  return publish(m, folder);
}

}  // namespace

int probe_open(const std::string& what) {
  double seconds = 0;
  if (what == "opencl") {
    seconds = OpenCl::seconds_to_open();
  } else {
    seconds = seconds_per(1, [&] {
      setenv("NPU_DEVICE", what.c_str(), 1);
      npuDevice device = nullptr;
      npuContext context = nullptr;
      check(npuInit());
      check(npuDeviceOpen(nullptr, &device));
      check(npuContextCreate(device, &context));
    });
  }
  std::printf("%.9f\n", seconds);
  return 0;
}

bool bench_open(const std::string& folder) {
  setenv("NPU_MODEL_IDLE_S", "1", 1);
  bool good = publish_open("open_inproc", model_road("inproc"), false, folder);
  good &= publish_open("open_model_cold", model_road("model"), true, folder);
  const Session keeps_the_daemon(model_road("model"));
  return good & publish_open("open_model_warm", model_road("model"), false, folder);
}

}  // namespace npu::bench
