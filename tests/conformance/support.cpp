// SPDX-License-Identifier: Apache-2.0
// Shared parts of the conformance tests.
#include "tests/conformance/support.h"

#include <dirent.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace npu::conformance {
namespace {

// On the daemon's road each program of the suite has a daemon of its own, which ends when nobody uses it.
class PrivateRuntimeDir : public ::testing::Environment {
 public:
  void SetUp() override {
    if (!on_daemon()) return;
    char path[] = "/tmp/npu-test-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    path_ = path;
    setenv("XDG_RUNTIME_DIR", path, 1);
  }
  void TearDown() override {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

 private:
  std::string path_;
};

[[maybe_unused]] const auto* const g_runtime_dir =
    ::testing::AddGlobalTestEnvironment(new PrivateRuntimeDir);

}  // namespace

npuErrorInfo last_error() {
  npuErrorInfo info{};
  info.struct_size = sizeof info;
  npuErrorGetInfo(&info);
  return info;
}

std::string explain(npuResult result) {
  std::string text = npuResultGetName(result);
  if (result < 0) {
    const npuErrorInfo info = last_error();
    text += std::string(" (") + info.function + ": " + info.text + " | " + info.remedy + ")";
  }
  return text;
}

::testing::AssertionResult has_result(const char* expected_text, const char* call_text,
                                      npuResult expected, npuResult actual) {
  if (expected == actual) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << call_text << " returned " << explain(actual) << ", expected " << expected_text;
}

std::string data_path(const std::string& name) {
  if (const char* folder = std::getenv("NPU_CONFORMANCE_DIR"); folder != nullptr) {
    return std::string(folder) + "/" + name;
  }
  return name == "exclusions.txt" ? NPU_CONFORMANCE_EXCLUSIONS : NPU_CONFORMANCE_BLOB;
}

std::string blob_path() { return data_path("conformance.nfw"); }

std::vector<uint8_t> read_blob_file() {
  std::ifstream file(blob_path(), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string road_name() {
  const char* device = std::getenv("NPU_DEVICE");
  const std::string text = device != nullptr ? device : "";
  if (text.rfind("accel", 0) == 0) {
    return std::getenv("NPU_STAND_IN_NODE") != nullptr ? "stand-in" : "kmd";
  }
  return text.rfind("inproc", 0) == 0 ? "inproc" : "model";
}

bool on_daemon() { return road_name() == "model"; }

bool in_process() { return road_name() == "inproc"; }

int open_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count;
}

ScopedEnv::ScopedEnv(const char* name, const char* value) : name_(name) {
  if (const char* old = std::getenv(name); old != nullptr) {
    had_ = true;
    old_ = old;
  }
  if (value != nullptr) {
    setenv(name, value, 1);
  } else {
    unsetenv(name);
  }
}

ScopedEnv::~ScopedEnv() {
  if (had_) {
    setenv(name_.c_str(), old_.c_str(), 1);
  } else {
    unsetenv(name_.c_str());
  }
}

void DeviceTest::SetUp() {
  LibraryTest::SetUp();
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device_));
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &watcher_));
  free_at_start_ = free_bytes();
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &context_));
  ASSERT_NPU(NPU_OK, npuQueueCreate(context_, nullptr, &queue_));
  ASSERT_NPU(NPU_OK, npuModuleLoad(context_, blob_path().c_str(), &module_));
}

void DeviceTest::TearDown() {
  if (context_ != nullptr) {
    EXPECT_NPU(NPU_OK, npuContextDestroy(context_));
  }
  if (watcher_ != nullptr && free_at_start_ != 0) {
    // The device may still be letting go: a queue that was destroyed while it had stepped aside comes back a moment later.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds(kLongNs);
    while (free_bytes() != free_at_start_ && std::chrono::steady_clock::now() < deadline)
      usleep(1000);
    EXPECT_EQ(free_bytes(), free_at_start_) << "device memory leaked";
  }
  EXPECT_NPU(NPU_OK, npuDeviceClose(device_));
  LibraryTest::TearDown();
}

npuKernel DeviceTest::kernel(const char* name) {
  npuKernel kernel = nullptr;
  EXPECT_NPU(NPU_OK, npuModuleGetKernel(module_, name, &kernel));
  return kernel;
}

npuDevPtr DeviceTest::alloc(uint64_t size_bytes, npuMemKind kind) {
  npuDevPtr ptr = 0;
  EXPECT_NPU(NPU_OK, npuMemAlloc(context_, kind, size_bytes, &ptr));
  return ptr;
}

npuResult DeviceTest::launch(npuQueue queue, npuKernel kernel, const void* args,
                             uint32_t args_bytes, uint64_t* out_value, uint32_t x, uint32_t y,
                             uint32_t z) {
  npuLaunchInfo info = launch_info(args, args_bytes);
  info.grid_x = x;
  info.grid_y = y;
  info.grid_z = z;
  return npuQueueLaunch(queue, kernel, &info, out_value);
}

uint64_t DeviceTest::poke(npuQueue queue, npuDevPtr at, float number) {
  const PokeArgs args{at, number, 0};
  uint64_t value = 0;
  EXPECT_NPU(NPU_OK, launch(queue, kernel("poke"), &args, sizeof args, &value));
  return value;
}

float DeviceTest::number_at(npuDevPtr ptr) {
  float number = 0;
  EXPECT_NPU(NPU_OK, npuMemCopyToHost(context_, &number, ptr, sizeof number));
  return number;
}

npuQueue DeviceTest::make_queue(uint32_t ring_entries) {
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  info.ring_entries = ring_entries;
  npuQueue queue = nullptr;
  EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
  return queue;
}

uint64_t DeviceTest::free_bytes() {
  uint64_t free = 0;
  uint64_t total = 0;
  EXPECT_NPU(NPU_OK, npuMemGetInfo(watcher_, &free, &total));
  return free;
}

}  // namespace npu::conformance
