// SPDX-License-Identifier: Apache-2.0
// Plans of NPU_OPS_TENSOR_MAP: functions of one operand, copies, changes of type.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/walk.h"

namespace npu::ops {
namespace {

// Functions as programs are counted: those of npuOpsUnaryFunction, then those of the tensors but the copy.
constexpr const char* kFunctions[] = {
    "neg",       "abs",         "relu",   "exp",        "log",        "sqrt",  "rsqrt",    "rcp",
    "tanh",      "sigmoid",     "erf",    "gelu",       "gelu_erf",   "silu",  "sin",      "cos",
    "scale",     "clamp",       "square", "gelu_quick", "leaky_relu", "sign",  "step",     "elu",
    "hardswish", "hardsigmoid", "floor",  "ceil",       "round",      "trunc", "softplus", "expm1"};
constexpr uint32_t kFunctionCount = std::size(kFunctions);
constexpr uint32_t kUnaryCount = NPU_OPS_COS + 1;
static_assert(kFunctionCount == kUnaryCount + NPU_OPS_MAP_END - NPU_OPS_MAP_SCALE);
static_assert(kProgramMapLast + 1 - kProgramMap == kFloatCount * kFunctionCount);

// Copies as programs are counted. Equal types move as bits, by their size.
struct Copy {
  npuDataType from, to;
  const char* name;
};
constexpr Copy kCopies[] = {
    {NPU_FLOAT32, NPU_FLOAT32, "b32"},       {NPU_FLOAT16, NPU_FLOAT16, "b16"},
    {NPU_FLOAT32, NPU_BFLOAT16, "f32_bf16"}, {NPU_FLOAT32, NPU_FLOAT16, "f32_f16"},
    {NPU_BFLOAT16, NPU_FLOAT32, "bf16_f32"}, {NPU_BFLOAT16, NPU_FLOAT16, "bf16_f16"},
    {NPU_FLOAT16, NPU_FLOAT32, "f16_f32"},   {NPU_FLOAT16, NPU_BFLOAT16, "f16_bf16"},
    {NPU_INT32, NPU_FLOAT32, "i32_f32"},     {NPU_FLOAT32, NPU_INT32, "f32_i32"}};
constexpr uint32_t kCopyCount = std::size(kCopies);
static_assert(kProgramCopyLast + 1 - kProgramCopy == kCopyCount);
static_assert(kProgramCopyWalkLast + 1 - kProgramCopyWalk == kCopyCount);

npuResult find_copy(npuDataType from, npuDataType to, uint32_t* index) {
  if (from == to) {
    *index = layout_of(from).block_bytes == 4 ? 0 : 1;
    return NPU_OK;
  }
  for (uint32_t i = 2; i < kCopyCount; ++i) {
    if (kCopies[i].from != from || kCopies[i].to != to) continue;
    *index = i;
    return NPU_OK;
  }
  return fail(NPU_ERROR_NOT_SUPPORTED, "x is of type %d and y of type %d: no copy goes that way",
              from, to);
}

npuResult check_function(int32_t function) {
  if (function >= NPU_OPS_NEG && function <= NPU_OPS_COS) return NPU_OK;
  if (function >= NPU_OPS_MAP_COPY && function < NPU_OPS_MAP_END) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "function is %d, which has no meaning", function);
}

npuResult check(const npuOpsMapInfo& m) {
  NPU_OPS_TRY(check_function(m.function));
  const bool copies = m.function == NPU_OPS_MAP_COPY;
  NPU_OPS_TRY(check_tensor("x", m.x, copies ? kFloats | kI32 : kFloats));
  NPU_OPS_TRY(check_tensor("y", m.y, copies ? kFloats | kI32 : kFloats));
  if (!copies && m.x.type != m.y.type)
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "x is of type %d and y of type %d: only a copy changes the type", m.x.type,
                m.y.type);
  NPU_OPS_TRY(check_repeats("x", m.x, "y", m.y));
  return check_result("y", m.y);
}

bool has_a(int32_t function) {
  return function == NPU_OPS_MAP_SCALE || function == NPU_OPS_MAP_CLAMP ||
         function == NPU_OPS_MAP_LEAKY_RELU;
}
bool has_b(int32_t function) {
  return function == NPU_OPS_MAP_SCALE || function == NPU_OPS_MAP_CLAMP;
}

uint32_t function_index(int32_t function) {
  return static_cast<uint32_t>(function <= NPU_OPS_COS ? function
                                                       : function - NPU_OPS_MAP_SCALE +
                                                             static_cast<int32_t>(kUnaryCount));
}

}  // namespace

std::string map_name(uint32_t v) {
  return std::string("map_") + kFunctions[v % kFunctionCount] + "_" +
         kFloatNames[v / kFunctionCount];
}
std::string map_walk_name(uint32_t v) { return std::string("map_walk_") + kFloatNames[v]; }
std::string copy_name(uint32_t v) { return std::string("copy_") + kCopies[v].name; }
std::string copy_walk_name(uint32_t v) { return std::string("copy_walk_") + kCopies[v].name; }

npuResult plan_map(const void* info, Plan* plan) {
  npuOpsMapInfo m;
  NPU_OPS_TRY(read_info(info, &m));
  NPU_OPS_TRY(check(m));
  if (m.a != 0 && !has_a(m.function))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "a must be 0 here, not %g", static_cast<double>(m.a));
  if (m.b != 0 && !has_b(m.function))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "b must be 0 here, not %g", static_cast<double>(m.b));
  const bool copies = m.function == NPU_OPS_MAP_COPY;
  uint32_t copy = 0;
  if (copies) NPU_OPS_TRY(find_copy(m.x.type, m.y.type, &copy));
  if (is_empty(m.y)) return NPU_OK;
  const Walk walk = walk_of({&m.x, &m.y});
  const bool flat = walk.is_flat();
  if (flat) {
    plan->add64(m.x.data).add64(m.y.data);
    add_run(walk.elements(), plan);
  } else {
    Blocks blocks;
    NPU_OPS_TRY(choose_blocks(walk, 0, kRepeatColumn, &blocks));
    share_blocks(kElementwiseElements, &blocks);
    NPU_OPS_TRY(add_blocks(blocks, {m.x.data, m.y.data}, plan));
  }
  if (copies) {
    plan->program = (flat ? kProgramCopy : kProgramCopyWalk) + copy;
    return NPU_OK;
  }
  const uint32_t index = function_index(m.function);
  if (!flat) plan->add32(index);
  plan->add_f32(m.a).add_f32(m.b);
  plan->program = flat ? kProgramMap + float_index(m.x.type) * kFunctionCount + index
                       : kProgramMapWalk + float_index(m.x.type);
  return NPU_OK;
}

}  // namespace npu::ops
