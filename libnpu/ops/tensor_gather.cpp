// SPDX-License-Identifier: Apache-2.0
// Plans of NPU_OPS_TENSOR_GATHER and NPU_OPS_TENSOR_SCATTER: rows of a table by index.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/walk.h"

namespace npu::ops {
namespace {

// Operands in the order of the programs: the table, its indices, and the rows that are read from it or written to it.
constexpr uint32_t kTable = 0, kIndices = 1, kRows = 2;

struct Move {
  const npuOpsTensor &table, &indices, &rows;
  const char *table_name, *rows_name;
};

npuResult check_columns(const char* name, const npuOpsTensor& t) {
  if (t.sizes[0] <= 1 || t.strides[0] == layout_of(t.type).block_bytes) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%s: strides[0] is %llu; elements of a row have to lie side by side", name,
              static_cast<unsigned long long>(t.strides[0]));
}

npuResult check_size(const char* a, uint64_t a_size, const char* b, uint64_t b_size) {
  if (a_size == b_size) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is %llu, %s is %llu: they have to be equal", a,
              static_cast<unsigned long long>(a_size), b, static_cast<unsigned long long>(b_size));
}

npuResult check(const Move& m, const npuOpsTensor& result) {
  const npuOpsTensor &t = m.table, &i = m.indices, &r = m.rows;
  NPU_OPS_TRY(check_columns(m.table_name, t));
  NPU_OPS_TRY(check_columns(m.rows_name, r));
  NPU_OPS_TRY(check_result("y", in_blocks(result) ? as_words(result) : result));
  NPU_OPS_TRY(check_size("x.sizes[0]", m.rows.sizes[0], "y.sizes[0]", t.sizes[0]));
  NPU_OPS_TRY(check_size("indices.sizes[0]", i.sizes[0], "the number of rows", r.sizes[1]));
  NPU_OPS_TRY(check_size("indices.sizes[3]", i.sizes[3], "one", 1));
  if (t.sizes[1] <= 1 || is_empty(t)) return NPU_OK;
  const TypeLayout layout = layout_of(t.type);
  const uint64_t row_blocks = t.strides[1] / layout.block_bytes;
  if (row_blocks * layout.block_bytes != t.strides[1])
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s: rows are no whole number of blocks apart",
                m.table_name);
  if (row_blocks * layout.block_elements < t.sizes[0])
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s: rows overlap", m.table_name);
  if (row_blocks > kCountMax / layout.block_elements)
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s: rows are more than 2^31 elements apart",
                m.table_name);
  return NPU_OK;
}

// Dimensions of rows: the first is walked by indices only, in the others table or indices may repeat.
Walk walk_of_rows(const Move& m) {
  Walk walk;
  walk.operands = kWalkOperands;
  for (uint32_t o = 0; o < kWalkOperands; ++o) {
    const npuOpsTensor* operands[] = {&m.table, &m.indices, &m.rows};
    walk.elem_bytes[o] = layout_of(operands[o]->type).block_bytes;
  }
  walk.add({m.rows.sizes[1], {0, m.indices.strides[0], m.rows.strides[1]}});
  for (uint32_t d = 2; d < kDims; ++d) {
    const uint64_t size = m.rows.sizes[d];
    const uint64_t once = std::min(m.table.sizes[d], m.indices.sizes[d - 1]);
    walk.add({once, {m.table.strides[d], m.indices.strides[d - 1], m.rows.strides[d]}});
    walk.add({size / once,
              {m.table.sizes[d] == size ? once * m.table.strides[d] : 0,
               m.indices.sizes[d - 1] == size ? once * m.indices.strides[d - 1] : 0,
               once * m.rows.strides[d]}});
  }
  walk.merge();
  return walk;
}

// Whether a block may have this dimension as its rows: one place of the table, a column of indices, rows at a distance.
bool can_be_rows(const Walk& walk, const WalkDim& dim, uint64_t cols) {
  const uint64_t index = dim.bytes[kIndices] / walk.elem_bytes[kIndices];
  const uint64_t row = dim.bytes[kRows] / walk.elem_bytes[kRows];
  return dim.bytes[kTable] == 0 && index >= 1 && index <= kCountMax / 2 && row >= cols &&
         row <= kCountMax;
}

// Words that an index takes.
uint32_t words_of(const npuOpsTensor& indices) { return layout_of(indices.type).block_bytes / 4; }

// Programs that gather, as they are counted. INT32 moves as fp32 does.
uint32_t table_index(npuDataType type) {
  if (type >= NPU_Q8_0) return kFloatCount + static_cast<uint32_t>(type - NPU_Q8_0);
  return type == NPU_INT32 ? 0 : float_index(type);
}

npuResult plan_rows(const Move& m, Plan* plan) {
  const Walk walk = walk_of_rows(m);
  const auto cols = static_cast<uint32_t>(m.rows.sizes[0]);
  const WalkDim* rows = nullptr;
  for (uint32_t d = 0; d < walk.count; ++d) {
    if (can_be_rows(walk, walk.dims[d], cols) &&
        (rows == nullptr || walk.dims[d].size > rows->size))
      rows = &walk.dims[d];
  }
  Blocks b;
  b.operands = kWalkOperands;
  b.cols = cols;
  const uint32_t row_bytes = walk.elem_bytes[kRows];
  const TypeLayout layout = layout_of(m.table.type);
  const bool finds_columns = in_blocks(m.table);  // the program, itself
  b.places[kTable] = {0, finds_columns ? 0 : layout.block_bytes, cols, kTileRows, kSpreadNone};
  b.places[kIndices] = {0, 0, words_of(m.indices), kTileRows, kSpreadNone};
  b.places[kRows] = {0, row_bytes, cols, kTileRows, kSpreadNone};
  if (m.table.sizes[1] > 1)
    b.places[kTable].pitch =
        static_cast<uint32_t>(m.table.strides[1] / layout.block_bytes * layout.block_elements);
  if (rows != nullptr) {
    b.rows = static_cast<uint32_t>(rows->size);
    for (uint32_t o = kIndices; o < kWalkOperands; ++o) b.places[o].row_bytes = rows->bytes[o];
    b.places[kIndices].pitch = static_cast<uint32_t>(rows->bytes[kIndices] / 4);
    b.places[kRows].pitch = static_cast<uint32_t>(rows->bytes[kRows] / row_bytes);
  }
  NPU_OPS_TRY(walk_around(walk, rows, nullptr, &b));
  share_blocks(kRowsMax, &b);
  NPU_OPS_TRY(add_blocks(b, {m.table.data, m.indices.data, m.rows.data}, plan));
  plan->add32(m.table.sizes[1]);
  if (finds_columns) plan->add32(m.table.sizes[0]);
  return NPU_OK;
}

}  // namespace

std::string tensor_gather_name(uint32_t v) {
  constexpr const char* kBlockNames[] = {"q8_0", "q4_0", "q4_k", "q6_k"};
  return std::string("tensor_gather_") +
         (v < kFloatCount ? kFloatNames[v] : kBlockNames[v - kFloatCount]);
}
std::string tensor_scatter_name(uint32_t v) {
  constexpr uint32_t kPlain = kFloatCount * kFloatCount;
  const std::string name = "tensor_scatter_";
  if (v < kPlain) return name + kFloatNames[v / kFloatCount] + "_" + kFloatNames[v % kFloatCount];
  return name + kFloatNames[(v - kPlain) / 2] + ((v - kPlain) % 2 == 0 ? "_q8_0" : "_q4_0");
}

// Programs that scatter, as they are counted.
uint32_t scatter_index(npuDataType from, npuDataType to) {
  if (to == NPU_Q8_0 || to == NPU_Q4_0)
    return kFloatCount * kFloatCount + float_index(from) * 2 + (to == NPU_Q8_0 ? 0 : 1);
  return float_index(from) * kFloatCount + float_index(to);
}

npuResult plan_tensor_gather(const void* info, Plan* plan) {
  npuOpsTensorGatherInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check_reserved(g.reserved));
  NPU_OPS_TRY(check_tensor("x", g.x, kFloats | kI32 | kBlocks));
  NPU_OPS_TRY(check_tensor("indices", g.indices, kI32));
  NPU_OPS_TRY(check_tensor("y", g.y, g.x.type == NPU_INT32 ? kI32 : kF32));
  const Move m{g.x, g.indices, g.y, "x", "y"};
  NPU_OPS_TRY(check(m, g.y));
  NPU_OPS_TRY(check_size("indices.sizes[1]", g.indices.sizes[1], "y.sizes[2]", g.y.sizes[2]));
  NPU_OPS_TRY(check_size("indices.sizes[2]", g.indices.sizes[2], "y.sizes[3]", g.y.sizes[3]));
  NPU_OPS_TRY(check_repeats("x", g.x, "y", g.y, 2));
  if (is_empty(g.y)) return NPU_OK;
  NPU_OPS_TRY(plan_rows(m, plan));
  plan->program = kProgramTensorGather + table_index(g.x.type);
  return NPU_OK;
}

npuResult plan_tensor_scatter(const void* info, Plan* plan) {
  npuOpsTensorScatterInfo s;
  NPU_OPS_TRY(read_info(info, &s));
  NPU_OPS_TRY(check_reserved(s.reserved));
  NPU_OPS_TRY(check_tensor("x", s.x, kFloats));
  NPU_OPS_TRY(check_tensor("indices", s.indices, kI32 | kI64));
  NPU_OPS_TRY(check_tensor("y", s.y, kFloats | kWrittenBlocks));
  const Move m{s.y, s.indices, s.x, "y", "x"};
  NPU_OPS_TRY(check(m, s.y));
  NPU_OPS_TRY(check_size("x.sizes[2]", s.x.sizes[2], "y.sizes[2]", s.y.sizes[2]));
  NPU_OPS_TRY(check_size("x.sizes[3]", s.x.sizes[3], "y.sizes[3]", s.y.sizes[3]));
  for (uint32_t d = 1; d < 3; ++d) {
    const uint64_t index = s.indices.sizes[d], whole = s.x.sizes[d + 1];
    if (index == 0 ? whole != 0 : whole % index != 0)
      return fail(NPU_ERROR_INVALID_ARGUMENT,
                  "indices.sizes[%u] is %llu, which does not repeat over %llu", d,
                  static_cast<unsigned long long>(index), static_cast<unsigned long long>(whole));
  }
  if (is_empty(s.x)) return NPU_OK;
  NPU_OPS_TRY(plan_rows(m, plan));
  plan->add32(words_of(s.indices));
  plan->program = kProgramTensorScatter + scatter_index(s.x.type, s.y.type);
  return NPU_OK;
}

}  // namespace npu::ops
