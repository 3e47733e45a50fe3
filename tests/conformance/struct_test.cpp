// SPDX-License-Identifier: Apache-2.0
// struct_size: zero, short, huge, and larger than the library knows.
#include <cstring>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

// A struct of a later version: as the library knows it, and something behind.
template <typename T>
struct Later {
  T known;
  uint64_t tail[2];
};

class StructTest : public DeviceTest {
 protected:
  // |call| gets a pointer to T that it writes.
  template <typename T, typename Call>
  void check_output(Call call) {
    T info{};
    for (const uint32_t bad :
         {0u, 4u, static_cast<uint32_t>(sizeof(T)) - 1, 0x10000u, 0xffffffffu}) {
      info.struct_size = bad;
      EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, call(&info)) << "size " << bad;
    }
    EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, call(static_cast<T*>(nullptr)));
    Later<T> later;
    std::memset(&later, 0xcc, sizeof later);
    later.known.struct_size = sizeof later;
    EXPECT_NPU(NPU_OK, call(&later.known));
    EXPECT_EQ(later.known.struct_size, sizeof later);
    EXPECT_EQ(later.tail[0], 0u);
    EXPECT_EQ(later.tail[1], 0u);
  }
  // |call| gets a pointer to T that it reads; |good| works.
  template <typename T, typename Call>
  void check_input(const T& good, Call call) {
    T info = good;
    for (const uint32_t bad : {0u, static_cast<uint32_t>(sizeof(T)) - 1, 0x10000u, 0xffffffffu}) {
      info.struct_size = bad;
      EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, call(&info)) << "size " << bad;
    }
    Later<T> later{good, {0, 0}};
    later.known.struct_size = sizeof later;
    EXPECT_NPU(NPU_OK, call(&later.known));
    later.tail[1] = 1;
    EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, call(&later.known));
  }
};

TEST_F(StructTest, OutputStructsAreFilledAsFarAsKnown) {
  check_output<npuVersions>([](npuVersions* s) { return npuGetVersions(s); });
  check_output<npuDeviceInfo>([&](npuDeviceInfo* s) { return npuDeviceGetInfo(device_, s); });
  const npuDevPtr ptr = alloc(64);
  check_output<npuMemInfo>([&](npuMemInfo* s) { return npuMemQuery(context_, ptr, s); });
  const npuKernel add = kernel("add_scalar");
  check_output<npuKernelInfo>([&](npuKernelInfo* s) { return npuKernelGetInfo(add, s); });
  check_output<npuArgInfo>([&](npuArgInfo* s) { return npuKernelGetArg(add, 0, s); });
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  check_output<npuTiming>([&](npuTiming* s) { return npuQueueGetTiming(queue_, value, s); });
}

TEST_F(StructTest, InputStructsMayBeLargerWhenTheirTailIsZero) {
  npuQueueInfo queue_info{};
  queue_info.struct_size = sizeof queue_info;
  queue_info.ring_entries = 64;
  check_input(queue_info, [&](const npuQueueInfo* s) {
    npuQueue queue = nullptr;
    const npuResult result = npuQueueCreate(context_, s, &queue);
    EXPECT_EQ(queue != nullptr, result == NPU_OK);
    if (queue != nullptr) {
      EXPECT_EQ(npuQueueDestroy(queue), NPU_OK);
    }
    return result;
  });
  npuLaunchInfo launch_info{};
  launch_info.struct_size = sizeof launch_info;
  launch_info.grid_x = launch_info.grid_y = launch_info.grid_z = 1;
  const npuKernel null = kernel("null");
  check_input(launch_info,
              [&](const npuLaunchInfo* s) { return npuQueueLaunch(queue_, null, s, nullptr); });
  npuCopyInfo copy_info{};
  copy_info.struct_size = sizeof copy_info;
  copy_info.dst = alloc(64);
  copy_info.src = alloc(64);
  copy_info.width_bytes = 64;
  copy_info.height = copy_info.depth = 1;
  check_input(copy_info,
              [&](const npuCopyInfo* s) { return npuQueueCopyStrided(queue_, s, nullptr); });
}

// What a program of release 0.1 passes: sizes of then, and nothing behind them is touched.
TEST_F(StructTest, StructsOfTheFirstReleaseGoOnWorking) {
  struct Guarded {
    npuDeviceInfo info;
    uint64_t behind;
  } guarded{};
  guarded.behind = 0xcc;
  guarded.info.struct_size = 152;
  EXPECT_NPU(NPU_OK, npuDeviceGetInfo(device_, &guarded.info));
  EXPECT_EQ(guarded.info.struct_size, 152u);
  EXPECT_EQ(guarded.behind, 0xccu);
  npuQueueInfo queue_info;
  std::memset(&queue_info, 0xcc, sizeof queue_info);
  std::memset(&queue_info, 0, 16);
  queue_info.struct_size = 16;
  npuQueue queue = nullptr;
  EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &queue_info, &queue));
  EXPECT_NPU(NPU_OK, npuQueueDestroy(queue));
}

TEST_F(StructTest, ReservedMembersMustBeZero) {
  npuLaunchInfo info = launch_info(nullptr, 0);
  info.reserved = 1;
  EXPECT_NPU(NPU_ERROR_RESERVED_NOT_ZERO, npuQueueLaunch(queue_, kernel("null"), &info, nullptr));
  npuCopyInfo copy{};
  copy.struct_size = sizeof copy;
  copy.reserved = 1;
  EXPECT_NPU(NPU_ERROR_RESERVED_NOT_ZERO, npuQueueCopyStrided(queue_, &copy, nullptr));
}

TEST_F(StructTest, ErrorInfoIsNotChangedByItsOwnErrors) {
  EXPECT_EQ(npuQueueSync(nullptr, 0), NPU_ERROR_INVALID_HANDLE);
  npuErrorInfo info{};
  EXPECT_EQ(npuErrorGetInfo(&info), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(npuErrorGetInfo(nullptr), NPU_ERROR_INVALID_ARGUMENT);
  info.struct_size = sizeof info;
  ASSERT_EQ(npuErrorGetInfo(&info), NPU_OK);
  EXPECT_EQ(info.code, NPU_ERROR_INVALID_HANDLE);
  EXPECT_STREQ(info.function, "npuQueueSync");
  EXPECT_STREQ(info.text, "queue is NULL");
  // A success in between does not change it either.
  ASSERT_EQ(npuQueueSync(queue_, 0), NPU_OK);
  ASSERT_EQ(npuErrorGetInfo(&info), NPU_OK);
  EXPECT_EQ(info.code, NPU_ERROR_INVALID_HANDLE);
}

}  // namespace
}  // namespace npu::conformance
