// SPDX-License-Identifier: Apache-2.0
// What one more of a thing costs when there are many: devices, allocations. The peer is the cost when there are few, so a ratio of 1 is a flat line.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kDevices = 8;
constexpr int kAllocations = 10'000;
constexpr int kPart = 500;  // of them, timed together
constexpr uint64_t kBytes = 64 << 10;
constexpr double kFlat = 0.5;  // at most twice the cost

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

bool publish_scale(const std::string& name, double value, double few, const char* unit,
                   const std::string& peer, const std::string& folder) {
  Measurement m{.name = "scale_" + name, .value = value, .unit = unit};
  m.peer = peer;
  m.peer_value = few;
  m.goal = kFlat;
  return publish(m, folder);
}

// One device after the other has launches with a wait each; per launch, with |count| devices of 64 tiles in this process.
double launch_us(int count, double* mib) {
  setenv("NPU_DEVICE", ("inproc:maia100*" + std::to_string(count)).c_str(), 1);
  check(npuInit());
  struct One {
    npuDevice device = nullptr;
    npuContext context = nullptr;
    npuQueue queue = nullptr;
    npuKernel kernel = nullptr;
  };
  std::vector<One> all(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    One& one = all[static_cast<size_t>(i)];
    check(npuDeviceOpen(std::to_string(i).c_str(), &one.device));
    check(npuContextCreate(one.device, &one.context));
    check(npuQueueCreate(one.context, nullptr, &one.queue));
    one.kernel = load_null_kernel(one.context);
  }
  npuLaunchInfo info{};
  info.struct_size = sizeof info;
  info.grid_x = info.grid_y = info.grid_z = 1;
  std::vector<double> rounds;
  for (int round = 0; round < 15; round++) {
    for (const One& one : all) {
      rounds.push_back(seconds_per(2000, [&] {
        uint64_t done = 0;
        check(npuQueueLaunch(one.queue, one.kernel, &info, &done));
        check(npuQueueWait(one.queue, done, NPU_TIMEOUT_INFINITE));
      }));
    }
  }
  *mib = resident_mib();
  check(npuShutdown());
  return median(rounds) * 1e6;
}

bool bench_devices(const std::string& folder) {
  double one_mib = 0, mib = 0;
  const double one_us = launch_us(1, &one_mib);
  bool good = true;
  for (int count = 2; count <= kDevices; count *= 2) {
    const std::string devices = std::to_string(count) + "_devices";
    const double us = launch_us(count, &mib);
    good &= publish_scale("launch_wait_" + devices, us, one_us, "us", "one device", folder);
    good &= publish_scale("resident_" + devices, mib / count, one_mib, "MiB a device", "one device",
                          folder);
  }
  return good;
}

// The last allocations of many against the first ones, and their freeing.
bool bench_allocations(const std::string& folder) {
  const Session session(model_road("inproc"));
  std::vector<npuDevPtr> all(kAllocations);
  double first_s = 0, last_s = 0;
  for (int i = 0; i < kAllocations; i += kPart) {
    int at = i;
    last_s = seconds_per(kPart, [&] {
      check(npuMemAlloc(session.context, NPU_MEM_DEVICE, kBytes, &all[static_cast<size_t>(at++)]));
    });
    if (i == 0) first_s = last_s;
  }
  size_t at = 0;
  const auto free_part = [&] {
    return seconds_per(kPart, [&] { check(npuMemFree(session.context, all[at++])); });
  };
  const double many_s = free_part();
  while (at + kPart < all.size()) free_part();
  const double few_s = free_part();
  return publish_scale("alloc_10000", last_s * 1e6, first_s * 1e6, "us", "the first 500", folder) &
         publish_scale("free_10000", many_s * 1e6, few_s * 1e6, "us", "the last 500", folder);
}

}  // namespace

bool bench_scale(const std::string& folder) {
  return bench_devices(folder) & bench_allocations(folder);
}

}  // namespace npu::bench
