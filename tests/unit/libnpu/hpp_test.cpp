// SPDX-License-Identifier: Apache-2.0
// npu.hpp on the device model: what it does beyond calling the C API is ownership and errors.
#include <gtest/gtest.h>
#include <npu/npu.hpp>

#include <numeric>

namespace {

struct HppTest : testing::Test {
  npu::Library library;
  npu::Device device = npu::Device::open();
  npu::Context context{device};
};

uint64_t allocated_bytes(const npu::Context& context) {
  uint64_t free_bytes = 0, total_bytes = 0;
  npu::check(npuMemGetInfo(context.get(), &free_bytes, &total_bytes));
  return total_bytes - free_bytes;
}

TEST_F(HppTest, WorkGoesThroughQueueMemoryAndEvents) {
  std::vector<uint32_t> values(4096);
  std::iota(values.begin(), values.end(), 7u);
  npu::Queue queue(context);
  npu::Event before(context), after(context);
  npu::Memory<uint32_t> from(context, values), to(context, values.size());
  before.record(queue);
  const uint64_t value = queue.copy(to.get(), from.get(), from.size_bytes());
  after.record(queue);
  EXPECT_TRUE(queue.wait(value));
  EXPECT_GE(queue.completed(), value);
  EXPECT_GE(queue.submitted(), value);
  EXPECT_TRUE(after.wait());
  EXPECT_TRUE(after.passed());
  EXPECT_GT(after.elapsed_ps_since(before), 0u);
  EXPECT_EQ(to.read(), values);
  EXPECT_EQ(to.map()[5], values[5]);
  EXPECT_EQ(device.capability("is_virtual"), 1);
  EXPECT_STREQ(device.info().name, "tiny");
  EXPECT_EQ(npu::Library::device_count(), 1u);
}

TEST_F(HppTest, DestructorsGiveEverythingBack) {
  const uint64_t before = allocated_bytes(context);
  {
    npu::Context inner(device);
    const npu::Memory<char> large(inner, size_t{64} << 20);
    npu::Queue queue(inner);
    EXPECT_GT(allocated_bytes(context), before);
  }
  EXPECT_EQ(allocated_bytes(context), before);
}

TEST_F(HppTest, ObjectsMove) {
  npu::Memory<int> first(context, 16);
  const npuDevPtr ptr = first.get();
  npu::Memory<int> second(std::move(first));
  EXPECT_EQ(second.get(), ptr);
  first = npu::Memory<int>(context, 8);
  EXPECT_EQ(first.size(), 8u);
  npu::Queue queue(context);
  const npuQueue handle = queue.get();
  npu::Queue other;
  EXPECT_FALSE(other);
  other = std::move(queue);
  EXPECT_EQ(other.get(), handle);
  EXPECT_TRUE(other.sync());
  EXPECT_EQ(npuQueueDestroy(other.release()), NPU_OK);
}

TEST_F(HppTest, AFailureThrowsItsCauseAndRemedy) {
  try {
    (void)npu::Device::open("7");
    FAIL() << "there is no device 7";
  } catch (const npu::Error& error) {
    EXPECT_EQ(error.code(), NPU_ERROR_NO_DEVICE);
    EXPECT_NE(std::string(error.what()).find("npuDeviceOpen"), std::string::npos) << error.what();
  }
  npu::Memory<int> memory(context, 4);
  int value = 0;
  EXPECT_THROW(memory.read(&value, 1, 4), std::out_of_range);
  EXPECT_THROW(memory.write(&value, SIZE_MAX, 1), std::out_of_range);
  EXPECT_THROW(npu::Memory<int>(context, SIZE_MAX), std::length_error);
  EXPECT_THROW(npu::Module(context, "/nowhere"), npu::Error);
}

TEST_F(HppTest, AnOwnerMayEndBeforeItsChildren) {
  npu::Queue queue(context);
  npu::Memory<int> memory(context, 4);
  context.reset();
  EXPECT_THROW(queue.sync(), npu::Error);
}

}  // namespace
