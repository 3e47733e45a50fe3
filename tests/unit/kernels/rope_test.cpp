// SPDX-License-Identifier: Apache-2.0
// RoPE against double precision: two products and a sum, three roundings.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

struct Case {
  uint32_t tokens, heads, dim, width;
  bool by_heads, half, list;
  DType type;
  bool backward = false;
};

void run_case(const Case& c, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  constexpr uint32_t kTable = 50;
  constexpr uint32_t kStart = 5;
  constexpr uint32_t kBlock = 8;
  Random random(seed);
  Rig rig;
  uint32_t pairs = c.width / 2;
  uint32_t token = c.heads * c.dim + 3;
  std::vector<float> x = random.values(uint64_t{token} * c.tokens, c.type);
  std::vector<float> cosine(kTable * pairs), sine(kTable * pairs);
  for (uint32_t i = 0; i < kTable * pairs; ++i) {
    cosine[i] = std::cos(0.1f * static_cast<float>(i));
    sine[i] = std::sin(0.1f * static_cast<float>(i));
  }
  std::vector<int32_t> positions(c.tokens);
  for (int32_t& p : positions) p = static_cast<int32_t>(random.below(kTable));
  uint64_t y = rig.put(c.type, std::vector<float>(x.size(), 7.0f));
  std::string name = std::string(c.by_heads ? "rope_heads_" : "rope_tokens_") + type_name(c.type) +
                     (c.half ? "_half" : "_pair");
  rig.run(name,
          {{"x", rig.put(c.type, x)},
           {"y", y},
           {"cos", rig.put(DType::F32, cosine)},
           {"sin", rig.put(DType::F32, sine)},
           {"positions", c.list ? rig.put_i32(positions) : uint64_t{0}},
           {"x_token_stride", token},
           {"x_head_stride", c.dim},
           {"y_token_stride", token},
           {"y_head_stride", c.dim},
           {"tokens", c.tokens},
           {"heads", c.heads},
           {"head_dim", c.dim},
           {"width", c.width},
           {"start", kStart},
           {"table_rows", kTable},
           {"block_tokens", kBlock},
           {"backward", c.backward ? 1 : 0}},
          c.by_heads ? Grid{c.tokens} : Grid{ceil_div(c.tokens, kBlock), c.heads});
  std::vector<float> got = rig.get(c.type, y, x.size());
  for (uint32_t t = 0; t < c.tokens; ++t) {
    uint32_t position = c.list ? static_cast<uint32_t>(positions[t]) : kStart + t;
    for (uint32_t h = 0; h < c.heads; ++h) {
      uint64_t at = uint64_t{t} * token + h * c.dim;
      for (uint32_t i = 0; i < pairs; ++i) {
        uint64_t a = at + (c.half ? i : 2 * i);
        uint64_t b = at + (c.half ? i + pairs : 2 * i + 1);
        double co = cosine[position * pairs + i];
        double si = (c.backward ? -1.0 : 1.0) * sine[position * pairs + i];
        double bound = 0x1p-22 + half_ulp(c.type) * 1.5;
        ASSERT_NEAR(got[a], x[a] * co - x[b] * si, bound);
        ASSERT_NEAR(got[b], x[a] * si + x[b] * co, bound);
      }
      for (uint32_t d = c.width; d < c.dim; ++d) ASSERT_EQ(got[at + d], x[at + d]);
    }
  }
}

TEST(Rope, BothProgramsMatchTheReference) {
  uint32_t seed = 1;
  for (DType type : kElementTypes) {
    for (bool by_heads : {false, true}) {
      for (bool half : {false, true}) {
        for (bool list : {false, true}) {
          run_case({17, 3, 32, 32, by_heads, half, list, type}, seed++);
          run_case({1, 5, 40, 20, by_heads, half, list, type}, seed++);
          run_case({9, 1, 129, 66, by_heads, half, list, type}, seed++);
          run_case({11, 2, 40, 20, by_heads, half, list, type, true}, seed++);
        }
      }
    }
  }
}

TEST(Rope, APositionOutsideTheTableFaults) {
  Rig rig;
  uint64_t x = rig.alloc(64);
  uint64_t table = rig.alloc(64);
  rig.run("rope_heads_f32_half",
          {{"x", x},
           {"y", x},
           {"cos", table},
           {"sin", table},
           {"positions", 0},
           {"x_token_stride", 8},
           {"x_head_stride", 8},
           {"y_token_stride", 8},
           {"y_head_stride", 8},
           {"tokens", 1},
           {"heads", 1},
           {"head_dim", 8},
           {"width", 8},
           {"start", 4},
           {"table_rows", 4},
           {"block_tokens", 1},
           {"backward", 0}},
          {1}, NPU_ST_KERNEL_BOUNDS);
}

}  // namespace
}  // namespace npu::kernels
