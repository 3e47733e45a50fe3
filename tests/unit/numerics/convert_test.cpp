// SPDX-License-Identifier: Apache-2.0
// Number formats: all 65536 bf16 and fp16 values, rounding against double arithmetic, SIMD against scalar.
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 90210;
constexpr size_t kAll16 = 65536;

std::vector<Numerics> all_tables() {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  return tables;
}

Guarded<uint16_t> all_16_bit_values() {
  Guarded<uint16_t> v(kAll16);
  for (size_t i = 0; i < kAll16; ++i) v[i] = static_cast<uint16_t>(i);
  return v;
}

// The value of a binary format with |exponent_bits| and |mantissa_bits|, by definition.
double value_of(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double mantissa = bits & ((1u << mantissa_bits) - 1);
  const double sign = ((bits >> (exponent_bits + mantissa_bits)) & 1) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign *
         std::ldexp(mantissa + std::ldexp(1.0, mantissa_bits), exponent - bias - mantissa_bits);
}

void expect_widened(float got, double expected, uint32_t from, const char* table) {
  if (std::isnan(expected)) {
    ASSERT_EQ(bits_of(got), 0x7fc00000u) << table << " from " << from;
  } else {
    ASSERT_EQ(got, static_cast<float>(expected)) << table << " from " << from;
    ASSERT_EQ(std::signbit(got), std::signbit(expected)) << table << " from " << from;
  }
}

TEST(Convert, EveryBf16AndFp16ValueWidensExactly) {
  const Guarded<uint16_t> src = all_16_bit_values();
  for (const Numerics& t : all_tables()) {
    Guarded<float> bf(kAll16);
    Guarded<float> half(kAll16);
    t.widen_bf16(bf.data(), src.data(), kAll16);
    t.widen_f16(half.data(), src.data(), kAll16);
    for (uint32_t i = 0; i < kAll16; ++i) {
      expect_widened(bf[i], value_of(i, 8, 7), i, t.name);
      expect_widened(half[i], value_of(i, 5, 10), i, t.name);
    }
  }
}

TEST(Convert, EveryBf16AndFp16ValueSurvivesTheRoundTrip) {
  const Guarded<uint16_t> src = all_16_bit_values();
  for (const Numerics& t : all_tables()) {
    Guarded<float> wide(kAll16);
    Guarded<uint16_t> back(kAll16);
    t.widen_bf16(wide.data(), src.data(), kAll16);
    t.narrow_bf16(back.data(), wide.data(), kAll16);
    for (uint32_t i = 0; i < kAll16; ++i)
      ASSERT_EQ(back[i], (i & 0x7fff) > 0x7f80 ? 0x7fc0 : i) << t.name;
    t.widen_f16(wide.data(), src.data(), kAll16);
    t.narrow_f16(back.data(), wide.data(), kAll16);
    for (uint32_t i = 0; i < kAll16; ++i)
      ASSERT_EQ(back[i], (i & 0x7fff) > 0x7c00 ? 0x7e00 : i) << t.name;
  }
}

// Floats on, just below and just above each value of a 16-bit format and each midpoint between two of them.
Guarded<float> around_every_value(int exponent_bits, int mantissa_bits) {
  const uint32_t count = ((1u << exponent_bits) - 1) << mantissa_bits;  // the finite ones
  Guarded<float> v(static_cast<size_t>(count) * 12);
  size_t at = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const double low = value_of(i, exponent_bits, mantissa_bits);
    const double step = low - value_of(i == 0 ? 1 : i - 1, exponent_bits, mantissa_bits);
    const auto exact = static_cast<float>(low);
    const auto middle = static_cast<float>(low + std::fabs(step) / 2);
    for (const float x : {exact, middle}) {
      for (const float y : {std::nextafterf(x, -HUGE_VALF), x, std::nextafterf(x, HUGE_VALF)}) {
        v[at++] = y;
        v[at++] = -y;
      }
    }
  }
  return v;
}

// Nearest value of the format to |x|, ties to even: a search over neighbours in double arithmetic.
void expect_nearest(float x, uint16_t got, int exponent_bits, int mantissa_bits) {
  const uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
  const uint32_t sign = 1u << (exponent_bits + mantissa_bits);
  const uint32_t magnitude = got & (sign - 1);
  ASSERT_EQ((got & sign) != 0, std::signbit(x)) << x;
  ASSERT_LE(magnitude, infinity) << x;
  // Rounding treats infinity as the next value of the same spacing.
  auto value = [&](uint32_t m) {
    return m == infinity ? 2 * value_of(m - 1, exponent_bits, mantissa_bits) -
                               value_of(m - 2, exponent_bits, mantissa_bits)
                         : value_of(m, exponent_bits, mantissa_bits);
  };
  const double a = std::fabs(static_cast<double>(x));
  if (magnitude < infinity) {
    const double up = (value(magnitude) + value(magnitude + 1)) / 2;
    ASSERT_TRUE(a < up || (a == up && (magnitude & 1) == 0))
        << std::hexfloat << x << " gave " << got;
  }
  if (magnitude > 0) {
    const double down = (value(magnitude) + value(magnitude - 1)) / 2;
    ASSERT_TRUE(a > down || (a == down && (magnitude & 1) == 0))
        << std::hexfloat << x << " gave " << got;
  }
}

TEST(Convert, NarrowingRoundsToNearestEvenAroundEveryValue) {
  for (const bool half : {false, true}) {
    const int exponent_bits = half ? 5 : 8;
    const int mantissa_bits = half ? 10 : 7;
    const Guarded<float> src = around_every_value(exponent_bits, mantissa_bits);
    Guarded<uint16_t> expected(src.size());
    const Numerics& scalar = scalar_numerics();
    (half ? scalar.narrow_f16 : scalar.narrow_bf16)(expected.data(), src.data(), src.size());
    for (size_t i = 0; i < src.size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(expect_nearest(src[i], expected[i], exponent_bits, mantissa_bits));
    }
    for (const Numerics& t : simd_tables()) {
      Guarded<uint16_t> got(src.size());
      (half ? t.narrow_f16 : t.narrow_bf16)(got.data(), src.data(), src.size());
      ASSERT_TRUE(same_bits(got, expected)) << t.name;
    }
  }
}

TEST(Convert, FloatToIntegerRoundsToEvenSaturatesAndTurnsNanIntoZero) {
  const float src[] = {0.5f,          1.5f,           -0.5f,          -2.5f,     2147483520.0f,
                       2147483648.0f, -2147483648.0f, -2147483904.0f, HUGE_VALF, -HUGE_VALF,
                       std::nanf(""), -std::nanf(""), -0.0f,          1e-40f,    8388607.5f,
                       3e9f,          -3e9f};
  const int32_t expected[] = {0,         2,         0,         -2,        2147483520, INT32_MAX,
                              INT32_MIN, INT32_MIN, INT32_MAX, INT32_MIN, 0,          0,
                              0,         0,         8388608,   INT32_MAX, INT32_MIN};
  for (const Numerics& t : all_tables()) {
    int32_t got[std::size(src)];
    t.f32_to_i32(got, src, std::size(src));
    for (size_t i = 0; i < std::size(src); ++i)
      EXPECT_EQ(got[i], expected[i]) << t.name << " from " << src[i];
  }
}

TEST(Convert, IntegerToFloatRoundsToNearestEven) {
  const int32_t src[] = {0,        1,        -1,        INT32_MAX,  INT32_MIN,
                         16777217, 16777219, -16777217, 2147483584, 2147483583};
  for (const Numerics& t : all_tables()) {
    float got[std::size(src)];
    t.i32_to_f32(got, src, std::size(src));
    for (size_t i = 0; i < std::size(src); ++i)
      EXPECT_EQ(got[i], static_cast<float>(static_cast<double>(src[i]))) << t.name;
  }
}

template <typename To, typename From>
void compare(void (*simd)(To*, const From*, size_t), void (*scalar)(To*, const From*, size_t),
             size_t n, Values& values, const char* name) {
  Guarded<From> src(n);
  for (size_t i = 0; i < n; ++i) {
    const float x = values.below(2) != 0 ? values.any_bits() : values.hostile();
    std::memcpy(&src[i], &x, sizeof(From));
  }
  Guarded<To> got(n);
  Guarded<To> expected(n);
  simd(got.data(), src.data(), n);
  scalar(expected.data(), src.data(), n);
  ASSERT_TRUE(same_bits(got, expected)) << name << " n=" << n;
}

TEST(Convert, SimdEqualsScalarForEveryLength) {
  Values values(kSeed);
  const Numerics& s = scalar_numerics();
  for (const Numerics& t : simd_tables()) {
    for (size_t n = 0; n <= 70; ++n) {
      compare(t.widen_bf16, s.widen_bf16, n, values, t.name);
      compare(t.narrow_bf16, s.narrow_bf16, n, values, t.name);
      compare(t.widen_f16, s.widen_f16, n, values, t.name);
      compare(t.narrow_f16, s.narrow_f16, n, values, t.name);
      compare(t.i32_to_f32, s.i32_to_f32, n, values, t.name);
      compare(t.f32_to_i32, s.f32_to_i32, n, values, t.name);
    }
    compare(t.narrow_bf16, s.narrow_bf16, 1000000, values, t.name);
    compare(t.narrow_f16, s.narrow_f16, 1000000, values, t.name);
    compare(t.f32_to_i32, s.f32_to_i32, 1000000, values, t.name);
  }
}

}  // namespace
}  // namespace npu::model
