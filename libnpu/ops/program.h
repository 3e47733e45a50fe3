// SPDX-License-Identifier: Apache-2.0
// The programs of npu_ops.nfw: a number for each, its name in the blob, and the size of its argument block.
#ifndef LIBNPU_OPS_PROGRAM_H_
#define LIBNPU_OPS_PROGRAM_H_

#include <npu/npu_types.h>

#include <cstdint>
#include <string>

namespace npu::ops {

// First number of each family; inside a family the variants are counted through, types first.
enum Program : uint32_t {
  kProgramNull = 0,
  kProgramGemm = 1,                         // 24: in, out, A transposed, form of B
  kProgramPack = kProgramGemm + 24,         // 4: type, transposed
  kProgramAttention = kProgramPack + 4,     // 4: type, decode
  kProgramSoftmax = kProgramAttention + 4,  // 2: type
  kProgramRmsNorm = kProgramSoftmax + 2,    // 2
  kProgramLayerNorm = kProgramRmsNorm + 2,  // 2
  kProgramRope = kProgramLayerNorm + 2,     // 8: type, heads, half
  kProgramUnary = kProgramRope + 8,         // 32: type, function
  kProgramBinary = kProgramUnary + 32,      // 48: type, function, spread
  kProgramSiluMul = kProgramBinary + 48,    // 2
  kProgramConvert = kProgramSiluMul + 2,    // 2: from fp32, from bf16
  kProgramGather = kProgramConvert + 2,     // 4: from, to
  kProgramScatter = kProgramGather + 4,     // 4: from, to
  kProgramArgmax = kProgramScatter + 4,     // 2
  kProgramMatricesLast = kProgramArgmax + 1,
// The families on tensors (tensor_programs.def), one behind the other.
#define NPU_OPS_FAMILY(Name, count, name_of) \
  kProgram##Name, kProgram##Name##Last = kProgram##Name + (count)-1,
#include "libnpu/ops/tensor_programs.def"
  kProgramCount,
  // In blobs of their own (npu_ops_wide1.nfw, ...), by the size of L1.
  kProgramGemmWide = kProgramCount,  // 6: kind, as in GemmAny
  kProgramEnd = kProgramGemmWide + 6
};

std::string program_name(uint32_t program);
std::string gemm_wide_name(uint32_t variant);

// Names inside the families on tensors: |variant| counts from 0.
#define NPU_OPS_FAMILY(Name, count, name_of) std::string name_of(uint32_t variant);
#include "libnpu/ops/tensor_programs.def"

}  // namespace npu::ops

#endif  // LIBNPU_OPS_PROGRAM_H_
