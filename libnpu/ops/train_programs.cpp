// SPDX-License-Identifier: Apache-2.0
// Names of the programs of training, as firmware-model/kernels gives them.
#include "libnpu/ops/program.h"

namespace npu::ops {
namespace {

std::string typed(const char* name, uint32_t type) {
  return std::string(name) + (type != 0 ? "_bf16" : "_f32");
}

}  // namespace

std::string column_sum_name(uint32_t v) { return typed("column_sum", v); }
std::string cross_entropy_name(uint32_t v) { return typed("cross_entropy", v); }
std::string softmax_backward_name(uint32_t v) { return typed("softmax_backward", v); }
std::string norm_backward_name(uint32_t v) {
  return typed(v % 2 != 0 ? "layer_norm_backward" : "rms_norm_backward", v / 2);
}
std::string norm_weight_backward_name(uint32_t v) { return typed("norm_weight_backward", v); }
std::string unary_backward_name(uint32_t v) {
  static constexpr const char* kNames[] = {"relu_backward", "tanh_backward",     "sigmoid_backward",
                                           "gelu_backward", "gelu_erf_backward", "silu_backward"};
  return typed(kNames[v % 6], v / 6);
}
std::string silu_mul_backward_name(uint32_t v) { return typed("silu_mul_backward", v); }
std::string gather_backward_name(uint32_t v) { return typed("gather_backward", v); }
std::string adamw_name(uint32_t v) { return typed("adamw", v); }
std::string attention_backward_name(uint32_t v) {
  return typed(v % 2 != 0 ? "attention_backward_kv" : "attention_backward_q", v / 2);
}
std::string dropout_name(uint32_t v) { return typed("dropout", v); }
std::string sum_squares_name(uint32_t v) { return typed("sum_squares", v); }

}  // namespace npu::ops
