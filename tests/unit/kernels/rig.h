// SPDX-License-Identifier: Apache-2.0
// Runs whole kernels of the operator library on the tile interpreter, without a device: memory, arguments by name, both arithmetics.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/tile.h"

namespace npu::kernels {

using isa::DType;

// A value of a kernel's argument: an address, an integer, or fp32.
struct ArgValue {
  ArgValue(uint64_t v) : bits(v) {}
  ArgValue(int v) : bits(static_cast<uint64_t>(static_cast<int64_t>(v))) {}
  ArgValue(uint32_t v) : bits(v) {}
  ArgValue(float v);
  ArgValue(bool) = delete;
  uint64_t bits;
};
using Args = std::map<std::string, ArgValue>;

struct Grid {
  uint32_t x = 1, y = 1, z = 1;
};

uint16_t to_bf16(float value);
float from_bf16(uint16_t bits);
// |value| as it is after a store as |type|.
float rounded(DType type, float value);
// The largest relative error of one rounding to |type|.
double half_ulp(DType type);

// Device memory that begins with one unmapped page; every allocation is followed by a guard that must not change.
class Rig : public model::AddressSpace {
 public:
  Rig();

  uint64_t alloc(uint64_t bytes);
  uint64_t put(DType type, const std::vector<float>& values);
  uint64_t put_i32(const std::vector<int32_t>& values);
  std::vector<float> get(DType type, uint64_t dva, uint64_t count) const;
  std::vector<int32_t> get_i32(uint64_t dva, uint64_t count) const;

  // Runs the grid with SIMD and with scalar arithmetic on the same memory contents; the results must be equal in every byte.
  // Fails the test where a work-group faults, unless |expect| says so.
  void run(const std::string& kernel, const Args& args, const Grid& grid,
           npu_status expect = NPU_ST_OK);
  // The same with a ready argument block.
  void run_plan(const std::string& kernel, std::span<const unsigned char> args, const Grid& grid,
                npu_status expect = NPU_ST_OK);

  bool translate(uint64_t dva, npu_fault_access access, model::Translation* out) const override;
  uint64_t generation() const override { return 1; }

  const model::GroupStats& stats() const { return stats_; }

 private:
  npu_status run_with(const model::Numerics& numerics, const std::string& kernel,
                      std::span<const std::byte> args, const Grid& grid);

  std::vector<std::byte> memory_;
  uint64_t used_ = 0;
  std::vector<uint64_t> guards_;
  model::GroupStats stats_;
};

model::TileParams tiny_params();
// The program by name; the test fails when there is none.
const model::Program& program(const std::string& name);
std::vector<std::byte> make_args(const std::string& kernel, const Args& args);

// Random numbers of one test; the seed is printed when the test fails.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float value(float scale = 1) {
    return std::uniform_real_distribution<float>(-scale, scale)(engine_);
  }
  uint32_t below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(engine_); }
  std::vector<float> values(uint64_t count, DType type = DType::F32, float scale = 1);

 private:
  std::mt19937 engine_;
};

inline uint32_t ceil_div(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

}  // namespace npu::kernels
