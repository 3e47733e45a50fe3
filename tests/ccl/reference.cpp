// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <span>

#include "tests/support/rng.h"

namespace npu::test {
namespace {

// FP8 by the tables of the OCP specification (OFP8, revision 1.0): sign, 4 or 5 bits of exponent, the rest mantissa. E4M3 has one NaN and no infinity.
float widen_fp8(npuDataType type, uint8_t bits) {
  const int mantissa_bits = type == NPU_FLOAT8_E4M3 ? 3 : 2;
  const int bias = type == NPU_FLOAT8_E4M3 ? 7 : 15;
  const int exponent = (bits & 0x7f) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const float sign = (bits & 0x80) != 0 ? -1.0f : 1.0f;
  if (type == NPU_FLOAT8_E4M3 && (bits & 0x7f) == 0x7f) return NAN;
  if (type == NPU_FLOAT8_E5M2 && exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  const int whole = exponent != 0 ? mantissa + (1 << mantissa_bits) : mantissa;
  return sign * std::ldexp(static_cast<float>(whole), std::max(exponent, 1) - bias - mantissa_bits);
}

// What is not negative and finite, in the order of codes, which is that of the numbers too.
std::vector<float> numbers_of_fp8(npuDataType type) {
  std::vector<float> all;
  for (uint8_t code = 0; std::isfinite(widen_fp8(type, code)); code++) {
    all.push_back(widen_fp8(type, code));
  }
  return all;
}

// The nearer one of the two neighbours, of equally near ones the one with an even code; what is too large becomes the largest.
uint8_t narrow_fp8(npuDataType type, float value) {
  static const std::vector<float> e4m3 = numbers_of_fp8(NPU_FLOAT8_E4M3);
  static const std::vector<float> e5m2 = numbers_of_fp8(NPU_FLOAT8_E5M2);
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value)) return sign | 0x7f;
  const std::vector<float>& all = type == NPU_FLOAT8_E4M3 ? e4m3 : e5m2;
  const double wanted = std::fabs(value);
  const auto above =
      static_cast<size_t>(std::lower_bound(all.begin(), all.end(), wanted) - all.begin());
  if (above == 0) return sign;
  if (above == all.size()) return sign | static_cast<uint8_t>(above - 1);
  const double up = all[above] - wanted, down = wanted - all[above - 1];
  const bool goes_up = up < down || (up == down && above % 2 == 0);
  return sign | static_cast<uint8_t>(goes_up ? above : above - 1);
}

bool is_fp8(npuDataType type) { return type == NPU_FLOAT8_E4M3 || type == NPU_FLOAT8_E5M2; }

float widen(npuDataType type, const uint8_t* from) {
  if (is_fp8(type)) return widen_fp8(type, *from);
  if (type == NPU_INT8) return static_cast<float>(static_cast<int8_t>(*from));
  if (type == NPU_FLOAT32) {
    float value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  if (type == NPU_BFLOAT16) return std::bit_cast<float>(uint32_t{bits} << 16);
  _Float16 half;
  std::memcpy(&half, from, sizeof(half));
  return static_cast<float>(half);
}

void narrow(npuDataType type, float value, uint8_t* to) {
  if (is_fp8(type)) {
    *to = narrow_fp8(type, value);
  } else if (type == NPU_INT8) {
    *to = static_cast<uint8_t>(
        static_cast<int8_t>(std::clamp(std::nearbyint(value), -128.0f, 127.0f)));
  } else if (type == NPU_FLOAT32) {
    std::memcpy(to, &value, sizeof(value));
  } else if (type == NPU_BFLOAT16) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto high = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    std::memcpy(to, &high, sizeof(high));
  } else {
    const auto half = static_cast<_Float16>(value);
    std::memcpy(to, &half, sizeof(half));
  }
}

template <typename Number>
Number fold(npuCclRedOp op, Number a, Number b) {
  if (op == NPU_CCL_PROD) return a * b;
  if (op == NPU_CCL_MIN) return a < b ? a : b;
  if (op == NPU_CCL_MAX) return a < b ? b : a;
  return a + b;
}

template <typename Number>
Number tree(npuCclRedOp op, std::span<const Number> values) {
  if (values.size() == 1) return values[0];
  const size_t left = std::bit_floor(values.size() - 1);
  return fold(op, tree(op, values.first(left)), tree(op, values.subspan(left)));
}

int32_t reduce_integers(npuCclRedOp op, const std::vector<Bytes>& inputs, uint64_t at) {
  uint32_t sum = 0;
  std::vector<int32_t> values(inputs.size());
  for (size_t r = 0; r < inputs.size(); r++) std::memcpy(&values[r], &inputs[r][at], 4);
  if (op == NPU_CCL_MIN || op == NPU_CCL_MAX) return tree<int32_t>(op, values);
  if (op == NPU_CCL_PROD) {
    sum = 1;
    for (int32_t value : values) sum *= static_cast<uint32_t>(value);
    return static_cast<int32_t>(sum);
  }
  for (int32_t value : values) sum += static_cast<uint32_t>(value);
  const auto whole = static_cast<int32_t>(sum);
  return op == NPU_CCL_AVG ? whole / static_cast<int32_t>(inputs.size()) : whole;
}

float reduce_floats(npuDataType type, npuCclRedOp op, const std::vector<Bytes>& inputs, uint64_t at,
                    const std::vector<float>& factors) {
  std::vector<float> values;
  for (size_t r = 0; r < inputs.size(); r++) {
    float value = widen(type, &inputs[r][at]);
    if (!factors.empty()) {
      uint8_t rounded[4];
      narrow(type, value * factors[r], rounded);
      value = widen(type, rounded);
    }
    values.push_back(value);
  }
  const float sum = tree<float>(op, values);
  return op == NPU_CCL_AVG && values.size() > 1 ? sum * (1.0f / static_cast<float>(values.size()))
                                                : sum;
}

}  // namespace

uint32_t size_of(npuDataType type) {
  switch (type) {
    case NPU_INT64:
      return 8;
    case NPU_BFLOAT16:
    case NPU_FLOAT16:
      return 2;
    case NPU_INT8:
    case NPU_FLOAT8_E4M3:
    case NPU_FLOAT8_E5M2:
      return 1;
    default:
      return 4;
  }
}

Bytes numbers(npuDataType type, uint64_t count, uint64_t seed) {
  Rng rng(seed);
  Bytes bytes(count * size_of(type));
  if (type == NPU_INT8 || type == NPU_INT64) {
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.next());
    return bytes;
  }
  for (uint64_t i = 0; i < count; i++) {
    uint8_t* to = &bytes[i * size_of(type)];
    if (type == NPU_INT32) {
      const auto value = static_cast<uint32_t>(rng.next());
      std::memcpy(to, &value, sizeof(value));
    } else {
      narrow(type, static_cast<float>(static_cast<int64_t>(rng.below(4001)) - 2000) / 256.0f, to);
    }
  }
  return bytes;
}

Bytes reduced(npuDataType type, npuCclRedOp op, const std::vector<Bytes>& inputs,
              const std::vector<float>& factors) {
  Bytes out(inputs[0].size());
  for (uint64_t at = 0; at < out.size(); at += size_of(type)) {
    if (type == NPU_INT32) {
      const int32_t value = reduce_integers(op, inputs, at);
      std::memcpy(&out[at], &value, sizeof(value));
    } else {
      narrow(type, reduce_floats(type, op, inputs, at, factors), &out[at]);
    }
  }
  return out;
}

}  // namespace npu::test
