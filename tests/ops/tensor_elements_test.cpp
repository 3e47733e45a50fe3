// SPDX-License-Identifier: Apache-2.0
// Functions of elements, gather and scatter on tensors through the public API; tests/unit/kernels has the many shapes and types.
#include <npu/npu_tensor.h>

#include <cmath>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

class Tensors : public Session {
 protected:
  template <typename Info>
  void submit(npuOpsKind kind, const Info& info) {
    NPU_ASSERT_OK(npuOpsCheck(kind, &info));
    NPU_ASSERT_OK(npuOpsSubmit(ops_, queue_, kind, &info, nullptr));
  }
};

npuOpsTensor tensor(npuDataType type, npuDevPtr data, const std::vector<uint64_t>& sizes) {
  npuOpsTensor t{};
  t.type = type;
  t.data = data;
  uint64_t stride = type == NPU_INT64 ? 8 : type == NPU_FLOAT16 ? 2 : type_bytes(type);
  for (uint32_t d = 0; d < 4; ++d) {
    t.sizes[d] = d < sizes.size() ? sizes[d] : 1;
    t.strides[d] = stride;
    stride *= t.sizes[d];
  }
  return t;
}

TEST_F(Tensors, ATransposedCopyToFp16AndBackKeepsEveryElement) {
  constexpr uint32_t kRows = 70, kCols = 130;
  std::vector<float> x(kRows * kCols);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 2048) / 8;
  auto m = blank<npuOpsMapInfo>();
  m.function = NPU_OPS_MAP_COPY;
  m.x = tensor(NPU_FLOAT32, put(NPU_FLOAT32, x), {kCols, kRows});
  std::swap(m.x.sizes[0], m.x.sizes[1]);
  std::swap(m.x.strides[0], m.x.strides[1]);
  m.y = tensor(NPU_FLOAT16, alloc(x.size() * 2), {kRows, kCols});
  submit(NPU_OPS_TENSOR_MAP, m);
  auto back = blank<npuOpsMapInfo>();
  back.function = NPU_OPS_MAP_COPY;
  back.x = m.y;
  back.y = tensor(NPU_FLOAT32, alloc(x.size() * 4), {kRows, kCols});
  submit(NPU_OPS_TENSOR_MAP, back);
  const std::vector<float> got = get(NPU_FLOAT32, back.y.data, x.size());
  for (uint32_t i = 0; i < kRows; ++i)
    for (uint32_t j = 0; j < kCols; ++j) ASSERT_EQ(got[j * kRows + i], x[i * kCols + j]);
}

TEST_F(Tensors, AFunctionASumThatRepeatsAndAGateMatchTheReference) {
  constexpr uint32_t kRows = 33, kCols = 200;
  const std::vector<float> x = numbers(kRows * kCols, 1), bias = numbers(kCols, 2);
  const npuOpsTensor whole = tensor(NPU_FLOAT32, put(NPU_FLOAT32, x), {kCols, kRows});
  auto m = blank<npuOpsMapInfo>();
  m.function = NPU_OPS_MAP_SCALE, m.a = 3, m.b = -1;
  m.x = whole;
  m.y = tensor(NPU_FLOAT32, alloc(x.size() * 4), {kCols, kRows});
  submit(NPU_OPS_TENSOR_MAP, m);
  auto c = blank<npuOpsCombineInfo>();
  c.function = NPU_OPS_ADD;
  c.x = c.y = m.y;
  c.b = tensor(NPU_FLOAT32, put(NPU_FLOAT32, bias), {kCols});
  submit(NPU_OPS_TENSOR_COMBINE, c);
  auto g = blank<npuOpsGateInfo>();
  g.function = NPU_OPS_SILU;
  g.x = g.y = m.y;
  g.b = whole;
  submit(NPU_OPS_TENSOR_GATE, g);
  const std::vector<float> got = get(NPU_FLOAT32, m.y.data, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = 3.0 * x[i] - 1 + bias[i % kCols];
    ASSERT_NEAR(got[i], v / (1 + std::exp(-v)) * x[i], 2e-6);
  }
}

TEST_F(Tensors, RowsAreScatteredByIndicesOf64BitsAndGatheredAgain) {
  constexpr uint32_t kCols = 64, kCount = 5, kTable = 20;
  const std::vector<float> x = numbers(kCount * kCols, 3, NPU_BFLOAT16);
  const std::vector<int32_t> rows = {19, 0, 7, 3, 11};
  std::vector<int32_t> words;
  for (int32_t row : rows) words.insert(words.end(), {row, 0});
  auto s = blank<npuOpsTensorScatterInfo>();
  s.x = tensor(NPU_FLOAT32, put(NPU_FLOAT32, x), {kCols, kCount});
  s.indices = tensor(NPU_INT64, put_i32(words), {kCount});
  s.y = tensor(NPU_BFLOAT16, put(NPU_BFLOAT16, std::vector<float>(kTable * kCols, 9)),
               {kCols, kTable});
  submit(NPU_OPS_TENSOR_SCATTER, s);
  auto g = blank<npuOpsTensorGatherInfo>();
  g.x = s.y;
  g.indices = tensor(NPU_INT32, put_i32({3, 19, 1}), {3});
  g.y = tensor(NPU_FLOAT32, alloc(3 * kCols * 4), {kCols, 3});
  submit(NPU_OPS_TENSOR_GATHER, g);
  const std::vector<float> got = get(NPU_FLOAT32, g.y.data, 3 * kCols);
  for (uint32_t j = 0; j < kCols; ++j) {
    ASSERT_EQ(got[j], x[3 * kCols + j]);
    ASSERT_EQ(got[kCols + j], x[j]);
    ASSERT_EQ(got[2 * kCols + j], 9);
  }
}

TEST_F(Tensors, AnIndexOutsideTheTableStopsTheQueue) {
  auto g = blank<npuOpsTensorGatherInfo>();
  g.x = tensor(NPU_FLOAT32, alloc(8 * 4 * 4), {8, 4});
  g.indices = tensor(NPU_INT32, put_i32({4}), {1});
  g.y = tensor(NPU_FLOAT32, alloc(8 * 4), {8, 1});
  NPU_ASSERT_OK(npuOpsSubmit(ops_, queue_, NPU_OPS_TENSOR_GATHER, &g, nullptr));
  EXPECT_EQ(npuQueueSync(queue_, 60'000'000'000), NPU_ERROR_KERNEL_BOUNDS);
}

}  // namespace
}  // namespace npu::test
