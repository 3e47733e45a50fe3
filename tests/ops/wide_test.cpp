// SPDX-License-Identifier: Apache-2.0
// A product on a device that needs large blocks: libnpuops finds out, loads their programs and gets the bits of the others.
#include <npu/npu_prof.h>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

class Wide : public Session {
 protected:
  npuOpsGemmInfo product(uint32_t m, npuDevPtr a, npuDevPtr b) {
    auto g = blank<npuOpsGemmInfo>();
    g.type = NPU_BFLOAT16;
    g.m = m, g.n = kSide, g.k = kDepth;
    g.a = a, g.b = b, g.d = alloc(uint64_t{m} * kSide * 4);
    g.alpha = 1;
    return g;
  }

  static constexpr uint32_t kSide = 1024, kDepth = 96;
};

TEST_F(Wide, ALargeProductTakesLargeBlocksAndIsFasterByThem) {
  const auto values = numbers(uint64_t{kSide} * kDepth, 5, NPU_BFLOAT16);
  const npuDevPtr a = put(NPU_BFLOAT16, values), b = put(NPU_BFLOAT16, values);
  auto what = blank<npuProfInfo>();
  what.kinds = 1u << NPU_PROF_KERNEL;
  NPU_ASSERT_OK(npuProfStart(&what));
  const npuOpsGemmInfo whole = product(kSide, a, b);
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &whole, nullptr));
  const std::vector<float> got = get(NPU_FLOAT32, whole.d, uint64_t{kSide} * kSide);
  // Strips of it are no large products.
  std::vector<float> want;
  constexpr uint32_t kStrip = 256;
  for (uint32_t row = 0; row < kSide; row += kStrip) {
    const npuOpsGemmInfo strip = product(kStrip, a + uint64_t{row} * kDepth * 2, b);
    NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &strip, nullptr));
    const auto part = get(NPU_FLOAT32, strip.d, uint64_t{kStrip} * kSide);
    want.insert(want.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(got == want);

  NPU_ASSERT_OK(npuProfFlush(10'000'000'000));
  NPU_ASSERT_OK(npuProfStop());
  std::vector<npuProfActivity> done(8);
  for (auto& one : done) one.struct_size = sizeof(one);
  uint32_t count = static_cast<uint32_t>(done.size());
  NPU_ASSERT_OK(npuProfRead(&count, done.data(), nullptr));
  ASSERT_EQ(count, 1 + kSide / kStrip);
  EXPECT_STREQ(done[0].name, "gemm_bf16_wide");
  uint64_t strips_ps = 0, strips_bytes = 0;
  for (uint32_t i = 1; i < count; ++i) {
    EXPECT_STREQ(done[i].name, "gemm_bf16_f32_nn");
    strips_ps += done[i].end_ps - done[i].start_ps;
    strips_bytes += done[i].hbm_read_bytes;
  }
  EXPECT_LT(done[0].end_ps - done[0].start_ps, strips_ps);
  EXPECT_LT(done[0].hbm_read_bytes, strips_bytes / 2);
}

}  // namespace
}  // namespace npu::test
