// SPDX-License-Identifier: Apache-2.0
// The NPU programs of the operator library: one function for each family, and the list of all.
//
// Every program works on any device with at least the scratchpads of limits.h. Host code chooses block sizes (run-time arguments)
// within those limits; argument blocks are laid out in the order of the arg_* calls.
// Thread safety: functions without state.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_KERNELS_H_
#define NPU_FIRMWARE_MODEL_KERNELS_KERNELS_H_

#include <string>
#include <vector>

#include "tools/isa/builder.h"
#include "tools/isa/program.h"

namespace npu::kernels {

using Programs = std::vector<isa::Program>;

void add_gemm(Programs& out);
void add_gemm_pack(Programs& out);
void add_gemm_any(Programs& out);  // operands of any type, parts of K, groups
// The same with larger blocks, for devices with |l1| times kGemmWideL1Bytes of L1; no part of all_kernels(), which every device can load.
void add_gemm_wide(Programs& out, uint32_t l1);
void add_convert_any(Programs& out);  // from any type to any
void add_attention(Programs& out);
void add_norms(Programs& out);  // softmax, rms_norm, layer_norm
void add_rope(Programs& out);
void add_elementwise(Programs& out);  // unary, binary, silu_mul, convert
void add_rows(Programs& out);         // gather, scatter, argmax
// Of training (npu_ops_train.h).
void add_loss(Programs& out);                  // cross-entropy, softmax backward
void add_norms_backward(Programs& out);        // RMSnorm, layernorm
void add_elementwise_backward(Programs& out);  // activations, silu_mul, dropout
void add_column_sums(Programs& out);           // column sum, gather backward
void add_optimizer(Programs& out);             // AdamW, sums of squares
void add_attention_backward(Programs& out);
// On tensors of any strides, with functions of one operand, of two, and rows by index.
void add_tensor_map(Programs& out);
void add_tensor_combine(Programs& out);
void add_tensor_rows(Programs& out);
// On tensors (npu_tensor.h).
void add_tensor_norm(Programs& out);
void add_tensor_softmax(Programs& out);
void add_tensor_rope(Programs& out);
void add_tensor_attention(Programs& out);
void add_tensor_reduce(Programs& out);  // sum, argmax, sort
void add_matmul(Programs& out);
void add_products(Programs& out);  // what a transformer does around the products of a few vectors

// All of the above and `null`, a program that only ends.
Programs all_kernels();

// The element types that programs come in, and how a kernel's name spells them.
inline constexpr isa::DType kElementTypes[] = {isa::DType::F32, isa::DType::BF16};
// Likewise of weights: those that products of vectors take.
inline constexpr isa::DType kWeightTypes[] = {isa::DType::F32,  isa::DType::BF16, isa::DType::F16,
                                              isa::DType::Q8_0, isa::DType::Q4_0, isa::DType::Q4_K,
                                              isa::DType::Q6_K};
inline constexpr const char* kWeightNames[] = {"f32",  "bf16", "f16", "q8_0",
                                               "q4_0", "q4_k", "q6_k"};
inline std::string type_name(isa::DType type) { return type == isa::DType::F32 ? "f32" : "bf16"; }

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_KERNELS_H_
