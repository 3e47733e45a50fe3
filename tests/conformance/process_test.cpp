// SPDX-License-Identifier: Apache-2.0
// Several processes on one device; the end of a client; the end of the daemon.
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

// The daemon of this test program: its arguments name our runtime folder.
pid_t daemon_pid() {
  const std::string folder = std::getenv("XDG_RUNTIME_DIR");
  DIR* processes = opendir("/proc");
  pid_t found = 0;
  while (const dirent* entry = readdir(processes)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    std::ifstream file("/proc/" + std::string(entry->d_name) + "/cmdline", std::ios::binary);
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (line.find("npu-modeld") != std::string::npos && line.find(folder) != std::string::npos)
      found = pid;
  }
  closedir(processes);
  return found;
}

// Roads on which other processes see the same device.
class ProcessTest : public DeviceTest {};

class DaemonTest : public DeviceTest {
 protected:
  void TearDown() override {
    if (!killed_) {
      DeviceTest::TearDown();
    } else {
      EXPECT_NPU(NPU_OK, npuDeviceClose(device_));
      LibraryTest::TearDown();
    }
  }
  void kill_daemon() {
    const pid_t pid = daemon_pid();
    ASSERT_GT(pid, 0);
    killed_ = true;
    ASSERT_EQ(kill(pid, SIGKILL), 0);
  }
  bool killed_ = false;
};

TEST_F(DaemonTest, WaitersLearnThatTheDaemonWasKilled) {
  const npuDevPtr gate = alloc(8);
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  std::atomic<npuResult> result{NPU_OK};
  std::thread waiter([&] { result = npuQueueSync(queue_, NPU_TIMEOUT_INFINITE); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  kill_daemon();
  waiter.join();
  EXPECT_EQ(result, NPU_ERROR_DEVICE_LOST);
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, npuQueueSync(queue_, 0));
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, launch(queue_, kernel("null"), nullptr, 0));
  npuDevPtr ptr = 0;
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, npuMemAlloc(context_, NPU_MEM_DEVICE, 64 << 20, &ptr));
  npuContext context = nullptr;
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, npuContextCreate(device_, &context));
  npuDeviceInfo info{};
  info.struct_size = sizeof info;
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, npuDeviceGetInfo(device_, &info));
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, npuQueueReset(queue_, kLongNs));
  // Opening again starts another daemon, and everything works.
  npuDevice fresh = nullptr;
  npuQueue queue = nullptr;
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &fresh));
  ASSERT_NPU(NPU_OK, npuContextCreate(fresh, &context));
  ASSERT_NPU(NPU_OK, npuQueueCreate(context, nullptr, &queue));
  ASSERT_NPU(NPU_OK, npuMemAlloc(context, NPU_MEM_DEVICE, 64, &ptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue, ptr, 1, 1, 64, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  EXPECT_NPU(NPU_OK, npuDeviceClose(fresh));
}

TEST_F(DaemonTest, PollersLearnThatTheDaemonWasKilled) {
  const npuDevPtr gate = alloc(8);
  npuEvent event = nullptr;
  ASSERT_NPU(NPU_OK, npuEventCreate(context_, &event));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue_));
  kill_daemon();
  npuResult result = NPU_NOT_READY;
  for (int i = 0; i < 5000 && result == NPU_NOT_READY; i++) {
    usleep(1000);
    result = npuEventQuery(event);
  }
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, result);
}

TEST_F(DaemonTest, AFullRingDoesNotOutliveTheDaemon) {
  const npuDevPtr gate = alloc(8);
  npuQueue small = make_queue(64);
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(small, gate, 1, nullptr));
  kill_daemon();
  npuResult result = NPU_OK;
  for (int i = 0; i < 200 && result == NPU_OK; i++)
    result = npuQueueFill(small, gate, 0, 8, 8, nullptr);
  EXPECT_NPU(NPU_ERROR_DEVICE_LOST, result);
}

// A process beside this one; it talks by exit status.
template <typename Body>
pid_t start_process(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  return child;
}

int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct Client {
  npuDevice device = nullptr;
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuModule module = nullptr;

  bool open() {
    return npuInit() == NPU_OK && npuDeviceOpen(nullptr, &device) == NPU_OK &&
           npuContextCreate(device, &context) == NPU_OK &&
           npuQueueCreate(context, nullptr, &queue) == NPU_OK &&
           npuModuleLoad(context, blob_path().c_str(), &module) == NPU_OK;
  }
  npuResult start(const char* name, const void* args = nullptr, uint32_t args_bytes = 0,
                  uint64_t* out_value = nullptr) {
    npuKernel kernel = nullptr;
    npuModuleGetKernel(module, name, &kernel);
    const npuLaunchInfo info{sizeof(npuLaunchInfo), 1, 1, 1, args, args_bytes, 0};
    return npuQueueLaunch(queue, kernel, &info, out_value);
  }
  npuResult run(const char* name, const void* args, uint32_t args_bytes) {
    uint64_t value = 0;
    const npuResult result = start(name, args, args_bytes, &value);
    return result != NPU_OK ? result : npuQueueWait(queue, value, kLongNs);
  }
};

TEST_F(ProcessTest, AFaultInOneProcessIsReportedThereAndUnnoticedElsewhere) {
  constexpr uint64_t kBytes = 64 << 20;
  const npuDevPtr secret = alloc(kBytes) + (48 << 20);
  const float value = 42.0f;
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, secret, &value, 4));
  const pid_t child = start_process([&] {
    Client client;
    if (!client.open()) return 1;
    // The neighbour's address, read and written.
    npuDevPtr out = 0;
    if (npuMemAlloc(client.context, NPU_MEM_DEVICE, 64, &out) != NPU_OK) return 2;
    const PeekArgs peek{secret, out};
    if (client.run("peek", &peek, sizeof peek) != NPU_ERROR_VM_FAULT) return 3;
    npuFault fault{};
    fault.struct_size = sizeof fault;
    uint32_t count = 1;
    if (npuQueueGetFaults(client.queue, &count, &fault) != NPU_OK || count != 1) return 4;
    if (std::strcmp(fault.kernel, "peek") != 0 || fault.address != secret || fault.access != 1)
      return 5;
    if (fault.pc == 0 || fault.tile >= 4) return 6;
    if (npuQueueReset(client.queue, kLongNs) != NPU_OK) return 7;
    const PokeArgs poke{secret, -1.0f, 0};
    if (client.run("poke", &poke, sizeof poke) != NPU_ERROR_VM_FAULT) return 8;
    return 0;
  });
  // Meanwhile this process works on.
  const npuDevPtr out = alloc(4096);
  for (int i = 0; i < 300; i++) {
    const PokeArgs args{out, static_cast<float>(i), 0};
    ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &args, sizeof args));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  }
  EXPECT_EQ(status_of(child), 0);
  float got = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &got, secret, 4));
  EXPECT_EQ(got, 42.0f);
}

TEST_F(ProcessTest, AKilledProcessGivesEverythingBack) {
  const uint64_t before = free_bytes();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = start_process([&] {
    Client client;
    npuDevPtr ptr = 0;
    if (!client.open() || npuMemAlloc(client.context, NPU_MEM_DEVICE, 100 << 20, &ptr) != NPU_OK)
      return 1;
    // It dies in the middle of work, whenever that is.
    if (client.start("forever") != NPU_OK ||
        npuQueueFill(client.queue, ptr, 1, 1, 100 << 20, nullptr) != NPU_OK)
      return 3;
    const char byte = 1;
    if (write(ready[1], &byte, 1) != 1) return 2;
    for (;;) pause();
  });
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_LE(free_bytes() + (100 << 20), before);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(status_of(child), 128 + SIGKILL);
  for (int i = 0; i < 5000 && free_bytes() != before; i++) usleep(1000);
  EXPECT_EQ(free_bytes(), before);
  close(ready[0]);
}

TEST(Daemon, ManyProcessesMayStartItAtOnce) {
  const ScopedEnv other_spec("NPU_DEVICE", "model:tiny*2");
  std::vector<pid_t> children;
  for (int i = 0; i < 6; i++) {
    children.push_back(start_process([] {
      Client client;
      if (!client.open()) return 1;
      return client.run("null", nullptr, 0) == NPU_OK ? 0 : 2;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
}

// The kernel shares CPUs out among sessions first; what a terminal sends goes to process groups.
TEST(Daemon, StaysInTheSessionAndLeavesTheProcessGroup) {
  char path[] = "/tmp/npu-test-XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  const ScopedEnv folder("XDG_RUNTIME_DIR", path);
  const ScopedEnv spec("NPU_DEVICE", "model:tiny*2");
  EXPECT_EQ(status_of(start_process([] {
              Client client;
              return client.open() ? 0 : 1;
            })),
            0);
  const pid_t daemon = daemon_pid();
  ASSERT_GT(daemon, 0);
  EXPECT_EQ(getsid(daemon), getsid(0));
  EXPECT_NE(getpgid(daemon), getpgid(0));
  EXPECT_EQ(kill(daemon, SIGTERM), 0);
  std::filesystem::remove_all(path);
}

TEST(Daemon, FailuresToStartSayWhatAndWhere) {
  const ScopedEnv spec("NPU_DEVICE", "model:nosuchprofile");
  npuDevice device = nullptr;
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_ERROR_START_MODEL, npuDeviceOpen(nullptr, &device));
  EXPECT_NE(std::strstr(last_error().text, "nosuchprofile"), nullptr) << last_error().text;
  EXPECT_NPU(NPU_OK, npuShutdown());
  const ScopedEnv program("NPU_MODELD", "/nowhere/npu-modeld");
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_ERROR_START_MODEL, npuDeviceOpen(nullptr, &device));
  EXPECT_NE(std::strstr(last_error().text, "/nowhere/npu-modeld"), nullptr) << last_error().text;
  EXPECT_NPU(NPU_OK, npuShutdown());
}

TEST(Daemon, AFolderThatOthersCanUseIsRefused) {
  char path[] = "/tmp/npu-test-XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  const ScopedEnv scoped("XDG_RUNTIME_DIR", path);
  const std::string folder = std::string(path) + "/npu";
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
  npuDevice device = nullptr;
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuDeviceOpen(nullptr, &device));
  EXPECT_NPU(NPU_OK, npuShutdown());
  rmdir(folder.c_str());
  rmdir(path);
}

TEST(Socket, NobodyThereIsNoDevice) {
  const ScopedEnv scoped("NPU_DEVICE", "unix:/nowhere/npu.sock");
  uint32_t count = 5;
  ASSERT_NPU(NPU_OK, npuInit());
  EXPECT_NPU(NPU_OK, npuDeviceGetCount(&count));
  EXPECT_EQ(count, 0u);
  npuDevice device = nullptr;
  EXPECT_NPU(NPU_ERROR_NO_DEVICE, npuDeviceOpen(nullptr, &device));
  EXPECT_NPU(NPU_OK, npuShutdown());
}

}  // namespace
}  // namespace npu::conformance
