// SPDX-License-Identifier: Apache-2.0
// The tensor unit: MM, MMD and the ways into and out of its accumulator.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/rows.h"

namespace npu::model {
namespace {

// A matrix of fp32 in host memory; b as MmArgs takes it.
struct MatrixB {
  const float* host;
  size_t panel_stride;
  size_t k_stride;
};

// |t| (ROW) as fp32: in place, or widened into staging buffer |i|. *stride in floats.
const float* widened(Exec& exec, const Operand& t, int i, size_t* stride) {
  if (t.dtype == NPU_DTYPE_F32) {
    *stride = t.stride;
    return t.f32();
  }
  *stride = t.cols;
  float* to = staging_f32(exec, i);
  if (t.contiguous()) {
    widen(exec.numerics(), t.dtype, to, t.host, t.elements());
    return to;
  }
  for (uint64_t row = 0; row < t.rows; ++row) {
    widen(exec.numerics(), t.dtype, to + row * t.cols, t.row(row), t.cols);
  }
  return to;
}

MatrixB widened_panels(Exec& exec, const Operand& b) {
  float* to = staging_f32(exec, 1);
  uint64_t panels = (uint64_t{b.cols} + kPanelCols - 1) / kPanelCols;
  uint64_t from_bytes = uint64_t{b.stride} * kPanelCols * b.elem_bytes;
  uint64_t panel_elements = uint64_t{b.rows} * kPanelCols;
  for (uint64_t p = 0; p < panels; ++p) {
    widen(exec.numerics(), b.dtype, to + p * panel_elements, b.host + p * from_bytes,
          panel_elements);
  }
  return {to, panel_elements, kPanelCols};
}

// b of MM as fp32, k x n. Plain fp32 stays where it is; the rest goes through staging buffer 1.
MatrixB matrix_b(Exec& exec, const Operand& b, bool transposed) {
  if (!transposed && b.dtype == NPU_DTYPE_F32) {
    if (b.layout == NPU_LAYOUT_ROW) return {b.f32(), kPanelCols, b.stride};
    return {b.f32(), size_t{b.stride} * kPanelCols, kPanelCols};
  }
  if (b.layout == NPU_LAYOUT_PANEL) return widened_panels(exec, b);
  PackArgs args;
  args.k = transposed ? b.cols : b.rows;
  args.n = transposed ? b.rows : b.cols;
  args.src = b.host;
  args.elem = elem_of(b.dtype);
  args.ld = b.stride;
  args.transposed = transposed;
  args.dst_panel_stride = args.k * kPanelCols;
  exec.numerics().pack_panel(staging_f32(exec, 1), args);
  return {staging_f32(exec, 1), args.dst_panel_stride, kPanelCols};
}

// Resolves d, a, b of MM and MMD; b_layouts tells where b may be a PANEL.
bool resolve_product(Exec& exec, uint32_t b_layouts, Operand* d, Operand* a, Operand* b) {
  if (!exec.resolve(kDst, {kInAcc | kInL1, kF32 | kI32}, d) ||
      !exec.resolve(kA, {kInL1, kFloat | kI8}, a) ||
      !exec.resolve(kB, {kInL1, kFloat | kI8, b_layouts}, b)) {
    return false;
  }
  const bool both_fp8 = (kFp8 >> a->dtype & kFp8 >> b->dtype & 1) != 0;
  const bool integers = a->dtype == NPU_DTYPE_I8;
  return ((a->dtype == b->dtype || both_fp8) &&
          d->dtype == (integers ? NPU_DTYPE_I32 : NPU_DTYPE_F32)) ||
         exec.mismatch();
}

// The type that sets the rate: that of the memory which LDC has read, where it fits fp32 without loss.
uint8_t multiplied_as(const Exec& exec, const Operand& t) {
  if (t.dtype != NPU_DTYPE_F32) return t.dtype;
  return exec.tile.narrow.type_of(t.base, t.base + t.extent_bytes);
}

// Checks the shapes of d[m, n] = a[m, k] x b and that d stands apart; counts the work.
bool account_product(Exec& exec, const Operand& d, const Operand& a, const Operand& b, uint32_t k,
                     uint32_t n) {
  if (d.rows != a.rows || d.cols != n || a.cols != k) return exec.mismatch();
  if (may_overlap(d, a) || may_overlap(d, b)) return exec.mismatch();
  exec.latency_ps = count_products(exec, mul_capped(d.elements(), k), multiplied_as(exec, a),
                                   multiplied_as(exec, b));
  return true;
}

// The sum of products of i8 by way of fp32, kIntegerDepth of them at a time: every partial sum is below 2^24, so nothing is rounded.
constexpr uint32_t kIntegerDepth = 1024;
static_assert(kIntegerDepth * 128 * 128 <= 1 << 24);

int32_t saturated(int64_t sum) {
  return static_cast<int32_t>(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX));
}

// d = the exact sum, which product(k0, depth, to) adds up from dense parts of d's shape.
template <typename Product>
void integer_product(Exec& exec, const Operand& d, uint32_t k, const Product& product) {
  const bool accumulate = (exec.insn.flags & NPU_F_ACC) != 0;
  float* part = staging_f32(exec, 2);
  auto* sums = reinterpret_cast<int64_t*>(exec.group.staging[3].data());
  const auto of_row = [&](uint64_t i) { return reinterpret_cast<int32_t*>(d.row(i)); };
  for (uint64_t i = 0; i < d.rows; ++i)
    for (uint64_t j = 0; j < d.cols; ++j) sums[i * d.cols + j] = accumulate ? of_row(i)[j] : 0;
  for (uint32_t k0 = 0; k0 < k; k0 += kIntegerDepth) {
    product(k0, std::min(k - k0, kIntegerDepth), part);
    for (uint64_t i = 0; i < d.elements(); ++i) sums[i] += static_cast<int64_t>(part[i]);
  }
  for (uint64_t i = 0; i < d.rows; ++i)
    for (uint64_t j = 0; j < d.cols; ++j) of_row(i)[j] = saturated(sums[i * d.cols + j]);
}

// The steps of ACCST on one row of fp32 values.
struct Epilogue {
  bool scales = false;
  float scale = 1;
  const float* bias = nullptr;  // nullptr: none
  bool activates = false;
  UnaryOp activation = UnaryOp::kRelu;
};

bool resolve_epilogue(Exec& exec, const Operand& d, Epilogue* e) {
  uint16_t flags = exec.insn.flags;
  uint32_t act = (flags & NPU_F_ACT_MASK) >> NPU_F_ACT_SHIFT;
  constexpr UnaryOp kActivations[NPU_ACT_COUNT] = {
      UnaryOp::kRelu,    UnaryOp::kRelu,    UnaryOp::kGelu, UnaryOp::kSilu,
      UnaryOp::kGeluErf, UnaryOp::kSigmoid, UnaryOp::kTanh};
  if (act >= NPU_ACT_COUNT) return exec.mismatch();
  *e = {(flags & NPU_F_SCALE) != 0, exec.scalar_f32(0), nullptr, act != NPU_ACT_NONE,
        kActivations[act]};
  exec.latency_ps = exec.group.timing.acc_ps(d.elements(), activation_cost(act));
  if ((flags & NPU_F_BIAS) == 0) return true;
  Operand bias;
  if (!exec.resolve(kB, {kInL1, kFloat}, &bias)) return false;
  if (bias.rows != 1 || bias.cols != d.cols) return exec.mismatch();
  // Read once, before anything is written.
  size_t stride = 0;
  e->bias = widened(exec, bias, 2, &stride);
  if (may_overlap(d, bias) && bias.dtype == NPU_DTYPE_F32) {
    std::memcpy(staging_f32(exec, 2), bias.host, bias.data_bytes());
    e->bias = staging_f32(exec, 2);
  }
  return true;
}

void store_row(Exec& exec, const Epilogue& e, const Operand& d, const Operand& a, uint64_t row,
               bool direct) {
  const Numerics& numerics = exec.numerics();
  const float* value = reinterpret_cast<const float*>(a.row(row));
  float* to = direct ? reinterpret_cast<float*>(d.row(row)) : staging_f32(exec, 0);
  if (!direct) {
    // The row is read whole before it is written: d may lie over a in any way.
    std::memcpy(to, value, d.cols * sizeof(float));
    value = to;
  }
  if (e.scales) {
    numerics.binary_scalar(BinaryOp::kMul, to, value, e.scale, d.cols);
    value = to;
  }
  if (e.bias != nullptr) {
    numerics.binary(BinaryOp::kAdd, to, value, e.bias, d.cols);
    value = to;
  }
  if (e.activates) {
    numerics.unary(e.activation, to, value, d.cols);
    value = to;
  }
  if (!direct || value != to) narrow(numerics, d.dtype, d.row(row), value, d.cols);
}

}  // namespace

bool mm(Exec& exec) {
  Operand d, a, b;
  bool transposed = (exec.insn.flags & NPU_F_TB) != 0;
  if (!resolve_product(exec, transposed ? kRow : kRow | kPanel, &d, &a, &b)) return false;
  uint32_t k = transposed ? b.cols : b.rows;
  uint32_t n = transposed ? b.rows : b.cols;
  if (!account_product(exec, d, a, b, k, n)) return false;
  if (d.empty()) return true;
  size_t lda = 0;
  const float* a_host = widened(exec, a, 0, &lda);
  MatrixB from = matrix_b(exec, b, transposed);
  if (d.dtype == NPU_DTYPE_I32) {
    integer_product(exec, d, k, [&](uint32_t k0, uint32_t depth, float* to) {
      exec.numerics().mm({d.rows, d.cols, depth, a_host + k0, lda, from.host + k0 * from.k_stride,
                          from.panel_stride, from.k_stride, to, d.cols, false});
    });
    return true;
  }
  exec.numerics().mm({d.rows, d.cols, k, a_host, lda, from.host, from.panel_stride, from.k_stride,
                      d.f32(), d.stride, (exec.insn.flags & NPU_F_ACC) != 0});
  return true;
}

bool mmd(Exec& exec) {
  Operand d, a, b;
  if (!resolve_product(exec, kRow, &d, &a, &b)) return false;
  if (!account_product(exec, d, a, b, b.cols, b.rows)) return false;
  if (d.empty()) return true;
  size_t lda = 0;
  size_t ldb = 0;
  const float* a_host = widened(exec, a, 0, &lda);
  const float* b_host = widened(exec, b, 1, &ldb);
  if (d.dtype == NPU_DTYPE_I32) {
    integer_product(exec, d, b.cols, [&](uint32_t k0, uint32_t depth, float* to) {
      exec.numerics().dot_rows(
          {d.rows, d.cols, depth, a_host + k0, lda, b_host + k0, ldb, to, d.cols, false});
    });
    return true;
  }
  exec.numerics().dot_rows({d.rows, d.cols, b.cols, a_host, lda, b_host, ldb, d.f32(), d.stride,
                            (exec.insn.flags & NPU_F_ACC) != 0});
  return true;
}

bool accld(Exec& exec) {
  Operand d, a;
  if (!exec.resolve(kDst, {kInAcc, kF32}, &d) || !exec.resolve(kA, {kInL1, kFloat}, &a)) {
    return false;
  }
  if (!d.same_shape(a)) return exec.mismatch();
  exec.latency_ps = exec.group.timing.acc_ps(d.elements(), 1);
  for (uint64_t i = 0; i < d.rows && d.cols != 0; ++i) {
    widen(exec.numerics(), a.dtype, reinterpret_cast<float*>(d.row(i)), a.row(i), a.cols);
  }
  return true;
}

bool accst(Exec& exec) {
  Operand d, a;
  Epilogue epilogue;
  if (!exec.resolve(kDst, {kInL1, kFloat}, &d) || !exec.resolve(kA, {kInAcc | kInL1, kF32}, &a)) {
    return false;
  }
  if (!d.same_shape(a)) return exec.mismatch();
  if (!resolve_epilogue(exec, d, &epilogue)) return false;
  bool direct = d.dtype == NPU_DTYPE_F32 && !may_disturb(d, a);
  for (uint64_t i = 0; i < d.rows && d.cols != 0; ++i) store_row(exec, epilogue, d, a, i, direct);
  return true;
}

}  // namespace npu::model
