// SPDX-License-Identifier: Apache-2.0
// One function for each group of ggml's operators; a table by operator calls them.
#include "integrations/ggml/lower.h"

#include "integrations/ggml/tensor.h"

namespace npu::ggml {
namespace {

// Adds an operator of |kind|, whose struct |info| is a member of the union.
template <typename Info>
Info& add(Lowered* out, npuOpsKind kind, Info& (*member)(Operation&)) {
  Operation& operation = out->operations[out->count++];
  operation = {};
  operation.kind = kind;
  Info& info = member(operation);
  info.struct_size = sizeof(Info);
  return info;
}

void add_map(Lowered* out, int32_t function, const npuOpsTensor& x, const npuOpsTensor& y,
             float a = 0, float b = 0) {
  npuOpsMapInfo& info = add<npuOpsMapInfo>(
      out, NPU_OPS_TENSOR_MAP, [](Operation& o) -> npuOpsMapInfo& { return o.info.map; });
  info.function = function;
  info.a = a;
  info.b = b;
  info.x = x;
  info.y = y;
}

void add_combine(Lowered* out, int32_t function, const npuOpsTensor& x, const npuOpsTensor& b,
                 const npuOpsTensor& y) {
  npuOpsCombineInfo& info =
      add<npuOpsCombineInfo>(out, NPU_OPS_TENSOR_COMBINE,
                             [](Operation& o) -> npuOpsCombineInfo& { return o.info.combine; });
  info.function = function;
  info.x = x;
  info.b = b;
  info.y = y;
}

void add_norm(Lowered* out, int32_t function, float eps, const npuOpsTensor& x,
              const npuOpsTensor& y) {
  npuOpsTensorNormInfo& info = add<npuOpsTensorNormInfo>(
      out, NPU_OPS_TENSOR_NORM, [](Operation& o) -> npuOpsTensorNormInfo& { return o.info.norm; });
  info.function = function;
  info.eps = eps;
  info.x = x;
  info.y = y;
}

void add_reduce(Lowered* out, int32_t function, const npuOpsTensor& x, const npuOpsTensor& y) {
  npuOpsReduceInfo& info = add<npuOpsReduceInfo>(
      out, NPU_OPS_TENSOR_REDUCE, [](Operation& o) -> npuOpsReduceInfo& { return o.info.reduce; });
  info.function = function;
  info.x = x;
  info.y = y;
}

template <int32_t kFunction>
bool lower_map(const ggml_tensor* node, Lowered* out) {
  add_map(out, kFunction, operand(node->src[0]), operand(node));
  return true;
}

template <int32_t kFunction>
bool lower_map_with_params(const ggml_tensor* node, Lowered* out) {
  add_map(out, kFunction, operand(node->src[0]), operand(node), float_param(node, 0),
          kFunction == NPU_OPS_MAP_LEAKY_RELU ? 0 : float_param(node, 1));
  return true;
}

// The operand's elements may be anything, NaN too, and a step of them is a number in any case.
bool lower_fill(const ggml_tensor* node, Lowered* out) {
  const npuOpsTensor y = operand(node);
  add_map(out, NPU_OPS_MAP_STEP, y, y);
  add_map(out, NPU_OPS_MAP_SCALE, y, y, 0, float_param(node, 0));
  return true;
}

bool lower_unary(const ggml_tensor* node, Lowered* out) {
  static constexpr struct {
    ggml_unary_op op;
    int32_t function;
  } kFunctions[] = {
      {GGML_UNARY_OP_ABS, NPU_OPS_ABS},
      {GGML_UNARY_OP_NEG, NPU_OPS_NEG},
      {GGML_UNARY_OP_TANH, NPU_OPS_TANH},
      {GGML_UNARY_OP_RELU, NPU_OPS_RELU},
      {GGML_UNARY_OP_SIGMOID, NPU_OPS_SIGMOID},
      {GGML_UNARY_OP_GELU, NPU_OPS_GELU},
      {GGML_UNARY_OP_GELU_QUICK, NPU_OPS_MAP_GELU_QUICK},
      {GGML_UNARY_OP_GELU_ERF, NPU_OPS_GELU_ERF},
      {GGML_UNARY_OP_SILU, NPU_OPS_SILU},
      {GGML_UNARY_OP_EXP, NPU_OPS_EXP},
      {GGML_UNARY_OP_EXPM1, NPU_OPS_MAP_EXPM1},
      {GGML_UNARY_OP_SGN, NPU_OPS_MAP_SIGN},
      {GGML_UNARY_OP_STEP, NPU_OPS_MAP_STEP},
      {GGML_UNARY_OP_ELU, NPU_OPS_MAP_ELU},
      {GGML_UNARY_OP_HARDSWISH, NPU_OPS_MAP_HARDSWISH},
      {GGML_UNARY_OP_HARDSIGMOID, NPU_OPS_MAP_HARDSIGMOID},
      {GGML_UNARY_OP_SOFTPLUS, NPU_OPS_MAP_SOFTPLUS},
      {GGML_UNARY_OP_FLOOR, NPU_OPS_MAP_FLOOR},
      {GGML_UNARY_OP_CEIL, NPU_OPS_MAP_CEIL},
      {GGML_UNARY_OP_ROUND, NPU_OPS_MAP_ROUND},
      {GGML_UNARY_OP_TRUNC, NPU_OPS_MAP_TRUNC},
  };
  for (const auto& row : kFunctions) {
    if (row.op != ggml_get_unary_op(node)) continue;
    add_map(out, row.function, operand(node->src[0]), operand(node));
    return true;
  }
  return false;
}

template <int32_t kFunction>
bool lower_combine(const ggml_tensor* node, Lowered* out) {
  add_combine(out, kFunction, operand(node->src[0]), operand(node->src[1]), operand(node));
  return true;
}

// CPY, DUP, CONT: the elements in the order of their indices, whatever the two shapes are.
bool lower_copy(const ggml_tensor* node, Lowered* out) {
  npuOpsTensor x, y;
  // ggml's CPU backend rounds halves to even where ggml's reference, and the device, round them away from zero; among numbers of 16 bits
  // halves are common.
  if (node->type == GGML_TYPE_Q8_0 && node->src[0]->type != GGML_TYPE_F32 &&
      node->src[0]->type != GGML_TYPE_Q8_0) {
    return false;
  }
  if (!match_shapes(node->src[0], node, &x, &y)) return false;
  add_map(out, NPU_OPS_MAP_COPY, x, y);
  return true;
}

bool lower_concat(const ggml_tensor* node, Lowered* out) {
  const auto dim = static_cast<uint32_t>(int_param(node, 0));
  // Along a row the stride is that of a block.
  const auto unit = static_cast<uint64_t>(dim == 0 ? ggml_blck_size(node->type) : 1);
  uint64_t done = 0;
  for (int i = 0; i < 2; ++i) {
    const npuOpsTensor x = operand(node->src[i]);
    if (done % unit != 0) return false;
    const npuOpsTensor y = part(operand(node), done / unit * node->nb[dim], dim,
                                static_cast<uint64_t>(node->src[i]->ne[dim]));
    if (!ggml_is_empty(node->src[i])) add_map(out, NPU_OPS_MAP_COPY, x, y);
    done += x.sizes[dim];
  }
  return true;
}

// ACC and SET: the first operand, with the second one added to a part of it or in its place.
bool lower_into_part(const ggml_tensor* node, Lowered* out) {
  const ggml_tensor* base = node->src[0];
  if (base->data == nullptr || base->data != node->data)
    add_map(out, NPU_OPS_MAP_COPY, operand(base), operand(node));
  const npuOpsTensor b = operand(node->src[1]);
  npuOpsTensor y = operand(node);
  y.data += static_cast<uint32_t>(int_param(node, 3));
  for (int dim = 0; dim < 4; ++dim) y.sizes[dim] = b.sizes[dim];
  for (int dim = 1; dim < 4; ++dim)
    y.strides[dim] = static_cast<uint32_t>(int_param(node, dim - 1));
  if (node->op == GGML_OP_ACC) {
    add_combine(out, NPU_OPS_ADD, y, b, y);
  } else {
    add_map(out, NPU_OPS_MAP_COPY, b, y);
  }
  return true;
}

bool lower_glu(const ggml_tensor* node, Lowered* out) {
  static constexpr int32_t kNone = -1;
  static constexpr int32_t kFunctions[GGML_GLU_OP_COUNT] = {
      NPU_OPS_RELU,     NPU_OPS_GELU,           NPU_OPS_SILU, kNone,
      NPU_OPS_GELU_ERF, NPU_OPS_MAP_GELU_QUICK, kNone};
  const int32_t function = kFunctions[ggml_get_glu_op(node)];
  if (function == kNone) return false;
  npuOpsGateInfo& info = add<npuOpsGateInfo>(
      out, NPU_OPS_TENSOR_GATE, [](Operation& o) -> npuOpsGateInfo& { return o.info.gate; });
  info.function = function;
  info.y = operand(node);
  info.x = operand(node->src[0]);
  if (node->src[1] != nullptr) {
    info.b = operand(node->src[1]);
    return true;
  }
  // One tensor holds both halves of its rows side by side.
  const uint64_t half = info.x.sizes[0] / 2;
  const npuOpsTensor first = part(info.x, 0, 0, half);
  const npuOpsTensor second = part(info.x, half * info.x.strides[0], 0, half);
  const bool swapped = int_param(node, 1) != 0;
  info.x = swapped ? second : first;
  info.b = swapped ? first : second;
  return true;
}

template <int32_t kFunction>
bool lower_norm(const ggml_tensor* node, Lowered* out) {
  add_norm(out, kFunction, float_param(node, 0), operand(node->src[0]), operand(node));
  return true;
}

// A layer norm of groups of channels (dimension 2).
bool lower_group_norm(const ggml_tensor* node, Lowered* out) {
  const ggml_tensor* from = node->src[0];
  const auto groups = static_cast<uint64_t>(int_param(node, 0));
  const auto channels = static_cast<uint64_t>(from->ne[2]);
  if (groups == 0 || channels % groups != 0) return false;
  if (!ggml_is_contiguous(from) || !ggml_is_contiguous(node)) return false;
  const auto all = static_cast<uint64_t>(ggml_nelements(from));
  const uint64_t rows = groups * static_cast<uint64_t>(from->ne[3]);
  const uint64_t sizes[4] = {all / rows, rows, 1, 1};
  add_norm(out, NPU_OPS_NORM_LAYER, float_param(node, 1), reshaped(from, sizes),
           reshaped(node, sizes));
  return true;
}

bool lower_softmax(const ggml_tensor* node, Lowered* out) {
  npuOpsTensorSoftmaxInfo& info = add<npuOpsTensorSoftmaxInfo>(
      out, NPU_OPS_TENSOR_SOFTMAX,
      [](Operation& o) -> npuOpsTensorSoftmaxInfo& { return o.info.softmax; });
  info.scale = float_param(node, 0);
  info.max_bias = float_param(node, 1);
  info.x = operand(node->src[0]);
  info.mask = operand(node->src[1]);
  info.sinks = operand(node->src[2]);
  info.y = operand(node);
  return true;
}

bool lower_rope(const ggml_tensor* node, Lowered* out) {
  const int32_t mode = int_param(node, 2);
  if (mode != GGML_ROPE_TYPE_NORMAL && mode != GGML_ROPE_TYPE_NEOX) return false;
  npuOpsTensorRopeInfo& info = add<npuOpsTensorRopeInfo>(
      out, NPU_OPS_TENSOR_ROPE, [](Operation& o) -> npuOpsTensorRopeInfo& { return o.info.rope; });
  info.width = static_cast<uint32_t>(int_param(node, 1));
  info.offset = static_cast<uint32_t>(int_param(node, 15));  // ggml_rope_set_offset
  info.half = mode == GGML_ROPE_TYPE_NEOX ? 1 : 0;
  info.backward = node->op == GGML_OP_ROPE_BACK ? 1 : 0;
  info.context = static_cast<uint32_t>(int_param(node, 4));
  info.base = float_param(node, 5);
  info.freq_scale = float_param(node, 6);
  info.ext_factor = float_param(node, 7);
  info.attn_factor = float_param(node, 8);
  info.beta_fast = float_param(node, 9);
  info.beta_slow = float_param(node, 10);
  info.x = operand(node->src[0]);
  info.positions = operand(node->src[1]);
  info.factors = operand(node->src[2]);
  info.y = operand(node);
  return true;
}

bool lower_get_rows(const ggml_tensor* node, Lowered* out) {
  npuOpsTensorGatherInfo& info = add<npuOpsTensorGatherInfo>(
      out, NPU_OPS_TENSOR_GATHER,
      [](Operation& o) -> npuOpsTensorGatherInfo& { return o.info.gather; });
  info.x = operand(node->src[0]);
  info.indices = operand(node->src[1]);
  info.y = operand(node);
  return true;
}

bool lower_set_rows(const ggml_tensor* node, Lowered* out) {
  npuOpsTensorScatterInfo& info = add<npuOpsTensorScatterInfo>(
      out, NPU_OPS_TENSOR_SCATTER,
      [](Operation& o) -> npuOpsTensorScatterInfo& { return o.info.scatter; });
  info.x = operand(node->src[0]);
  info.indices = operand(node->src[1]);
  info.y = operand(node);
  return true;
}

npuOpsMatmulInfo& add_matmul(const ggml_tensor* node, Lowered* out) {
  npuOpsMatmulInfo& info = add<npuOpsMatmulInfo>(
      out, NPU_OPS_TENSOR_MATMUL, [](Operation& o) -> npuOpsMatmulInfo& { return o.info.matmul; });
  info.a = weights_operand(node);
  info.b = operand(node->src[1]);
  info.y = operand(node);
  // As ggml's CPU backend does.
  info.integers = ggml_is_quantized(node->src[0]->type) ? 1 : 0;
  return info;
}

bool lower_mul_mat(const ggml_tensor* node, Lowered* out) {
  add_matmul(node, out);
  return true;
}

bool lower_mul_mat_id(const ggml_tensor* node, Lowered* out) {
  add_matmul(node, out).ids = operand(node->src[2]);
  return true;
}

// The sum runs over dimension 1 of both operands.
bool lower_out_prod(const ggml_tensor* node, Lowered* out) {
  npuOpsMatmulInfo& info = add_matmul(node, out);
  info.a = transposed(info.a);
  info.b = transposed(info.b);
  return true;
}

bool lower_attention(const ggml_tensor* node, Lowered* out) {
  npuOpsTensorAttentionInfo& info = add<npuOpsTensorAttentionInfo>(
      out, NPU_OPS_TENSOR_ATTENTION,
      [](Operation& o) -> npuOpsTensorAttentionInfo& { return o.info.attention; });
  info.scale = float_param(node, 0);
  info.max_bias = float_param(node, 1);
  info.softcap = float_param(node, 2);
  info.q = operand(node->src[0]);
  info.k = operand(node->src[1]);
  info.v = operand(node->src[2]);
  info.mask = operand(node->src[3]);
  info.sinks = operand(node->src[4]);
  info.y = operand(node);
  return true;
}

template <int32_t kFunction>
bool lower_reduce(const ggml_tensor* node, Lowered* out) {
  add_reduce(out, kFunction, operand(node->src[0]), operand(node));
  return true;
}

// Of a matrix: ggml gives the result as one row.
bool lower_argmax(const ggml_tensor* node, Lowered* out) {
  const uint64_t sizes[4] = {1, static_cast<uint64_t>(node->ne[0]), 1, 1};
  add_reduce(out, NPU_OPS_REDUCE_ARGMAX, operand(node->src[0]), reshaped(node, sizes));
  return true;
}

bool lower_sum(const ggml_tensor* node, Lowered* out) {
  if (!ggml_is_contiguous(node->src[0])) return false;
  const uint64_t sizes[4] = {static_cast<uint64_t>(ggml_nelements(node->src[0])), 1, 1, 1};
  add_reduce(out, NPU_OPS_REDUCE_SUM, reshaped(node->src[0], sizes), operand(node));
  return true;
}

bool lower_argsort(const ggml_tensor* node, Lowered* out) {
  npuOpsSortInfo& info = add<npuOpsSortInfo>(
      out, NPU_OPS_TENSOR_SORT, [](Operation& o) -> npuOpsSortInfo& { return o.info.sort; });
  info.descending = int_param(node, 0) == GGML_SORT_ORDER_DESC ? 1 : 0;
  info.x = operand(node->src[0]);
  info.y = operand(node);
  return true;
}

using LowerFunction = bool (*)(const ggml_tensor*, Lowered*);
struct Row {
  ggml_op op;
  LowerFunction function;
};
constexpr Row kRows[] = {
    {GGML_OP_DUP, lower_copy},
    {GGML_OP_CPY, lower_copy},
    {GGML_OP_CONT, lower_copy},
    {GGML_OP_REPEAT, lower_map<NPU_OPS_MAP_COPY>},
    {GGML_OP_CONCAT, lower_concat},
    {GGML_OP_ACC, lower_into_part},
    {GGML_OP_SET, lower_into_part},
    {GGML_OP_ADD, lower_combine<NPU_OPS_ADD>},
    {GGML_OP_ADD1, lower_combine<NPU_OPS_ADD>},
    {GGML_OP_SUB, lower_combine<NPU_OPS_SUB>},
    {GGML_OP_MUL, lower_combine<NPU_OPS_MUL>},
    {GGML_OP_DIV, lower_combine<NPU_OPS_DIV>},
    {GGML_OP_SQR, lower_map<NPU_OPS_MAP_SQUARE>},
    {GGML_OP_SQRT, lower_map<NPU_OPS_SQRT>},
    {GGML_OP_LOG, lower_map<NPU_OPS_LOG>},
    {GGML_OP_SIN, lower_map<NPU_OPS_SIN>},
    {GGML_OP_COS, lower_map<NPU_OPS_COS>},
    {GGML_OP_SCALE, lower_map_with_params<NPU_OPS_MAP_SCALE>},
    {GGML_OP_CLAMP, lower_map_with_params<NPU_OPS_MAP_CLAMP>},
    {GGML_OP_LEAKY_RELU, lower_map_with_params<NPU_OPS_MAP_LEAKY_RELU>},
    {GGML_OP_FILL, lower_fill},
    {GGML_OP_UNARY, lower_unary},
    {GGML_OP_GLU, lower_glu},
    {GGML_OP_NORM, lower_norm<NPU_OPS_NORM_LAYER>},
    {GGML_OP_RMS_NORM, lower_norm<NPU_OPS_NORM_RMS>},
    {GGML_OP_L2_NORM, lower_norm<NPU_OPS_NORM_L2>},
    {GGML_OP_GROUP_NORM, lower_group_norm},
    {GGML_OP_SOFT_MAX, lower_softmax},
    {GGML_OP_ROPE, lower_rope},
    {GGML_OP_ROPE_BACK, lower_rope},
    {GGML_OP_GET_ROWS, lower_get_rows},
    {GGML_OP_SET_ROWS, lower_set_rows},
    {GGML_OP_MUL_MAT, lower_mul_mat},
    {GGML_OP_MUL_MAT_ID, lower_mul_mat_id},
    {GGML_OP_OUT_PROD, lower_out_prod},
    {GGML_OP_FLASH_ATTN_EXT, lower_attention},
    {GGML_OP_SUM, lower_sum},
    {GGML_OP_SUM_ROWS, lower_reduce<NPU_OPS_REDUCE_SUM>},
    {GGML_OP_MEAN, lower_reduce<NPU_OPS_REDUCE_MEAN>},
    {GGML_OP_ARGMAX, lower_argmax},
    {GGML_OP_ARGSORT, lower_argsort},
};

}  // namespace

bool is_idle(const ggml_tensor* node) {
  switch (node->op) {
    case GGML_OP_NONE:
    case GGML_OP_VIEW:
    case GGML_OP_RESHAPE:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE:
      return true;
    default:
      return ggml_is_empty(node);
  }
}

bool lower(const ggml_tensor* node, Lowered* out) {
  out->count = 0;
  for (const Row& row : kRows) {
    if (row.op == node->op) return row.function(node, out);
  }
  return false;
}

bool is_supported(const ggml_tensor* node) {
  if (is_idle(node)) return true;
  Lowered lowered;
  if (!lower(node, &lowered)) return false;
  for (uint32_t i = 0; i < lowered.count; ++i) {
    const Operation& operation = lowered.operations[i];
    if (npuOpsCheck(operation.kind, &operation.info) != NPU_OK) return false;
  }
  return true;
}

}  // namespace npu::ggml
