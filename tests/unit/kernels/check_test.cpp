// SPDX-License-Identifier: Apache-2.0
// The checking mode on the project's kernels with one wait taken away: it finds what the interpreter forgives.
#include <gtest/gtest.h>
#include <npu/npu_ops.h>

#include <cstddef>
#include <string>
#include <tuple>
#include <vector>

#include "libnpu/ops/error.h"
#include "libnpu/ops/plan.h"
#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

struct Flat final : model::AddressSpace {
  bool translate(uint64_t dva, npu_fault_access, model::Translation* out) const override {
    if (dva < kBase || dva >= kBase + bytes.size()) return false;
    *out = {kBase, kBase + bytes.size(), const_cast<std::byte*>(bytes.data()), true};
    return true;
  }
  uint64_t generation() const override { return 1; }
  static constexpr uint64_t kBase = 0x100000;
  std::vector<std::byte> bytes = std::vector<std::byte>(8 << 20);
};

npu_status run_checked(const model::Program& program, const std::vector<std::byte>& args,
                       const uint32_t* grid) {
  const Flat memory;
  const model::TileParams params = tiny_params();
  model::Worker worker(params);
  model::Launch launch;
  launch.program = &program;
  launch.space = &memory;
  launch.numerics = &model::simd_numerics();
  launch.params = &params;
  launch.args = args;
  launch.grid = {grid[0], grid[1], grid[2]};
  launch.hbm_share_bytes_per_us = 64000;
  launch.host_share_bytes_per_us = 64000;
  launch.op_budget = 10'000'000;
  launch.checks = true;
  return worker.run(launch, 0).fault.status;
}

// Takes each wait of the operator's kernel away in turn. |harmless|: those that the arguments never come to or that another wait makes true as well.
void expect_missing_waits_found(npuOpsKind kind, const void* info, size_t harmless) {
  ops::Plan plan;
  ASSERT_EQ(ops::plan_of(kind, info, &plan), NPU_OK) << ops::error_text();
  const model::Program& whole = program(ops::program_name(plan.program));
  const auto* args = reinterpret_cast<const std::byte*>(plan.args);
  const std::vector<std::byte> block(args, args + plan.block_bytes());
  const auto run = [&](const model::Program& p) { return run_checked(p, block, plan.grid); };
  ASSERT_EQ(run(whole), NPU_ST_OK);
  std::vector<std::string> found, unseen;
  for (size_t pc = 0; pc < whole.code.size(); ++pc) {
    for (__u32 npu_insn::*wait : {&npu_insn::wait0, &npu_insn::wait1}) {
      if (whole.code[pc].*wait == 0) continue;
      model::Program cut = whole;
      cut.code[pc].*wait = 0;
      const npu_status status = run(cut);
      EXPECT_TRUE(status == NPU_ST_OK || status == NPU_ST_KERNEL_RACE ||
                  status == NPU_ST_KERNEL_UNINITIALISED)
          << status;
      (status == NPU_ST_OK ? unseen : found)
          .push_back(std::to_string(pc) + (wait == &npu_insn::wait0 ? ".0" : ".1"));
    }
  }
  EXPECT_GE(found.size(), 2u);
  EXPECT_EQ(unseen.size(), harmless) << ::testing::PrintToString(unseen);
}

TEST(MissingWait, InAProduct) {
  npuOpsGemmInfo info{};
  info.struct_size = sizeof info;
  info.m = info.n = 64;
  info.k = 2048;
  info.alpha = 1;
  info.a = Flat::kBase;
  info.b = Flat::kBase + (2 << 20);
  info.d = Flat::kBase + (4 << 20);
  expect_missing_waits_found(NPU_OPS_GEMM, &info, 0);
}

// What is loaded lies beside what is multiplied and summed meanwhile, for each shape of blocks that plans choose.
TEST(Product, ItsBlocksKeepApart) {
  for (const auto& [m, n, type] : {std::tuple{512u, 1024u, NPU_FLOAT32},
                                   {512u, 512u, NPU_FLOAT32},
                                   {512u, 1024u, NPU_BFLOAT16},
                                   {200u, 200u, NPU_FLOAT32},
                                   {7u, 2000u, NPU_BFLOAT16}}) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " type " << type);
    npuOpsGemmInfo info{};
    info.struct_size = sizeof info;
    info.m = m, info.n = n, info.k = 600;
    info.type = type;
    info.alpha = 1;
    info.a = Flat::kBase;
    info.b = Flat::kBase + (2 << 20);
    info.d = Flat::kBase + (5 << 20);
    ops::Plan plan;
    ASSERT_EQ(ops::plan_of(NPU_OPS_GEMM, &info, &plan), NPU_OK) << ops::error_text();
    const auto* args = reinterpret_cast<const std::byte*>(plan.args);
    EXPECT_EQ(run_checked(program(ops::program_name(plan.program)),
                          {args, args + plan.block_bytes()}, plan.grid),
              NPU_ST_OK);
  }
}

TEST(MissingWait, InAnAttention) {
  npuOpsAttentionInfo info{};
  info.struct_size = sizeof info;
  info.batch = info.heads = info.kv_heads = 1;
  info.q_len = 64;
  info.kv_len = 2048;  // so many that buffers are used again
  info.head_dim = 64;
  info.causal = 1;
  info.scale = 0.125f;
  info.q = Flat::kBase;
  info.k = Flat::kBase + (2 << 20);
  info.v = Flat::kBase + (4 << 20);
  info.o = Flat::kBase + (6 << 20);
  info.lse = Flat::kBase + (7 << 20);
  info.q_strides = info.k_strides = info.v_strides = info.o_strides = {2048 * 64, 2048 * 64, 64};
  // The wait of control for the queries: those for the keys, which LD loads behind them, tell of both.
  expect_missing_waits_found(NPU_OPS_ATTENTION, &info, 1);
}

TEST(MissingWait, InASoftmax) {
  npuOpsSoftmaxInfo info{};
  info.struct_size = sizeof info;
  info.rows = 512;
  info.cols = 512;
  info.x = Flat::kBase;
  info.y = Flat::kBase + (4 << 20);
  info.ldx = info.ldy = 512;
  info.scale = 1;
  expect_missing_waits_found(NPU_OPS_SOFTMAX, &info, 0);
}

}  // namespace
}  // namespace npu::kernels
