// SPDX-License-Identifier: Apache-2.0
// Devices and contexts.
#include <signal.h>

#include <cstring>
#include <utility>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

TEST_F(DeviceTest, InfoDescribesTheTinyProfile) {
  npuDeviceInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuDeviceGetInfo(device_, &info));
  EXPECT_STREQ(info.name, "tiny");
  EXPECT_EQ(info.is_virtual, 1u);
  EXPECT_EQ(info.clusters, 2u);
  EXPECT_EQ(info.tiles_per_cluster, 2u);
  EXPECT_EQ(info.hbm_bytes, 256ull << 20);
  EXPECT_EQ(info.l1_bytes, 1ull << 20);
  EXPECT_EQ(std::strncmp(info.uuid, "NPU-", 4), 0);
  EXPECT_EQ(std::strlen(info.uuid), 40u);
}

TEST_F(DeviceTest, CapabilitiesAgreeWithTheInfo) {
  npuDeviceInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuDeviceGetInfo(device_, &info));
  const std::pair<const char*, uint64_t> kSame[] = {
      {"is_virtual", info.is_virtual},      {"clusters", info.clusters},
      {"memory.hbm_bytes", info.hbm_bytes}, {"memory.l1_bytes", info.l1_bytes},
      {"version.isa", info.isa_version},    {"version.uapi", info.uapi_version}};
  int64_t value = -1;
  for (const auto& [name, expected] : kSame) {
    EXPECT_NPU(NPU_OK, npuDeviceGetCapability(device_, name, &value));
    EXPECT_EQ(static_cast<uint64_t>(value), expected) << name;
  }
  // Whoever waits for other devices goes by it: silicon has no such process, a model behind the kernel's driver is not known.
  EXPECT_NPU(NPU_OK, npuDeviceGetCapability(device_, "model.process", &value));
  const bool is_known = road_name() == "inproc" || road_name() == "model";
  EXPECT_EQ(value > 0 && kill(static_cast<pid_t>(value), 0) == 0, is_known) << value;
  const char* name = nullptr;
  uint32_t count = 0;
  for (; npuDeviceGetCapabilityName(count, &name) == NPU_OK; count++) {
    EXPECT_NPU(NPU_OK, npuDeviceGetCapability(device_, name, &value)) << name;
    EXPECT_GE(value, 0) << name;
  }
  EXPECT_EQ(name, nullptr);
  EXPECT_GT(count, 20u);
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuDeviceGetCapability(device_, "memory", &value));
  EXPECT_EQ(value, 0);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuDeviceGetCapability(device_, nullptr, &value));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuDeviceGetCapability(nullptr, "clusters", &value));
}

TEST_F(DeviceTest, AContextTellsItsDevice) {
  npuContext context = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &context));
  npuDevice device = nullptr;
  EXPECT_NPU(NPU_OK, npuContextGetDevice(context, &device));
  EXPECT_EQ(device, device_);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuContextGetDevice(context, nullptr));
  EXPECT_NPU(NPU_OK, npuContextDestroy(context));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuContextGetDevice(context, &device));
  EXPECT_EQ(device, nullptr);
}

TEST_F(DeviceTest, OpensByIndexAndByUuid) {
  npuDeviceInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuDeviceGetInfo(device_, &info));
  npuDevice device = nullptr;
  EXPECT_NPU(NPU_OK, npuDeviceOpen("0", &device));
  EXPECT_NPU(NPU_OK, npuDeviceClose(device));
  EXPECT_NPU(NPU_OK, npuDeviceOpen(info.uuid, &device));
  EXPECT_NPU(NPU_OK, npuDeviceClose(device));
}

TEST_F(DeviceTest, WrongSelectorsAreRefused) {
  npuDevice device = device_;
  EXPECT_NPU(NPU_ERROR_NO_DEVICE, npuDeviceOpen("1", &device));
  EXPECT_EQ(device, nullptr);
  EXPECT_NPU(NPU_ERROR_NO_DEVICE,
             npuDeviceOpen("NPU-00000000-0000-0000-0000-000000000000", &device));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuDeviceOpen("", &device));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuDeviceOpen("99999999999999999999", &device));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuDeviceOpen("first", &device));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuDeviceOpen(nullptr, nullptr));
}

TEST_F(DeviceTest, TwoContextsDoNotReachEachOther) {
  npuContext other = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  const npuDevPtr mine = alloc(4096);
  npuMemInfo info{};
  info.struct_size = sizeof info;
  npuDevPtr theirs = 0;
  ASSERT_NPU(NPU_OK, npuMemAlloc(other, NPU_MEM_DEVICE, 4096, &theirs));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemCopyToDevice(context_, mine, nullptr, 1));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(other, mine + 64));
  npuModule module = nullptr;
  npuQueue queue = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueCreate(other, nullptr, &queue));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, launch(queue, kernel("null"), nullptr, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWaitQueue(queue, queue_, 0, nullptr));
  npuEvent event = nullptr;
  ASSERT_NPU(NPU_OK, npuEventCreate(other, &event));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventRecord(event, queue_));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWaitEvent(queue_, event));
  EXPECT_NPU(NPU_OK, npuModuleUnload(module));
  EXPECT_NPU(NPU_OK, npuContextDestroy(other));
}

TEST_F(DeviceTest, DestroyingAContextCancelsItsRunningWork) {
  npuContext other = nullptr;
  npuQueue queue = nullptr;
  npuModule module = nullptr;
  npuKernel forever = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  ASSERT_NPU(NPU_OK, npuQueueCreate(other, nullptr, &queue));
  ASSERT_NPU(NPU_OK, npuModuleLoad(other, blob_path().c_str(), &module));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(module, "forever", &forever));
  ASSERT_NPU(NPU_OK, launch(queue, forever, nullptr, 0));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(queue, kSecondNs / 100));
  EXPECT_NPU(NPU_OK, npuContextDestroy(other));
  EXPECT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(DeviceTest, OpenedTooOftenIsAQuotaAndHarmsNobody) {
  if (road_name() == "kmd") GTEST_SKIP() << "the kernel bounds open files itself";
  std::vector<npuDevice> devices(5000);
  size_t count = 0;
  npuResult result = NPU_OK;
  while (count < devices.size() && (result = npuDeviceOpen(nullptr, &devices[count])) == NPU_OK) {
    ++count;
  }
  EXPECT_EQ(result, NPU_ERROR_QUOTA) << explain(result);
  EXPECT_GE(count, 100u);
  EXPECT_NE(std::strstr(last_error().remedy, "npu-smi ps"), nullptr) << last_error().remedy;
  for (size_t i = 0; i < count; ++i) ASSERT_NPU(NPU_OK, npuDeviceClose(devices[i]));
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &devices[0]));
  EXPECT_NPU(NPU_OK, npuDeviceClose(devices[0]));
}

}  // namespace
}  // namespace npu::conformance
