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
    {NPU_INT32, NPU_FLOAT32, "i32_f32"},     {NPU_FLOAT32, NPU_INT32, "f32_i32"},
    {NPU_Q8_0, NPU_FLOAT32, "q8_0_f32"},     {NPU_Q4_0, NPU_FLOAT32, "q4_0_f32"},
    {NPU_Q4_K, NPU_FLOAT32, "q4_k_f32"},     {NPU_Q6_K, NPU_FLOAT32, "q6_k_f32"},
    {NPU_FLOAT32, NPU_Q8_0, "f32_q8_0"},     {NPU_FLOAT32, NPU_Q4_0, "f32_q4_0"},
    {NPU_BFLOAT16, NPU_Q8_0, "bf16_q8_0"},   {NPU_BFLOAT16, NPU_Q4_0, "bf16_q4_0"},
    {NPU_FLOAT16, NPU_Q8_0, "f16_q8_0"},     {NPU_FLOAT16, NPU_Q4_0, "f16_q4_0"}};
constexpr uint32_t kCopyCount = std::size(kCopies);
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

bool has_a(int32_t function) {
  return function == NPU_OPS_MAP_SCALE || function == NPU_OPS_MAP_CLAMP ||
         function == NPU_OPS_MAP_LEAKY_RELU;
}
bool has_b(int32_t function) {
  return function == NPU_OPS_MAP_SCALE || function == NPU_OPS_MAP_CLAMP;
}

npuResult check_types(const npuOpsMapInfo& m) {
  const bool copies = m.function == NPU_OPS_MAP_COPY;
  const bool as_is = copies && m.x.type == m.y.type;
  NPU_OPS_TRY(check_tensor("x", m.x, copies ? kFloats | kI32 | kBlocks : kFloats));
  NPU_OPS_TRY(check_tensor("y", m.y,
                           as_is    ? kFloats | kI32 | kBlocks
                           : copies ? kFloats | kI32 | kWrittenBlocks
                                    : kFloats));
  if (copies || m.x.type == m.y.type) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT,
              "x is of type %d and y of type %d: only a copy changes the type", m.x.type, m.y.type);
}

npuResult check_numbers(const npuOpsMapInfo& m) {
  if (m.a != 0 && !has_a(m.function))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "a must be 0 here, not %g", static_cast<double>(m.a));
  if (m.b != 0 && !has_b(m.function))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "b must be 0 here, not %g", static_cast<double>(m.b));
  return NPU_OK;
}

uint32_t function_index(int32_t function) {
  return static_cast<uint32_t>(function <= NPU_OPS_COS ? function
                                                       : function - NPU_OPS_MAP_SCALE +
                                                             static_cast<int32_t>(kUnaryCount));
}

// A walk in which operand |o|, of a type in blocks, counts elements: only there do its dimensions join, and its columns lie side by side.
npuResult plan_blocks(const npuOpsMapInfo& m, uint32_t o, Plan* plan) {
  npuOpsTensor operands[] = {m.x, m.y};
  npuOpsTensor& t = operands[o];
  const TypeLayout layout = layout_of(t.type);
  t.strides[0] = 1;
  for (uint32_t d = 1; d < kDims; ++d) {
    if (t.sizes[d] == 1) continue;
    if (t.strides[d] % layout.block_bytes != 0)
      return fail(NPU_ERROR_NOT_SUPPORTED, "%c: strides[%u] is no whole number of blocks", "xy"[o],
                  d);
    t.strides[d] = t.strides[d] / layout.block_bytes * layout.block_elements;
  }
  Walk walk = walk_of({&operands[0], &operands[1]});
  walk.elem_bytes[o] = 1;
  Blocks b;
  NPU_OPS_TRY(choose_blocks(walk, o, kInBlocks, &b));
  if (b.cols % layout.block_elements != 0)
    return fail(NPU_ERROR_NOT_SUPPORTED, "x repeats within a block of y");
  share_blocks(kElementwiseElements, &b);
  const auto to_bytes = [&](uint64_t* elements) {
    *elements = *elements / layout.block_elements * layout.block_bytes;
  };
  to_bytes(&b.places[o].row_bytes);
  for (uint32_t d = 0; d < b.around_count; ++d) to_bytes(&b.around[d].bytes[o]);
  return add_blocks(b, {m.x.data, m.y.data}, plan);
}

// *flat: x and y are one run of elements.
npuResult plan_walk(const npuOpsMapInfo& m, bool* flat, Plan* plan) {
  *flat = false;
  if (in_blocks(m.x)) return plan_blocks(m, 0, plan);
  if (in_blocks(m.y)) return plan_blocks(m, 1, plan);
  const Walk walk = walk_of({&m.x, &m.y});
  *flat = walk.is_flat();
  if (*flat) {
    plan->add64(m.x.data).add64(m.y.data);
    add_run(walk.elements(), plan);
    return NPU_OK;
  }
  Blocks blocks;
  NPU_OPS_TRY(choose_blocks(walk, 0, kRepeatColumn, &blocks));
  share_blocks(kElementwiseElements, &blocks);
  return add_blocks(blocks, {m.x.data, m.y.data}, plan);
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
  NPU_OPS_TRY(check_function(m.function));
  NPU_OPS_TRY(check_numbers(m));
  NPU_OPS_TRY(check_types(m));
  if (m.x.type == m.y.type && in_blocks(m.y)) {
    m.x = as_words(m.x);
    m.y = as_words(m.y);
  }
  NPU_OPS_TRY(check_repeats("x", m.x, "y", m.y));
  NPU_OPS_TRY(check_result("y", in_blocks(m.y) ? as_words(m.y) : m.y));
  const bool copies = m.function == NPU_OPS_MAP_COPY;
  uint32_t copy = 0;
  if (copies) NPU_OPS_TRY(find_copy(m.x.type, m.y.type, &copy));
  if (is_empty(m.y)) return NPU_OK;
  bool flat;
  NPU_OPS_TRY(plan_walk(m, &flat, plan));
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
