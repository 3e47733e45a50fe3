// SPDX-License-Identifier: Apache-2.0
// Memory, arguments and launches of the kernel tests.
#include "tests/unit/kernels/rig.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

namespace npu::kernels {
namespace {

constexpr uint64_t kBase = 0x100000;
constexpr uint64_t kGuardBytes = 256;
constexpr std::byte kGuard{0xa5};

struct Library {
  std::map<std::string, isa::Program> programs;
  std::map<std::string, model::Program> loaded;
};

const Library& library() {
  static const Library lib = [] {
    Library made;
    Programs all = all_kernels();
    add_gemm_wide(all, 1);  // of the blobs beside it, what the smallest device can load
    for (isa::Program& p : all) {
      model::Program m;
      m.name = p.note.name;
      m.code = p.insns;
      m.args_bytes = p.note.args_bytes;
      m.l1_bytes = p.note.l1_bytes;
      m.l2_bytes = p.note.l2_bytes;
      m.acc_bytes = p.note.acc_bytes;
      m.group_tiles = p.note.group_tiles;
      made.loaded[m.name] = m;
      made.programs.emplace(m.name, std::move(p));
    }
    return made;
  }();
  return lib;
}

}  // namespace

ArgValue::ArgValue(float v) : bits(std::bit_cast<uint32_t>(v)) {}

uint16_t to_bf16(float value) {
  if (std::isnan(value)) return 0x7fc0;
  auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

float rounded(DType type, float value) {
  return type == DType::F32 ? value : from_bf16(to_bf16(value));
}

double half_ulp(DType type) { return type == DType::F32 ? 0x1p-24 : 0x1p-8; }

const model::Program& program(const std::string& name) {
  auto found = library().loaded.find(name);
  if (found != library().loaded.end()) return found->second;
  ADD_FAILURE() << "no kernel is called " << name;
  static const model::Program none;
  return none;
}

std::vector<std::byte> make_args(const std::string& kernel, const Args& args) {
  const isa::Program& p = library().programs.at(kernel);
  std::vector<std::byte> block(p.note.args_bytes);
  EXPECT_EQ(args.size(), p.args.size()) << kernel;
  for (const npu_note_arg& arg : p.args) {
    auto found = args.find(arg.name);
    if (found == args.end()) {
      ADD_FAILURE() << kernel << ": the test gives no argument '" << arg.name << "'";
      continue;
    }
    std::memcpy(block.data() + arg.offset, &found->second.bits, arg.size);
  }
  return block;
}

model::TileParams tiny_params() {
  model::TileParams p;
  p.l1_bytes = 1 << 20;
  p.l2_bytes = 1 << 20;
  p.acc_bytes = 256 << 10;
  p.device_tiles = 4;
  p.core_clock_khz = 1000000;
  p.mac_per_cycle_bf16 = 4096;
  p.mac_per_cycle_f32 = 1024;
  p.mac_per_cycle_fp8 = 4096;
  p.mac_per_cycle_i8 = 4096;
  p.mac_per_cycle_fp6 = 4096;
  p.mac_per_cycle_fp4 = 4096;
  p.mac_per_cycle_fp8_fp4 = 4096;
  p.vector_lanes = 64;
  p.dma_setup_cycles = 100;
  p.mm_fill_cycles = 32;
  p.vector_setup_cycles = 8;
  p.l1_bytes_per_cycle = 128;
  p.l2_bytes_per_cycle = 1024;
  p.noc_bytes_per_cycle = 1024;
  return p;
}

std::vector<float> Random::values(uint64_t count, DType type, float scale) {
  std::vector<float> out(count);
  for (float& v : out) v = rounded(type, value(scale));
  return out;
}

Rig::Rig() { memory_.reserve(1 << 20); }

uint64_t Rig::alloc(uint64_t bytes) {
  used_ = (used_ + 255) / 256 * 256;
  uint64_t at = used_;
  used_ += bytes + kGuardBytes;
  memory_.resize(used_, std::byte{0});
  std::memset(memory_.data() + at + bytes, static_cast<int>(kGuard), kGuardBytes);
  guards_.push_back(at + bytes);
  return kBase + at;
}

uint64_t Rig::put(DType type, const std::vector<float>& values) {
  uint64_t dva = alloc(values.size() * isa::dtype_bytes(type));
  std::byte* to = memory_.data() + (dva - kBase);
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == DType::F32) {
      std::memcpy(to + 4 * i, &values[i], 4);
    } else {
      uint16_t bits = to_bf16(values[i]);
      std::memcpy(to + 2 * i, &bits, 2);
    }
  }
  return dva;
}

uint64_t Rig::put_i32(const std::vector<int32_t>& values) {
  uint64_t dva = alloc(values.size() * 4);
  if (!values.empty())
    std::memcpy(memory_.data() + (dva - kBase), values.data(), values.size() * 4);
  return dva;
}

std::vector<float> Rig::get(DType type, uint64_t dva, uint64_t count) const {
  std::vector<float> out(count);
  const std::byte* from = memory_.data() + (dva - kBase);
  for (size_t i = 0; i < count; ++i) {
    if (type == DType::F32) {
      std::memcpy(&out[i], from + 4 * i, 4);
    } else {
      uint16_t bits;
      std::memcpy(&bits, from + 2 * i, 2);
      out[i] = from_bf16(bits);
    }
  }
  return out;
}

std::vector<int32_t> Rig::get_i32(uint64_t dva, uint64_t count) const {
  std::vector<int32_t> out(count);
  if (count != 0) std::memcpy(out.data(), memory_.data() + (dva - kBase), count * 4);
  return out;
}

bool Rig::translate(uint64_t dva, npu_fault_access, model::Translation* out) const {
  if (dva < kBase || dva >= kBase + used_) return false;
  *out = {kBase, kBase + used_, const_cast<std::byte*>(memory_.data()), true};
  return true;
}

npu_status Rig::run_with(const model::Numerics& numerics, const std::string& kernel,
                         std::span<const std::byte> args, const Grid& grid) {
  const model::Program& p = program(kernel);
  const model::TileParams params = tiny_params();
  model::Worker worker(params);
  model::Launch launch;
  launch.program = &p;
  launch.space = this;
  launch.numerics = &numerics;
  launch.params = &params;
  launch.args = args;
  launch.grid = {grid.x, grid.y, grid.z};
  launch.hbm_share_bytes_per_us = 64000;
  launch.host_share_bytes_per_us = 64000;
  launch.op_budget = 100000000;
  launch.owner = 1;
  // Once in the checking mode: the result is the same, unless something is not ordered.
  launch.checks = &numerics == &model::simd_numerics();
  const uint64_t groups = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t g = 0; g < groups; ++g) {
    model::GroupResult result = worker.run(launch, g);
    stats_ = result.stats;
    if (result.fault.status == NPU_ST_OK) continue;
    EXPECT_NE(result.fault.status, NPU_ST_KERNEL_RACE) << kernel << ": " << *result.report;
    EXPECT_NE(result.fault.status, NPU_ST_KERNEL_UNINITIALISED) << kernel << ": " << *result.report;
    return result.fault.status;
  }
  return NPU_ST_OK;
}

void Rig::run(const std::string& kernel, const Args& args, const Grid& grid, npu_status expect) {
  const std::vector<std::byte> block = make_args(kernel, args);
  run_plan(kernel, {reinterpret_cast<const unsigned char*>(block.data()), block.size()}, grid,
           expect);
}

void Rig::run_plan(const std::string& kernel, std::span<const unsigned char> args, const Grid& grid,
                   npu_status expect) {
  const std::span<const std::byte> block = std::as_bytes(args);
  const std::vector<std::byte> before = memory_;
  EXPECT_EQ(run_with(model::scalar_numerics(), kernel, block, grid), expect) << kernel;
  const std::vector<std::byte> scalar = std::exchange(memory_, before);
  EXPECT_EQ(run_with(model::simd_numerics(), kernel, block, grid), expect) << kernel;
  EXPECT_TRUE(scalar == memory_) << kernel << ": scalar and SIMD arithmetic differ";
  for (uint64_t guard : guards_) {
    for (uint64_t i = 0; i < kGuardBytes; ++i) {
      ASSERT_EQ(memory_[guard + i], kGuard) << kernel << " wrote outside of its operands";
    }
  }
}

}  // namespace npu::kernels
