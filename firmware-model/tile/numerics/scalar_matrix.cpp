// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the matrix products.
#include "firmware-model/tile/numerics/scalar_math.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

void mm(const MmArgs& g) {
  for (size_t i = 0; i < g.m; ++i) {
    for (size_t j = 0; j < g.n; ++j) {
      const float* b = g.b + (j / kPanelCols) * g.b_panel_stride + j % kPanelCols;
      float& c = g.c[i * g.ldc + j];
      float acc = g.accumulate ? c : 0.0f;
      for (size_t k = 0; k < g.k; ++k)
        acc = std::fmaf(g.a[i * g.lda + k], b[k * g.b_k_stride], acc);
      c = scalar::canonical(acc);
    }
  }
}

void dot_rows(const DotArgs& g) {
  for (size_t i = 0; i < g.m; ++i) {
    for (size_t j = 0; j < g.n; ++j) {
      scalar::Lanes lanes;
      for (size_t k = 0; k < g.k; ++k) lanes.fma(k, g.a[i * g.lda + k], g.b[j * g.ldb + k]);
      float& c = g.c[i * g.ldc + j];
      c = scalar::canonical(g.accumulate ? c + lanes.tree() : lanes.tree());
    }
  }
}

}  // namespace

void scalar_fill_matrix(Numerics& table) {
  table.mm = mm;
  table.dot_rows = dot_rows;
}

}  // namespace npu::model
