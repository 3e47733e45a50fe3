// SPDX-License-Identifier: Apache-2.0
// The same program gives the same bytes and the same device times, whatever the number of model threads and whichever road.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

// What a run leaves: a sum over all result bytes, and over all times.
struct Trace {
  uint64_t bytes = 0;
  uint64_t times = 0;
  uint64_t last_end_ps = 0;
  int32_t failed = 1;
  int32_t pad = 0;
};

uint64_t mix(uint64_t sum, uint64_t value) {
  return (sum ^ value) * 0x100000001b3ull + (sum >> 29);
}

Trace run_program() {
  Trace trace;
  npuDevice device = nullptr;
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuModule module = nullptr;
  npuKernel add = nullptr;
  npuDevPtr x = 0;
  npuDevPtr y = 0;
  constexpr uint32_t kGroups = 64;
  constexpr uint32_t kCount = kGroups * 256;
  if (npuInit() != NPU_OK || npuDeviceOpen(nullptr, &device) != NPU_OK ||
      npuContextCreate(device, &context) != NPU_OK ||
      npuQueueCreate(context, nullptr, &queue) != NPU_OK ||
      npuModuleLoad(context, blob_path().c_str(), &module) != NPU_OK ||
      npuModuleGetKernel(module, "add_scalar", &add) != NPU_OK ||
      npuMemAlloc(context, NPU_MEM_DEVICE, kCount * 4, &x) != NPU_OK ||
      npuMemAlloc(context, NPU_MEM_DEVICE, kCount * 4, &y) != NPU_OK) {
    return trace;
  }
  std::vector<float> values(kCount);
  for (uint32_t i = 0; i < kCount; i++) values[i] = static_cast<float>(i % 1000) * 0.37f;
  npuMemCopyToDevice(context, x, values.data(), kCount * 4);
  for (uint64_t step = 1; step <= 30; step++) {
    const AddArgs args{step % 2 ? x : y, step % 2 ? y : x, 0.1f * static_cast<float>(step), 0};
    const npuLaunchInfo info{sizeof(npuLaunchInfo), kGroups, 1, 1, &args, sizeof args, 0};
    uint64_t value = 0;
    if (npuQueueLaunch(queue, add, &info, &value) != NPU_OK) return trace;
    if (npuQueueWait(queue, value, kLongNs) != NPU_OK) return trace;
    npuTiming timing{};
    timing.struct_size = sizeof timing;
    if (npuQueueGetTiming(queue, value, &timing) != NPU_OK) return trace;
    trace.times = mix(mix(trace.times, timing.start_ps), timing.end_ps);
    trace.last_end_ps = timing.end_ps;
  }
  npuMemCopyToHost(context, values.data(), x, kCount * 4);
  for (const float value : values) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    trace.bytes = mix(trace.bytes, bits);
  }
  trace.failed = npuShutdown() == NPU_OK ? 0 : 1;
  return trace;
}

// In a process of its own, since the number of threads is fixed when the model starts.
Trace run_with(const std::string& device, const char* threads) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    setenv("NPU_DEVICE", device.c_str(), 1);
    setenv("NPU_MODEL_THREADS", threads, 1);
    char folder[] = "/tmp/npu-test-XXXXXX";
    if (mkdtemp(folder) == nullptr) _exit(2);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    const Trace trace = run_program();
    const bool written = write(ends[1], &trace, sizeof trace) == static_cast<ssize_t>(sizeof trace);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    _exit(written ? 0 : 3);
  }
  close(ends[1]);
  Trace trace;
  EXPECT_EQ(read(ends[0], &trace, sizeof trace), static_cast<ssize_t>(sizeof trace));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(trace.failed, 0) << device << " with " << threads << " threads";
  return trace;
}

TEST(Determinism, BytesAndTimesDependOnTheProgramAlone) {
  const Trace first = run_with("inproc:tiny", "1");
  EXPECT_GT(first.last_end_ps, 0u);
  for (const char* device : {"inproc:tiny", "model:tiny"}) {
    for (const char* threads : {"1", "2"}) {
      const Trace other = run_with(device, threads);
      EXPECT_EQ(other.bytes, first.bytes) << device << ", " << threads << " threads";
      EXPECT_EQ(other.times, first.times) << device << ", " << threads << " threads";
      EXPECT_EQ(other.last_end_ps, first.last_end_ps);
    }
  }
}

}  // namespace
}  // namespace npu::conformance
