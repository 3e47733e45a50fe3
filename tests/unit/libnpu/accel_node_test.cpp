// SPDX-License-Identifier: Apache-2.0
// Nodes of the kernel driver in a made-up sysfs.
#include "libnpu/src/backend/accel_node.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

namespace fs = std::filesystem;

class AccelNodeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/npu-sysfs-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
    places_ = {root_ + "/class/accel", root_ + "/dev/accel"};
    fs::create_directories(places_.classes);
    fs::create_directories(places_.nodes);
  }
  void TearDown() override { fs::remove_all(root_); }

  // As the kernel lays it out: class/accel/NAME is a folder whose `device` leads to the device, whose `driver` leads to the driver.
  void add(const std::string& name, const std::string& device, const std::string& driver,
           bool with_node = true) {
    const fs::path device_dir = root_ + "/devices/pci0000:00/" + device;
    const fs::path driver_dir = root_ + "/bus/pci/drivers/" + driver;
    fs::create_directories(device_dir);
    fs::create_directories(driver_dir);
    fs::create_directories(places_.classes + "/" + name);
    fs::create_symlink(fs::path("../../../devices/pci0000:00") / device,
                       places_.classes + "/" + name + "/device");
    if (!driver.empty() && !fs::exists(device_dir / "driver")) {
      fs::create_symlink(driver_dir, device_dir / "driver");
    }
    if (with_node) std::ofstream(places_.nodes + "/" + name) << "no device";
  }
  std::string path_of(const std::string& name) const { return places_.nodes + "/" + name; }

  std::string root_;
  AccelPlaces places_;
};

TEST_F(AccelNodeTest, AMachineWithoutAcceleratorsHasNone) {
  EXPECT_TRUE(find_accel_nodes(places_).empty());
  EXPECT_TRUE(find_accel_nodes({"/nowhere/class", "/nowhere/dev"}).empty());
  const auto all = select_accel_nodes("", places_);
  ASSERT_TRUE(all.is_ok());
}

TEST_F(AccelNodeTest, NodesComeInTheOrderOfTheirPciAddresses) {
  add("accel0", "0000:41:00.0", "npu");
  add("accel1", "0000:03:00.1", "npu");
  add("accel10", "0000:03:00.0", "npu");
  const auto nodes = find_accel_nodes(places_);
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[0].pci_address, "0000:03:00.0");
  EXPECT_EQ(nodes[0].path, path_of("accel10"));
  EXPECT_EQ(nodes[1].pci_address, "0000:03:00.1");
  EXPECT_EQ(nodes[2].path, path_of("accel0"));
}

TEST_F(AccelNodeTest, NodesOfOtherDriversAreNotOurs) {
  add("accel0", "0000:00:0b.0", "intel_vpu");
  add("accel1", "0000:03:00.0", "npu");
  add("accel2", "0000:04:00.0", "npu2");
  add("accel3", "0000:05:00.0", "");
  add("other", "0000:06:00.0", "npu");
  const auto nodes = find_accel_nodes(places_);
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_EQ(nodes[0].path, path_of("accel1"));
}

TEST_F(AccelNodeTest, ADeviceWhoseNodeThisProcessWasNotGivenDoesNotCount) {
  add("accel0", "0000:03:00.0", "npu", false);
  add("accel1", "0000:04:00.0", "npu");
  const auto nodes = find_accel_nodes(places_);
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_EQ(nodes[0].pci_address, "0000:04:00.0");
}

TEST_F(AccelNodeTest, ADeviceOnNoPciBusHasNoAddress) {
  add("accel0", "npu-platform", "npu");
  const auto nodes = find_accel_nodes(places_);
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_EQ(nodes[0].pci_address, "");
}

TEST_F(AccelNodeTest, ASelectorNamesOneByAddressOrPath) {
  add("accel0", "0000:41:00.0", "npu");
  add("accel1", "0000:03:00.0", "npu");
  auto chosen = select_accel_nodes("0000:41:00.0", places_);
  ASSERT_TRUE(chosen.is_ok());
  ASSERT_EQ(chosen.value().size(), 1u);
  EXPECT_EQ(chosen.value()[0].path, path_of("accel0"));
  chosen = select_accel_nodes(path_of("accel1"), places_);
  ASSERT_TRUE(chosen.is_ok());
  EXPECT_EQ(chosen.value()[0].pci_address, "0000:03:00.0");
  chosen = select_accel_nodes("", places_);
  ASSERT_TRUE(chosen.is_ok());
  EXPECT_EQ(chosen.value().size(), 2u);
}

TEST_F(AccelNodeTest, ASelectorOfNothingIsAnErrorThatListsWhatThereIs) {
  add("accel1", "0000:03:00.0", "npu");
  const auto chosen = select_accel_nodes("0000:04:00.0", places_);
  EXPECT_EQ(chosen.status().code(), NPU_ERROR_NO_DEVICE);
  commit_error("npuTest", chosen.status().code());
  EXPECT_NE(std::strstr(last_error().text, "0000:04:00.0"), nullptr) << last_error().text;
  EXPECT_NE(std::strstr(last_error().text, "0000:03:00.0"), nullptr) << last_error().text;
  EXPECT_EQ(select_accel_nodes(path_of("accel9"), places_).status().code(), NPU_ERROR_NO_DEVICE);
}

TEST_F(AccelNodeTest, APathThatSysfsDoesNotShowIsTriedAndJudgedWhenOpened) {
  std::ofstream(path_of("accel5")) << "no device";
  auto chosen = select_accel_nodes(path_of("accel5"), places_);
  ASSERT_TRUE(chosen.is_ok());
  const auto opened = open_accel_node(chosen.value()[0]);
  EXPECT_EQ(opened.status().code(), NPU_ERROR_NO_DEVICE);
  commit_error("npuTest", opened.status().code());
  EXPECT_NE(std::strstr(last_error().text, "no DRM driver"), nullptr) << last_error().text;
}

TEST_F(AccelNodeTest, ANodeThatVanishedIsNoDevice) {
  const auto opened = open_accel_node({path_of("accel7"), ""});
  EXPECT_EQ(opened.status().code(), NPU_ERROR_NO_DEVICE);
}

TEST_F(AccelNodeTest, ARefusalNamesTheGroupAndTheWayIn) {
  for (const int error : {EACCES, EPERM}) {
    const Status status = refuse_accel_node("/dev/accel/accel0", error, "render");
    EXPECT_EQ(status.code(), NPU_ERROR_PERMISSION);
    commit_error("npuTest", status.code());
    EXPECT_EQ(last_error().sys_errno, error);
    EXPECT_NE(std::strstr(last_error().text, "group render"), nullptr) << last_error().text;
    EXPECT_NE(std::strstr(last_error().remedy, "usermod -aG render"), nullptr);
  }
  commit_error("npuTest", refuse_accel_node("/dev/accel/accel0", EACCES, "root").code());
  EXPECT_NE(std::strstr(last_error().remedy, "60-npu.rules"), nullptr) << last_error().remedy;
}

TEST_F(AccelNodeTest, OtherRefusalsHaveTheirMeaning) {
  EXPECT_EQ(refuse_accel_node("x", ENODEV, "").code(), NPU_ERROR_NO_DEVICE);
  EXPECT_EQ(refuse_accel_node("x", EPROTO, "").code(), NPU_ERROR_VERSION_SKEW);
  EXPECT_EQ(refuse_accel_node("x", EIO, "").code(), NPU_ERROR_DEVICE_LOST);
  EXPECT_EQ(refuse_accel_node("x", ENOMEM, "").code(), NPU_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(refuse_accel_node("x", EMFILE, "").code(), NPU_ERROR_DRIVER);
}

}  // namespace
}  // namespace npu
