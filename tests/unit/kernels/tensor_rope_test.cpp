// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding of tensors against double precision: both kinds of pairs, both types and ways, YaRN, any strides.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <optional>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

struct Case {
  Sizes sizes;
  uint32_t width;
  npuDataType type = NPU_FLOAT32;
  Lay x = Lay::kDense, y = Lay::kDense;
  bool half = false;
  bool backward = false;
  bool factors = false;
  float freq_scale = 1, ext_factor = 0, attn_factor = 1;
  bool in_place = false;
  float positions = 4096;
  uint32_t offset = 0, context = 512;
  int32_t axes = NPU_OPS_ROPE_ONE_AXIS;
  std::array<uint32_t, 4> sections = {};
};

class RopeCase {
 public:
  RopeCase(const Case& c, uint32_t seed)
      : random_(seed),
        x_(rig_, random_, c.type, c.sizes, c.x),
        y_(rig_, random_, c.type, c.sizes, c.y),
        positions_(rig_, random_, NPU_INT32, {c.sizes[2] * (c.axes == 0 ? 1 : 4), 1, 1, 1},
                   c.axes == 0 ? Lay::kScattered : Lay::kDense, c.positions),
        in_place_(c.in_place) {
    if (c.factors) {
      factors_.emplace(rig_, random_, NPU_FLOAT32, Sizes{c.width / 2, 1, 1, 1}, Lay::kDense, 0.4f);
      for (uint64_t i = 0; i < c.width / 2; ++i)
        factors_->set({i, 0, 0, 0}, 1.25f + factors_->value({i, 0, 0, 0}));
    }
    info_.struct_size = sizeof(info_);
    info_.width = c.width;
    info_.half = c.half;
    info_.backward = c.backward;
    info_.base = 10000;
    info_.freq_scale = c.freq_scale;
    info_.ext_factor = c.ext_factor;
    info_.attn_factor = c.attn_factor;
    info_.beta_fast = 32;
    info_.beta_slow = 1;
    info_.context = c.context;
    info_.offset = c.offset;
    info_.axes = c.axes;
    std::copy(c.sections.begin(), c.sections.end(), info_.sections);
  }
  Strided& result() { return in_place_ ? x_ : y_; }

  void check() {
    info_.x = x_.tensor();
    info_.y = result().tensor();
    info_.positions = positions_.tensor();
    info_.factors = tensor_of(factors_ ? &*factors_ : nullptr);
    run_planned(rig_, NPU_OPS_TENSOR_ROPE, &info_);
    result().fetch();
    Nmse error;
    const Sizes& sizes = x_.sizes();
    for_each_index({1, sizes[1], sizes[2], sizes[3]},
                   [&](const Index& at) { add_row(at, &error); });
    EXPECT_LT(error.value(), x_.tensor().type == NPU_FLOAT32 ? 1e-7 : 1e-6);
  }

 private:
  // Which position pair i takes, and what it counts as.
  std::pair<uint32_t, uint32_t> axis_of(uint32_t i) const {
    if (info_.axes == NPU_OPS_ROPE_ONE_AXIS) return {0, i};
    const uint32_t* sections = info_.sections;
    uint32_t j = i % (sections[0] + sections[1] + sections[2] + sections[3]);
    if (info_.axes == NPU_OPS_ROPE_INTERLEAVED) return {j < 3 * sections[j % 3] ? j % 3 : 3, i};
    uint32_t axis = 0;
    while (j >= sections[axis]) j -= sections[axis++];
    return {axis, info_.axes == NPU_OPS_ROPE_RESTARTED ? j : i};
  }

  // cos and sin of pair i of a token, times their amplitude.
  std::pair<double, double> turn_of(uint32_t i, uint64_t token) const {
    const auto [axis, count] = axis_of(i);
    const double position = positions_.value({axis * x_.sizes()[2] + token, 0, 0, 0});
    const double spread = info_.axes == NPU_OPS_ROPE_RESTARTED ? info_.width / 2 : info_.width;
    double angle = position * std::pow(double{info_.base}, -2.0 * count / spread);
    if (factors_) angle /= factors_->value({i, 0, 0, 0});
    double mixed = angle * info_.freq_scale;
    double amplitude = info_.attn_factor;
    if (info_.ext_factor != 0) {
      auto border = [&](double turns) {
        return spread * std::log(info_.context / (turns * 2 * std::numbers::pi)) /
               (2 * std::log(double{info_.base}));
      };
      const double low = std::max(0.0, std::floor(border(info_.beta_fast)));
      const double high = std::min(spread - 1.0, std::ceil(border(info_.beta_slow)));
      const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
      const double mix = (1 - ramp) * info_.ext_factor;
      mixed = mixed * (1 - mix) + angle * mix;
      amplitude *= 1 + 0.1 * std::log(1 / info_.freq_scale);
    }
    const double way = info_.backward != 0 ? -1 : 1;
    return {std::cos(mixed) * amplitude, way * std::sin(mixed) * amplitude};
  }

  void add_row(Index at, Nmse* error) {
    auto element = [&](uint64_t j) { return Index{info_.offset + j, at[1], at[2], at[3]}; };
    const uint32_t pairs = info_.width / 2;
    for (uint32_t i = 0; i < pairs; ++i) {
      const auto [cosine, sine] = turn_of(i, at[2]);
      const Index a = element(info_.half != 0 ? i : 2 * i);
      const Index b = element(info_.half != 0 ? i + pairs : 2 * i + 1);
      error->add(result().got(a), x_.value(a) * cosine - x_.value(b) * sine);
      error->add(result().got(b), x_.value(a) * sine + x_.value(b) * cosine);
    }
    for (at[0] = 0; at[0] < x_.sizes()[0]; ++at[0]) {
      if (at[0] - info_.offset < info_.width) continue;
      EXPECT_EQ(result().got(at), x_.value(at));
    }
  }

  Rig rig_;
  Random random_;
  Strided x_, y_, positions_;
  std::optional<Strided> factors_;
  npuOpsTensorRopeInfo info_{};
  bool in_place_;
};

constexpr npuDataType kTypes[] = {NPU_FLOAT32, NPU_FLOAT16};

TEST(TensorRope, MatchesTheReferenceForAnyStrides) {
  uint32_t seed = 1;
  for (npuDataType type : kTypes) {
    for (bool half : {false, true}) {
      for (Lay x : kUnitLays) {
        for (Lay y : kUnitLays) {
          for (const auto& [sizes, width] : {std::pair{Sizes{32, 3, 17, 1}, 32u},
                                             {Sizes{40, 6, 1, 1}, 20u},
                                             {Sizes{66, 5, 4, 3}, 66u},
                                             {Sizes{128, 1, 1, 2}, 64u},
                                             {Sizes{8, 2, 70, 2}, 6u}}) {
            SCOPED_TRACE(testing::Message() << "seed " << seed);
            RopeCase({.sizes = sizes, .width = width, .type = type, .x = x, .y = y, .half = half},
                     seed++)
                .check();
          }
        }
      }
    }
  }
}

TEST(TensorRope, FrequenciesAreScaledMixedAndDividedBothWays) {
  uint32_t seed = 500;
  for (float freq_scale : {1.0f, 1.4245f, 0.25f}) {
    for (float ext_factor : {0.0f, 0.7465f, 1.0f}) {
      for (float attn_factor : {1.0f, 1.4245f}) {
        for (bool factors : {false, true}) {
          for (bool backward : {false, true}) {
            for (const Sizes& sizes : {Sizes{64, 4, 2, 2}, {64, 2, 40, 1}}) {
              SCOPED_TRACE(testing::Message() << "seed " << seed);
              RopeCase({.sizes = sizes,
                        .width = 64,
                        .type = kTypes[seed % 2],
                        .half = seed % 3 == 0,
                        .backward = backward,
                        .factors = factors,
                        .freq_scale = freq_scale,
                        .ext_factor = ext_factor,
                        .attn_factor = attn_factor,
                        .in_place = seed % 5 == 0,
                        .positions = 512},
                       seed)
                  .check();
              ++seed;
            }
          }
        }
      }
    }
  }
}

TEST(TensorRope, PairsTakeOneOfFourPositions) {
  uint32_t seed = 900;
  for (int32_t axes : {NPU_OPS_ROPE_SECTIONS, NPU_OPS_ROPE_INTERLEAVED, NPU_OPS_ROPE_RESTARTED}) {
    for (const auto& sections : {std::array{16u, 24u, 24u, 0u},
                                 {5u, 5u, 5u, 5u},
                                 {24u, 20u, 20u, 0u},
                                 {32u, 32u, 0u, 0u},
                                 {10u, 3u, 0u, 2u},
                                 {0u, 0u, 1u, 0u}}) {
      for (const Sizes& sizes : {Sizes{128, 3, 2, 2}, {130, 2, 50, 1}}) {
        for (bool backward : {false, true}) {
          SCOPED_TRACE(testing::Message() << "seed " << seed);
          RopeCase({.sizes = sizes,
                    .width = seed % 4 == 0 ? 40u : 128u,
                    .type = kTypes[seed % 2],
                    .x = Lay::kPadded,
                    .y = Lay::kPermuted,
                    .half = true,
                    .backward = backward,
                    .factors = seed % 5 == 0,
                    .freq_scale = seed % 3 == 0 ? 1.4245f : 1,
                    .ext_factor = seed % 3 == 0 ? 0.7465f : 0,
                    .positions = 1000,
                    .offset = sizes[0] == 130 ? seed % 3 : 0,
                    .axes = axes,
                    .sections = sections},
                   seed)
              .check();
          ++seed;
        }
      }
    }
  }
}

TEST(TensorRope, ElementsBeforeTheOffsetAreCopied) {
  uint32_t seed = 700;
  for (bool half : {false, true}) {
    for (const Sizes& sizes : {Sizes{64, 4, 2, 2}, {64, 2, 40, 1}}) {
      for (npuDataType type : kTypes)
        RopeCase({.sizes = sizes, .width = 32, .type = type, .half = half, .offset = 32}, seed++)
            .check();
      RopeCase({.sizes = sizes, .width = 20, .half = half, .in_place = true, .offset = 7}, seed++)
          .check();
    }
  }
}

// As ggml calls it where nobody gave a context: all frequencies but the first are interpolated.
TEST(TensorRope, WithoutAContextTheMixJumps) {
  RopeCase({.sizes = {64, 4, 2, 1},
            .width = 64,
            .freq_scale = 1.4245f,
            .ext_factor = 0.7465f,
            .positions = 512,
            .context = 0},
           1)
      .check();
}

TEST(TensorRope, ManyHeadsAndLongHeads) {
  RopeCase({.sizes = {128, 71, 3, 1}, .width = 128, .half = true}, 1).check();
  RopeCase({.sizes = {256, 300, 2, 1}, .width = 256}, 2).check();
  RopeCase({.sizes = {1024, 3, 200, 1}, .width = 1024}, 3).check();
  RopeCase({.sizes = {2, 2000, 1, 2}, .width = 2}, 4).check();
}

npuOpsTensorRopeInfo rope_info() {
  npuOpsTensorRopeInfo r{};
  r.struct_size = sizeof(r);
  r.x = r.y = dense({64, 4, 6, 2});
  r.positions = dense({6, 1, 1, 1}, NPU_INT32);
  r.factors = dense({16, 1, 1, 1});
  r.width = 32;
  r.base = 10000;
  r.freq_scale = r.attn_factor = 1;
  r.beta_fast = 32, r.beta_slow = 1, r.context = 512;
  return r;
}

TEST(TensorRope, HeadsOfOneTokenAreOneGroup) {
  npuOpsTensorRopeInfo r = rope_info();
  r.x = r.y = dense({128, 32, 1, 1});
  r.positions = dense({1, 1, 1, 1}, NPU_INT32);
  ops::Plan plan;
  ASSERT_EQ(ops::plan_tensor_rope(&r, &plan), NPU_OK) << ops::error_text();
  EXPECT_EQ(plan.grid[0] * plan.grid[1] * plan.grid[2], 1u);
}

TEST(TensorRope, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change) {
    npuOpsTensorRopeInfo r = rope_info();
    change(r);
    return ops::plan_tensor_rope(&r, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(result([](auto& r) { r.struct_size = 4; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& r) { r.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result([](auto& r) { r.half = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.backward = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.width = 31; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.width = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.width = 66, r.factors = {}; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.base = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.freq_scale = INFINITY; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.ext_factor = 1, r.base = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.offset = 33; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.offset = UINT32_MAX; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.sections[0] = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  auto axes = [&](auto change) {
    return result([&](auto& r) {
      r.axes = NPU_OPS_ROPE_SECTIONS, r.half = 1, r.sections[1] = 16;
      r.positions = dense({24, 1, 1, 1}, NPU_INT32);
      change(r);
    });
  };
  EXPECT_EQ(axes([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(axes([](auto& r) { r.axes = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(axes([](auto& r) { r.half = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(axes([](auto& r) { r.sections[1] = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(axes([](auto& r) { r.sections[0] = r.sections[2] = UINT32_MAX; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(axes([](auto& r) { r.positions.sizes[0] = 6; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(axes([](auto& r) { r.positions.strides[0] = 8; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& r) { r.ext_factor = 1, r.freq_scale = 0; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.x.type = NPU_FLOAT16, r.x.strides[0] = 2; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& r) { r.x.type = NPU_BFLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& r) { r.x.strides[0] = 8; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& r) { r.positions.sizes[0] = 5; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) { r.positions.type = NPU_FLOAT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& r) { r.factors.sizes[0] = 15; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& r) {
              r = rope_info();
              r.x = r.y = dense({ops::kRopeHead + 2, 1, 6, 1});
            }),
            NPU_ERROR_NOT_SUPPORTED);
}

// --- a second tensor --------------------------------------------------------------------------------------------------

// Both tensors in one operator against each in its own, bit for bit.
void check_second(const Sizes& sizes, uint64_t heads2, npuDataType type, bool half, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Rig rig;
  Random random(seed);
  const Sizes sizes2 = {sizes[0], heads2, sizes[2], sizes[3]};
  Strided x(rig, random, type, sizes, Lay::kPadded), y(rig, random, type, sizes, Lay::kPadded),
      alone(rig, random, type, sizes, Lay::kPadded);
  Strided x2(rig, random, type, sizes2, Lay::kPadded), y2(rig, random, type, sizes2, Lay::kPadded),
      alone2(rig, random, type, sizes2, Lay::kPadded);
  Strided positions(rig, random, NPU_INT32, {sizes[2], 1, 1, 1}, Lay::kDense, 4096);
  npuOpsTensorRopeInfo r = rope_info();
  r.factors = {};
  r.half = half;
  r.offset = 2;
  r.positions = positions.tensor();
  r.x = x.tensor(), r.y = y.tensor(), r.x2 = x2.tensor(), r.y2 = y2.tensor();
  run_planned(rig, NPU_OPS_TENSOR_ROPE, &r);
  r.x2 = r.y2 = {};
  r.y = alone.tensor();
  run_planned(rig, NPU_OPS_TENSOR_ROPE, &r);
  r.x = x2.tensor(), r.y = alone2.tensor();
  run_planned(rig, NPU_OPS_TENSOR_ROPE, &r);
  for (Strided* t : {&y, &alone, &y2, &alone2}) t->fetch();
  for_each_index(sizes, [&](const Index& at) { ASSERT_EQ(y.got(at), alone.got(at)); });
  for_each_index(sizes2, [&](const Index& at) { ASSERT_EQ(y2.got(at), alone2.got(at)); });
}

TEST(TensorRope, ASecondTensorIsTurnedAsInAnOperatorOfItsOwn) {
  uint32_t seed = 5000;
  for (npuDataType type : kTypes) {
    for (bool half : {false, true}) {
      check_second({64, 8, 1, 1}, 2, type, half, seed++);
      check_second({64, 8, 3, 2}, 8, type, half, seed++);
      check_second({64, 5, 4, 1}, 3, type, half, seed++);
    }
  }
}

TEST(TensorRope, RefusesASecondTensorThatDoesNotGoWithTheFirst) {
  ops::Plan plan;
  const auto result = [&](uint64_t tokens, auto change) {
    npuOpsTensorRopeInfo r = rope_info();
    r.positions = dense({tokens, 1, 1, 1}, NPU_INT32);
    r.x = r.y = dense({64, 8, tokens, 1});
    r.x2 = r.y2 = dense({64, 4, tokens, 1});
    r.x2.data = r.y2.data = r.x.data + (uint64_t{1} << 24);
    change(r);
    return ops::plan_tensor_rope(&r, &plan);
  };
  EXPECT_EQ(result(2, [](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(result(8, [](auto&) {}), NPU_ERROR_NOT_SUPPORTED) << "a prompt";
  EXPECT_EQ(result(2, [](auto& r) { r.y2 = {}; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result(2, [](auto& r) { r.x2 = {}; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result(2, [](auto& r) { r.x2.sizes[0] = r.y2.sizes[0] = 32; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result(2, [](auto& r) { r.x2.sizes[1] = r.y2.sizes[1] = 9; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result(2, [](auto& r) { r.x2.sizes[2] = r.y2.sizes[2] = 1; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result(2,
                   [](auto& r) {
                     r.x2 = dense({64, 4, 2, 1}, NPU_FLOAT16);
                   }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result(2, [](auto& r) { r.y2.data = r.y.data; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result(2, [](auto& r) { r.y.data = r.x2.data; }), NPU_ERROR_INVALID_ARGUMENT);
  const auto over_x = [](auto& r) {
    r.y.data += uint64_t{1} << 25;
    r.y2.data = r.x.data;
  };
  EXPECT_EQ(result(2, over_x), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result(1, over_x), NPU_OK) << "one work-group has read X by then";
}

}  // namespace
}  // namespace npu::kernels
