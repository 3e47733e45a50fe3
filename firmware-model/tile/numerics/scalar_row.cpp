// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the reductions over one row.
#include "firmware-model/tile/numerics/scalar_math.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

float sum(const float* a, size_t n) {
  scalar::Lanes lanes;
  for (size_t i = 0; i < n; ++i) lanes.add(i, a[i]);
  return scalar::canonical(lanes.tree());
}

float sum_squares(const float* a, size_t n) {
  scalar::Lanes lanes;
  for (size_t i = 0; i < n; ++i) lanes.fma(i, a[i], a[i]);
  return scalar::canonical(lanes.tree());
}

float max(const float* a, size_t n) {
  float best = -scalar::kInf;
  for (size_t i = 0; i < n; ++i) best = scalar::max(best, a[i]);
  return best;
}

size_t argmax(const float* a, size_t n) {
  size_t best = n;
  for (size_t i = 0; i < n; ++i) {
    if (std::isnan(a[i])) continue;
    if (best == n || a[i] > a[best]) best = i;
  }
  return best == n ? 0 : best;
}

float scale_max(float* dst, const float* a, float scale, size_t n) {
  for (size_t i = 0; i < n; ++i) dst[i] = scalar::canonical(a[i] * scale);
  return max(dst, n);
}

float exp_sub_sum(float* p, const float* s, float m, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    p[i] = s[i] == -scalar::kInf ? 0.0f : scalar::exp(scalar::canonical(s[i] - m));
  }
  return sum(p, n);
}

}  // namespace

void scalar_fill_row(Numerics& table) {
  table.sum = sum;
  table.sum_squares = sum_squares;
  table.max = max;
  table.argmax = argmax;
  table.scale_max = scale_max;
  table.exp_sub_sum = exp_sub_sum;
}

}  // namespace npu::model
