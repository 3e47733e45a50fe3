// SPDX-License-Identifier: Apache-2.0
// Gradients of functions of elements, and dropout. dx = dy f'(x): derivatives are made in fp32 from x alone.
#include "firmware-model/kernels/elements.h"
#include "firmware-model/kernels/kernels.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// x, and blocks for what lies between x and f'(x), which ends in t0.
struct Job {
  Kernel& k;
  const Tile& x;
  const Tile &t0, &t1, &t2;
};

// t0 = x between the limits: beyond them f' is 0 or 1 to the last bit, and x x or x times 0 would be infinite or NaN.
void limit(Job& j, float most) {
  j.k.vmax(j.t0, j.x, -most);
  j.k.vmin(j.t0, j.t0, most);
}

// The vector unit has no comparison: twice a huge factor makes 1 or more of every positive number.
void relu(Job& j) {
  constexpr float kHuge = 0x1p126f;
  j.k.vmul(j.t0, j.x, kHuge);
  j.k.vmul(j.t0, j.t0, kHuge);
  j.k.vmax(j.t0, j.t0, 0.0f);
  j.k.vmin(j.t0, j.t0, 1.0f);
}

// to = 1 - t t, one rounding; |to| may not be |t|.
void one_minus_square(Kernel& k, const Tile& to, const Tile& t) {
  k.neg(to, t);
  k.vfma(to, to, t, 1.0f);
}

void tanh(Job& j) {
  j.k.tanh(j.t1, j.x);
  one_minus_square(j.k, j.t0, j.t1);
}

// s (1 - s)
void sigmoid(Job& j) {
  j.k.sigmoid(j.t1, j.x);
  j.k.vfma(j.t0, j.t1, -1.0f, 1.0f);
  j.k.vmul(j.t0, j.t0, j.t1);
}

// s (1 + x (1 - s))
void silu(Job& j) {
  limit(j, 128.0f);
  j.k.sigmoid(j.t1, j.t0);
  j.k.vfma(j.t2, j.t1, -1.0f, 1.0f);
  j.k.vfma(j.t0, j.t0, j.t2, 1.0f);
  j.k.vmul(j.t0, j.t0, j.t1);
}

// With t = tanh(x (a + b x x)): (1 + t) / 2 + x / 2 (1 - t t) (a + 3 b x x)
void gelu(Job& j) {
  constexpr float kA = 0.7978845608f;  // sqrt(2 / pi)
  constexpr float kB = kA * 0.044715f;
  limit(j, 16.0f);
  j.k.vmul(j.t1, j.t0, j.t0);
  j.k.vfma(j.t2, j.t1, kB, kA);
  j.k.vmul(j.t2, j.t2, j.t0);
  j.k.tanh(j.t2, j.t2);
  j.k.vfma(j.t1, j.t1, 3 * kB, kA);
  j.k.vmul(j.t1, j.t1, j.t0);
  one_minus_square(j.k, j.t0, j.t2);
  j.k.vfma(j.t0, j.t0, j.t1, j.t2);
  j.k.vfma(j.t0, j.t0, 0.5f, 0.5f);
}

// (1 + erf(x / sqrt 2)) / 2 + x e^(-x x / 2) / sqrt(2 pi)
void gelu_erf(Job& j) {
  limit(j, 16.0f);
  j.k.vmul(j.t1, j.t0, 0.7071067812f);
  j.k.erf(j.t1, j.t1);
  j.k.vfma(j.t1, j.t1, 0.5f, 0.5f);
  j.k.vmul(j.t2, j.t0, j.t0);
  j.k.vmul(j.t2, j.t2, -0.5f);
  j.k.exp(j.t2, j.t2);
  j.k.vmul(j.t2, j.t2, 0.3989422804f);
  j.k.vfma(j.t0, j.t0, j.t2, j.t1);
}

struct BackwardRow {
  const char* name;
  void (*derivative)(Job&);
};
// In the order of libnpu/ops/elementwise_backward.cpp.
constexpr BackwardRow kRows[] = {{"relu", relu}, {"tanh", tanh},         {"sigmoid", sigmoid},
                                 {"gelu", gelu}, {"gelu_erf", gelu_erf}, {"silu", silu}};

Program unary_backward(const BackwardRow& row, DType type) {
  Elements e(std::string(row.name) + "_backward_" + type_name(type), {"x", "dy", "dx"});
  Buf x_buf = e.block(), dy_buf = e.block(), b0 = e.block(), b1 = e.block(), b2 = e.block();
  e.place();
  Tile x = e.load(0, type, x_buf);
  Tile dy = e.load(1, type, dy_buf);
  Tile t0 = e.inner(DType::F32, b0), t1 = e.inner(DType::F32, b1), t2 = e.inner(DType::F32, b2);
  Job job{e.k, x, t0, t1, t2};
  row.derivative(job);
  e.k.vmul(dy, t0, dy);
  e.store(2, dy);
  return e.k.finish();
}

// y = silu(x) b: dx = dy b silu'(x), db = dy silu(x)
Program silu_mul_backward(DType type) {
  Elements e("silu_mul_backward_" + type_name(type), {"x", "b", "dy", "dx", "db"});
  Buf x_buf = e.block(), b_buf = e.block(), dy_buf = e.block();
  Buf b0 = e.block(), b1 = e.block(), b2 = e.block();
  e.place();
  Tile x = e.load(0, type, x_buf);
  Tile b = e.load(1, type, b_buf);
  Tile dy = e.load(2, type, dy_buf);
  Tile t0 = e.inner(DType::F32, b0), t1 = e.inner(DType::F32, b1), t2 = e.inner(DType::F32, b2);
  Job job{e.k, x, t0, t1, t2};
  silu(job);
  e.k.vmul(t0, t0, b);
  e.k.silu(t1, x);
  e.k.vmul(x, t0, dy);
  e.k.vmul(b, t1, dy);
  e.store(3, x);
  e.store(4, b);
  return e.k.finish();
}

// The number keep 2^-24, rounded at random to fp16, whose smallest number is 2^-24, becomes that number with probability keep, else 0. |factor| makes 1 / keep of it.
Program dropout(DType type) {
  Elements e("dropout_" + type_name(type), {"x", "y"});
  Arg seed = e.k.arg_u64("seed"), first = e.k.arg_u64("first");
  Arg keep = e.k.arg_f32("keep"), factor = e.k.arg_f32("factor");
  Buf x_buf = e.block(), factor_buf = e.block(), kept_buf = e.block();
  e.place();
  Tile x = e.load(0, type, x_buf);
  Tile factors = e.inner(DType::F32, factor_buf), kept = e.inner(DType::F16, kept_buf);
  Reg number = e.row0 * e.all_cols();
  number += e.col0;
  number += first;
  e.k.vfill(factors, 0.0f);
  e.k.vadd(factors, factors, keep);
  e.k.cvt(kept, factors).random(seed, number, e.all_cols());
  e.k.vmul(factors, kept, factor);
  e.k.vmul(x, x, factors);
  e.store(1, x);
  return e.k.finish();
}

}  // namespace

void add_elementwise_backward(Programs& out) {
  for (DType type : kElementTypes) {
    for (const BackwardRow& row : kRows) out.push_back(unary_backward(row, type));
    out.push_back(silu_mul_backward(type));
    out.push_back(dropout(type));
  }
}

}  // namespace npu::kernels
