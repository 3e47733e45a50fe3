// SPDX-License-Identifier: Apache-2.0
// The table of element types.
#include "libnpu/ops/type.h"

namespace npu::ops {
namespace {

struct Row {
  npuDataType type;
  uint32_t device;
  TypeLayout layout;
};

// enum npu_dtype and NPU_BLOCK_TYPES of the instruction set; tests/unit/kernels/plan_test.cpp compares.
constexpr Row kRows[] = {
    {NPU_FLOAT32, 0, {1, 4, 4}},       {NPU_BFLOAT16, 1, {1, 2, 2}},
    {NPU_FLOAT16, 2, {1, 2, 2}},       {NPU_INT32, 3, {1, 4, 4}},
    {NPU_INT64, 3, {1, 8, 8}},         {NPU_Q8_0, 4, {32, 34, 2}},
    {NPU_Q4_0, 5, {32, 18, 2}},        {NPU_Q4_K, 6, {256, 144, 2}},
    {NPU_Q6_K, 7, {256, 210, 2}},      {NPU_FLOAT8_E4M3, 8, {1, 1, 1}},
    {NPU_FLOAT8_E5M2, 9, {1, 1, 1}},   {NPU_INT8, 10, {1, 1, 1}},
    {NPU_MXFP8_E4M3, 11, {32, 33, 1}}, {NPU_MXFP8_E5M2, 12, {32, 33, 1}},
    {NPU_MXFP6_E2M3, 13, {32, 25, 1}}, {NPU_MXFP6_E3M2, 14, {32, 25, 1}},
    {NPU_MXFP4, 15, {32, 17, 1}},      {NPU_MXINT8, 16, {32, 33, 1}},
    {NPU_MX9, 17, {16, 18, 1}},        {NPU_MX6, 18, {16, 12, 1}},
    {NPU_MX4, 19, {16, 8, 1}},
};

const Row* find(npuDataType type) {
  for (const Row& row : kRows)
    if (row.type == type) return &row;
  return nullptr;
}

}  // namespace

TypeLayout layout_of(npuDataType type) {
  const Row* row = find(type);
  return row != nullptr ? row->layout : kRows[0].layout;
}

bool is_type(npuDataType type) { return find(type) != nullptr; }

uint32_t device_type(npuDataType type) {
  const Row* row = find(type);
  return row != nullptr ? row->device : kRows[0].device;
}

}  // namespace npu::ops
