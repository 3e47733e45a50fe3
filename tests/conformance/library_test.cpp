// SPDX-License-Identifier: Apache-2.0
// npuInit, npuShutdown, environment, fork.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

TEST(Library, CallsBeforeInitSayThatItIsNotInitialized) {
  npuDevice device = nullptr;
  const npuResult result = npuDeviceOpen(nullptr, &device);
  // When other tests ran before this one in the process, there was a shutdown.
  EXPECT_TRUE(result == NPU_ERROR_NOT_INITIALIZED || result == NPU_ERROR_SHUTDOWN)
      << explain(result);
  EXPECT_NPU(NPU_ERROR_NOT_INITIALIZED, npuShutdown());
}

TEST(Library, VersionsAndCountWorkWithoutInit) {
  npuVersions versions{};
  versions.struct_size = sizeof versions;
  versions.header = NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR;
  ASSERT_NPU(NPU_OK, npuGetVersions(&versions));
  EXPECT_EQ(versions.library, versions.header);
  EXPECT_NE(versions.uapi, 0u);
  EXPECT_NE(versions.isa, 0u);
  uint32_t count = 0;
  const int before = open_descriptors();
  ASSERT_NPU(NPU_OK, npuDeviceGetCount(&count));
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(open_descriptors(), before) << "counting must not open anything";
}

TEST(Library, FunctionsAreFoundByNameAsOfARelease) {
  constexpr uint32_t kFirst = 0 << 16 | 1, kNow = NPU_VERSION_MAJOR << 16 | NPU_VERSION_MINOR;
  npuProc proc = nullptr;
  ASSERT_NPU(NPU_OK, npuGetProcAddress("npuGetVersions", kFirst, &proc));
  npuVersions versions{};
  versions.struct_size = sizeof versions;
  ASSERT_NPU(NPU_OK, reinterpret_cast<npuResult (*)(npuVersions*)>(proc)(&versions));
  EXPECT_EQ(versions.library, kNow);
  EXPECT_NPU(NPU_OK, npuGetProcAddress("npuGetProcAddress", kNow, &proc));
  EXPECT_EQ(proc, reinterpret_cast<npuProc>(&npuGetProcAddress));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuGetProcAddress("npuGetProcAddress", kFirst, &proc));
  EXPECT_EQ(proc, nullptr);
  for (const char* name : {"", "npu", "npuInitialise", "npuZzz", "NPUINIT"}) {
    EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuGetProcAddress(name, kNow, &proc));
  }
  EXPECT_NPU(NPU_ERROR_VERSION_SKEW, npuGetProcAddress("npuInit", kNow + 1, &proc));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGetProcAddress(nullptr, kNow, &proc));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuGetProcAddress("npuInit", kNow, nullptr));
}

// What NPU_VISIBLE_DEVICES=|value| makes of counting and of opening the first device.
void look(const char* value, npuResult count_result, npuResult open_result) {
  SCOPED_TRACE(value);
  const ScopedEnv setting("NPU_VISIBLE_DEVICES", value);
  const npuResult init = npuInit();
  uint32_t count = 99;
  EXPECT_NPU(count_result, npuDeviceGetCount(&count));
  EXPECT_EQ(count, count_result == NPU_OK ? 1u : 0u);
  npuDevice device = nullptr;
  EXPECT_NPU(open_result, init == NPU_OK ? npuDeviceOpen(nullptr, &device) : init);
  if (init == NPU_OK) {
    ASSERT_NPU(NPU_OK, npuShutdown());
  }
}

TEST(Library, VisibleDevicesChoosesAndRefusesByName) {
  npuDeviceInfo info{};
  info.struct_size = sizeof info;
  npuDevice device = nullptr;
  ASSERT_NPU(NPU_OK, npuInit());
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device));
  ASSERT_NPU(NPU_OK, npuDeviceGetInfo(device, &info));
  ASSERT_NPU(NPU_OK, npuShutdown());
  look("0", NPU_OK, NPU_OK);
  look(info.uuid, NPU_OK, NPU_OK);
  look("NPU-00000000-0000-0000-0000-000000000000", NPU_OK, NPU_ERROR_NO_DEVICE);
  look("200", NPU_ERROR_BAD_ENVIRONMENT, NPU_ERROR_NO_DEVICE);
  look("ffff:ff:1f.7", NPU_ERROR_BAD_ENVIRONMENT, NPU_ERROR_NO_DEVICE);
  look("first", NPU_ERROR_BAD_ENVIRONMENT, NPU_ERROR_BAD_ENVIRONMENT);
}

TEST(Library, TheLogGoesToItsFile) {
  const std::string path = "/nowhere/npu.log";
  {
    const ScopedEnv setting("NPU_LOG_FILE", path.c_str());
    EXPECT_NPU(NPU_ERROR_FILE, npuInit());
  }
  ASSERT_NPU(NPU_OK, npuInit());
  ASSERT_NPU(NPU_OK, npuShutdown());
}

TEST(Library, InitIsCounted) {
  ASSERT_NPU(NPU_OK, npuInit());
  ASSERT_NPU(NPU_OK, npuInit());
  ASSERT_NPU(NPU_OK, npuShutdown());
  npuDevice device = nullptr;
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device));
  ASSERT_NPU(NPU_OK, npuShutdown());
  EXPECT_NPU(NPU_ERROR_SHUTDOWN, npuDeviceClose(device));
  EXPECT_NPU(NPU_ERROR_NOT_INITIALIZED, npuShutdown());
}

TEST(Library, ShutdownMakesHandlesStaleAndInitBeginsAnew) {
  ASSERT_NPU(NPU_OK, npuInit());
  npuDevice device = nullptr;
  npuContext context = nullptr;
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device));
  ASSERT_NPU(NPU_OK, npuContextCreate(device, &context));
  ASSERT_NPU(NPU_OK, npuShutdown());
  uint64_t free = 0;
  uint64_t total = 0;
  EXPECT_NPU(NPU_ERROR_SHUTDOWN, npuMemGetInfo(context, &free, &total));
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemGetInfo(context, &free, &total));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuDeviceClose(device));
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device));
  EXPECT_NPU(NPU_OK, npuShutdown());
}

TEST(Library, ManyRoundsLeaveNoDescriptorBehind) {
  const auto round = [] {
    npuDevice device = nullptr;
    npuContext context = nullptr;
    npuQueue queue = nullptr;
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, npuInit());
    ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device));
    ASSERT_NPU(NPU_OK, npuContextCreate(device, &context));
    ASSERT_NPU(NPU_OK, npuQueueCreate(context, nullptr, &queue));
    npuDevPtr ptr = 0;
    ASSERT_NPU(NPU_OK, npuMemAlloc(context, NPU_MEM_DEVICE, 4096, &ptr));
    ASSERT_NPU(NPU_OK, npuQueueFill(queue, ptr, 1, 4, 4096, &value));
    ASSERT_NPU(NPU_OK, npuQueueWait(queue, value, kLongNs));
    ASSERT_NPU(NPU_OK, npuDeviceClose(device));
    ASSERT_NPU(NPU_OK, npuShutdown());
  };
  // On the in-process road the server ends on its own after the last connection; a device that stays open keeps it, and its descriptors, constant.
  ASSERT_NPU(NPU_OK, npuInit());
  npuDevice keeper = nullptr;
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &keeper));
  round();
  const int before = open_descriptors();
  for (int i = 0; i < 10; i++) round();
  // The server closes its ends a moment after we close ours.
  for (int i = 0; i < 2000 && open_descriptors() > before; i++) usleep(1000);
  EXPECT_LE(open_descriptors(), before);
  EXPECT_NPU(NPU_OK, npuShutdown());
}

class BadEnvironment : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BadEnvironment, IsRefusedAndNamed) {
  const auto [name, value] = GetParam();
  const ScopedEnv scoped(name, value);
  EXPECT_NPU(NPU_ERROR_BAD_ENVIRONMENT, npuInit());
  const npuErrorInfo info = last_error();
  EXPECT_NE(std::strstr(info.text, name), nullptr) << info.text;
  EXPECT_NE(std::strstr(info.remedy, name), nullptr) << info.remedy;
}

INSTANTIATE_TEST_SUITE_P(
    Variables, BadEnvironment,
    ::testing::Values(
        std::pair{"NPU_DEVICE", "modell"}, std::pair{"NPU_DEVICE", "model:"},
        std::pair{"NPU_DEVICE", "model:tiny*0"}, std::pair{"NPU_DEVICE", "model:tiny*17"},
        std::pair{"NPU_DEVICE", "model:../tiny"}, std::pair{"NPU_DEVICE", "inproc:a b"},
        std::pair{"NPU_DEVICE", "unix:relative"}, std::pair{"NPU_DEVICE", "accel:"},
        std::pair{"NPU_WAIT_SPIN_US", "fast"}, std::pair{"NPU_WAIT_SPIN_US", "-1"},
        std::pair{"NPU_WAIT_SPIN_US", "99999999999999999999"}, std::pair{"NPU_LOG_LEVEL", "loud"},
        std::pair{"NPU_LAYERS", "validate"}, std::pair{"NPU_LAYERS", "leak,leak"},
        std::pair{"NPU_LAYERS", "leak,"}, std::pair{"NPU_LAUNCH_BLOCKING", "yes"},
        std::pair{"NPU_RECORD_MAX_MB", "0"}, std::pair{"NPU_MODEL_IDLE_S", "1.5"},
        std::pair{"XDG_RUNTIME_DIR", "relative"}),
    [](const auto& info) {
      return std::string(info.param.first) + "_" + std::to_string(info.index);
    });

// What stops the start of a model is told with its own remedy.
TEST(Library, AModelThatDoesNotStartSaysWhatToCorrect) {
  if (road_name() == "kmd") GTEST_SKIP() << "no model is started on this road";
  const ScopedEnv device("NPU_DEVICE", "inproc:tiny");
  const ScopedEnv threads("NPU_MODEL_THREADS", "many");
  npuDevice opened = nullptr;
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_ERROR_START_MODEL, npuDeviceOpen(nullptr, &opened));
  npuErrorInfo info = last_error();
  EXPECT_NE(std::strstr(info.text, "NPU_MODEL_THREADS"), nullptr) << info.text;
  EXPECT_EQ(std::strstr(info.text, "errno"), nullptr) << info.text;
  EXPECT_EQ(std::strstr(info.remedy, "NPU_MODELD"), nullptr) << info.remedy;
  EXPECT_NPU(NPU_OK, npuShutdown());
}

TEST(Library, ARuntimeFolderWithTooLongAPathIsNamed) {
  if (road_name() == "kmd") GTEST_SKIP() << "no model is started on this road";
  char pattern[] = "/tmp/npu-long-XXXXXX";
  ASSERT_NE(mkdtemp(pattern), nullptr);
  const std::string folder = std::string(pattern) + "/" + std::string(100, 'x');
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const ScopedEnv device("NPU_DEVICE", "model:tiny");
  const ScopedEnv runtime("XDG_RUNTIME_DIR", folder.c_str());
  npuDevice opened = nullptr;
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_ERROR_START_MODEL, npuDeviceOpen(nullptr, &opened));
  EXPECT_NE(std::strstr(last_error().remedy, "XDG_RUNTIME_DIR"), nullptr) << last_error().remedy;
  EXPECT_NPU(NPU_OK, npuShutdown());
  std::filesystem::remove_all(pattern);
}

TEST(Library, TheKernelRoadToNothingIsNoDevice) {
  const ScopedEnv scoped("NPU_DEVICE", "accel:ffff:ff:1f.7");
  ASSERT_NPU(NPU_OK, npuInit());
  uint32_t count = 7;
  EXPECT_NPU(NPU_OK, npuDeviceGetCount(&count));
  EXPECT_EQ(count, 0u);
  npuDevice device = nullptr;
  EXPECT_NPU(NPU_ERROR_NO_DEVICE, npuDeviceOpen(nullptr, &device));
  EXPECT_NE(std::strstr(last_error().text, "ffff:ff:1f.7"), nullptr) << last_error().text;
  EXPECT_NPU(NPU_OK, npuShutdown());
}

// The exit status of a child that ran |body|.
template <typename Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Library, ForkAfterCountingIsSafe) {
  uint32_t count = 0;
  ASSERT_NPU(NPU_OK, npuDeviceGetCount(&count));
  EXPECT_EQ(in_child([] {
              npuDevice device = nullptr;
              if (npuInit() != NPU_OK) return 1;
              if (npuDeviceOpen(nullptr, &device) != NPU_OK) return 2;
              return npuShutdown() == NPU_OK ? 0 : 3;
            }),
            0);
}

TEST_F(DeviceTest, ChildOfAForkIsToldAndMayBeginAnew) {
  npuDevPtr ptr = alloc(4096);
  EXPECT_EQ(in_child([&] {
              uint64_t value = 0;
              if (npuQueueGetCompleted(queue_, &value) != NPU_ERROR_FORKED) return 1;
              if (npuMemFree(context_, ptr) != NPU_ERROR_FORKED) return 2;
              if (npuShutdown() != NPU_ERROR_FORKED) return 3;
              uint32_t count = 0;
              if (npuDeviceGetCount(&count) != NPU_OK || count != 1) return 4;
              if (npuInit() != NPU_OK) return 5;
              // Handles of the parent mean nothing here.
              if (npuQueueGetCompleted(queue_, &value) != NPU_ERROR_INVALID_HANDLE) return 6;
              npuDevice device = nullptr;
              npuContext context = nullptr;
              npuQueue queue = nullptr;
              npuDevPtr own = 0;
              const npuResult opened = npuDeviceOpen(nullptr, &device);
              // The model inside the parent has no threads here.
              if (in_process()) return opened == NPU_ERROR_NOT_SUPPORTED ? 0 : 7;
              if (opened != NPU_OK) return 7;
              if (npuContextCreate(device, &context) != NPU_OK) return 8;
              if (npuQueueCreate(context, nullptr, &queue) != NPU_OK) return 9;
              if (npuMemAlloc(context, NPU_MEM_DEVICE, 4096, &own) != NPU_OK) return 10;
              if (npuQueueFill(queue, own, 5, 4, 4096, &value) != NPU_OK) return 11;
              if (npuQueueWait(queue, value, kLongNs) != NPU_OK) return 12;
              return npuShutdown() == NPU_OK ? 0 : 13;
            }),
            0);
  // And the parent goes on.
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 9, 4, 4096, &value));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
}

TEST(Library, ProcessMayEndWithWorkInFlight) {
  EXPECT_EQ(in_child([] {
              npuDevice device = nullptr;
              npuContext context = nullptr;
              npuQueue queue = nullptr;
              npuModule module = nullptr;
              npuKernel forever = nullptr;
              npuDevPtr ptr = 0;
              if (npuInit() != NPU_OK || npuDeviceOpen(nullptr, &device) != NPU_OK) return 1;
              if (npuContextCreate(device, &context) != NPU_OK) return 2;
              if (npuQueueCreate(context, nullptr, &queue) != NPU_OK) return 3;
              if (npuMemAlloc(context, NPU_MEM_DEVICE, 64 << 20, &ptr) != NPU_OK) return 4;
              if (npuModuleLoad(context, blob_path().c_str(), &module) != NPU_OK) return 5;
              if (npuModuleGetKernel(module, "forever", &forever) != NPU_OK) return 6;
              const npuLaunchInfo info = launch_info(nullptr, 0);
              if (npuQueueLaunch(queue, forever, &info, nullptr) != NPU_OK) return 7;
              if (npuQueueFill(queue, ptr, 1, 1, 64 << 20, nullptr) != NPU_OK) return 8;
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace npu::conformance
