// SPDX-License-Identifier: Apache-2.0
// What the host programs of the steps share: a device with a queue, numbers to work on, and the end of main().
#pragma once

#include <npu/npu_prof.h>
#include <cstdint>
#include <cstdio>
#include <npu/npu.hpp>
#include <string>
#include <utility>
#include <vector>

struct Npu {
  npu::Library library;
  npu::Device device = npu::Device::open();
  npu::Context context{device};
  npu::Queue queue{context};

  // Device times are those that the step's text explains; on another device they only have to make sense.
  bool is_tiny() const { return std::string(device.info().name) == "tiny"; }

  // Launches, waits, and gives the device time in microseconds.
  template <typename Args>
  double run(const npu::Kernel &kernel, npu::Grid grid, const Args &args) {
    const uint64_t done = queue.launch(kernel, grid, args);
    queue.wait(done);
    npuTiming time{};
    time.struct_size = sizeof time;
    npu::check(npuQueueGetTiming(queue.get(), done, &time));
    return static_cast<double>(time.end_ps - time.start_ps) / 1e6;
  }
};

// |count| numbers in [-1, 1), the same for the same seed.
inline std::vector<float> numbers(uint32_t seed, size_t count) {
  std::vector<float> out(count);
  for (float &x : out) {
    seed = seed * 1664525u + 1013904223u;
    x = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
  }
  return out;
}

// Runs |body|, which says whether the results are right. Exit code 0, 1 for a failure, 77 without an NPU.
template <typename Body>
int run_sample(Body body) {
  try {
    const bool good = body();
    std::puts(good ? "PASSED" : "FAILED");
    return good ? 0 : 1;
  } catch (const npu::Error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    const bool skipped = error.code() == NPU_ERROR_NO_DEVICE;
    std::puts(skipped ? "SKIPPED" : "FAILED");
    return skipped ? 77 : 1;
  }
}
