// SPDX-License-Identifier: Apache-2.0
// What the conformance tests share: a device with a context and a queue, the test kernels, and checks of results.
#pragma once

#include <gtest/gtest.h>
#include <npu/npu.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/launch_info.h"

namespace npu::conformance {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kLongNs =
    20 * kSecondNs;  // for what must happen; no test waits so long when all is well

// A result with its name and, for errors, the detail.
std::string explain(npuResult result);

::testing::AssertionResult has_result(const char* expected_text, const char* call_text,
                                      npuResult expected, npuResult actual);

#define EXPECT_NPU(expected, call) EXPECT_PRED_FORMAT2(npu::conformance::has_result, expected, call)
#define ASSERT_NPU(expected, call) ASSERT_PRED_FORMAT2(npu::conformance::has_result, expected, call)

// The detail of the last error of this thread.
npuErrorInfo last_error();

// A file of the suite: in the folder NPU_CONFORMANCE_DIR, else where the build left it.
std::string data_path(const std::string& name);
std::string blob_path();
std::vector<uint8_t> read_blob_file();

std::string road_name();  // inproc, model or kmd: what NPU_DEVICE names
bool on_daemon();         // the road goes through npu-modeld
bool in_process();  // the device is a model inside this process, whose threads a forked child lacks
int open_descriptors();

// Sets an environment variable for the life of the object.
class ScopedEnv {
 public:
  ScopedEnv(const char* name, const char* value);  // nullptr: unset
  ~ScopedEnv();

 private:
  std::string name_;
  std::string old_;
  bool had_ = false;
};

// npuInit around each test.
class LibraryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NPU(NPU_OK, npuInit()); }
  void TearDown() override { EXPECT_NPU(NPU_OK, npuShutdown()); }
};

// A device, a context, a queue and the module of test kernels. At the end all HBM must be free again.
class DeviceTest : public LibraryTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  npuKernel kernel(const char* name);
  npuDevPtr alloc(uint64_t size_bytes, npuMemKind kind = NPU_MEM_DEVICE);
  npuResult launch(npuQueue queue, npuKernel kernel, const void* args, uint32_t args_bytes,
                   uint64_t* out_value = nullptr, uint32_t x = 1, uint32_t y = 1, uint32_t z = 1);
  // Kernel "poke" on one work-group: |number| goes to |at|. Returns the value.
  uint64_t poke(npuQueue queue, npuDevPtr at, float number);
  float number_at(npuDevPtr ptr);
  npuQueue make_queue(uint32_t ring_entries = 0);
  uint64_t free_bytes();

  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuQueue queue_ = nullptr;
  npuModule module_ = nullptr;

 private:
  npuContext watcher_ = nullptr;  // stays empty; asks for free memory
  uint64_t free_at_start_ = 0;
};

// Argument blocks of the test kernels.
struct AddArgs {
  npuDevPtr x;
  npuDevPtr y;
  float s;
  uint32_t pad;
};
struct PokeArgs {
  npuDevPtr at;
  float value;
  uint32_t pad;
};
struct PeekArgs {
  npuDevPtr at;
  npuDevPtr out;
};
struct PairArgs {
  uint32_t n;
  uint32_t d;
};

using test::launch_info;

}  // namespace npu::conformance
