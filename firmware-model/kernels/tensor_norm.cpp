// SPDX-License-Identifier: Apache-2.0
// Norms of the rows of a tensor: root mean square, layer, L2; then a weight and a bias that repeat. fp32.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"
#include "firmware-model/kernels/tensor_rows.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

enum class Norm { kRms, kLayer, kL2 };
constexpr const char* kNames[] = {"tensor_norm_rms", "tensor_norm_layer", "tensor_norm_l2"};

// x = norm(x); |value| holds one number for each row.
void normalise(Kernel& k, Norm norm, const Tile& x, const Tile& value, const Arg& inverse_cols,
               const Arg& eps) {
  if (norm == Norm::kLayer) {
    k.rsum(value, x);
    k.vmul(value, value, inverse_cols);
    k.vsub(x, x, col(value));
  }
  k.rsumsq(value, x);
  if (norm == Norm::kL2) {
    k.sqrt(value, value);
    k.vmax(value, value, eps);
    k.rcp(value, value);
  } else {
    k.vfma(value, value, inverse_cols, eps);
    k.rsqrt(value, value);
  }
  k.vmul(x, x, col(value));
}

Program tensor_norm(Norm norm) {
  RowProgram p(kNames[static_cast<int>(norm)]);
  Kernel& k = p.k;
  RepeatArgs weight(k, "weight"), bias(k, "bias");
  Arg inverse_cols = k.arg_f32("inverse_cols"), eps = k.arg_f32("eps");
  Buf x_buf = k.l1(kTensorNormElements * 4);
  Buf weight_buf = k.l1(kTensorNormWeights * 4), bias_buf = k.l1(kTensorNormWeights * 4);
  Buf value_buf = k.l1(kRowsMax * 4);
  p.place();
  Tile x = p.block(x_buf);
  p.load(x);
  normalise(k, norm, x, p.column(value_buf), inverse_cols, eps);
  p.with(weight, DType::F32, weight_buf, [&](const BOperand& w) { k.vmul(x, x, w); });
  p.with(bias, DType::F32, bias_buf, [&](const BOperand& b) { k.vadd(x, x, b); });
  p.store(x, p.cols);
  return k.finish();
}

}  // namespace

void add_tensor_norm(Programs& out) {
  for (Norm norm : {Norm::kRms, Norm::kLayer, Norm::kL2}) out.push_back(tensor_norm(norm));
}

}  // namespace npu::kernels
