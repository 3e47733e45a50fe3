// SPDX-License-Identifier: Apache-2.0
// Wide programs give the bits of the others: the same product planned for any device, and for one that needs large blocks.
#include <gtest/gtest.h>

#include "firmware-model/kernels/limits.h"
#include "libnpu/ops/error.h"
#include "libnpu/ops/gemm_wide.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/type.h"
#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

// One tile that multiplies much faster than its memory brings operands.
class HungryChip final : public ops::ChipSource {
 public:
  HungryChip() {
    chip_.tiles = 1;
    chip_.core_clock_khz = 1'000'000;
    chip_.memory_bytes_per_second = 1'000'000'000;
    chip_.macs_per_second.fill(uint64_t{1} << 50);
    chip_.wide_l1 = 1;
  }
  const ops::Chip& chip() override { return chip_; }
  ops::Chip& change() { return chip_; }

 private:
  ops::Chip chip_;
};

constexpr uint32_t kM = 530, kN = 520, kK = 70;

class GemmWide : public ::testing::Test {
 protected:
  // Bytes that every type can be read from: small numbers.
  uint64_t operand(uint64_t rows, uint64_t row_bytes) {
    std::vector<float> words(rows * ((row_bytes + 3) / 4 + 1));
    for (float& word : words) {
      const uint32_t bits =
          0x30303030u + random_.below(16) * 0x01000100u + random_.below(16) * 0x00010001u;
      std::memcpy(&word, &bits, sizeof(word));
    }
    return rig_.put(DType::F32, words);
  }

  npuOpsGemmInfo info(npuDataType a, npuDataType b, npuDataType out) {
    npuOpsGemmInfo g{};
    g.struct_size = sizeof(g);
    g.type = a;
    g.mixed = 1;
    g.b_type = b;
    g.out_type = out;
    g.b_form = NPU_OPS_TRANSPOSED;
    g.m = kM, g.n = kN, g.k = kK;
    g.alpha = 1;
    g.a = operand(kM, uint64_t{kK + 300} * 4);
    g.b = operand(kN, uint64_t{kK + 300} * 4);
    return g;
  }

  std::vector<uint64_t> words_of(uint64_t at, uint64_t bytes) {
    const std::vector<int32_t> words = rig_.get_i32(at, bytes / 4);
    return {words.begin(), words.end()};
  }

  void run(const npuOpsGemmInfo& g, ops::ChipSource* chips, bool wide) {
    ops::Plan plan;
    plan.chips = chips;
    ASSERT_EQ(ops::plan_gemm(&g, &plan), NPU_OK) << ops::error_text();
    const std::string name = ops::program_name(plan.program);
    EXPECT_EQ(name.ends_with("_wide"), wide) << name;
    rig_.run_plan(name, {plan.args, plan.block_bytes()},
                  {plan.grid[0], plan.grid[1], plan.grid[2]});
    if (plan.then == nullptr) return;
    ops::Plan last;
    ASSERT_EQ(plan.then(&g, &last), NPU_OK);
    rig_.run_plan(ops::program_name(last.program), {last.args, last.block_bytes()},
                  {last.grid[0], last.grid[1], last.grid[2]});
  }

  void expect_same(npuOpsGemmInfo g) {
    const uint64_t bytes = uint64_t{kM} * (kN + 32) * 4;
    g.d = rig_.alloc(bytes);
    run(g, nullptr, false);
    const std::vector<uint64_t> want = words_of(g.d, bytes);
    g.d = rig_.alloc(bytes);
    run(g, &chip_, true);
    EXPECT_TRUE(words_of(g.d, bytes) == want);
  }

  Rig rig_;
  Random random_{48};
  HungryChip chip_;
};

TEST_F(GemmWide, EveryKindGivesTheBitsOfTheSmallerBlocks) {
  const npuDataType kTypes[][3] = {{NPU_FLOAT32, NPU_FLOAT32, NPU_FLOAT32},
                                   {NPU_BFLOAT16, NPU_BFLOAT16, NPU_BFLOAT16},
                                   {NPU_FLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3},
                                   {NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, NPU_MXFP8_E4M3},
                                   {NPU_INT8, NPU_INT8, NPU_INT32},
                                   {NPU_INT8, NPU_INT8, NPU_FLOAT16},
                                   {NPU_BFLOAT16, NPU_MXFP4, NPU_Q8_0}};
  for (const auto& t : kTypes) {
    SCOPED_TRACE(std::to_string(t[0]) + " x " + std::to_string(t[1]) + " to " +
                 std::to_string(t[2]) + ", seed 48");
    expect_same(info(t[0], t[1], t[2]));
  }
}

TEST_F(GemmWide, WithAllThatComesBehindTheProduct) {
  for (const npuDataType type : {NPU_FLOAT32, NPU_INT8}) {
    SCOPED_TRACE(std::to_string(type) + ", seed 48");
    npuOpsGemmInfo g = info(type, type, NPU_BFLOAT16);
    g.alpha = 0.5f;
    g.beta = 0.25f;
    g.c = rig_.put(DType::BF16, random_.values(uint64_t{kM} * kN, DType::BF16));
    g.bias = rig_.put(DType::F32, random_.values(kN));
    g.scale_a = rig_.put(DType::F32, random_.values(kM));
    g.scale_b = rig_.put(DType::F32, random_.values(kN));
    g.out_scale = 0.125f;
    g.activation = NPU_OPS_ACT_SILU;
    expect_same(g);
  }
}

TEST_F(GemmWide, InEveryForm) {
  for (const npuOpsForm a : {NPU_OPS_PLAIN, NPU_OPS_TRANSPOSED}) {
    for (const npuOpsForm b : {NPU_OPS_PLAIN, NPU_OPS_TRANSPOSED, NPU_OPS_PACKED}) {
      SCOPED_TRACE(std::to_string(a) + ", " + std::to_string(b) + ", seed 48");
      npuOpsGemmInfo g = info(NPU_BFLOAT16, NPU_BFLOAT16, NPU_FLOAT32);
      g.mixed = 0, g.b_type = NPU_FLOAT32;
      g.a_form = a, g.b_form = b;
      expect_same(g);
    }
  }
}

TEST_F(GemmWide, InPartsOfKOfWhichTheLastIsEmpty) {
  npuOpsGemmInfo g = info(NPU_FLOAT32, NPU_FLOAT32, NPU_FLOAT32);
  g.split_k = 6;  // 16 each: the sixth begins behind the end
  g.workspace = rig_.alloc(uint64_t{kM} * kN * 4 * g.split_k);
  expect_same(g);
}

TEST_F(GemmWide, OnlyWhereTheDeviceGains) {
  npuOpsGemmInfo g = info(NPU_FLOAT32, NPU_FLOAT32, NPU_FLOAT32);
  g.d = rig_.alloc(uint64_t{kM} * kN * 4);
  const auto is_wide = [&] {
    ops::Plan plan;
    plan.chips = &chip_;
    EXPECT_EQ(ops::plan_gemm(&g, &plan), NPU_OK);
    return plan.program >= ops::kProgramGemmWide;
  };
  EXPECT_TRUE(is_wide());
  g.m = ops::kWideLeast - 1;
  EXPECT_FALSE(is_wide());
  g.m = g.n = ops::kWideLeast;
  EXPECT_TRUE(is_wide());
  const ops::Chip hungry = chip_.chip();
  chip_.change().memory_bytes_per_second = uint64_t{1}
                                           << 60;  // multiplying is the limit in any block
  chip_.change().macs_per_second.fill(uint64_t{1} << 30);
  EXPECT_FALSE(is_wide());
  chip_.change() = hungry;
  chip_.change().wide_l1 = 0;  // no program
  EXPECT_FALSE(is_wide());
  chip_.change() = hungry;
  chip_.change().macs_per_second[ops::kRateF32] = 0;  // a device that does not tell its rates
  EXPECT_FALSE(is_wide());
}

TEST(WideBlocks, FitTheScratchpadsThatTheirProgramsDeclare) {
  for (uint32_t l1 = 1; l1 <= kGemmWideL1Most; ++l1) {
    HungryChip chip;
    chip.change().wide_l1 = l1;
    Programs programs;
    add_gemm_wide(programs, l1);
    for (const isa::Program& p : programs) {
      EXPECT_EQ(p.note.l1_bytes, l1 * kGemmWideL1Bytes);
      EXPECT_EQ(p.note.acc_bytes, std::min(l1, kGemmWideAccMost) * kGemmWideAccBytes);
    }
    for (uint32_t side = ops::kWideLeast; side <= 5000; side += 97) {
      const ops::ProductShape shape{side, 2 * side, 4096, 1, NPU_BFLOAT16, NPU_BFLOAT16,
                                    2,    16,       16,   2, false};
      const auto wide = ops::choose_wide(shape, {256, 256, 256}, chip.chip());
      ASSERT_TRUE(wide.has_value()) << side;
      const auto [block, block_bytes, acc_rows] = *wide;
      EXPECT_LE(std::max(block.m, block.n), kGemmWideSide);
      EXPECT_EQ(acc_rows % kGemmWideStrip, 0u);
      EXPECT_LE(uint64_t{acc_rows} * block.n * 4, programs[0].note.acc_bytes);
      const uint64_t low_rows = block.m - std::min(block.m, acc_rows);
      EXPECT_LE(4ull * block_bytes + low_rows * block.n * 4, programs[0].note.l1_bytes);
      EXPECT_LE(uint64_t{std::max(block.m, block.n)} * block.k * 2, block_bytes);
    }
  }
}

}  // namespace
}  // namespace npu::kernels
