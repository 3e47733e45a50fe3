// SPDX-License-Identifier: Apache-2.0
// The list of all programs.
#include "firmware-model/kernels/kernels.h"

namespace npu::kernels {

Programs all_kernels() {
  Programs out;
  out.push_back(isa::Kernel("null").finish());
  add_gemm(out);
  add_gemm_pack(out);
  add_attention(out);
  add_norms(out);
  add_rope(out);
  add_elementwise(out);
  add_rows(out);
  add_loss(out);
  add_norms_backward(out);
  add_elementwise_backward(out);
  add_column_sums(out);
  add_optimizer(out);
  add_attention_backward(out);
  add_tensor_map(out);
  add_tensor_combine(out);
  add_tensor_rows(out);
  add_tensor_norm(out);
  add_tensor_softmax(out);
  add_tensor_rope(out);
  add_tensor_attention(out);
  add_tensor_reduce(out);
  add_matmul(out);
  add_products(out);
  add_gemm_any(out);
  add_convert_any(out);
  return out;
}

}  // namespace npu::kernels
