// SPDX-License-Identifier: Apache-2.0
// npu_check_bench: what the checking mode of kernels costs. Launches of operators on the tile interpreter in one thread, with and without it, in turn; medians.
#include <npu/npu_ops.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "libnpu/ops/error.h"
#include "libnpu/ops/plan.h"
#include "tests/unit/kernels/rig.h"

namespace {

using namespace npu;

constexpr uint64_t kOperandBytes = 4 << 20;
constexpr int kRounds = 25;

// Device memory with four operands of zeros.
struct Operands {
  Operands() {
    for (npuDevPtr& at : dva) at = rig.alloc(kOperandBytes);
  }
  kernels::Rig rig;
  npuDevPtr dva[4];
};

const Operands& operands() {
  static const Operands all;
  return all;
}

npuDevPtr operand(size_t i) { return operands().dva[i]; }

// The thread's own time: what else the machine does is not in it.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// Milliseconds of one launch; negative: it failed.
double launch_ms(model::Worker& worker, const model::Launch& launch) {
  const double begin_ms = cpu_ms();
  const uint64_t groups = uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  for (uint64_t g = 0; g < groups; ++g) {
    if (worker.run(launch, g).fault.status != NPU_ST_OK) return -1;
  }
  return cpu_ms() - begin_ms;
}

bool measure(const char* what, npuOpsKind kind, const void* info) {
  ops::Plan plan;
  if (ops::plan_of(kind, info, &plan) != NPU_OK) {
    std::fprintf(stderr, "npu_check_bench: %s: %s\n", what, ops::error_text());
    return false;
  }
  const model::TileParams sizes = kernels::tiny_params();
  model::Launch launch;
  launch.program = &kernels::program(ops::program_name(plan.program));
  launch.space = &operands().rig;
  launch.numerics = &model::simd_numerics();
  launch.params = &sizes;
  launch.args = {reinterpret_cast<const std::byte*>(plan.args), plan.block_bytes()};
  launch.grid = {plan.grid[0], plan.grid[1], plan.grid[2]};
  launch.hbm_share_bytes_per_us = 64000;
  launch.host_share_bytes_per_us = 64000;
  model::Worker worker(sizes);
  std::vector<double> ms[2];
  for (int round = 0; round < 2 * kRounds; ++round) {
    launch.checks = round % 2 != 0;
    ms[round % 2].push_back(launch_ms(worker, launch));
    if (ms[round % 2].back() < 0) return false;
  }
  for (std::vector<double>& times : ms) std::sort(times.begin(), times.end());
  const double off = ms[0][kRounds / 2], on = ms[1][kRounds / 2];
  std::printf("%-28s %9.3f ms %9.3f ms %6.2f\n", what, off, on, on / off);
  return true;
}

bool gemm(const char* what, uint32_t m, uint32_t n, uint32_t k) {
  npuOpsGemmInfo info{};
  info.struct_size = sizeof info;
  info.m = m;
  info.n = n;
  info.k = k;
  info.alpha = 1;
  info.a = operand(0);
  info.b = operand(1);
  info.d = operand(2);
  return measure(what, NPU_OPS_GEMM, &info);
}

bool attention(const char* what, uint32_t queries, uint32_t length, uint32_t dim) {
  constexpr uint32_t kHeads = 8;
  npuOpsAttentionInfo info{};
  info.struct_size = sizeof info;
  info.batch = 1;
  info.heads = info.kv_heads = kHeads;
  info.q_len = queries;
  info.kv_len = length;
  info.head_dim = dim;
  info.causal = 1;
  info.scale = 1.0f / std::sqrt(static_cast<float>(dim));
  info.q = operand(0);
  info.k = operand(1);
  info.v = operand(2);
  info.o = operand(3);
  info.q_strides =
      info.o_strides = {uint64_t{kHeads} * queries * dim, uint64_t{queries} * dim, dim};
  info.k_strides = info.v_strides = {uint64_t{kHeads} * length * dim, uint64_t{length} * dim, dim};
  return measure(what, NPU_OPS_ATTENTION, &info);
}

bool softmax(const char* what, uint32_t rows, uint32_t cols) {
  npuOpsSoftmaxInfo info{};
  info.struct_size = sizeof info;
  info.rows = rows;
  info.cols = cols;
  info.x = operand(0);
  info.y = operand(1);
  info.ldx = info.ldy = cols;
  info.scale = 1;
  return measure(what, NPU_OPS_SOFTMAX, &info);
}

}  // namespace

int main() {
  std::printf("%-28s %12s %12s %6s\n", "fp32", "plain", "checked", "times");
  bool good = gemm("gemm 512 x 512 x 512", 512, 512, 512);
  good = gemm("gemm 64 x 64 x 64", 64, 64, 64) && good;
  good = attention("attention 8 x 256 x 64", 256, 256, 64) && good;
  good = attention("attention decode 8 x 1024 x 64", 1, 1024, 64) && good;
  good = softmax("softmax 512 x 1024", 512, 1024) && good;
  return good ? 0 : 1;
}
