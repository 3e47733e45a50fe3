// SPDX-License-Identifier: Apache-2.0
// The formats, element by element.
#include "tests/ops/formats.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace npu::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

// sign, exponent, fraction; no code but a number.
float small_float(uint32_t code, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t fraction = code & ((1u << fraction_bits) - 1);
  const uint32_t exponent = code >> fraction_bits & ((1u << exponent_bits) - 1);
  const bool negative = (code >> (exponent_bits + fraction_bits) & 1) != 0;
  const double unit = std::ldexp(1.0, -fraction_bits);
  const double value = exponent == 0
                           ? std::ldexp(fraction * unit, 1 - bias)
                           : std::ldexp(1 + fraction * unit, static_cast<int>(exponent) - bias);
  return static_cast<float>(negative ? -value : value);
}

float e4m3(uint32_t code) { return (code & 0x7f) == 0x7f ? kNan : small_float(code, 4, 3); }

float e5m2(uint32_t code) {
  if ((code & 0x7c) != 0x7c) return small_float(code, 5, 2);
  if ((code & 3) != 0) return kNan;
  return (code & 0x80) != 0 ? -kInf : kInf;
}

float half(const uint8_t* at) {
  const uint32_t code = at[0] | at[1] << 8;
  return small_float(code, 5, 10);  // no infinity and no NaN in these tests
}

float int8(uint8_t code) { return static_cast<float>(static_cast<int8_t>(code)); }

float scale(uint8_t code) { return code == 0xff ? kNan : std::ldexp(1.0f, code - 127); }

uint32_t bits_at(const uint8_t* from, uint32_t first, uint32_t count) {
  uint32_t out = 0;
  for (uint32_t i = 0; i < count; ++i) out |= (from[(first + i) / 8] >> (first + i) % 8 & 1u) << i;
  return out;
}

// Element |i| of a block with pairs: a sign, then |bits| - 1 bits that count units.
float pair_element(const uint8_t* block, uint32_t i, uint32_t bits) {
  const uint32_t code = bits_at(block + 2, i * bits, bits);
  const auto count = static_cast<float>(code & ((1u << (bits - 1)) - 1));
  float value = std::ldexp(count, -static_cast<int>(bits) + 2);
  if ((block[1] >> i / 2 & 1) != 0) value /= 2;
  return (code >> (bits - 1)) != 0 ? -value : value;
}

uint32_t half_byte(const uint8_t* from, uint32_t i) {
  return i < 16 ? from[i] & 15u : from[i - 16] >> 4;
}

float element(npuDataType type, const uint8_t* block, uint32_t i) {
  switch (type) {
    case NPU_FLOAT32: {
      float value;
      std::memcpy(&value, block, sizeof(value));
      return value;
    }
    case NPU_BFLOAT16:
      return std::bit_cast<float>(uint32_t{block[0]} << 16 | uint32_t{block[1]} << 24);
    case NPU_FLOAT16:
      return half(block);
    case NPU_FLOAT8_E4M3:
      return e4m3(block[0]);
    case NPU_FLOAT8_E5M2:
      return e5m2(block[0]);
    case NPU_INT8:
      return int8(block[0]);
    case NPU_Q8_0:
      return half(block) * int8(block[2 + i]);
    case NPU_Q4_0:
      return half(block) * (static_cast<float>(half_byte(block + 2, i)) - 8);
    case NPU_MXFP8_E4M3:
      return scale(block[0]) * e4m3(block[1 + i]);
    case NPU_MXFP8_E5M2:
      return scale(block[0]) * e5m2(block[1 + i]);
    case NPU_MXFP6_E2M3:
      return scale(block[0]) * small_float(bits_at(block + 1, 6 * i, 6), 2, 3);
    case NPU_MXFP6_E3M2:
      return scale(block[0]) * small_float(bits_at(block + 1, 6 * i, 6), 3, 2);
    case NPU_MXFP4:
      return scale(block[0]) * small_float(half_byte(block + 1, i), 2, 1);
    case NPU_MXINT8:
      return scale(block[0]) * int8(block[1 + i]) / 64;
    case NPU_MX9:
      return scale(block[0]) * pair_element(block, i, 8);
    case NPU_MX6:
      return scale(block[0]) * pair_element(block, i, 5);
    default:
      return scale(block[0]) * pair_element(block, i, 3);
  }
}

void put_half(uint8_t* at) { at[0] = 0x00, at[1] = 0x2c; }  // 2^-4

void make_block(const Format& f, uint8_t* at, std::mt19937& engine) {
  for (uint32_t i = 0; i < f.block_bytes; ++i) at[i] = static_cast<uint8_t>(engine());
  const bool has_power = f.type >= NPU_MXFP8_E4M3;
  if (f.type == NPU_FLOAT32) {
    const float value = std::uniform_real_distribution<float>(-1, 1)(engine);
    std::memcpy(at, &value, sizeof(value));
  }
  if (f.type == NPU_BFLOAT16) at[1] = static_cast<uint8_t>((at[1] & 0x80) | 0x3f);
  if (f.type == NPU_FLOAT16) at[1] = static_cast<uint8_t>((at[1] & 0x83) | 0x38);
  if (has_power) at[0] = static_cast<uint8_t>(124 + at[0] % 6);
  const bool of_e4m3 = f.type == NPU_FLOAT8_E4M3 || f.type == NPU_MXFP8_E4M3;
  const bool of_e5m2 = f.type == NPU_FLOAT8_E5M2 || f.type == NPU_MXFP8_E5M2;
  for (uint32_t i = has_power ? 1 : 0; i < f.block_bytes; ++i) {
    if (of_e4m3 && (at[i] & 0x7f) == 0x7f) at[i] = 0x3c;
    if (of_e5m2) at[i] &= 0xbf;                               // below 2
    if (f.type == NPU_MXINT8 && at[i] == 0x80) at[i] = 0x81;  // -2 is not written
  }
  if (f.type >= NPU_Q8_0 && f.type <= NPU_Q4_K) put_half(at);
  if (f.type == NPU_Q4_K) put_half(at + 2);
  if (f.type == NPU_Q6_K) put_half(at + 208);
}

}  // namespace

const std::vector<Format>& formats() {
  static const std::vector<Format> kAll = {
      {NPU_FLOAT32, "f32", 1, 4},
      {NPU_BFLOAT16, "bf16", 1, 2},
      {NPU_FLOAT16, "f16", 1, 2},
      {NPU_FLOAT8_E4M3, "e4m3", 1, 1},
      {NPU_FLOAT8_E5M2, "e5m2", 1, 1},
      {NPU_INT8, "i8", 1, 1},
      {NPU_MXFP8_E4M3, "mxfp8_e4m3", 32, 33},
      {NPU_MXFP8_E5M2, "mxfp8_e5m2", 32, 33},
      {NPU_MXFP6_E2M3, "mxfp6_e2m3", 32, 25},
      {NPU_MXFP6_E3M2, "mxfp6_e3m2", 32, 25},
      {NPU_MXFP4, "mxfp4", 32, 17},
      {NPU_MXINT8, "mxint8", 32, 33},
      {NPU_MX9, "mx9", 16, 18},
      {NPU_MX6, "mx6", 16, 12},
      {NPU_MX4, "mx4", 16, 8},
      {NPU_Q8_0, "q8_0", 32, 34},
      {NPU_Q4_0, "q4_0", 32, 18},
      {NPU_Q4_K, "q4_k", 256, 144},
      {NPU_Q6_K, "q6_k", 256, 210},
  };
  return kAll;
}

const Format& format_of(npuDataType type) {
  for (const Format& f : formats())
    if (f.type == type) return f;
  return formats()[0];
}

std::vector<uint8_t> random_bytes(const Format& f, uint64_t rows, uint64_t cols,
                                  std::mt19937& engine) {
  std::vector<uint8_t> out(rows * row_bytes(f, cols));
  for (uint64_t at = 0; at < out.size(); at += f.block_bytes) make_block(f, &out[at], engine);
  return out;
}

std::vector<float> values_of(const Format& f, const std::vector<uint8_t>& bytes, uint64_t rows,
                             uint64_t cols) {
  std::vector<float> out(rows * cols);
  for (uint64_t i = 0; i < rows; ++i) {
    for (uint64_t j = 0; j < cols; ++j) {
      const uint8_t* block = &bytes[i * row_bytes(f, cols) + j / f.block_elements * f.block_bytes];
      out[i * cols + j] = element(f.type, block, static_cast<uint32_t>(j % f.block_elements));
    }
  }
  return out;
}

std::vector<float> element_values(npuDataType type) {
  std::vector<float> out;
  const uint32_t count = type == NPU_MXFP4                                  ? 16
                         : type == NPU_MXFP6_E2M3 || type == NPU_MXFP6_E3M2 ? 64
                                                                            : 256;
  for (uint32_t code = 0; code < count; ++code) {
    const bool of_e4m3 = type == NPU_FLOAT8_E4M3 || type == NPU_MXFP8_E4M3;
    const bool of_e5m2 = type == NPU_FLOAT8_E5M2 || type == NPU_MXFP8_E5M2;
    if (of_e4m3) out.push_back(e4m3(code));
    if (of_e5m2) out.push_back(e5m2(code));
    if (type == NPU_MXFP6_E2M3) out.push_back(small_float(code, 2, 3));
    if (type == NPU_MXFP6_E3M2) out.push_back(small_float(code, 3, 2));
    if (type == NPU_MXFP4) out.push_back(small_float(code, 2, 1));
    // The most negative integer is not written.
    if (type == NPU_MXINT8)
      out.push_back(code == 0x80 ? kNan : int8(static_cast<uint8_t>(code)) / 64);
  }
  return out;
}

}  // namespace npu::test
