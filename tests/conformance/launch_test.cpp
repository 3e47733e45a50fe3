// SPDX-License-Identifier: Apache-2.0
// Launches: grids, arguments, refusals.
#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

TEST_F(DeviceTest, EveryWorkGroupRunsOnce) {
  const uint32_t nx = 7, ny = 5, nz = 3;
  const npuDevPtr out = alloc(nx * ny * nz * 4);
  const npuDevPtr args = out;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("grid"), &args, sizeof args, nullptr, nx, ny, nz));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  std::vector<int32_t> seen(nx * ny * nz);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, seen.data(), out, seen.size() * 4));
  for (uint32_t z = 0, i = 0; z < nz; z++) {
    for (uint32_t y = 0; y < ny; y++) {
      for (uint32_t x = 0; x < nx; x++, i++)
        EXPECT_EQ(seen[i], static_cast<int32_t>(x + 100 * y + 10000 * z));
    }
  }
}

TEST_F(DeviceTest, KernelsReadAndWriteDeviceAndHostMemory) {
  const uint32_t groups = 16;
  const uint32_t count = groups * 256;
  std::vector<float> in(count);
  for (uint32_t i = 0; i < count; i++) in[i] = static_cast<float>(i) * 0.25f;
  for (const npuMemKind kind : {NPU_MEM_DEVICE, NPU_MEM_HOST}) {
    const AddArgs args{alloc(count * 4, kind), alloc(count * 4, kind), 0.5f, 0};
    ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, args.x, in.data(), count * 4));
    ASSERT_NPU(NPU_OK, launch(queue_, kernel("add_scalar"), &args, sizeof args, nullptr, groups));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    std::vector<float> out(count);
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), args.y, count * 4));
    for (uint32_t i = 0; i < count; i++) ASSERT_EQ(out[i], in[i] + 0.5f) << i;
  }
}

TEST_F(DeviceTest, ArgumentsAreCopiedByTheCall) {
  const npuKernel poke = kernel("poke");
  const npuDevPtr out = alloc(4000 * 4);
  PokeArgs args{};
  // More argument bytes than the ring's area holds at once, so that it wraps many times.
  for (uint32_t i = 0; i < 4000; i++) {
    args.at = out + i * 4;
    args.value = static_cast<float>(i);
    ASSERT_NPU(NPU_OK, launch(queue_, poke, &args, sizeof args));
    args = {0xdead, -1.0f, 0};
  }
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  std::vector<float> values(4000);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, values.data(), out, values.size() * 4));
  for (uint32_t i = 0; i < 4000; i++) ASSERT_EQ(values[i], static_cast<float>(i));
}

TEST_F(DeviceTest, WrongLaunchesAreRefusedAndChangeNothing) {
  const npuKernel poke = kernel("poke");
  const PokeArgs args{alloc(64), 1.0f, 0};
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, launch(queue_, poke, &args, 0));
  EXPECT_NPU(NPU_ERROR_ARGUMENT_LAYOUT, launch(queue_, poke, &args, sizeof args + 8));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, launch(queue_, poke, nullptr, sizeof args));
  EXPECT_NPU(NPU_ERROR_BAD_LAUNCH, launch(queue_, poke, &args, sizeof args, nullptr, 0));
  EXPECT_NPU(NPU_ERROR_BAD_LAUNCH, launch(queue_, poke, &args, sizeof args, nullptr, 1, 0));
  EXPECT_NPU(NPU_ERROR_BAD_LAUNCH, launch(queue_, poke, &args, sizeof args, nullptr, 1, 1, 0));
  EXPECT_NPU(NPU_ERROR_BAD_LAUNCH, launch(queue_, poke, &args, sizeof args, nullptr, 0x80000001u));
  EXPECT_NPU(NPU_ERROR_BAD_LAUNCH, launch(queue_, poke, &args, sizeof args, nullptr, 0xffffffffu,
                                          0xffffffffu, 0xffffffffu));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueLaunch(queue_, poke, nullptr, nullptr));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, poke, &args, sizeof args, &value));
  EXPECT_EQ(value, 1u) << "a refused launch takes no place on the timeline";
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
}

}  // namespace
}  // namespace npu::conformance
