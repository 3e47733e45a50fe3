// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the element-by-element operations.
#include <cstring>

#include "firmware-model/tile/numerics/scalar_math.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

float unary_value(UnaryOp op, float x) {
  switch (op) {
    case UnaryOp::kNeg:
      return scalar::canonical(-x);
    case UnaryOp::kAbs:
      return scalar::canonical(std::fabs(x));
    case UnaryOp::kRelu:
      return scalar::max(x, 0.0f);
    case UnaryOp::kExp:
      return scalar::exp(x);
    case UnaryOp::kLog:
      return scalar::log(x);
    case UnaryOp::kSqrt:
      return scalar::canonical(std::sqrt(x));
    case UnaryOp::kRsqrt:
      return scalar::canonical(1.0f / std::sqrt(x));
    case UnaryOp::kRcp:
      return scalar::canonical(1.0f / x);
    case UnaryOp::kTanh:
      return scalar::tanh(x);
    case UnaryOp::kSigmoid:
      return scalar::sigmoid(x);
    case UnaryOp::kErf:
      return scalar::erf(x);
    case UnaryOp::kGelu:
      return scalar::gelu(x);
    case UnaryOp::kGeluErf:
      return scalar::gelu_erf(x);
    case UnaryOp::kSilu:
      return scalar::silu(x);
    case UnaryOp::kSin:
      return scalar::sin(x);
    case UnaryOp::kCos:
      return scalar::cos(x);
    case UnaryOp::kCount:
      break;
  }
  return scalar::nan_value();
}

float binary_value(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::kAdd:
      return scalar::canonical(a + b);
    case BinaryOp::kSub:
      return scalar::canonical(a - b);
    case BinaryOp::kMul:
      return scalar::canonical(a * b);
    case BinaryOp::kDiv:
      return scalar::canonical(a / b);
    case BinaryOp::kMax:
      return scalar::max(a, b);
    case BinaryOp::kMin:
      return scalar::min(a, b);
    case BinaryOp::kCount:
      break;
  }
  return scalar::nan_value();
}

void unary(UnaryOp op, float* dst, const float* a, size_t n) {
  for (size_t i = 0; i < n; ++i) dst[i] = unary_value(op, a[i]);
}

void binary(BinaryOp op, float* dst, const float* a, const float* b, size_t n) {
  for (size_t i = 0; i < n; ++i) dst[i] = binary_value(op, a[i], b[i]);
}

void binary_scalar(BinaryOp op, float* dst, const float* a, float b, size_t n) {
  for (size_t i = 0; i < n; ++i) dst[i] = binary_value(op, a[i], b);
}

void fma(float* dst, const float* a, const float* b, float b_value, const float* c, float c_value,
         size_t n) {
  for (size_t i = 0; i < n; ++i) {
    dst[i] = scalar::canonical(
        std::fmaf(a[i], b != nullptr ? b[i] : b_value, c != nullptr ? c[i] : c_value));
  }
}

void mask_row(float* dst, const float* src, size_t n, int64_t j0, int64_t lo, int64_t limit,
              float value) {
  __extension__ using i128 = __int128;
  for (size_t j = 0; j < n; ++j) {
    const i128 q = i128{j0} + static_cast<i128>(j);
    std::memcpy(&dst[j], q >= lo && q <= limit ? &src[j] : &value, sizeof(float));
  }
}

void rope_row(float* dst, const float* src, const float* cos, const float* sin, size_t d,
              bool half) {
  const size_t pairs = d / 2;
  for (size_t i = 0; i < pairs; ++i) {
    const size_t at_x = half ? i : 2 * i;
    const size_t at_y = half ? i + pairs : 2 * i + 1;
    const float x = src[at_x];
    const float y = src[at_y];
    dst[at_x] = scalar::canonical(std::fmaf(x, cos[i], -(y * sin[i])));
    dst[at_y] = scalar::canonical(std::fmaf(x, sin[i], y * cos[i]));
  }
}

}  // namespace

void scalar_fill_elementwise(Numerics& table) {
  table.unary = unary;
  table.binary = binary;
  table.binary_scalar = binary_scalar;
  table.fma = fma;
  table.mask_row = mask_row;
  table.rope_row = rope_row;
}

}  // namespace npu::model
