// SPDX-License-Identifier: Apache-2.0
// The verifier: every field of every instruction of isa.def, and the rules of control flow. The
// tools' verifier must give the same answers.
#include "firmware-model/device/verifier.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/device/test_kernels.h"
#include "tools/isa/codec.h"

namespace npu::test {
namespace {

using model::find_bad_instruction;
using model::VerifierLimits;

std::optional<uint32_t> bad_pc(std::vector<npu_insn> code) {
  VerifierLimits limits;
  limits.args_bytes = 64;
  limits.group_tiles = 4;
  limits.line_count = 10;
  return find_bad_instruction(code, limits);
}

TEST(VerifierTest, BranchesStayInsideTheKernelAndItsLoops) {
  EXPECT_FALSE(bad_pc({insn(NPU_OP_BR, {}, 0)}));
  EXPECT_EQ(bad_pc({insn(NPU_OP_BR, {}, 1)}), 0u);
  EXPECT_EQ(bad_pc({insn(NPU_OP_BR, {}, -1)}), 0u);
  EXPECT_EQ(bad_pc({insn(NPU_OP_BR, {}, INT32_MIN)}), 0u);
  EXPECT_EQ(bad_pc({insn(NPU_OP_BR, {}, INT32_MAX)}), 0u);
  const npu_insn loop = insn(NPU_OP_LOOP, {1, 2}, 2);
  const npu_insn end = insn(NPU_OP_END, {}, -2);
  const npu_insn halt = insn(NPU_OP_HALT);
  EXPECT_FALSE(bad_pc({loop, insn(NPU_OP_NOP), end, halt}));
  EXPECT_FALSE(
      bad_pc({loop, insn(NPU_OP_BZ, {1}, 1), end, halt}));  // to the END: goes on with the loop
  EXPECT_EQ(bad_pc({loop, insn(NPU_OP_BZ, {1}, 2), end, halt}), 1u);              // out of the body
  EXPECT_EQ(bad_pc({loop, insn(NPU_OP_BZ, {1}, -1), end, halt}), 1u);             // to its LOOP
  EXPECT_EQ(bad_pc({loop, insn(NPU_OP_NOP), end, insn(NPU_OP_BR, {}, -2)}), 3u);  // into the body
  EXPECT_FALSE(
      bad_pc({loop, insn(NPU_OP_NOP), end, insn(NPU_OP_BR, {}, -3)}));  // to the LOOP from outside
}

TEST(VerifierTest, LoopsAreMatchedAndBounded) {
  const npu_insn halt = insn(NPU_OP_HALT);
  EXPECT_EQ(bad_pc({insn(NPU_OP_LOOP, {1, 2}, 1), halt}), 0u);
  EXPECT_EQ(bad_pc({insn(NPU_OP_END, {}, -1), halt}), 0u);
  EXPECT_EQ(bad_pc({insn(NPU_OP_LOOP, {1, 2}, 2), insn(NPU_OP_END, {}, -1), halt}), 0u);
  EXPECT_EQ(bad_pc({insn(NPU_OP_LOOP, {1, 2}, 1), insn(NPU_OP_END, {}, -2), halt}), 1u);
  for (int depth = 1; depth <= 10; ++depth) {
    std::vector<npu_insn> code;
    for (int i = 0; i < depth; ++i) {
      code.push_back(insn(NPU_OP_LOOP, {1, 2}, 2 * (depth - i) - 1));
    }
    for (int i = 0; i < depth; ++i) code.push_back(insn(NPU_OP_END, {}, -(2 * i + 1)));
    code.push_back(halt);
    EXPECT_EQ(bad_pc(code).has_value(), depth > NPU_LOOP_DEPTH) << depth;
  }
}

TEST(VerifierTest, TheLastInstructionDoesNotFallThrough) {
  for (const npu_op op : {NPU_OP_NOP, NPU_OP_FENCE, NPU_OP_WAIT, NPU_OP_BARRIER}) {
    EXPECT_EQ(bad_pc({insn(NPU_OP_HALT), insn(op)}), 1u);
  }
  EXPECT_EQ(bad_pc({insn(NPU_OP_HALT), insn(NPU_OP_BZ, {1}, -1)}), 1u);
  EXPECT_FALSE(bad_pc({insn(NPU_OP_TRAP, {}, 3)}));
  EXPECT_EQ(bad_pc({}), 0u);
  std::vector<npu_insn> longest(NPU_KERNEL_MAX_INSNS, insn(NPU_OP_HALT));
  EXPECT_FALSE(bad_pc(longest));
  longest.push_back(insn(NPU_OP_HALT));
  EXPECT_TRUE(bad_pc(longest));
}

TEST(VerifierTest, WaitsAndSignalsStandWhereTheyMay) {
  npu_insn wait = insn(NPU_OP_WAIT);
  wait.wait0 = NPU_WAIT(5, 3, 1);
  npu_insn sig = insn(NPU_OP_SIG);
  sig.signal = NPU_SIGNAL_TO(1, 2, 3);
  const npu_insn halt = insn(NPU_OP_HALT);
  EXPECT_FALSE(bad_pc({wait, sig, halt}));
  npu_insn bad = wait;
  bad.signal = NPU_SIGNAL(1, 1);
  EXPECT_EQ(bad_pc({bad, halt}), 0u);
  bad = sig;
  bad.wait1 = NPU_WAIT(1, 1, 0);
  EXPECT_EQ(bad_pc({bad, halt}), 0u);
  bad = halt;
  bad.wait0 = NPU_WAIT(1, 1, 0);
  EXPECT_EQ(bad_pc({bad}), 0u);
  bad = sig;
  bad.signal = NPU_SIGNAL_TO(1, 2, 4);  // a work-group of four tiles: 0..3
  EXPECT_EQ(bad_pc({bad, halt}), 0u);
  bad.signal = NPU_SIGNAL(1, 2) | 1u << 10;  // a peer tile without PEER
  EXPECT_EQ(bad_pc({bad, halt}), 0u);
  bad.signal = 1;  // something without VALID
  EXPECT_EQ(bad_pc({bad, halt}), 0u);
}

TEST(VerifierTest, AnInstructionOfALaterMinorIsRefused) {
  const npu_insn halt = insn(NPU_OP_HALT);
  npu_insn blocks = insn(NPU_OP_TSET);
  blocks.imm = NPU_TDESC(NPU_SPACE_HBM, NPU_DTYPE_Q8_0, NPU_LAYOUT_ROW);
  for (const npu_insn& newer : {insn(NPU_OP_LDC), insn(NPU_OP_MMS), blocks}) {
    const npu_insn code[] = {newer, halt};
    VerifierLimits limits;
    EXPECT_FALSE(find_bad_instruction(code, limits));
    limits.isa_minor = 1;
    EXPECT_EQ(find_bad_instruction(code, limits), 0u);
  }
  npu_insn bytes = insn(NPU_OP_TSET), mx = insn(NPU_OP_TSET);
  bytes.imm = NPU_TDESC(NPU_SPACE_L1, NPU_DTYPE_E4M3, NPU_LAYOUT_PANEL);
  mx.imm = NPU_TDESC(NPU_SPACE_HBM, NPU_DTYPE_MX4, NPU_LAYOUT_ROW);
  npu_insn flag = insn(NPU_OP_CVT), scalar = insn(NPU_OP_CVT);
  flag.flags = NPU_F_OVERFLOW;
  scalar.r[2] = 1;
  for (const npu_insn& newer : {insn(NPU_OP_STC), bytes, mx, flag, scalar}) {
    const npu_insn code[] = {newer, halt};
    VerifierLimits limits;
    EXPECT_FALSE(find_bad_instruction(code, limits));
    limits.isa_minor = 2;
    EXPECT_EQ(find_bad_instruction(code, limits), 0u);
  }
  npu_insn integers[] = {insn(NPU_OP_MMS), halt};
  integers[0].flags = NPU_F_INTEGER;
  VerifierLimits fifth;
  EXPECT_FALSE(find_bad_instruction(integers, fifth));
  fifth.isa_minor = 4;
  EXPECT_EQ(find_bad_instruction(integers, fifth), 0u);
  npu_insn tiled[] = {insn(NPU_OP_MMS), halt};
  tiled[0].flags = NPU_F_INTEGER | NPU_F_TILED;
  VerifierLimits sixth;
  EXPECT_FALSE(find_bad_instruction(tiled, sixth));
  sixth.isa_minor = 5;
  EXPECT_EQ(find_bad_instruction(tiled, sixth), 0u);
  const npu_insn word[] = {insn(NPU_OP_TLDW), halt};
  VerifierLimits third;
  EXPECT_FALSE(find_bad_instruction(word, third));
  third.isa_minor = 3;
  EXPECT_EQ(find_bad_instruction(word, third), 0u);
  const npu_insn old[] = {insn(NPU_OP_LD), insn(NPU_OP_CVT), insn(NPU_OP_TSET), halt};
  VerifierLimits first;
  first.isa_minor = 0;
  EXPECT_FALSE(find_bad_instruction(old, first));
}

// A well-formed instruction of each operation, then every single-byte change of it: both verifiers
// must agree.
TEST(VerifierTest, AgreesWithTheToolsOnEveryChangedByte) {
  std::mt19937 random(7);
  const std::vector<uint8_t> format_args{0, 2, 1};
  const isa::KernelLimits tool_limits{64, 4, 10, format_args};
  const VerifierLimits limits{64, 4, 10, format_args};
  uint64_t accepted = 0;
  uint64_t refused = 0;
  for (int op = 0; op < 256; ++op) {
    const npu_insn_info& info = isa::kInsnTable[static_cast<size_t>(op)];
    npu_insn base{};
    base.op = static_cast<__u8>(op);
    if (info.mnemonic != nullptr && (op == NPU_OP_LOOP || op == NPU_OP_END)) continue;
    for (size_t byte = 1; byte < NPU_INSN_BYTES; ++byte) {
      for (int trial = 0; trial < 24; ++trial) {
        npu_insn changed = base;
        const auto value = trial < 9 ? static_cast<uint8_t>(trial == 0 ? 0 : 1 << (trial - 1))
                                     : static_cast<uint8_t>(random());
        reinterpret_cast<uint8_t*>(&changed)[byte] = value;
        const npu_insn code[] = {insn(NPU_OP_NOP), changed, insn(NPU_OP_HALT)};
        const bool ours = !find_bad_instruction(code, limits).has_value();
        const bool theirs = !isa::verify_program(code, tool_limits).has_value();
        ASSERT_EQ(ours, theirs) << "op " << op << " byte " << byte << " value " << int{value};
        (ours ? accepted : refused) += 1;
      }
    }
  }
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace npu::test
