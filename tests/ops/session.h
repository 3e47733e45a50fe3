// SPDX-License-Identifier: Apache-2.0
// One device, context, queue and set of operators for a test; everything through the public headers.
#pragma once

#include <gtest/gtest.h>
#include <npu/npu.h>
#include <npu/npu_ops.h>

#include <cstdint>
#include <string>
#include <vector>

namespace npu::test {

// The detail of the last failing call, for messages.
std::string why();

#define NPU_ASSERT_OK(call) ASSERT_EQ(call, NPU_OK) << ::npu::test::why()
#define NPU_EXPECT_OK(call) EXPECT_EQ(call, NPU_OK) << ::npu::test::why()

class Session : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  npuDevPtr alloc(uint64_t bytes);
  npuDevPtr put(npuDataType type, const std::vector<float>& values);
  npuDevPtr put_bytes(const std::vector<uint8_t>& bytes);
  npuDevPtr put_i32(const std::vector<int32_t>& values);
  // Waits for the queue first.
  std::vector<float> get(npuDataType type, npuDevPtr at, uint64_t count);
  std::vector<uint8_t> get_bytes(npuDevPtr at, uint64_t count);
  std::vector<int32_t> get_i32(npuDevPtr at, uint64_t count);
  void finish();

  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuQueue queue_ = nullptr;
  npuOps ops_ = nullptr;
};

inline uint32_t type_bytes(npuDataType type) { return type == NPU_BFLOAT16 ? 2 : 4; }
float to_type(npuDataType type, float value);  // as it is after a store
// The largest relative error of one rounding.
inline double rounding(npuDataType type) { return type == NPU_BFLOAT16 ? 0x1p-8 : 0x1p-24; }

// Numbers between -1 and 1 that |type| holds exactly; the same for the same seed.
std::vector<float> numbers(uint64_t count, uint32_t seed, npuDataType type = NPU_FLOAT32);

template <typename Info>
Info blank() {
  Info info{};
  info.struct_size = sizeof(info);
  return info;
}

}  // namespace npu::test
