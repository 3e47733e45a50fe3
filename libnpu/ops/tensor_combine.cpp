// SPDX-License-Identifier: Apache-2.0
// Plans of NPU_OPS_TENSOR_COMBINE and NPU_OPS_TENSOR_GATE: functions of two operands.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/walk.h"

namespace npu::ops {
namespace {

constexpr const char* kFunctions[] = {"add", "sub", "mul", "div", "max", "min"};
constexpr uint32_t kFunctionCount = std::size(kFunctions);
static_assert(kFunctionCount == NPU_OPS_MIN + 1);

// Types of x, b and y, as programs are counted.
struct Types {
  npuDataType x, b, y;
  const char* name;
};
constexpr Types kTypes[] = {{NPU_FLOAT32, NPU_FLOAT32, NPU_FLOAT32, "f32"},
                            {NPU_BFLOAT16, NPU_BFLOAT16, NPU_BFLOAT16, "bf16"},
                            {NPU_FLOAT16, NPU_FLOAT16, NPU_FLOAT16, "f16"},
                            {NPU_FLOAT16, NPU_FLOAT32, NPU_FLOAT16, "f16_f32_f16"},
                            {NPU_FLOAT16, NPU_FLOAT32, NPU_FLOAT32, "f16_f32_f32"},
                            {NPU_BFLOAT16, NPU_FLOAT32, NPU_BFLOAT16, "bf16_f32_bf16"},
                            {NPU_BFLOAT16, NPU_FLOAT32, NPU_FLOAT32, "bf16_f32_f32"}};
static_assert(kProgramCombineLast + 1 - kProgramCombine == std::size(kTypes) * kFunctionCount);
static_assert(kProgramCombineWalkLast + 1 - kProgramCombineWalk == std::size(kTypes));

constexpr int32_t kGateFunctions[] = {NPU_OPS_RELU, NPU_OPS_GELU, NPU_OPS_GELU_ERF, NPU_OPS_SILU,
                                      NPU_OPS_MAP_GELU_QUICK};
constexpr const char* kGateNames[] = {"relu", "gelu", "gelu_erf", "silu", "gelu_quick"};
constexpr uint32_t kGateCount = std::size(kGateNames);
static_assert(kProgramGateLast + 1 - kProgramGate == kFloatCount * kGateCount);

npuResult find_types(const npuOpsCombineInfo& c, uint32_t* index) {
  for (uint32_t i = 0; i < std::size(kTypes); ++i) {
    const Types& t = kTypes[i];
    if (t.x != c.x.type || t.b != c.b.type || t.y != c.y.type) continue;
    *index = i;
    return NPU_OK;
  }
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "no function takes x, b and y of types %d, %d and %d together", c.x.type, c.b.type,
              c.y.type);
}

npuResult check_operands(const npuOpsTensor& x, const npuOpsTensor& b, const npuOpsTensor& y) {
  NPU_OPS_TRY(check_tensor("x", x, kFloats));
  NPU_OPS_TRY(check_tensor("b", b, kFloats));
  NPU_OPS_TRY(check_tensor("y", y, kFloats));
  NPU_OPS_TRY(check_same_sizes("x", x, "y", y));
  return check_result("y", y);
}

// The part of the arguments that does not depend on the operator; *flat: whether one run of elements was found.
npuResult plan_walk(const npuOpsTensor& x, const npuOpsTensor& b, const npuOpsTensor& y, bool* flat,
                    uint32_t* spread, Plan* plan) {
  const Walk walk = walk_of({&x, &b, &y});
  *flat = walk.is_flat();
  if (*flat) {
    plan->add64(x.data).add64(b.data).add64(y.data);
    add_run(walk.elements(), plan);
    return NPU_OK;
  }
  Blocks blocks;
  NPU_OPS_TRY(choose_blocks(walk, 1, kRepeatSpread, &blocks));
  share_blocks(kElementwiseElements, &blocks);
  *spread = blocks.places[1].spread;
  return add_blocks(blocks, {x.data, b.data, y.data}, plan);
}

}  // namespace

std::string combine_name(uint32_t v) {
  return std::string("combine_") + kFunctions[v % kFunctionCount] + "_" +
         kTypes[v / kFunctionCount].name;
}
std::string combine_walk_name(uint32_t v) { return std::string("combine_walk_") + kTypes[v].name; }
std::string gate_name(uint32_t v) {
  return std::string("gate_") + kGateNames[v % kGateCount] + "_" + kFloatNames[v / kGateCount];
}
std::string gate_walk_name(uint32_t v) { return std::string("gate_walk_") + kFloatNames[v]; }

npuResult plan_combine(const void* info, Plan* plan) {
  npuOpsCombineInfo c;
  NPU_OPS_TRY(read_info(info, &c));
  NPU_OPS_TRY(check_enum("function", c.function, NPU_OPS_MIN + 1));
  NPU_OPS_TRY(check_operands(c.x, c.b, c.y));
  NPU_OPS_TRY(check_repeats("b", c.b, "y", c.y));
  uint32_t types = 0;
  NPU_OPS_TRY(find_types(c, &types));
  if (is_empty(c.y)) return NPU_OK;
  bool flat;
  uint32_t spread = 0;
  NPU_OPS_TRY(plan_walk(c.x, c.b, c.y, &flat, &spread, plan));
  const auto function = static_cast<uint32_t>(c.function);
  if (flat) {
    plan->program = kProgramCombine + types * kFunctionCount + function;
  } else {
    plan->add32(function).add32(spread);
    plan->program = kProgramCombineWalk + types;
  }
  return NPU_OK;
}

npuResult find_gate(int32_t function, uint32_t* out) {
  const auto* found = std::find(std::begin(kGateFunctions), std::end(kGateFunctions), function);
  if (found == std::end(kGateFunctions))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "function is %d, which gates nothing", function);
  *out = static_cast<uint32_t>(found - kGateFunctions);
  return NPU_OK;
}

npuResult plan_gate(const void* info, Plan* plan) {
  npuOpsGateInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  uint32_t function = 0;
  NPU_OPS_TRY(find_gate(g.function, &function));
  NPU_OPS_TRY(check_operands(g.x, g.b, g.y));
  NPU_OPS_TRY(check_same_sizes("b", g.b, "y", g.y));
  if (g.x.type != g.y.type || g.b.type != g.y.type)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "x, b and y are of types %d, %d and %d: all are one",
                g.x.type, g.b.type, g.y.type);
  if (is_empty(g.y)) return NPU_OK;
  bool flat;
  uint32_t spread = 0;
  NPU_OPS_TRY(plan_walk(g.x, g.b, g.y, &flat, &spread, plan));
  const uint32_t type = float_index(g.y.type);
  if (flat) {
    plan->program = kProgramGate + type * kGateCount + function;
  } else {
    plan->add32(function);
    plan->program = kProgramGateWalk + type;
  }
  return NPU_OK;
}

}  // namespace npu::ops
