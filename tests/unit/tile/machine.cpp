// SPDX-License-Identifier: Apache-2.0
// Device memory, kernels and the machine of the tile tests.
#include "machine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

namespace npu::model {

void TestMemory::map(uint64_t dva, uint64_t bytes, bool writable) {
  runs_[dva] = Run{std::make_unique<std::byte[]>(bytes), bytes, writable};
  ++generation_;
}

void TestMemory::unmap(uint64_t dva) {
  runs_.erase(dva);
  ++generation_;
}

bool TestMemory::translate(uint64_t dva, npu_fault_access access, Translation* out) const {
  auto above = runs_.upper_bound(dva);
  if (above == runs_.begin()) return false;
  const auto& [begin, run] = *std::prev(above);
  if (dva - begin >= run.bytes || (access == NPU_ACCESS_WRITE && !run.writable)) return false;
  *out = {begin, begin + run.bytes, run.host.get(), run.writable};
  return true;
}

void TestMemory::write(uint64_t dva, const void* from, size_t bytes) {
  const auto* next = static_cast<const std::byte*>(from);
  while (bytes != 0) {
    Translation run;
    if (!translate(dva, NPU_ACCESS_READ, &run)) std::abort();
    size_t part = std::min<uint64_t>(bytes, run.end_dva - dva);
    std::memcpy(run.host + (dva - run.begin_dva), next, part);
    next += part;
    dva += part;
    bytes -= part;
  }
}

void TestMemory::read(uint64_t dva, void* to, size_t bytes) const {
  auto* next = static_cast<std::byte*>(to);
  while (bytes != 0) {
    Translation run;
    if (!translate(dva, NPU_ACCESS_READ, &run)) std::abort();
    size_t part = std::min<uint64_t>(bytes, run.end_dva - dva);
    std::memcpy(next, run.host + (dva - run.begin_dva), part);
    next += part;
    dva += part;
    bytes -= part;
  }
}

Kernel::Kernel(uint32_t group_tiles) {
  program.name = "test";
  program.l1_bytes = 256 << 10;
  program.l2_bytes = 256 << 10;
  program.acc_bytes = 64 << 10;
  program.group_tiles = group_tiles;
}

npu_insn& Kernel::op(npu_op code, uint8_t dst, uint8_t a, uint8_t b, uint8_t c) {
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(code);
  insn.dst = dst;
  insn.a = a;
  insn.b = b;
  insn.c = c;
  insn.line = here() + 1;
  program.code.push_back(insn);
  return program.code.back();
}

npu_insn& Kernel::scalar(npu_op code, uint8_t r0, uint8_t r1, uint8_t r2, uint8_t r3) {
  npu_insn& insn = op(code);
  insn.r[0] = r0;
  insn.r[1] = r1;
  insn.r[2] = r2;
  insn.r[3] = r3;
  return insn;
}

void Kernel::li(uint8_t reg, uint64_t value) {
  scalar(NPU_OP_LI, reg).imm = static_cast<uint32_t>(value);
  bool fits = static_cast<uint64_t>(int64_t{static_cast<int32_t>(value)}) == value;
  if (!fits) scalar(NPU_OP_LIH, reg).imm = static_cast<uint32_t>(value >> 32);
}

void Kernel::li_f32(uint8_t reg, float value) { li(reg, std::bit_cast<uint32_t>(value)); }

void Kernel::set(uint8_t d, TileSpec spec, uint64_t base, uint64_t rows, uint64_t cols,
                 uint64_t stride) {
  if (stride == 0) stride = spec.layout == NPU_LAYOUT_ROW ? cols : rows;
  li(28, base);
  li(29, rows);
  li(30, cols);
  li(31, stride);
  npu_insn& insn = scalar(NPU_OP_TSET, 28, 29, 30, 31);
  insn.dst = d;
  insn.imm = NPU_TDESC(spec.space, spec.dtype, spec.layout);
}

void Kernel::hbm(uint8_t d, uint64_t base, uint64_t rows, uint64_t cols, uint8_t dtype,
                 uint64_t stride) {
  set(d, {NPU_SPACE_HBM, dtype}, base, rows, cols, stride);
}

void Kernel::l1(uint8_t d, uint64_t base, uint64_t rows, uint64_t cols, uint8_t dtype,
                uint64_t stride) {
  set(d, {NPU_SPACE_L1, dtype}, base, rows, cols, stride);
}

void Kernel::acc(uint8_t d, uint64_t base, uint64_t rows, uint64_t cols) {
  set(d, {NPU_SPACE_ACC}, base, rows, cols);
}

void Kernel::emit(uint8_t reg, uint64_t dva) {
  op(NPU_OP_FENCE);
  l1(62, program.l1_bytes - 16, 1, 2, NPU_DTYPE_I32);
  hbm(63, dva, 1, 2, NPU_DTYPE_I32);
  // The two words are reg and reg + (reg's upper half - reg).
  li(23, 32);
  scalar(NPU_OP_SHR, 22, reg, 23);
  scalar(NPU_OP_SUB, 23, 22, reg);
  npu_insn& iota = scalar(NPU_OP_IOTA, reg, 0, 23);
  iota.dst = 62;
  op(NPU_OP_FENCE);
  op(NPU_OP_ST, 63, 62);
}

void Kernel::only(uint32_t tile) {
  scalar(NPU_OP_SREG, 24).imm = NPU_SREG_TILE;
  li(25, tile);
  scalar(NPU_OP_CMP, 24, 24, 25).imm = NPU_CC_EQ;
  only_branch_ = here();
  scalar(NPU_OP_BZ, 24);
}

void Kernel::end_only() { program.code[only_branch_].imm = here() - only_branch_; }

const Program& Kernel::done() {
  op(NPU_OP_HALT);
  return program;
}

TileParams test_params() {
  TileParams p;
  p.l1_bytes = 512 << 10;
  p.l2_bytes = 1 << 20;
  p.acc_bytes = 128 << 10;
  p.device_tiles = 8;
  p.engine_fifo = 4;
  p.core_clock_khz = 1000000;
  p.mac_per_cycle_bf16 = 4096;
  p.mac_per_cycle_f32 = 1024;
  p.mac_per_cycle_fp8 = 8192;
  p.mac_per_cycle_i8 = 8192;
  p.mac_per_cycle_fp6 = 8192;
  p.mac_per_cycle_fp4 = 16384;
  p.mac_per_cycle_fp8_fp4 = 10923;
  p.vector_lanes = 64;
  p.dma_setup_cycles = 100;
  p.mm_fill_cycles = 32;
  p.vector_setup_cycles = 8;
  p.l1_bytes_per_cycle = 128;
  p.l2_bytes_per_cycle = 1024;
  p.noc_bytes_per_cycle = 1024;
  return p;
}

Machine::Machine(const TileParams& p) : params(p), worker(p) {
  launch.space = &memory;
  launch.numerics = &scalar_numerics();
  launch.params = &params;
  launch.hbm_share_bytes_per_us = 64000;
  launch.host_share_bytes_per_us = 64000;
  launch.op_budget = 1000000;
  launch.owner = 1;
  for (uint64_t dva : {kIn, kIn2, kOut}) memory.map(dva, 1 << 20);
  memory.map(kReadOnly, 64 << 10, false);
}

GroupResult Machine::run(const Program& program, uint64_t linear) {
  launch.program = &program;
  return worker.run(launch, linear);
}

uint16_t to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

float from_f16(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  int fraction = bits & 1023;
  float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

uint16_t to_f16(float value) {
  // The nearest of all numbers; of two equally near ones the even one.
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  uint16_t low = 0;
  for (uint16_t step = 0x4000; step != 0; step >>= 1) {
    uint16_t next = low | step;
    if (next < 0x7c00 && from_f16(next) <= magnitude) low = next;
  }
  if (low == 0x7bff) return sign | low;
  double below = magnitude - static_cast<double>(from_f16(low));
  double above = static_cast<double>(from_f16(low + 1)) - magnitude;
  bool up = above < below || (above == below && (low & 1) != 0);
  return sign | static_cast<uint16_t>(low + (up ? 1 : 0));
}

std::vector<float> random_floats(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(random() >> 40) * 0x1p-22f - 2.0f;
  return values;
}

std::vector<uint16_t> to_bf16(const std::vector<float>& values) {
  std::vector<uint16_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(), [](float v) { return to_bf16(v); });
  return bits;
}

std::vector<float> from_bf16(const std::vector<uint16_t>& values) {
  std::vector<float> wide(values.size());
  std::transform(values.begin(), values.end(), wide.begin(),
                 [](uint16_t v) { return from_bf16(v); });
  return wide;
}

}  // namespace npu::model
