// SPDX-License-Identifier: Apache-2.0
// Set-up and tensors of the operator tests.
#include "tests/ops/session.h"

#include <bit>
#include <cstring>
#include <random>

namespace npu::test {
namespace {

constexpr int64_t kTimeoutNs = 60'000'000'000;

uint16_t to_bf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

}  // namespace

std::string why() {
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  return std::string(npuResultGetName(info.code)) + ": " + info.text + " | " + npuOpsGetErrorText();
}

float to_type(npuDataType type, float value) {
  return type == NPU_BFLOAT16 ? from_bf16(to_bf16(value)) : value;
}

std::vector<float> numbers(uint64_t count, uint32_t seed, npuDataType type) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(count);
  for (float& v : out) v = to_type(type, uniform(engine));
  return out;
}

void Session::SetUp() {
  NPU_ASSERT_OK(npuInit());
  NPU_ASSERT_OK(npuDeviceOpen(nullptr, &device_));
  NPU_ASSERT_OK(npuContextCreate(device_, &context_));
  NPU_ASSERT_OK(npuQueueCreate(context_, nullptr, &queue_));
  NPU_ASSERT_OK(npuOpsCreate(context_, nullptr, &ops_));
}

void Session::TearDown() {
  NPU_EXPECT_OK(npuOpsDestroy(ops_));
  NPU_EXPECT_OK(npuContextDestroy(context_));
  NPU_EXPECT_OK(npuDeviceClose(device_));
  NPU_EXPECT_OK(npuShutdown());
}

npuDevPtr Session::alloc(uint64_t bytes) {
  npuDevPtr at = 0;
  NPU_EXPECT_OK(npuMemAlloc(context_, NPU_MEM_DEVICE, bytes != 0 ? bytes : 4, &at));
  return at;
}

npuDevPtr Session::put(npuDataType type, const std::vector<float>& values) {
  npuDevPtr at = alloc(values.size() * type_bytes(type));
  if (type == NPU_FLOAT32) {
    NPU_EXPECT_OK(npuMemCopyToDevice(context_, at, values.data(), values.size() * 4));
    return at;
  }
  std::vector<uint16_t> narrow(values.size());
  for (size_t i = 0; i < values.size(); ++i) narrow[i] = to_bf16(values[i]);
  NPU_EXPECT_OK(npuMemCopyToDevice(context_, at, narrow.data(), narrow.size() * 2));
  return at;
}

npuDevPtr Session::put_bytes(const std::vector<uint8_t>& bytes) {
  npuDevPtr at = alloc(bytes.size());
  NPU_EXPECT_OK(npuMemCopyToDevice(context_, at, bytes.data(), bytes.size()));
  return at;
}

npuDevPtr Session::put_i32(const std::vector<int32_t>& values) {
  npuDevPtr at = alloc(values.size() * 4);
  NPU_EXPECT_OK(npuMemCopyToDevice(context_, at, values.data(), values.size() * 4));
  return at;
}

void Session::finish() { NPU_ASSERT_OK(npuQueueSync(queue_, kTimeoutNs)); }

std::vector<float> Session::get(npuDataType type, npuDevPtr at, uint64_t count) {
  finish();
  std::vector<float> out(count);
  if (type == NPU_FLOAT32) {
    NPU_EXPECT_OK(npuMemCopyToHost(context_, out.data(), at, count * 4));
    return out;
  }
  std::vector<uint16_t> narrow(count);
  NPU_EXPECT_OK(npuMemCopyToHost(context_, narrow.data(), at, count * 2));
  for (size_t i = 0; i < count; ++i) out[i] = from_bf16(narrow[i]);
  return out;
}

std::vector<uint8_t> Session::get_bytes(npuDevPtr at, uint64_t count) {
  finish();
  std::vector<uint8_t> out(count);
  NPU_EXPECT_OK(npuMemCopyToHost(context_, out.data(), at, count));
  return out;
}

std::vector<int32_t> Session::get_i32(npuDevPtr at, uint64_t count) {
  finish();
  std::vector<int32_t> out(count);
  NPU_EXPECT_OK(npuMemCopyToHost(context_, out.data(), at, count * 4));
  return out;
}

}  // namespace npu::test
