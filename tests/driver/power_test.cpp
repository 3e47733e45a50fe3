// SPDX-License-Identifier: Apache-2.0
// The machine's sleep, and errors of the bus, which the kernel's own aer_inject reports in the device's name.
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <chrono>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "tests/driver/guest.h"

namespace npu::driver_test {
namespace {

// Bits of the AER registers (PCI Express Base Specification, 7.8.4).
constexpr uint32_t kCorrectableReceiver = 1u << 0;
constexpr uint32_t kUncorrectableFlowControl =
    1u << 13;  // fatal unless the severity register says else
constexpr uint32_t kUncorrectableTimeout = 1u << 14;  // not fatal

class Sleep : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    // The kernel's own test of the path down to the devices and up again; a real sleep would need somebody to wake the machine.
    if (write_file("/sys/power/pm_test", "devices") != 0)
      GTEST_SKIP() << "this kernel cannot test its sleep (PM_SLEEP_DEBUG)";
    // Seen with Debian's 7.3 under QEMU 10.1, with and without any driver loaded (docs/hil.md).
    utsname kernel{};
    if (uname(&kernel) == 0 && std::strncmp(kernel.release, "7.3", 3) == 0)
      GTEST_SKIP() << "this kernel does not come back from its second freeze in this machine";
    write_file("/sys/module/suspend/parameters/pm_test_delay", "1");
  }
  static int sleep() { return write_file("/sys/power/state", "freeze"); }
  void TearDown() override { write_file("/sys/power/pm_test", "none"); }
};

TEST_F(Sleep, AnIdleDeviceLosesItsMemoryAndComesBack) {
  File file;
  const npu_bo_create hbm = file.object(NPU_PAGE_64K, NPU_REGION_HBM);
  const npu_bo_create system = file.object(NPU_PAGE_64K, NPU_REGION_SYSTEM);
  const uint64_t epoch = file.epoch();
  ASSERT_EQ(sleep(), 0);
  EXPECT_EQ(file.epoch(), epoch + 1);
  uint32_t state = 0;
  EXPECT_EQ(file.bo_state(hbm.handle, &state), 0);
  EXPECT_EQ(state, static_cast<uint32_t>(NPU_BO_LOST));
  EXPECT_EQ(file.copy({fill_op(system.handle, 0, NPU_PAGE_64K, 1)}, NPU_COPY_WAIT), 0);
}

TEST_F(Sleep, IsRefusedWhileAQueueWorks) {
  File file;
  QueueParts queue = file.queue(file.vm());
  file.submit_endless(&queue);
  const uint64_t epoch = file.epoch();
  EXPECT_EQ(sleep(), EBUSY);
  npu_queue_query state{};
  EXPECT_EQ(file.query_queue(queue.id, &state), 0);
  EXPECT_EQ(state.state, static_cast<uint32_t>(NPU_QUEUE_STATE_READY));
  EXPECT_EQ(file.epoch(), epoch);
  EXPECT_EQ(file.destroy_queue(queue.id), 0);
  EXPECT_EQ(sleep(), 0);
  EXPECT_EQ(file.epoch(), epoch + 1);
}

// As drivers/pci/pcie/aer_inject.c reads it.
struct AerInjection {
  uint8_t bus, device, function;
  uint32_t uncorrectable, correctable;
  uint32_t header[4];
  uint32_t domain;
};

class Aer : public GuestTest {
 protected:
  static int report(uint32_t uncorrectable, uint32_t correctable) {
    unsigned domain = 0, bus = 0, device = 0, function = 0;
    EXPECT_EQ(std::sscanf(pci_address().c_str(), "%x:%x:%x.%x", &domain, &bus, &device, &function),
              4);
    AerInjection error{};
    error.bus = static_cast<uint8_t>(bus);
    error.device = static_cast<uint8_t>(device);
    error.function = static_cast<uint8_t>(function);
    error.uncorrectable = uncorrectable;
    error.correctable = correctable;
    error.domain = domain;
    // Busy while the kernel's thread has the one before in its hands.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    int err = EBUSY;
    while (err == EBUSY && std::chrono::steady_clock::now() < end) {
      err = write_file("/dev/aer_inject",
                       std::string(reinterpret_cast<const char*>(&error), sizeof error));
    }
    return err;
  }
  void SetUp() override {
    GuestTest::SetUp();
    if (access("/dev/aer_inject", W_OK) != 0) GTEST_SKIP() << "this kernel has no aer_inject";
  }
};

TEST_F(Aer, ErrorsThatLoseNothingChangeNothing) {
  File file;
  const npu_bo_create hbm = file.object(NPU_PAGE_64K, NPU_REGION_HBM);
  const uint64_t epoch = file.epoch();
  ASSERT_EQ(report(0, kCorrectableReceiver), 0);
  ASSERT_EQ(report(kUncorrectableTimeout, 0), 0);
  // The second one is reported to the driver, which says that it can go on.
  EXPECT_EQ(file.copy({fill_op(hbm.handle, 0, NPU_PAGE_64K, 1)}, NPU_COPY_WAIT), 0);
  EXPECT_EQ(file.epoch(), epoch);
}

TEST_F(Aer, AFatalErrorIsAResetOfTheDevice) {
  File file;
  const npu_bo_create hbm = file.object(NPU_PAGE_64K, NPU_REGION_HBM);
  QueueParts queue = file.queue(file.vm());
  file.submit_endless(&queue);
  const uint64_t epoch = file.epoch();
  int waited = -1;
  std::thread waiter([&] { waited = file.wait_completed(queue, 1, nullptr, 120'000); });
  ASSERT_EQ(report(kUncorrectableFlowControl, 0), 0);
  waiter.join();
  EXPECT_TRUE(waited == ECANCELED || waited == EIO)
      << waited;  // EIO: the call began too late, on a device that is wedged
  // The emulated port resets its link and then says that there is none. A driver that hears of no end gives the device up, and the
  // remedy that it names works.
  npu_dev_info info{};
  const auto settled = [&] {
    return file.device_info(&info) == 0 && info.health != NPU_HEALTH_RESETTING;
  };
  ASSERT_TRUE(becomes(settled, 60));
  uint32_t state = 0;
  if (info.health == NPU_HEALTH_WEDGED) {
    EXPECT_EQ(file.bo_state(hbm.handle, &state), EIO);
    ASSERT_EQ(write_file(sysfs("reset"), "1"), 0);
    ASSERT_TRUE(becomes(settled, 60));
  }
  EXPECT_EQ(info.health, static_cast<uint32_t>(NPU_HEALTH_OK));
  EXPECT_GT(info.epoch, epoch);
  EXPECT_EQ(file.bo_state(hbm.handle, &state), 0);
  EXPECT_EQ(state, static_cast<uint32_t>(NPU_BO_LOST));
}

}  // namespace
}  // namespace npu::driver_test
