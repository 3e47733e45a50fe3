// SPDX-License-Identifier: Apache-2.0
// Names of the programs, as firmware-model/kernels gives them.
#include "libnpu/ops/program.h"

namespace npu::ops {
namespace {

constexpr const char* kTypes[] = {"f32", "bf16"};
constexpr const char* kUnary[] = {"neg",      "abs",  "relu", "exp",     "log", "sqrt",
                                  "rsqrt",    "rcp",  "tanh", "sigmoid", "erf", "gelu",
                                  "gelu_erf", "silu", "sin",  "cos"};
constexpr const char* kBinary[] = {"add", "sub", "mul", "div", "max", "min"};
constexpr const char* kSpreads[] = {"full", "row", "col", "scalar"};

std::string typed(const char* name, uint32_t type) {
  return std::string(name) + "_" + kTypes[type];
}

std::string typed2(const char* name, uint32_t from_to) {
  return typed(name, from_to / 2) + "_" + kTypes[from_to % 2];
}

std::string gemm_name(uint32_t v) {
  return typed2("gemm", v / 6) + (v / 3 % 2 != 0 ? "_t" : "_n") + "ntp"[v % 3];
}

std::string rope_name(uint32_t v) {
  return typed(v / 2 % 2 != 0 ? "rope_heads" : "rope_tokens", v / 4) +
         (v % 2 != 0 ? "_half" : "_pair");
}

}  // namespace

std::string program_name(uint32_t program) {
  auto in = [&](uint32_t first, uint32_t next) { return program >= first && program < next; };
  if (in(kProgramGemm, kProgramPack)) return gemm_name(program - kProgramGemm);
  if (in(kProgramPack, kProgramAttention)) {
    uint32_t v = program - kProgramPack;
    return typed("gemm_pack", v / 2) + (v % 2 != 0 ? "_t" : "_n");
  }
  if (in(kProgramAttention, kProgramSoftmax)) {
    uint32_t v = program - kProgramAttention;
    return typed(v % 2 != 0 ? "attention_decode" : "attention", v / 2);
  }
  if (in(kProgramSoftmax, kProgramRmsNorm)) return typed("softmax", program - kProgramSoftmax);
  if (in(kProgramRmsNorm, kProgramLayerNorm)) return typed("rms_norm", program - kProgramRmsNorm);
  if (in(kProgramLayerNorm, kProgramRope)) return typed("layer_norm", program - kProgramLayerNorm);
  if (in(kProgramRope, kProgramUnary)) return rope_name(program - kProgramRope);
  if (in(kProgramUnary, kProgramBinary)) {
    uint32_t v = program - kProgramUnary;
    return typed(kUnary[v % 16], v / 16);
  }
  if (in(kProgramBinary, kProgramSiluMul)) {
    uint32_t v = program - kProgramBinary;
    return typed(kBinary[v / 4 % 6], v / 24) + "_" + kSpreads[v % 4];
  }
  if (in(kProgramSiluMul, kProgramConvert)) return typed("silu_mul", program - kProgramSiluMul);
  if (in(kProgramConvert, kProgramGather))
    return typed2("convert", program == kProgramConvert ? 1 : 2);
  if (in(kProgramGather, kProgramScatter)) return typed2("gather", program - kProgramGather);
  if (in(kProgramScatter, kProgramArgmax)) return typed2("scatter", program - kProgramScatter);
  if (in(kProgramArgmax, kProgramMatricesLast + 1))
    return typed("argmax", program - kProgramArgmax);
#define NPU_OPS_FAMILY(Name, count, name_of) \
  if (in(kProgram##Name, kProgram##Name##Last + 1)) return name_of(program - kProgram##Name);
#include "libnpu/ops/tensor_programs.def"
  if (in(kProgramGemmWide, kProgramEnd)) return gemm_wide_name(program - kProgramGemmWide);
  return "null";
}

}  // namespace npu::ops
