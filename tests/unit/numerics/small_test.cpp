// SPDX-License-Identifier: Apache-2.0
// Elements of one byte: all 256 codes to fp32; every magnitude, every midpoint and their neighbours, and a dense sample of all fp32 bits
// back, against the oracle; SIMD against scalar.
#include "tests/unit/numerics/format_oracle.h"
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint32_t kStep = 3989;  // a prime: the sample meets all exponents and low bits

struct Fp8 {
  Small type;
  const oracle::Format& format;
  uint8_t nan;
  uint8_t overflow;  // NaN or infinity
};

const Fp8 kFp8[] = {{Small::kE4m3, oracle::e4m3(), 0x7f, 0x7f},
                    {Small::kE5m2, oracle::e5m2(), 0x7e, 0x7c}};

std::vector<Numerics> all_tables() {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  return tables;
}

TEST(Small, EveryCodeWidensExactly) {
  Guarded<uint8_t> codes(256);
  for (size_t i = 0; i < 256; ++i) codes[i] = static_cast<uint8_t>(i);
  for (const Numerics& t : all_tables()) {
    Guarded<float> wide(256);
    for (const Fp8& f : kFp8) {
      t.widen_small(f.type, wide.data(), codes.data(), 256);
      for (uint32_t i = 0; i < 256; ++i) {
        SCOPED_TRACE(testing::Message() << t.name << " " << f.format.name << " " << i);
        const uint32_t code = i & 0x7f;
        if (code < f.format.magnitudes.size()) {
          ASSERT_EQ(std::fabs(wide[i]), static_cast<float>(f.format.magnitudes[code]));
          ASSERT_EQ(std::signbit(wide[i]), i >= 128);
        } else if (code == f.overflow && f.overflow != f.nan) {
          ASSERT_EQ(wide[i], i >= 128 ? -HUGE_VALF : HUGE_VALF);
        } else {
          ASSERT_EQ(bits_of(wide[i]), 0x7fc00000u);
        }
      }
    }
    t.widen_small(Small::kI8, wide.data(), codes.data(), 256);
    for (int i = 0; i < 256; ++i) ASSERT_EQ(wide[static_cast<size_t>(i)], i < 128 ? i : i - 256);
  }
}

// Each magnitude of the format and each midpoint, with the floats beside them; special values; then every kStep-th of all fp32 bits.
std::vector<float> inputs(const oracle::Format& f) {
  std::vector<float> v;
  const auto add = [&](double x) {
    for (float y : {static_cast<float>(x), std::nextafterf(static_cast<float>(x), 0.0f),
                    std::nextafterf(static_cast<float>(x), HUGE_VALF)}) {
      v.push_back(y);
      v.push_back(-y);
    }
  };
  for (size_t i = 0; i < f.magnitudes.size(); ++i) {
    const double next = i + 1 < f.magnitudes.size() ? f.magnitudes[i + 1] : oracle::beyond(f);
    add(f.magnitudes[i]);
    add((f.magnitudes[i] + next) / 2);
  }
  for (uint32_t bits : {0x7f800000u, 0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0x7fa5a5a5u, 1u,
                        0x007fffffu, 0x00800000u, 0x7f7fffffu}) {
    v.push_back(float_of(bits));
    v.push_back(float_of(bits | 0x80000000u));
  }
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += kStep)
    v.push_back(float_of(static_cast<uint32_t>(bits)));
  return v;
}

uint8_t expected(const Fp8& f, float x, bool overflows) {
  if (std::isnan(x)) return f.nan;
  const uint8_t sign = std::signbit(x) ? 0x80 : 0;
  const auto largest = static_cast<uint8_t>(f.format.magnitudes.size() - 1);
  const uint32_t code = oracle::nearest(f.format, std::fabs(static_cast<double>(x)));
  if (code <= largest) return static_cast<uint8_t>(sign | code);
  return sign | (overflows ? f.overflow : largest);
}

TEST(Small, Fp8RoundsToNearestEvenWithBothOverflowPolicies) {
  for (const Fp8& f : kFp8) {
    const std::vector<float> src = inputs(f.format);
    for (const bool overflows : {false, true}) {
      std::vector<uint8_t> want(src.size());
      scalar_numerics().narrow_small(f.type, want.data(), src.data(), src.size(), overflows);
      for (size_t i = 0; i < src.size(); ++i) {
        ASSERT_EQ(int{want[i]}, int{expected(f, src[i], overflows)})
            << f.format.name << " " << std::hexfloat << src[i] << " overflows " << overflows;
      }
      for (const Numerics& t : simd_tables()) {
        std::vector<uint8_t> got(src.size());
        t.narrow_small(f.type, got.data(), src.data(), src.size(), overflows);
        ASSERT_TRUE(got == want) << t.name << " " << f.format.name;
      }
    }
  }
}

TEST(Small, TheBordersOfTheOcpTableHold) {
  struct Case {
    Small type;
    float x;
    uint8_t saturated, overflowed;
  };
  const Case cases[] = {
      {Small::kE4m3, 464.0f, 0x7e, 0x7e},        {Small::kE4m3, 464.00003f, 0x7e, 0x7f},
      {Small::kE4m3, -HUGE_VALF, 0xfe, 0xff},    {Small::kE5m2, 61439.996f, 0x7b, 0x7b},
      {Small::kE5m2, 61440.0f, 0x7b, 0x7c},      {Small::kE5m2, -HUGE_VALF, 0xfb, 0xfc},
      {Small::kE4m3, std::nanf(""), 0x7f, 0x7f}, {Small::kE5m2, -std::nanf(""), 0x7e, 0x7e}};
  for (const Numerics& t : all_tables()) {
    for (const Case& c : cases) {
      uint8_t got[2];
      t.narrow_small(c.type, &got[0], &c.x, 1, false);
      t.narrow_small(c.type, &got[1], &c.x, 1, true);
      EXPECT_EQ(int{got[0]}, int{c.saturated}) << t.name << " " << c.x;
      EXPECT_EQ(int{got[1]}, int{c.overflowed}) << t.name << " " << c.x;
    }
  }
}

TEST(Small, EveryCodeSurvivesTheRoundTrip) {
  for (const Fp8& f : kFp8) {
    for (uint32_t i = 0; i < 256; ++i) {
      const auto code = static_cast<uint8_t>(i);
      float wide = 0;
      uint8_t back = 0;
      scalar_numerics().widen_small(f.type, &wide, &code, 1);
      scalar_numerics().narrow_small(f.type, &back, &wide, 1, true);
      ASSERT_EQ(int{back}, std::isnan(wide) ? int{f.nan} : int{code});
    }
  }
}

TEST(Small, IntegersRoundToEvenSaturateAndTurnNanIntoZero) {
  std::vector<float> src = {0.5f,  1.5f,   -0.5f, 127.5f, 126.5f,    -128.5f,    -129.0f,
                            1e30f, -1e30f, -0.0f, 1e-40f, HUGE_VALF, -HUGE_VALF, std::nanf("")};
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += kStep)
    src.push_back(float_of(static_cast<uint32_t>(bits)));
  for (const Numerics& t : all_tables()) {
    std::vector<uint8_t> got(src.size());
    t.narrow_small(Small::kI8, got.data(), src.data(), src.size(), false);
    for (size_t i = 0; i < src.size(); ++i) {
      const double x = src[i];
      const double want = std::isnan(x) ? 0 : std::clamp(std::nearbyint(x), -128.0, 127.0);
      ASSERT_EQ(static_cast<int8_t>(got[i]), want) << t.name << " " << x;
    }
  }
}

TEST(Small, AnyNumberOfElementsTouchesNothingBeside) {
  Values values(5);
  for (size_t n = 0; n < 70; ++n) {
    Guarded<float> wide(n);
    values.fill(wide);
    for (Small type : {Small::kE4m3, Small::kE5m2, Small::kI8}) {
      Guarded<uint8_t> want(n);
      scalar_numerics().narrow_small(type, want.data(), wide.data(), n, false);
      Guarded<float> back(n);
      scalar_numerics().widen_small(type, back.data(), want.data(), n);
      for (const Numerics& t : simd_tables()) {
        Guarded<uint8_t> got(n);
        Guarded<float> got_back(n);
        t.narrow_small(type, got.data(), wide.data(), n, false);
        t.widen_small(type, got_back.data(), want.data(), n);
        ASSERT_TRUE(same_bits(got, want) && same_bits(got_back, back)) << t.name << " " << n;
      }
    }
  }
}

TEST(Small, LayoutsMoveAndWidenBytes) {
  Values values(6);
  const Numerics& s = scalar_numerics();
  for (const Numerics& t : simd_tables()) {
    for (int round = 0; round < 200; ++round) {
      const size_t k = values.below(40), n = 1 + values.below(40);
      const bool transposed = values.below(2) == 0;
      const size_t ld = (transposed ? k : n) + values.below(3);
      const size_t panels = (n + 15) / 16;
      Guarded<uint8_t> src((transposed ? n : k) * ld);
      for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<uint8_t>(values.below(256));
      Guarded<uint8_t> got(panels * k * 16), want(panels * k * 16);
      PackArgs args{k, n, src.data(), Elem::kF32, ld, transposed, k * 16};
      t.pack_panel_u8(got.data(), args);
      s.pack_panel_u8(want.data(), args);
      ASSERT_TRUE(same_bits(got, want)) << t.name << " " << k << "x" << n;
      for (Elem elem : {Elem::kE4m3, Elem::kE5m2, Elem::kI8}) {
        Guarded<float> wide(panels * k * 16), want_wide(panels * k * 16);
        args.elem = elem;
        t.pack_panel(wide.data(), args);
        s.pack_panel(want_wide.data(), args);
        ASSERT_TRUE(same_bits(wide, want_wide)) << t.name << " " << k << "x" << n;
      }
      const size_t rows = transposed ? n : k, cols = transposed ? k : n;
      Guarded<uint8_t> turned(rows * cols), want_turned(rows * cols);
      t.transpose_u8(turned.data(), rows, src.data(), ld, rows, cols);
      s.transpose_u8(want_turned.data(), rows, src.data(), ld, rows, cols);
      ASSERT_TRUE(same_bits(turned, want_turned)) << t.name << " " << rows << "x" << cols;
    }
  }
}

}  // namespace
}  // namespace npu::model
