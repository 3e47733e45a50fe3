// SPDX-License-Identifier: Apache-2.0
// Firmware that a host boots: what a good image brings, how each bad one ends, and resets in every
// state.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <thread>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

using Image = std::vector<uint8_t>;

class BootTest : public testing::Test {
 protected:
  static DriverOptions rom() {
    DriverOptions options;
    options.boot_from_host = true;
    return options;
  }

  void make(const DriverOptions& options) { driver_ = std::make_unique<TestDriver>(options); }

  void write(npu_reg reg, uint32_t bytes, uint64_t value) {
    ASSERT_EQ(npu_device_mmio_write(driver_->device(), NPU_BAR_REGS, reg, bytes, value), 0);
  }

  void start_boot(const Image& image) {
    const uint64_t iova = driver_->host_alloc(image.size());
    std::ranges::copy(std::as_bytes(std::span(image)), driver_->host_data(iova));
    start_boot_at(iova, image.size());
  }

  void start_boot_at(uint64_t iova, uint64_t bytes) {
    write(NPU_REG_FW_IOVA, 8, iova);
    write(NPU_REG_FW_BYTES, 4, bytes);
    write(NPU_REG_CONTROL, 4, NPU_CONTROL_BOOT);
  }

  // STATUS once it is no longer BOOTING.
  npu_device_status wait_booted() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (status() == NPU_DEVICE_STATUS_BOOTING && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    return status();
  }

  npu_device_status boot(const Image& image) {
    start_boot(image);
    return wait_booted();
  }

  npu_device_status status() const {
    return static_cast<npu_device_status>(driver_->reg(NPU_REG_STATUS, 4));
  }
  int32_t fw_status() const { return static_cast<int32_t>(driver_->reg(NPU_REG_FW_STATUS, 4)); }
  void reset() { write(NPU_REG_CONTROL, 4, NPU_CONTROL_RESET); }

  std::unique_ptr<TestDriver> driver_;
};

TEST_F(BootTest, InRomEveryMailboxCommandEndsWithNotInitialized) {
  make(rom());
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_ROM);
  EXPECT_EQ(driver_->reg(NPU_REG_FW_ABI, 4), 0u);
  for (uint32_t command = 0; command < 32; ++command) {
    EXPECT_EQ(driver_->mailbox(command, {0, 0, 0}), NPU_ST_NOT_INITIALIZED) << command;
    write(NPU_REG_MBOX_CMD, 4, command);
    EXPECT_EQ(static_cast<int32_t>(driver_->reg(NPU_REG_MBOX_STATUS, 4)), NPU_ST_NOT_INITIALIZED);
  }
}

TEST_F(BootTest, AGoodImageRunsAndSaysWhoItIs) {
  DriverOptions options = rom();
  options.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  make(options);
  const Image image = firmware_image(1, 9);
  ASSERT_EQ(boot(image), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(fw_status(), NPU_ST_OK);
  EXPECT_EQ(driver_->reg(NPU_REG_FW_ABI, 4), 0x00010009u);
  uint64_t words[8];
  for (uint64_t i = 0; i < 8; ++i) {
    ASSERT_EQ(driver_->mailbox(NPU_MBOX_IDENTITY, {i}, &words[i]), NPU_ST_OK);
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(words);
  EXPECT_STREQ(reinterpret_cast<const char*>(bytes), "small");
  EXPECT_EQ(std::memcmp(bytes + 32, options.uuid.data(), 16), 0);
  EXPECT_EQ(std::memcmp(bytes + 48, isa::read_blob(image)->build_id.data(), 16), 0);
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_IDENTITY, {8}), NPU_ST_INVALID_ARGUMENT);
  const uint32_t context = driver_->create_context();
  TestQueue queue = driver_->create_queue(context);
  const uint64_t seq = queue.push(nop());
  queue.ring();
  EXPECT_EQ(queue.spin(seq).status, NPU_ST_OK);
}

TEST_F(BootTest, TheHeartbeatCountsWhileFirmwareRunsAndOnlyThen) {
  make(rom());
  const auto beat = [&] { return driver_->reg(NPU_REG_HEARTBEAT, 4); };
  const auto moves = [&](std::chrono::milliseconds limit) {
    const uint64_t first = beat();
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      if (beat() != first) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  };
  EXPECT_FALSE(moves(std::chrono::milliseconds(120)));
  ASSERT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
  EXPECT_TRUE(moves(std::chrono::seconds(10)));
  ASSERT_EQ(driver_->mailbox(NPU_MBOX_INJECT, {NPU_INJECT_FW_ASSERT}), NPU_ST_OK);
  EXPECT_FALSE(moves(std::chrono::milliseconds(120)));
  reset();
  ASSERT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
  EXPECT_TRUE(moves(std::chrono::seconds(10)));
}

TEST_F(BootTest, EachBadImageFailsWithItsReason) {
  const auto fails = [&](const Image& image) {
    make(rom());
    EXPECT_EQ(boot(image), NPU_DEVICE_STATUS_FAILED);
    EXPECT_EQ(driver_->reg(NPU_REG_FW_ABI, 4), 0u);
    EXPECT_EQ(driver_->mailbox(NPU_MBOX_QUIESCE, {}), NPU_ST_NOT_INITIALIZED);
    return fw_status();
  };
  const Image good = firmware_image();
  EXPECT_EQ(fails(standard_blob()), NPU_ST_BLOB_FORMAT);  // an image of kernels
  Image altered = good;
  altered[200] ^= 1;
  EXPECT_EQ(fails(altered), NPU_ST_BLOB_SIGNATURE);
  const isa::KeyPair stranger = isa::key_pair_from_seed({7});
  EXPECT_EQ(fails(firmware_image(1, 0, stranger)), NPU_ST_BLOB_KEY);
  EXPECT_EQ(fails(Image(good.begin(), good.end() - 1)), NPU_ST_BLOB_UNSIGNED);
  EXPECT_EQ(fails(Image(100, 0)), NPU_ST_BLOB_UNSIGNED);
  EXPECT_EQ(fails(Image()), NPU_ST_BLOB_FORMAT);
  EXPECT_EQ(fails(Image(NPU_FW_MAX_BYTES + 1, 0)), NPU_ST_BLOB_TOO_LARGE);
}

TEST_F(BootTest, AProductionDeviceRefusesAnOldImage) {
  DriverOptions options = rom();
  options.production = true;
  options.min_counter = 5;
  isa::SignOptions sign;
  sign.security_counter = 4;
  make(options);
  EXPECT_EQ(boot(firmware_image(1, 0, test_key(), sign)), NPU_DEVICE_STATUS_FAILED);
  EXPECT_EQ(fw_status(), NPU_ST_BLOB_ROLLBACK);
  sign.security_counter = 5;
  reset();
  EXPECT_EQ(boot(firmware_image(1, 0, test_key(), sign)), NPU_DEVICE_STATUS_READY);
}

TEST_F(BootTest, AnImageOutsideTheHostsMemoryFails) {
  make(rom());
  for (const uint64_t iova : {uint64_t{0x1000}, ~uint64_t{0} - 10}) {
    start_boot_at(iova, 4096);
    EXPECT_EQ(wait_booted(), NPU_DEVICE_STATUS_FAILED);
    EXPECT_EQ(fw_status(), NPU_ST_INVALID_ADDRESS);
    reset();
  }
  // The last byte lies behind what the host gave.
  const uint64_t iova = driver_->host_alloc(4096);
  start_boot_at(iova + 1, 8192);
  EXPECT_EQ(wait_booted(), NPU_DEVICE_STATUS_FAILED);
  EXPECT_EQ(fw_status(), NPU_ST_INVALID_ADDRESS);
}

TEST_F(BootTest, AnImageMayBeginAnywhereInAPage) {
  make(rom());
  const Image image = firmware_image();
  const uint64_t iova = driver_->host_alloc(16384);
  std::memcpy(driver_->host_data(iova) + 4093, image.data(), image.size());
  start_boot_at(iova + 4093, image.size());
  EXPECT_EQ(wait_booted(), NPU_DEVICE_STATUS_READY);
}

TEST_F(BootTest, ABootIsTakenInRomOnly) {
  make(rom());
  ASSERT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(boot(standard_blob()), NPU_DEVICE_STATUS_READY);
  reset();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_ROM);
  EXPECT_EQ(driver_->reg(NPU_REG_EPOCH, 4), 1u);
  EXPECT_EQ(driver_->reg(NPU_REG_FW_IOVA, 8), 0u);
  EXPECT_EQ(boot(standard_blob()), NPU_DEVICE_STATUS_FAILED);
  EXPECT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_FAILED);  // only a reset helps
  reset();
  EXPECT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
}

TEST_F(BootTest, AResetWhileABootRunsEndsInRom) {
  make(rom());
  Image large(NPU_FW_MAX_BYTES, 0);
  for (int i = 0; i < 20; ++i) {
    start_boot(large);
    reset();
    ASSERT_EQ(status(), NPU_DEVICE_STATUS_ROM) << i;
  }
  start_boot(large);
  driver_.reset();  // and so may the device go
}

TEST_F(BootTest, TheMemoryOfTheDeviceSurvivesReset) {
  make(rom());
  ASSERT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
  static_cast<uint8_t*>(driver_->hbm())[12345] = 77;
  npu_device_reset(driver_->device());
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_ROM);
  EXPECT_EQ(static_cast<uint8_t*>(driver_->hbm())[12345], 77);
}

TEST_F(BootTest, WithoutAHostBuiltInFirmwareRunsFromTheStart) {
  make({});
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(driver_->reg(NPU_REG_FW_ABI, 4), uint32_t{NPU_FW_ABI_MAJOR} << 16 | NPU_FW_ABI_MINOR);
  uint64_t build_id = 0;
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_IDENTITY, {6}, &build_id), NPU_ST_OK);
  EXPECT_NE(build_id, 0u);
  reset();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
}

TEST_F(BootTest, InjectedBootsFailAsOftenAsTheyWereAskedTo) {
  DriverOptions options = rom();
  options.injections = {{NPU_INJECT_BOOT_FAIL, 0, 0, 2}};
  make(options);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_FAILED);
    EXPECT_EQ(fw_status(), NPU_ST_INTERNAL);
    reset();
  }
  EXPECT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
}

TEST_F(BootTest, AStalledBootEndsByAReset) {
  DriverOptions options = rom();
  options.injections = {{NPU_INJECT_BOOT_STALL, 0, 0, 1}};
  make(options);
  start_boot(firmware_image());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_BOOTING);
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_QUIESCE, {}), NPU_ST_NOT_INITIALIZED);
  reset();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_ROM);
  EXPECT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
}

TEST_F(BootTest, AnInjectedAbiIsToldForSoManyBoots) {
  DriverOptions options = rom();
  options.injections = {{NPU_INJECT_FW_ABI, 0, 0x00630001, 1}};
  make(options);
  ASSERT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(driver_->reg(NPU_REG_FW_ABI, 4), 0x00630001u);
  reset();
  ASSERT_EQ(boot(firmware_image()), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(driver_->reg(NPU_REG_FW_ABI, 4), uint32_t{NPU_FW_ABI_MAJOR} << 16 | NPU_FW_ABI_MINOR);
}

TEST_F(BootTest, TheBuiltInFirmwareTakesInjectedFaultsToo) {
  DriverOptions options;
  options.injections = {{NPU_INJECT_BOOT_FAIL, 0, 0, 1}, {NPU_INJECT_BOOT_STALL, 0, 0, 1}};
  make(options);
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_BOOTING);
  reset();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_FAILED);
  reset();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
}

}  // namespace
}  // namespace npu::test
