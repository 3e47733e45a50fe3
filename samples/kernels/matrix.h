// SPDX-License-Identifier: Apache-2.0
// A matrix product on the CPU, to compare with.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

// Elements of the [m, n] product |c| that are further from the exact value than a chain of fp32 fused multiply-adds can be: at most k
// roundings of at most 2^-24 of the sum of magnitudes. a: [m, k], b: [k, n].
inline size_t count_wrong(const std::vector<float> &a, const std::vector<float> &b,
                          const std::vector<float> &c, uint32_t m, uint32_t n, uint32_t k) {
  size_t wrong = 0;
  std::vector<double> exact(n), magnitude(n);
  for (uint32_t i = 0; i < m; ++i) {
    exact.assign(n, 0.0);
    magnitude.assign(n, 0.0);
    for (uint32_t t = 0; t < k; ++t) {
      const double x = a[size_t{i} * k + t];
      for (uint32_t j = 0; j < n; ++j) {
        const double product = x * b[size_t{t} * n + j];
        exact[j] += product;
        magnitude[j] += std::fabs(product);
      }
    }
    for (uint32_t j = 0; j < n; ++j) {
      const double error = std::fabs(c[size_t{i} * n + j] - exact[j]);
      if (!(error <= k * std::ldexp(magnitude[j], -24))) ++wrong;
    }
  }
  if (wrong != 0) std::fprintf(stderr, "%zu elements are wrong\n", wrong);
  return wrong;
}
