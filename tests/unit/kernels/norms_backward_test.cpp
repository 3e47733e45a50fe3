// SPDX-License-Identifier: Apache-2.0
// Gradients of RMSnorm and layernorm against double precision; the references against finite differences of their own forward formula.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/matrix.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

constexpr double kEps = static_cast<double>(1e-5f);

struct Shape {
  uint32_t rows, cols, pad;
};
constexpr Shape kShapes[] = {{1, 1, 0},     {3, 17, 2},   {17, 33, 0},
                             {300, 129, 1}, {5, 1000, 4}, {2, 32768, 0}};

struct Row {
  double mean = 0, root = 0;
};

Row statistics(const std::vector<double>& x, bool layer) {
  Row row;
  const auto cols = static_cast<double>(x.size());
  if (layer)
    for (double v : x) row.mean += v / cols;
  double squares = 0;
  for (double v : x) squares += (v - row.mean) * (v - row.mean);
  row.root = 1 / std::sqrt(squares / cols + kEps);
  return row;
}

// dx of one row; g is dy times weight.
std::vector<double> gradient(const std::vector<double>& x, const std::vector<double>& g,
                             bool layer) {
  const Row row = statistics(x, layer);
  const auto cols = static_cast<double>(x.size());
  double mean_g = 0, mean_gn = 0;
  for (size_t j = 0; j < x.size(); ++j) {
    mean_g += layer ? g[j] / cols : 0;
    mean_gn += g[j] * (x[j] - row.mean) * row.root / cols;
  }
  std::vector<double> dx(x.size());
  for (size_t j = 0; j < x.size(); ++j)
    dx[j] = row.root * (g[j] - mean_g - (x[j] - row.mean) * row.root * mean_gn);
  return dx;
}

TEST(NormReference, AgreesWithFiniteDifferences) {
  Random random(1);
  for (bool layer : {false, true}) {
    std::vector<double> x, g;
    for (int j = 0; j < 7; ++j) {
      x.push_back(random.value(2));
      g.push_back(random.value(1));
    }
    const std::vector<double> dx = gradient(x, g, layer);
    auto value = [&](const std::vector<double>& at) {
      const Row row = statistics(at, layer);
      double sum = 0;
      for (size_t j = 0; j < at.size(); ++j) sum += g[j] * (at[j] - row.mean) * row.root;
      return sum;
    };
    for (size_t j = 0; j < x.size(); ++j) {
      std::vector<double> up = x, down = x;
      up[j] += 1e-5;
      down[j] -= 1e-5;
      EXPECT_NEAR((value(up) - value(down)) / 2e-5, dx[j], 1e-8);
    }
  }
}

class NormJob {
 public:
  NormJob(const Shape& s, DType type, bool layer, uint32_t seed)
      : shape(s),
        type(type),
        layer(layer),
        random(seed),
        x(rig, random, type, s.rows, s.cols, s.pad, 3),
        dy(rig, random, type, s.rows, s.cols, s.pad + 1),
        dx(rig, random, type, s.rows, s.cols, s.pad + 2),
        weight(rig, random, type, 1, s.cols),
        dweight(rig, random, DType::F32, 1, s.cols),
        dbias(rig, random, DType::F32, 1, s.cols) {}

  void run(bool weighted, bool gradients, uint32_t accumulate) {
    info.type = public_type(type), info.rows = shape.rows, info.cols = shape.cols;
    info.x = x.dva(), info.dy = dy.dva(), info.dx = dx.dva();
    info.ldx = x.ld(), info.lddy = dy.ld(), info.lddx = dx.ld();
    info.weight = weighted ? weight.dva() : 0;
    info.eps = 1e-5f, info.accumulate = accumulate;
    if (gradients) {
      info.dweight = dweight.dva();
      info.dbias = layer ? dbias.dva() : 0;
      info.stats = rig.put(DType::F32, std::vector<float>(2 * shape.rows, 8.0f));
    }
    run_planned(rig, layer ? NPU_OPS_LAYER_NORM_BACKWARD : NPU_OPS_RMS_NORM_BACKWARD, &info);
    dx.fetch();
    dweight.fetch();
    dbias.fetch();
  }
  void check_rows(bool weighted) const;
  void check_sums(uint32_t accumulate) const;

  Rig rig;
  Shape shape;
  DType type;
  bool layer;
  Random random;
  Matrix x, dy, dx, weight, dweight, dbias;
  npuOpsNormBackwardInfo info = blank<npuOpsNormBackwardInfo>();
};

std::vector<double> row_of(const Matrix& m, uint32_t i, uint32_t cols) {
  std::vector<double> row(cols);
  for (uint32_t j = 0; j < cols; ++j) row[j] = m.at(i, j);
  return row;
}

void NormJob::check_rows(bool weighted) const {
  const double error = tree_error(shape.cols) + 8 * 0x1p-24;
  for (uint32_t i = 0; i < shape.rows; ++i) {
    const std::vector<double> at = row_of(x, i, shape.cols);
    std::vector<double> g = row_of(dy, i, shape.cols);
    double largest = 0;
    for (uint32_t j = 0; j < shape.cols; ++j) {
      if (weighted) g[j] *= weight.at(0, j);
      largest = std::max(largest, std::fabs(g[j]));
    }
    const Row row = statistics(at, layer);
    const std::vector<double> want = gradient(at, g, layer);
    for (uint32_t j = 0; j < shape.cols; ++j) {
      const double normal = std::fabs((at[j] - row.mean) * row.root);
      // The mean is off by an error of 3 that the root makes larger where a row hardly varies.
      const double shift = layer ? 3 * error * row.root : 0;
      const double bound = row.root * largest * (error * (2 + 2 * normal) + shift * (2 + normal)) +
                           std::fabs(want[j]) * half_ulp(type);
      ASSERT_NEAR(dx.got(i, j), want[j], bound) << i << ", " << j;
    }
  }
}

void NormJob::check_sums(uint32_t accumulate) const {
  const double error = chain_error(shape.rows) + tree_error(shape.cols) + 8 * 0x1p-24;
  std::vector<Row> rows;
  for (uint32_t i = 0; i < shape.rows; ++i)
    rows.push_back(statistics(row_of(x, i, shape.cols), layer));
  for (uint32_t j = 0; j < shape.cols; ++j) {
    double dw = accumulate != 0 ? dweight.at(0, j) : 0, db = accumulate != 0 ? dbias.at(0, j) : 0;
    double size = 1, shift = 0;
    for (uint32_t i = 0; i < shape.rows; ++i) {
      const double normal = (x.at(i, j) - rows[i].mean) * rows[i].root;
      dw += dy.at(i, j) * normal;
      db += dy.at(i, j);
      size += std::fabs(dy.at(i, j) * normal) + std::fabs(dy.at(i, j));
      shift += layer ? 3 * rows[i].root * std::fabs(dy.at(i, j)) : 0;
    }
    ASSERT_NEAR(dweight.got(0, j), dw, (size + shift) * error) << j;
    ASSERT_NEAR(dbias.got(0, j), layer ? db : dbias.at(0, j), layer ? size * error : 0) << j;
  }
}

TEST(NormBackward, RowsAndSumsMatchTheReference) {
  uint32_t seed = 10;
  for (DType type : kElementTypes) {
    for (bool layer : {false, true}) {
      for (const Shape& s : kShapes) {
        const bool weighted = seed % 3 != 0;
        const uint32_t accumulate = seed % 2;
        SCOPED_TRACE(testing::Message()
                     << s.rows << " x " << s.cols << " layer " << layer << " seed " << seed);
        NormJob job(s, type, layer, seed++);
        job.run(weighted, true, accumulate);
        ASSERT_NO_FATAL_FAILURE(job.check_rows(weighted));
        ASSERT_NO_FATAL_FAILURE(job.check_sums(accumulate));
      }
    }
  }
}

TEST(NormBackward, WithoutWeightsItIsOneLaunchInPlace) {
  NormJob job({5, 40, 0}, DType::F32, true, 60);
  job.run(false, false, 0);
  ops::Plan plan;
  ASSERT_EQ(ops::plan_of(NPU_OPS_LAYER_NORM_BACKWARD, &job.info, &plan), NPU_OK);
  EXPECT_EQ(plan.then, nullptr);
  npuOpsNormBackwardInfo info = job.info;
  info.dx = info.dy, info.lddx = info.lddy;
  run_planned(job.rig, NPU_OPS_LAYER_NORM_BACKWARD, &info);
  const std::vector<float> got = job.rig.get(DType::F32, info.dx, 5 * info.lddx);
  for (uint32_t i = 0; i < 5; ++i)
    for (uint32_t j = 0; j < 40; ++j) EXPECT_EQ(got[i * info.lddx + j], job.dx.got(i, j));
}

TEST(NormBackward, NanStaysInItsRowAndItsSums) {
  NormJob job({4, 6, 0}, DType::F32, false, 70);
  job.dy.set(2, 3, std::numeric_limits<float>::quiet_NaN());
  job.run(true, true, 0);
  for (uint32_t i = 0; i < 4; ++i)
    for (uint32_t j = 0; j < 6; ++j) EXPECT_EQ(std::isnan(job.dx.got(i, j)), i == 2);
  for (uint32_t j = 0; j < 6; ++j) EXPECT_EQ(std::isnan(job.dweight.got(0, j)), j == 3);
}

TEST(NormBackward, WithoutRowsTheSumsAreZeros) {
  NormJob job({0, 6, 0}, DType::F32, true, 80);
  job.run(false, true, 0);
  for (uint32_t j = 0; j < 6; ++j) {
    EXPECT_EQ(job.dweight.got(0, j), 0);
    EXPECT_EQ(job.dbias.got(0, j), 0);
  }
}

TEST(NormBackwardPlan, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change, npuOpsKind kind = NPU_OPS_LAYER_NORM_BACKWARD) {
    auto n = blank<npuOpsNormBackwardInfo>();
    n.rows = n.cols = 4;
    n.x = n.dy = n.dx = n.weight = n.dweight = n.dbias = n.stats = kSomewhere;
    change(n);
    return ops::plan_of(kind, &n, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto&) {}, NPU_OPS_RMS_NORM_BACKWARD), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.dbias = 0; }, NPU_OPS_RMS_NORM_BACKWARD), NPU_OK);
  EXPECT_EQ(result([](auto& n) { n.stats = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& n) { n.dweight = n.dbias = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.dweight = n.dbias = n.stats = 0; }), NPU_OK);
  EXPECT_EQ(result([](auto& n) { n.accumulate = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.cols = ops::kNormCols + 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) { n.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) { n.lddy = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.x += 1; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& n) { n.struct_size = 4; }), NPU_ERROR_STRUCT_SIZE);
}

}  // namespace
}  // namespace npu::kernels
