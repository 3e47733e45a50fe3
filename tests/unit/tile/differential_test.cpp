// SPDX-License-Identifier: Apache-2.0
// Random programs on random memory: scalar and SIMD arithmetic leave the same bytes, the same times
// and the same faults.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "machine.h"

namespace npu::model {
namespace {

constexpr uint64_t kWords = 4096;

// Random instructions over eight small tiles that overlap in every way.
class RandomKernel {
 public:
  explicit RandomKernel(uint64_t seed) : random_(seed), kernel_(1) {
    kernel_.program.l1_bytes = 64 << 10;
    for (int i = 0; i < 60; ++i) step();
    kernel_.op(NPU_OP_FENCE);
    // Everything that the program could have written goes out.
    kernel_.l1(8, 0, 1, 16 << 10, NPU_DTYPE_I32);
    kernel_.hbm(9, kOut, 1, 16 << 10, NPU_DTYPE_I32);
    kernel_.op(NPU_OP_ST, 9, 8);
    kernel_.done();
  }

  const Program& program() const { return kernel_.program; }

 private:
  uint64_t pick(uint64_t n) { return random_() % n; }

  uint8_t floating() {
    static constexpr uint8_t kTypes[] = {NPU_DTYPE_F32, NPU_DTYPE_F32,  NPU_DTYPE_BF16,
                                         NPU_DTYPE_F16, NPU_DTYPE_E4M3, NPU_DTYPE_E5M2};
    return kTypes[pick(std::size(kTypes))];
  }

  uint64_t extent() {
    static constexpr uint64_t kExtents[] = {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33};
    return kExtents[pick(std::size(kExtents))];
  }

  void describe(uint8_t d, uint8_t space, uint64_t rows, uint64_t cols, uint8_t dtype) {
    TileSpec spec{space, dtype,
                  pick(6) == 0 && space == NPU_SPACE_L1 ? uint8_t{NPU_LAYOUT_PANEL}
                                                        : uint8_t{NPU_LAYOUT_ROW}};
    uint64_t least = spec.layout == NPU_LAYOUT_ROW ? cols : rows;
    uint64_t base = pick(3) == 0 ? pick(2048) * 4 : pick(4) * 4096;
    if (space == NPU_SPACE_HBM) base = kIn + pick(1024) * 4;
    kernel_.set(d, spec, base, rows, cols,
                std::max<uint64_t>(1, least + (pick(2) == 0 ? 0 : pick(5))));
  }

  void step() {
    uint64_t m = extent(), n = extent(), depth = extent();
    uint8_t dtype = floating();
    uint8_t d_dtype = floating();
    switch (pick(12)) {
      case 10:
        return store_and_convert(m, n, dtype);
      case 11:
        return integers(m, n, depth);
      case 8:
        return load_and_convert(m, n, d_dtype);
      case 9:
        return stream(m, n, depth);
      case 0: {
        bool trans = pick(2) == 0;
        describe(0, NPU_SPACE_HBM, trans ? n : m, trans ? m : n, dtype);
        describe(1, NPU_SPACE_L1, m, n, dtype);
        kernel_.op(NPU_OP_LD, 1, 0).flags = trans ? NPU_F_TRANS : 0;
        return;
      }
      case 1: {
        bool tb = pick(2) == 0;
        describe(0, pick(2) == 0 ? NPU_SPACE_ACC : NPU_SPACE_L1, m, n, NPU_DTYPE_F32);
        describe(1, NPU_SPACE_L1, m, depth, dtype);
        describe(2, NPU_SPACE_L1, tb ? n : depth, tb ? depth : n, dtype);
        bool dots = tb && pick(2) == 0;
        npu_insn& insn = kernel_.op(dots ? NPU_OP_MMD : NPU_OP_MM, 0, 1, 2);
        insn.flags = (pick(2) == 0 ? NPU_F_ACC : 0) | (tb && !dots ? NPU_F_TB : 0);
        return;
      }
      case 2: {
        describe(0, NPU_SPACE_L1, m, n, d_dtype);
        describe(1, pick(2) == 0 ? NPU_SPACE_ACC : NPU_SPACE_L1, m, n, NPU_DTYPE_F32);
        describe(2, NPU_SPACE_L1, 1, n, dtype);
        kernel_.li_f32(5, 1.25f);
        npu_insn& insn = kernel_.op(NPU_OP_ACCST, 0, 1, 2);
        insn.r[0] = 5;
        insn.flags = static_cast<uint16_t>((pick(2) * NPU_F_SCALE) | (pick(2) * NPU_F_BIAS) |
                                           pick(NPU_ACT_COUNT) << NPU_F_ACT_SHIFT);
        return;
      }
      case 3:
        describe(0, NPU_SPACE_L1, m, n, d_dtype);
        describe(1, NPU_SPACE_L1, m, n, dtype);
        kernel_.op(static_cast<npu_op>(NPU_OP_CVT + pick(NPU_OP_COS - NPU_OP_CVT + 1)), 0, 1);
        return;
      case 4:
      case 5:
        return arithmetic(m, n, dtype, d_dtype);
      case 6: {
        auto op = static_cast<npu_op>(NPU_OP_RSUM + pick(4));
        describe(0, NPU_SPACE_L1, m, 1, op == NPU_OP_RARGMAX ? uint8_t{NPU_DTYPE_I32} : d_dtype);
        describe(1, NPU_SPACE_L1, m, n, dtype);
        kernel_.op(op, 0, 1);
        return;
      }
      default:
        return fused(m, n & ~uint64_t{1}, dtype, d_dtype);
    }
  }

  static constexpr uint64_t kBlock[NPU_DTYPE_COUNT] = {1, 1,  1,  1,  32, 32, 256, 256, 1,  1,
                                                       1, 32, 32, 32, 32, 32, 32,  16,  16, 16};

  void load_and_convert(uint64_t m, uint64_t n, uint8_t d_dtype) {
    uint8_t dtype = static_cast<uint8_t>(pick(NPU_DTYPE_COUNT));
    bool trans = pick(2) == 0;
    if (kBlock[dtype] > 1) (trans ? m : n) = pick(3) * kBlock[dtype];
    uint64_t rows = trans ? n : m, cols = trans ? m : n;
    uint64_t stride = cols + pick(3) * kBlock[dtype];
    kernel_.set(0, {NPU_SPACE_HBM, dtype, NPU_LAYOUT_ROW}, kIn + pick(512) * 4, rows, cols, stride);
    describe(1, NPU_SPACE_L1, m, n, d_dtype);
    kernel_.op(NPU_OP_LDC, 1, 0).flags = trans ? NPU_F_TRANS : 0;
  }

  // Flags go with most types; the others fault and are taken out.
  void store_and_convert(uint64_t m, uint64_t n, uint8_t dtype) {
    uint8_t to = static_cast<uint8_t>(pick(NPU_DTYPE_COUNT));
    if (kBlock[to] > 1) n = pick(3) * kBlock[to];
    kernel_.set(0, {NPU_SPACE_HBM, to, NPU_LAYOUT_ROW}, kIn + pick(512) * 4, m, n,
                n + pick(3) * kBlock[to]);
    describe(1, NPU_SPACE_L1, m, n, dtype);
    kernel_.li(7, random_());
    kernel_.li(8, random_());
    const bool converts = pick(3) == 0;
    if (converts) describe(0, NPU_SPACE_L1, m, n, floating());
    npu_insn& insn = kernel_.op(converts ? NPU_OP_CVT : NPU_OP_STC, 0, 1);
    if (pick(3) == 0) insn.flags |= NPU_F_RANDOM;
    if (pick(6) == 0) insn.flags |= NPU_F_OVERFLOW;
    if (!converts && pick(2) == 0)
      insn.flags |= static_cast<uint16_t>(pick(NPU_SCALE_RULE_COUNT) << NPU_F_SCALE_RULE_SHIFT);
    insn.r[0] = 7;
    insn.r[1] = 8;
    insn.r[2] = 7;
    // What was stored is read again, so that it reaches the end of the program.
    if (converts) return;
    describe(2, NPU_SPACE_L1, m, n, NPU_DTYPE_F32);
    kernel_.op(NPU_OP_LDC, 2, 0);
  }

  void integers(uint64_t m, uint64_t n, uint64_t depth) {
    const bool tb = pick(2) == 0, dots = tb && pick(2) == 0;
    describe(0, pick(2) == 0 ? NPU_SPACE_ACC : NPU_SPACE_L1, m, n, NPU_DTYPE_I32);
    describe(1, NPU_SPACE_L1, m, depth, NPU_DTYPE_I8);
    describe(2, NPU_SPACE_L1, tb ? n : depth, tb ? depth : n, NPU_DTYPE_I8);
    kernel_.op(dots ? NPU_OP_MMD : NPU_OP_MM, 0, 1, 2).flags =
        static_cast<uint16_t>((pick(2) == 0 ? NPU_F_ACC : 0) | (tb && !dots ? NPU_F_TB : 0));
  }

  void stream(uint64_t m, uint64_t n, uint64_t depth) {
    uint8_t dtype = static_cast<uint8_t>(pick(NPU_DTYPE_COUNT));
    if (dtype == NPU_DTYPE_I32) dtype = NPU_DTYPE_F32;
    if (kBlock[dtype] > 1) depth = pick(3) * kBlock[dtype];
    uint64_t stride = depth + pick(3) * kBlock[dtype];
    const bool integers = (dtype == NPU_DTYPE_Q8_0 || dtype == NPU_DTYPE_Q4_0) && pick(2) == 0;
    const bool tiled = integers && pick(2) == 0;
    const uint64_t at = kIn + pick(512) * (tiled ? 32 : 4);
    if (tiled) n = pick(3) * 16;
    kernel_.set(2, {NPU_SPACE_HBM, dtype, NPU_LAYOUT_ROW}, at, n, depth, stride);
    describe(0, pick(2) == 0 ? NPU_SPACE_ACC : NPU_SPACE_L1, m, n, NPU_DTYPE_F32);
    describe(1, NPU_SPACE_L1, m, depth, NPU_DTYPE_F32);
    kernel_.op(NPU_OP_MMS, 0, 1, 2).flags =
        static_cast<uint16_t>((pick(2) == 0 ? NPU_F_ACC : 0) | (integers ? NPU_F_INTEGER : 0) |
                              (tiled ? NPU_F_TILED : 0));
  }

  void arithmetic(uint64_t m, uint64_t n, uint8_t dtype, uint8_t d_dtype) {
    describe(0, NPU_SPACE_L1, m, n, d_dtype);
    describe(1, NPU_SPACE_L1, m, n, dtype);
    uint64_t b = pick(4), c = pick(4);
    describe(2, NPU_SPACE_L1, b == NPU_BCAST_ROW ? 1 : m, b == NPU_BCAST_COL ? 1 : n, dtype);
    describe(3, NPU_SPACE_L1, c == NPU_BCAST_ROW ? 1 : m, c == NPU_BCAST_COL ? 1 : n, d_dtype);
    kernel_.li_f32(5, -0.5f);
    kernel_.li_f32(6, 3.0f);
    uint64_t which = pick(8);
    auto op = static_cast<npu_op>(NPU_OP_VADD + which);
    if (which >= 6) op = which == 6 ? NPU_OP_VFMA : NPU_OP_MASK;
    bool in_place = pick(3) == 0;
    npu_insn& insn = kernel_.op(op, in_place ? 1 : 0, 1, 2, op == NPU_OP_VFMA ? 3 : 0);
    insn.flags = static_cast<uint16_t>(b << NPU_F_BCAST_B_SHIFT);
    if (op == NPU_OP_VFMA) insn.flags |= static_cast<uint16_t>(c << NPU_F_BCAST_C_SHIFT);
    if (op == NPU_OP_MASK) insn.flags = NPU_F_CAUSAL;
    insn.r[0] = op == NPU_OP_MASK ? 0 : 5;
    insn.r[1] = op == NPU_OP_MASK ? 0 : 6;
  }

  void fused(uint64_t m, uint64_t n, uint8_t dtype, uint8_t d_dtype) {
    describe(0, NPU_SPACE_L1, m, n, d_dtype);
    describe(1, NPU_SPACE_L1, m, n, dtype);
    if (pick(2) == 0) {
      describe(2, NPU_SPACE_L1, m, 2, NPU_DTYPE_F32);
      describe(3, NPU_SPACE_L1, m, 1, d_dtype);
      kernel_.li_f32(5, 0.125f);
      npu_insn& insn = kernel_.op(NPU_OP_SMSTEP, 0, 1, 2, 3);
      insn.flags = NPU_F_SCALE;
      insn.r[0] = 5;
    } else {
      describe(2, NPU_SPACE_L1, m, n / 2, dtype);
      describe(3, NPU_SPACE_L1, m, n / 2, dtype);
      kernel_.op(NPU_OP_ROPE, 0, 1, 2, 3).flags = pick(2) == 0 ? NPU_F_HALF : 0;
    }
  }

  std::mt19937_64 random_;
  Kernel kernel_;
};

struct Outcome {
  GroupResult result;
  std::vector<uint32_t> memory;
};

Outcome run(const Program& program, const Numerics& numerics, uint64_t seed) {
  Machine m;
  m.launch.numerics = &numerics;
  std::mt19937_64 random(seed);
  std::vector<uint32_t> noise(kWords);
  for (uint32_t& word : noise) word = static_cast<uint32_t>(random());
  for (size_t i = 0; i < kWords / 2; ++i) {
    noise[i] = (noise[i] & 0x87ffffffu) | 0x38000000u;  // half of them of ordinary size
  }
  m.memory.put(kIn, noise);
  Outcome outcome;
  outcome.result = m.run(program);
  outcome.memory = m.memory.get<uint32_t>(kOut, 16 << 10);
  return outcome;
}

// Programs that fault half-way are kept: without their faulting instructions they go on. Where an
// instruction faults depends on the program alone here, so memory need not be the same each time.
Program without_faults(Program program) {
  Machine m;
  for (;;) {
    Fault fault = m.run(program).fault;
    if (fault.status == NPU_ST_OK) return program;
    npu_insn nop{};
    nop.op = NPU_OP_NOP;
    program.code[fault.pc] = nop;
  }
}

TEST(Differential, ScalarAndSimdArithmeticLeaveTheSameBytesAndTimes) {
  uint64_t first = 1;
  if (const char* text = std::getenv("NPU_TEST_SEED")) first = std::strtoull(text, nullptr, 0);
  int ran = 0;
  for (uint64_t seed = first; seed < first + 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomKernel kernel(seed);
    Program program = without_faults(kernel.program());
    Outcome scalar = run(program, scalar_numerics(), seed);
    Outcome simd = run(program, simd_numerics(), seed);
    ASSERT_EQ(scalar.result.fault.status, NPU_ST_OK);
    ASSERT_EQ(simd.result.fault.status, NPU_ST_OK);
    EXPECT_EQ(scalar.result.duration_ps, simd.result.duration_ps);
    ASSERT_EQ(scalar.memory, simd.memory);
    for (const npu_insn& insn : program.code) ran += insn.op >= NPU_OP_LD ? 1 : 0;
  }
  // The generator must not decay into programs that fault at once.
  EXPECT_GT(ran, 150 * 15) << "engine operations over all programs";
}

}  // namespace
}  // namespace npu::model
