// SPDX-License-Identifier: Apache-2.0
// The vector unit, row by row: reductions, one step of the online softmax, rotation.
//
// Rows go upwards and each is read whole before anything of it is written.
#include <limits>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/rows.h"

namespace npu::model {
namespace {

constexpr uint32_t kNear = kInL1 | kInAcc;

// Row |i| as fp32, widened into staging buffer |s| when it is not.
const float* row_f32(Exec& exec, const Operand& t, uint64_t i, int s) {
  if (t.dtype == NPU_DTYPE_F32) return reinterpret_cast<const float*>(t.row(i));
  widen(exec.numerics(), t.dtype, staging_f32(exec, s), t.row(i), t.cols);
  return staging_f32(exec, s);
}

bool resolve_reduction(Exec& exec, uint32_t dtypes, Operand* d, Operand* a) {
  if (!exec.resolve(kDst, {kNear, dtypes}, d) || !exec.resolve(kA, {kNear, kFloat}, a)) {
    return false;
  }
  if (d->rows != a->rows || d->cols != 1) return exec.mismatch();
  account_vector(exec, std::max<uint64_t>(a->elements(), d->rows));
  return true;
}

// The state of one row of the online softmax, [largest, sum].
struct SoftmaxRow {
  float largest;
  float sum;
};

// Puts exp(s - M) of the row |a| into |to|, updates |state| and returns the factor for what was
// accumulated before.
float softmax_step(Exec& exec, const float* a, float scale, float* to, size_t n,
                   SoftmaxRow* state) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  const Numerics& numerics = exec.numerics();
  float* scores = staging_f32(exec, 1);
  float row_largest = numerics.scale_max(scores, a, scale, n);
  float largest = 0;
  numerics.binary(BinaryOp::kMax, &largest, &state->largest, &row_largest, 1);
  float factor = 0;
  if (state->largest != kMinusInfinity) {
    float fall = state->largest - largest;
    numerics.unary(UnaryOp::kExp, &factor, &fall, 1);
  }
  float added = numerics.exp_sub_sum(to, scores, largest, n);
  numerics.fma(&state->sum, &state->sum, &factor, 0, &added, 0, 1);
  state->largest = largest;
  return factor;
}

bool resolve_smstep(Exec& exec, Operand* d, Operand* a, Operand* state, Operand* factor) {
  if (!exec.resolve(kDst, {kNear, kFloat}, d) || !exec.resolve(kA, {kNear, kFloat}, a) ||
      !exec.resolve(kB, {kNear, kF32}, state) || !exec.resolve(kC, {kNear, kFloat}, factor)) {
    return false;
  }
  bool fits = d->same_shape(*a) && state->rows == a->rows && state->cols == 2 &&
              factor->rows == a->rows && factor->cols == 1;
  return fits || exec.mismatch();
}

}  // namespace

bool row_reduce(Exec& exec) {
  Operand d, a;
  if (!resolve_reduction(exec, kFloat, &d, &a)) return false;
  const Numerics& numerics = exec.numerics();
  for (uint64_t i = 0; i < d.rows; ++i) {
    const float* row = row_f32(exec, a, i, 0);
    float value = 0;
    if (exec.insn.op == NPU_OP_RSUM) {
      value = numerics.sum(row, a.cols);
    } else if (exec.insn.op == NPU_OP_RSUMSQ) {
      value = numerics.sum_squares(row, a.cols);
    } else {
      value = numerics.max(row, a.cols);
    }
    narrow(numerics, d.dtype, d.row(i), &value, 1);
  }
  return true;
}

bool row_argmax(Exec& exec) {
  Operand d, a;
  if (!resolve_reduction(exec, kI32, &d, &a)) return false;
  for (uint64_t i = 0; i < d.rows; ++i) {
    auto column = static_cast<int32_t>(exec.numerics().argmax(row_f32(exec, a, i, 0), a.cols));
    std::memcpy(d.row(i), &column, sizeof(column));
  }
  return true;
}

bool smstep(Exec& exec) {
  Operand d, a, state, factor;
  if (!resolve_smstep(exec, &d, &a, &state, &factor)) return false;
  account_vector(exec, a.elements());
  float scale = (exec.insn.flags & NPU_F_SCALE) != 0 ? exec.scalar_f32(0) : 1.0f;
  for (uint64_t i = 0; i < a.rows; ++i) {
    SoftmaxRow row;
    std::memcpy(&row, state.row(i), sizeof(row));
    bool direct = d.dtype == NPU_DTYPE_F32;  // the scores are a copy, so d may lie over a
    float* to = direct ? reinterpret_cast<float*>(d.row(i)) : staging_f32(exec, 2);
    float f = softmax_step(exec, row_f32(exec, a, i, 0), scale, to, a.cols, &row);
    if (!direct) narrow(exec.numerics(), d.dtype, d.row(i), to, d.cols);
    std::memcpy(state.row(i), &row, sizeof(row));
    narrow(exec.numerics(), factor.dtype, factor.row(i), &f, 1);
  }
  return true;
}

bool rope(Exec& exec) {
  Operand d, a, cosine, sine;
  if (!exec.resolve(kDst, {kNear, kFloat}, &d) || !exec.resolve(kA, {kNear, kFloat}, &a) ||
      !exec.resolve(kB, {kNear, kFloat}, &cosine) || !exec.resolve(kC, {kNear, kFloat}, &sine)) {
    return false;
  }
  bool fits = d.same_shape(a) && a.cols % 2 == 0 && cosine.rows == a.rows &&
              cosine.cols == a.cols / 2 && sine.same_shape(cosine);
  if (!fits) return exec.mismatch();
  account_vector(exec, a.elements());
  if (a.empty()) return true;
  bool half = (exec.insn.flags & NPU_F_HALF) != 0;
  bool direct = d.dtype == NPU_DTYPE_F32 && !may_disturb(d, a) && !may_overlap(d, cosine) &&
                !may_overlap(d, sine);
  for (uint64_t i = 0; i < a.rows; ++i) {
    const float* from = row_f32(exec, a, i, 0);
    const float* cos_row = row_f32(exec, cosine, i, 1);
    const float* sin_row = row_f32(exec, sine, i, 2);
    float* to = direct ? reinterpret_cast<float*>(d.row(i)) : staging_f32(exec, 3);
    exec.numerics().rope_row(to, from, cos_row, sin_row, a.cols, half);
    if (!direct) narrow(exec.numerics(), d.dtype, d.row(i), to, d.cols);
  }
  return true;
}

}  // namespace npu::model
