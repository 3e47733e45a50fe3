// SPDX-License-Identifier: Apache-2.0
// What stands around the products of a token as one operator, through the public API, against the operators one by one, bit for bit; tests/unit/kernels has the many shapes.
#include <npu/npu_tensor.h>

#include "tests/ops/formats.h"
#include "tests/ops/session.h"

namespace npu::test {
namespace {

constexpr uint32_t kSeed = 20261127;
constexpr uint64_t kDepth = 512, kRows = 704, kVectors = 2;

class Products : public Session, public testing::WithParamInterface<npuDataType> {
 protected:
  npuOpsTensor matrix(npuDevPtr data, uint64_t cols, uint64_t rows) {
    return {
        data, NPU_FLOAT32, 0, {cols, rows, 1, 1}, {4, 4 * cols, 4 * cols * rows, 4 * cols * rows}};
  }
  npuOpsTensor fresh(uint64_t cols) { return matrix(alloc(4 * cols * kVectors), cols, kVectors); }

  npuOpsTensor weights(std::mt19937& engine) {
    const Format& f = format_of(GetParam());
    const uint64_t row = row_bytes(f, kDepth), all = row * kRows;
    return {put_bytes(random_bytes(f, kRows, kDepth, engine)),
            f.type,
            0,
            {kDepth, kRows, 1, 1},
            {f.block_bytes, row, all, all}};
  }

  template <typename Info>
  void submit(npuOpsKind kind, const Info& info) {
    NPU_ASSERT_OK(npuOpsCheck(kind, &info));
    NPU_ASSERT_OK(npuOpsSubmit(ops_, queue_, kind, &info, nullptr));
  }

  // A norm, two products of it and the gate over them, one of them with a sum.
  npuOpsProductsInfo whole() {
    std::mt19937 engine(kSeed);
    auto p = blank<npuOpsProductsInfo>();
    p.integers = 1;
    p.count = 2;
    p.function = NPU_OPS_SILU;
    p.eps = 1e-5f;
    p.x = matrix(put(NPU_FLOAT32, numbers(kDepth * kVectors, kSeed)), kDepth, kVectors);
    p.norm_weight = matrix(put(NPU_FLOAT32, numbers(kDepth, kSeed + 1)), kDepth, 1);
    p.normed = fresh(kDepth);
    for (uint32_t i = 0; i < p.count; ++i) {
      p.a[i] = weights(engine);
      p.y[i] = fresh(kRows);
    }
    p.c[1] = matrix(put(NPU_FLOAT32, numbers(kRows * kVectors, kSeed + 2)), kRows, kVectors);
    p.gated = fresh(kRows);
    return p;
  }

  npuOpsTensor norm(const npuOpsProductsInfo& p) {
    auto n = blank<npuOpsTensorNormInfo>();
    n.function = NPU_OPS_NORM_RMS;
    n.eps = p.eps;
    n.x = p.x;
    n.weight = p.norm_weight;
    n.y = fresh(kDepth);
    submit(NPU_OPS_TENSOR_NORM, n);
    return n.y;
  }

  npuOpsTensor product(const npuOpsProductsInfo& p, uint32_t i, const npuOpsTensor& vectors) {
    auto m = blank<npuOpsMatmulInfo>();
    m.integers = p.integers;
    m.a = p.a[i];
    m.b = vectors;
    m.y = fresh(kRows);
    submit(NPU_OPS_TENSOR_MATMUL, m);
    if (p.c[i].data == 0) return m.y;
    auto sum = blank<npuOpsCombineInfo>();
    sum.function = NPU_OPS_ADD;
    sum.x = m.y;
    sum.b = p.c[i];
    sum.y = fresh(kRows);
    submit(NPU_OPS_TENSOR_COMBINE, sum);
    return sum.y;
  }

  npuOpsTensor gate(const npuOpsProductsInfo& p, const npuOpsTensor& x, const npuOpsTensor& b) {
    auto g = blank<npuOpsGateInfo>();
    g.function = p.function;
    g.x = x;
    g.b = b;
    g.y = fresh(kRows);
    submit(NPU_OPS_TENSOR_GATE, g);
    return g.y;
  }

  void expect_equal(const char* name, const npuOpsTensor& got, const npuOpsTensor& want) {
    const uint64_t bytes = 4 * got.sizes[0] * got.sizes[1];
    EXPECT_EQ(get_bytes(got.data, bytes), get_bytes(want.data, bytes))
        << name << ", type " << GetParam() << ", seed " << kSeed;
  }
};

TEST_P(Products, AreTheOperatorsOneByOne) {
  const npuOpsProductsInfo p = whole();
  submit(NPU_OPS_TENSOR_PRODUCTS, p);
  const npuOpsTensor vectors = norm(p);
  const npuOpsTensor y0 = product(p, 0, vectors), y1 = product(p, 1, vectors);
  expect_equal("normed", p.normed, vectors);
  expect_equal("first product", p.y[0], y0);
  expect_equal("second product", p.y[1], y1);
  expect_equal("gated", p.gated, gate(p, y0, y1));
}

class TiledProducts : public Products {
 protected:
  npuOpsTensor in_tiles(npuOpsTensor a) {
    std::vector<uint8_t> bytes = get_bytes(a.data, a.strides[2]);
    NPU_EXPECT_OK(npuOpsTileWeights(a.type, kRows, kDepth, bytes.data(), bytes.data()));
    a.data = put_bytes(bytes);
    a.tiled = 1;
    return a;
  }
};

TEST_P(TiledProducts, HaveTheBitsOfThoseByRows) {
  npuOpsProductsInfo p = whole();
  submit(NPU_OPS_TENSOR_PRODUCTS, p);
  npuOpsProductsInfo tiled = p;
  tiled.normed = fresh(kDepth);
  tiled.gated = fresh(kRows);
  for (uint32_t i = 0; i < p.count; ++i) {
    tiled.a[i] = in_tiles(p.a[i]);
    tiled.y[i] = fresh(kRows);
  }
  submit(NPU_OPS_TENSOR_PRODUCTS, tiled);
  expect_equal("first product", tiled.y[0], p.y[0]);
  expect_equal("second product", tiled.y[1], p.y[1]);
  expect_equal("gated", tiled.gated, p.gated);
}

TEST_P(TiledProducts, OfManyVectorsHaveTheBitsOfEachAlone) {
  constexpr uint64_t kMany = 40;
  const npuOpsProductsInfo p = whole();
  auto m = blank<npuOpsMatmulInfo>();
  m.integers = 1;
  m.a = in_tiles(p.a[0]);
  m.b = matrix(put(NPU_FLOAT32, numbers(kDepth * kMany, kSeed)), kDepth, kMany);
  m.y = matrix(alloc(4 * kRows * kMany), kRows, kMany);
  submit(NPU_OPS_TENSOR_MATMUL, m);
  const npuOpsTensor together = m.y;
  m.a = p.a[0];
  m.y = matrix(alloc(4 * kRows * kMany), kRows, kMany);
  const npuOpsTensor alone = m.y;
  m.b.sizes[1] = m.y.sizes[1] = 1;
  for (uint64_t i = 0; i < kMany; ++i) {
    submit(NPU_OPS_TENSOR_MATMUL, m);
    m.b.data += m.b.strides[1];
    m.y.data += m.y.strides[1];
  }
  expect_equal("product", together, alone);
}

INSTANTIATE_TEST_SUITE_P(OfWeights, TiledProducts, testing::Values(NPU_Q8_0, NPU_Q4_0));
INSTANTIATE_TEST_SUITE_P(OfWeights, Products, testing::Values(NPU_FLOAT32, NPU_Q8_0, NPU_Q4_0));

}  // namespace
}  // namespace npu::test
