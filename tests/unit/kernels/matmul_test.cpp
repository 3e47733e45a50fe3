// SPDX-License-Identifier: Apache-2.0
// Products of tensors against double precision: types of weights and vectors, strides, shared weights, depths, experts; what is refused.
// Bound: k + 3 roundings of fp32 on sums of |a b|; weights in blocks count as what they decode to. With integers: and what rounding of the vectors to Q8_0 may add.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/error.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/tensor.h"
#include "tests/unit/kernels/weights.h"

namespace npu::kernels {
namespace {

constexpr npuDataType kWeightTypes[] = {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_Q8_0,
                                        NPU_Q4_0,    NPU_Q4_K,     NPU_Q6_K};
constexpr npuDataType kVectorTypes[] = {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16};

uint64_t block_of(npuDataType type) {
  return type == NPU_Q4_K || type == NPU_Q6_K ? 256 : type >= NPU_Q8_0 ? 32 : 1;
}

struct Case {
  npuDataType a_type = NPU_FLOAT32;
  uint64_t m, n, k;
  npuDataType b_type = NPU_FLOAT32;
  std::array<uint64_t, 2> batch = {1, 1};   // of the weights
  std::array<uint64_t, 2> shared = {1, 1};  // vectors for each
  bool dense = true;
  bool integers = false;
  bool tiled = false;
};

// All elements of an operand, rows one behind the other.
class Values {
 public:
  Values() = default;
  explicit Values(const Weights& w) : sizes_() {
    std::copy_n(w.tensor().sizes, 4, sizes_.begin());
    values_.reserve(sizes_[0] * sizes_[1] * sizes_[2] * sizes_[3]);
    Index at;
    for (at[3] = 0; at[3] < sizes_[3]; ++at[3])
      for (at[2] = 0; at[2] < sizes_[2]; ++at[2])
        for (at[1] = 0; at[1] < sizes_[1]; ++at[1])
          for (at[0] = 0; at[0] < sizes_[0]; ++at[0]) values_.push_back(w.get(at));
  }
  const double* row(const Index& at) const {
    return &values_[((at[3] * sizes_[2] + at[2]) * sizes_[1] + at[1]) * sizes_[0]];
  }

 private:
  Index sizes_{};
  std::vector<double> values_;
};

struct Sum {
  double value, bound;
};

Sum dot(const double* a, const double* b, uint64_t k) {
  double sum = 0, magnitude = 0;
  for (uint64_t i = 0; i < k; ++i) {
    sum += a[i] * b[i];
    magnitude += std::fabs(a[i] * b[i]);
  }
  return {sum, static_cast<double>(k + 3) * 0x1p-24 * magnitude + 1e-30};
}

// Half a step of each block of the vector, its scale's own rounding, against all weights beside it.
double rounding_bound(const double* a, const double* b, uint64_t k) {
  double bound = 0;
  for (uint64_t block = 0; block < k; block += 32) {
    double largest = 0, weights = 0;
    for (uint64_t i = block; i < block + 32; ++i) {
      largest = std::max(largest, std::fabs(b[i]));
      weights += std::fabs(a[i]);
    }
    bound += weights * largest * (1.0 / 254 + 0x1p-11) * 1.001;
  }
  return bound;
}

class Product {
 public:
  Product(const Case& c, uint32_t seed)
      : c_(c),
        random_(seed),
        a_(c.a_type, {c.k, c.m, c.batch[0], c.batch[1]}, random_, c.dense),
        b_(c.b_type, {c.k, c.n, c.batch[0] * c.shared[0], c.batch[1] * c.shared[1]}, random_,
           c.dense),
        y_(make_y(c, random_)) {}

  void run() {
    SCOPED_TRACE(testing::Message()
                 << "types " << c_.a_type << " " << c_.b_type << ", " << c_.m << " x " << c_.n
                 << " x " << c_.k << ", batch " << c_.batch[0] << " " << c_.batch[1] << " shared "
                 << c_.shared[0] << " " << c_.shared[1] << (c_.dense ? " dense" : " any strides"));
    c_.tiled ? a_.put_tiled(rig) : a_.put(rig);
    b_.put(rig);
    y_.put(rig);
    npuOpsMatmulInfo info{};
    info.struct_size = sizeof(info);
    info.a = a_.tensor(), info.b = b_.tensor(), info.y = y_.tensor;
    info.integers = c_.integers ? 1 : 0;
    run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info);
    y_.fetch(rig);
    EXPECT_FALSE(y_.touched_outside());
    a_values_ = Values(a_);
    b_values_ = Values(b_);
    y_.for_each([&](const Index& at) { check(at); });
  }

  Rig rig;

 private:
  // Any order and padding of the outer dimensions.
  static TensorMemory make_y(const Case& c, Random& random) {
    const Index sizes = {c.m, c.n, c.batch[0] * c.shared[0], c.batch[1] * c.shared[1]};
    if (c.dense) return TensorMemory::dense(NPU_FLOAT32, sizes);
    std::array<uint32_t, 4> order = {0, 1, 2, 3};
    for (uint32_t i = 3; i > 1; --i) std::swap(order[i], order[1 + random.below(i)]);
    return {NPU_FLOAT32, sizes, order, {random.below(3), random.below(2), random.below(2), 0}};
  }

  void check(const Index& at) {
    const double* a = a_values_.row({0, at[0], at[2] / c_.shared[0], at[3] / c_.shared[1]});
    const double* b = b_values_.row({0, at[1], at[2], at[3]});
    const Sum sum = dot(a, b, c_.k);
    const double rounding = c_.integers ? rounding_bound(a, b, c_.k) : 0;
    ASSERT_NEAR(y_.get(at), sum.value, sum.bound + rounding)
        << at[0] << " " << at[1] << " " << at[2] << " " << at[3];
  }

  Case c_;
  Random random_;
  Weights a_, b_;
  TensorMemory y_;
  Values a_values_, b_values_;
};

npuOpsTensor tensor_of(npuDataType type, uint64_t elem, const Index& sizes,
                       uint64_t data = 0x10000) {
  npuOpsTensor t{data, type, 0, {}, {}};
  uint64_t stride = elem;
  for (uint32_t d = 0; d < 4; ++d) {
    t.sizes[d] = sizes[d];
    t.strides[d] = stride;
    stride *= d == 0 ? std::max<uint64_t>(1, sizes[0] / block_of(type)) : sizes[d];
  }
  return t;
}

TEST(Matmul, EveryTypeOfWeightsMeetsEveryTypeOfVectors) {
  uint32_t seed = 1;
  for (npuDataType a : kWeightTypes) {
    for (npuDataType b : kVectorTypes) {
      for (uint64_t n : {1, 3, 16, 17, 40}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Product({a, 37, n, block_of(a) * (seed % 2 + 1), b}, seed).run();
        ++seed;
      }
    }
  }
}

TEST(Matmul, EveryDepthIsSummedWhole) {
  uint32_t seed = 100;
  for (npuDataType a : {NPU_FLOAT32, NPU_FLOAT16}) {
    for (uint64_t k : {1, 2, 3, 15, 16, 17, 31, 65, 127, 257, 2047, 2048, 2049, 4100}) {
      for (uint64_t n : {1, 5, 18}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Product({a, 9, n, k}, seed++).run();
      }
    }
  }
  for (npuDataType a : {NPU_Q8_0, NPU_Q4_0, NPU_Q4_K, NPU_Q6_K}) {
    for (uint64_t k : {2048, 2304, 4352}) {
      for (uint64_t n : {1, 18}) Product({a, 11, n, k}, seed++).run();
    }
  }
  Product({NPU_FLOAT32, 3, 1, 33000}, seed++).run();
  Product({NPU_Q8_0, 3, 4, 32768}, seed++).run();
}

TEST(Matmul, ManyRowsAndVectorsAreSharedAmongGroups) {
  uint32_t seed = 200;
  Product({NPU_FLOAT32, 1057, 1, 129}, seed++).run();
  Product({NPU_FLOAT16, 1057, 2, 129}, seed++).run();
  Product({NPU_Q8_0, 577, 1, 192}, seed++).run();
  Product({NPU_Q4_0, 2000, 1, 64}, seed++).run();
  Product({NPU_FLOAT32, 300, 270, 40}, seed++).run();
  Product({NPU_Q4_K, 150, 140, 512}, seed++).run();
  Product({NPU_FLOAT32, 1, 1000, 7}, seed++).run();
  Product({NPU_FLOAT32, 5, 16, 9000}, seed++).run();
}

TEST(Matmul, IntegersStayWithinTheRoundingOfTheVectors) {
  uint32_t seed = 600;
  for (npuDataType a : {NPU_Q8_0, NPU_Q4_0}) {
    for (npuDataType b : kVectorTypes) {
      for (uint64_t n : {1, 2, 7, 16, 40}) {
        for (uint64_t k : {32, 96, 2080}) {
          SCOPED_TRACE(testing::Message() << "seed " << seed);
          Product({a, 37, n, k, b, {1, 1}, {1, 1}, true, true}, seed++).run();
        }
      }
    }
    for (uint64_t n : {2, 20})
      Product({a, 19, n, 64, NPU_FLOAT32, {2, 2}, {2, 3}, false, true}, seed++).run();
    Product({a, 3000, 1, 512, NPU_FLOAT32, {1, 1}, {1, 1}, true, true}, seed++).run();
    Product({a, 600, 150, 1056, NPU_FLOAT32, {1, 1}, {1, 1}, true, true}, seed++).run();
  }
}

TEST(Matmul, TilesAreMultipliedAsIntegers) {
  uint32_t seed = 700;
  for (npuDataType a : {NPU_Q8_0, NPU_Q4_0}) {
    for (npuDataType b : kVectorTypes) {
      for (uint64_t n : {1, 3, 16, 17}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        Product({a, 48, n, 96, b, {1, 1}, {1, 1}, true, true, true}, seed++).run();
      }
    }
    for (uint64_t n : {1, 30})
      Product({a, 32, n, 64, NPU_FLOAT32, {2, 2}, {2, 3}, true, true, true}, seed++).run();
    Product({a, 3008, 1, 512, NPU_FLOAT32, {1, 1}, {1, 1}, true, true, true}, seed++).run();
    Product({a, 592, 150, 1056, NPU_FLOAT32, {1, 1}, {1, 1}, true, true, true}, seed++).run();
  }
}

// Bits of Y, rows and vectors by rows and in tiles; all vectors at once, or |n| at a time.
std::vector<int32_t> integer_product(Rig& rig, const Weights& a, const TensorMemory& b,
                                     uint64_t n) {
  const uint64_t m = a.tensor().sizes[1], all = b.tensor.sizes[1];
  npuOpsMatmulInfo info{};
  info.struct_size = sizeof(info);
  info.integers = 1;
  info.a = a.tensor();
  const uint64_t y = rig.alloc(m * all * 4);
  for (uint64_t at = 0; at < all; at += n) {
    info.b = b.tensor;
    info.b.sizes[1] = std::min(n, all - at);
    info.b.data += at * info.b.strides[1];
    info.y = tensor_of(NPU_FLOAT32, 4, {m, info.b.sizes[1], 1, 1}, y + at * m * 4);
    run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info);
  }
  return rig.get_i32(y, m * all);
}

TEST(Matmul, IntegersGiveTheSameBitsForAnyNumberOfVectorsAndInTiles) {
  constexpr uint64_t kVectors = 130;  // so many that k is cut
  for (npuDataType type : {NPU_Q8_0, NPU_Q4_0}) {
    Rig rig;
    Random random(12);
    Weights a(type, {1056, 48, 1, 1}, random, true);
    TensorMemory b = TensorMemory::dense(NPU_FLOAT32, {1056, kVectors, 1, 1});
    b.fill(random, 1);
    a.put(rig);
    b.put(rig);
    const std::vector<int32_t> want = integer_product(rig, a, b, 1);
    for (uint64_t n : {uint64_t{16}, uint64_t{17}, kVectors})
      EXPECT_EQ(integer_product(rig, a, b, n), want) << "type " << type << ", " << n;
    a.put_tiled(rig);
    for (uint64_t n : {uint64_t{1}, uint64_t{16}, uint64_t{17}, kVectors})
      EXPECT_EQ(integer_product(rig, a, b, n), want) << "tiles of type " << type << ", " << n;
  }
}

TEST(Matmul, IntegersAreUsedForTheTypesThatHaveThem) {
  for (npuDataType type : {NPU_FLOAT32, NPU_Q8_0, NPU_Q4_0, NPU_Q4_K}) {
    for (uint64_t n : {1, 16, 17}) {
      Rig rig;
      Random random(11);
      Weights a(type, {256, 40, 1, 1}, random, true), b(NPU_FLOAT32, {256, n, 1, 1}, random, true);
      a.put(rig);
      b.put(rig);
      std::vector<float> results[2];
      for (uint32_t integers : {0u, 1u}) {
        npuOpsMatmulInfo info{};
        info.struct_size = sizeof(info);
        info.integers = integers;
        info.a = a.tensor(), info.b = b.tensor();
        info.y = tensor_of(NPU_FLOAT32, 4, {40, n, 1, 1}, rig.alloc(40 * n * 4));
        run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info);
        results[integers] = rig.get(DType::F32, info.y.data, 40 * n);
      }
      const bool used = type == NPU_Q8_0 || type == NPU_Q4_0;
      EXPECT_EQ(results[0] != results[1], used) << "type " << type << ", " << n << " vectors";
    }
  }
}

TEST(Matmul, WeightsAreSharedByNeighboursInBothOuterDimensions) {
  uint32_t seed = 300;
  for (uint64_t n : {1, 2, 20}) {
    for (bool dense : {true, false}) {
      Product({NPU_FLOAT32, 19, n, 33, NPU_FLOAT32, {3, 2}, {1, 1}, dense}, seed++).run();
      Product({NPU_FLOAT16, 19, n, 33, NPU_FLOAT32, {3, 1}, {4, 1}, dense}, seed++).run();
      Product({NPU_Q8_0, 19, n, 64, NPU_FLOAT32, {2, 2}, {2, 3}, dense}, seed++).run();
      Product({NPU_FLOAT32, 19, n, 33, NPU_FLOAT16, {1, 2}, {5, 2}, dense}, seed++).run();
      Product({NPU_FLOAT32, 19, n, 33, NPU_FLOAT32, {1, 1}, {3, 3}, dense}, seed++).run();
    }
  }
}

TEST(Matmul, AnyStridesAreTaken) {
  for (uint32_t seed = 400; seed < 520; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Case c{kWeightTypes[random.below(std::size(kWeightTypes))],
           1 + random.below(40),
           1 + random.below(random.below(2) == 0 ? 4 : 40),
           1,
           kVectorTypes[random.below(std::size(kVectorTypes))],
           {1 + random.below(3), 1 + random.below(2)},
           {1 + random.below(3), 1 + random.below(2)},
           false};
    const uint64_t block = block_of(c.a_type);
    c.k = block == 1 ? 1 + random.below(80) : block * (1 + random.below(3));
    Product(c, seed).run();
    if (testing::Test::HasFatalFailure()) return;
  }
}

npuOpsMatmulInfo plain_info() {
  npuOpsMatmulInfo info{};
  info.struct_size = sizeof(info);
  info.a = tensor_of(NPU_FLOAT32, 4, {8, 5, 2, 1});
  info.b = tensor_of(NPU_FLOAT32, 4, {8, 3, 4, 1});
  info.y = tensor_of(NPU_FLOAT32, 4, {5, 3, 4, 1});
  return info;
}

TEST(Matmul, ADepthOfNothingGivesZeroes) {
  for (uint64_t n : {1, 20}) {
    Rig rig;
    npuOpsMatmulInfo info = plain_info();
    info.a = tensor_of(NPU_FLOAT32, 4, {0, 5, 1, 1}, 0);
    info.b = tensor_of(NPU_FLOAT32, 4, {0, n, 1, 1}, 3);
    info.y = tensor_of(NPU_FLOAT32, 4, {5, n, 1, 1});
    info.y.data = rig.put(DType::F32, std::vector<float>(5 * n, 7));
    run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info);
    EXPECT_EQ(rig.get(DType::F32, info.y.data, 5 * n), std::vector<float>(5 * n, 0));
  }
}

TEST(Matmul, InfinityAndNanReachExactlyTheirRowsAndVectors) {
  constexpr uint32_t kM = 20, kN = 19, kK = 9;
  for (uint64_t n : {uint64_t{4}, uint64_t{kN}}) {
    Rig rig;
    Random random(9);
    std::vector<float> a = random.values(kM * kK), b = random.values(n * kK);
    for (float& v : b) v = v == 0 ? 1 : v;
    a[3 * kK + 4] = std::numeric_limits<float>::infinity();
    b[2 * kK + 5] = std::numeric_limits<float>::quiet_NaN();
    npuOpsMatmulInfo info = plain_info();
    info.a = tensor_of(NPU_FLOAT32, 4, {kK, kM, 1, 1}, rig.put(DType::F32, a));
    info.b = tensor_of(NPU_FLOAT32, 4, {kK, n, 1, 1}, rig.put(DType::F32, b));
    info.y = tensor_of(NPU_FLOAT32, 4, {kM, n, 1, 1}, rig.alloc(kM * n * 4));
    run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info);
    const std::vector<float> got = rig.get(DType::F32, info.y.data, kM * n);
    for (uint64_t j = 0; j < n; ++j) {
      for (uint64_t i = 0; i < kM; ++i) {
        const float v = got[j * kM + i];
        EXPECT_EQ(std::isnan(v), j == 2) << i << " " << j;
        EXPECT_EQ(std::isinf(v), j != 2 && i == 3) << i << " " << j;
      }
    }
  }
}

// --- experts ----------------------------------------------------------------------------------------------------------

struct ExpertCase {
  npuDataType type;
  uint64_t m, k, experts, used, tokens, slots;  // slots: vectors of a token in b
  npuDataType b_type = NPU_FLOAT32;
  bool dense = true;
  bool tiled = false;
};

void run_experts(const ExpertCase& c, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << " type " << c.type << " m " << c.m << " k "
                                  << c.k << " experts " << c.experts << " used " << c.used
                                  << " tokens " << c.tokens << " slots " << c.slots);
  Random random(seed);
  Rig rig;
  Weights a(c.type, {c.k, c.m, c.experts, 1}, random, c.dense);
  Weights b(c.b_type, {c.k, c.slots, c.tokens, 1}, random, c.dense);
  TensorMemory ids(NPU_INT32, {c.used, c.tokens, 1, 1}, {0, 1, 2, 3}, {c.dense ? 0u : 3u, 0, 0, 0});
  TensorMemory y(NPU_FLOAT32, {c.m, c.used, c.tokens, 1}, {0, 1, 2, 3},
                 {c.dense ? 0u : 2u, c.dense ? 0u : 1u, 0, 0});
  ids.for_each(
      [&](const Index& at) { ids.set(at, random.below(static_cast<uint32_t>(c.experts))); });
  c.tiled ? a.put_tiled(rig) : a.put(rig);
  b.put(rig);
  ids.put(rig);
  y.put(rig);
  npuOpsMatmulInfo info{};
  info.struct_size = sizeof(info);
  info.integers = c.tiled ? 1 : 0;
  info.a = a.tensor(), info.b = b.tensor(), info.y = y.tensor, info.ids = ids.tensor;
  run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info);
  y.fetch(rig);
  EXPECT_FALSE(y.touched_outside());
  const Values a_values(a), b_values(b);
  y.for_each([&](const Index& at) {
    const auto id = static_cast<uint64_t>(ids.get({at[1], at[2], 0, 0}));
    const double* row = a_values.row({0, at[0], id, 0});
    const double* vector = b_values.row({0, at[1] % c.slots, at[2], 0});
    const Sum sum = dot(row, vector, c.k);
    const double rounding = c.tiled ? rounding_bound(row, vector, c.k) : 0;
    ASSERT_NEAR(y.get(at), sum.value, sum.bound + rounding)
        << at[0] << " " << at[1] << " " << at[2];
  });
}

TEST(MatmulExperts, EachVectorMeetsTheWeightsThatItChose) {
  uint32_t seed = 1;
  for (npuDataType type : kWeightTypes) {
    for (bool shared : {false, true}) {
      run_experts({type, 40, 256, 8, 2, 1, shared ? 1u : 2u}, seed++);
      run_experts({type, 40, 256, 4, 2, 9, shared ? 1u : 2u}, seed++);
    }
  }
  for (npuDataType type : {NPU_Q8_0, NPU_Q4_0}) {
    for (uint64_t tokens : {1, 9})
      run_experts({type, 48, 256, 4, 2, tokens, 1, NPU_FLOAT32, true, true}, seed++);
  }
  for (bool dense : {true, false}) {
    run_experts({NPU_FLOAT32, 33, 17, 5, 3, 2, 3, NPU_FLOAT16, dense}, seed++);
    run_experts({NPU_FLOAT16, 33, 17, 3, 3, 7, 1, NPU_BFLOAT16, dense}, seed++);
    run_experts({NPU_FLOAT32, 700, 3000, 2, 1, 1, 1, NPU_FLOAT32, dense}, seed++);
    run_experts({NPU_Q8_0, 90, 3008, 2, 2, 3, 2, NPU_FLOAT32, dense}, seed++);
  }
}

TEST(MatmulExperts, ANumberOfNoExpertStopsTheProgram) {
  for (int32_t id : {-1, 4, 100}) {
    for (uint64_t tokens : {1, 5}) {
      Rig rig;
      std::vector<int32_t> ids(2 * tokens, 3);
      ids.back() = id;
      npuOpsMatmulInfo info{};
      info.struct_size = sizeof(info);
      info.a = tensor_of(NPU_FLOAT32, 4, {16, 8, 4, 1}, rig.alloc(16 * 8 * 4 * 4));
      info.b = tensor_of(NPU_FLOAT32, 4, {16, 2, tokens, 1}, rig.alloc(16 * 2 * tokens * 4));
      info.y = tensor_of(NPU_FLOAT32, 4, {8, 2, tokens, 1}, rig.alloc(8 * 2 * tokens * 4));
      info.ids = tensor_of(NPU_INT32, 4, {2, tokens, 1, 1}, rig.put_i32(ids));
      run_tensor_op(rig, NPU_OPS_TENSOR_MATMUL, &info, NPU_ST_KERNEL_BOUNDS);
    }
  }
}

// --- refusals ---------------------------------------------------------------------------------------------------------

npuResult planned(const npuOpsMatmulInfo& info, ops::Plan* plan) {
  return ops::plan_matmul(&info, plan);
}

TEST(MatmulPlan, RefusesWhatCannotBe) {
  auto result = [](auto change) {
    npuOpsMatmulInfo info = plain_info();
    change(info);
    ops::Plan plan;
    const npuResult r = planned(info, &plan);
    EXPECT_TRUE(r == NPU_OK || plan.program == ops::kProgramNull);
    return r;
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(result([](auto& g) { g.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& g) { g.integers = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.a.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.b.type = NPU_Q8_0; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.y.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.a.sizes[0] = 7; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.a.sizes[1] = 7; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.a.sizes[2] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.y.sizes[1] = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.y.sizes[3] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.y.strides[0] = 8; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.y.strides[1] = 16; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.a.strides[0] = 0; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.a.strides[1] = uint64_t{1} << 33; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.a.data = 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& g) { g.b.data = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& g) {
              g.a = tensor_of(NPU_Q8_0, 34, {32, 5, 2, 1});
              g.b = tensor_of(NPU_FLOAT32, 4, {32, 3, 4, 1});
              g.a.strides[1] = 36;  // no whole number of blocks
            }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) {
              g.ids = tensor_of(NPU_INT32, 4, {4, 4, 1, 1});
            }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) {
              g.ids = tensor_of(NPU_INT32, 4, {3, 4, 1, 1});
            }),
            NPU_OK)
      << ops::error_text();
  EXPECT_EQ(result([](auto& g) {
              g.ids = tensor_of(NPU_FLOAT32, 4, {3, 4, 1, 1});
            }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.y.sizes[1] = g.b.sizes[1] = 0; }), NPU_OK);
}

TEST(MatmulPlan, RefusesTilesThatAreNone) {
  const auto result = [](auto change) {
    npuOpsMatmulInfo info = plain_info();
    info.integers = 1;
    info.a = tensor_of(NPU_Q8_0, 34, {64, 32, 2, 1});
    info.a.tiled = 1;
    info.b = tensor_of(NPU_FLOAT32, 4, {64, 3, 2, 1});
    info.y = tensor_of(NPU_FLOAT32, 4, {32, 3, 2, 1});
    change(info);
    ops::Plan plan;
    return planned(info, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(result([](auto& g) { g.a.tiled = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.integers = 0; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.b.tiled = 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.y.tiled = 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.a.sizes[1] = g.y.sizes[0] = 24; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.a.strides[1] += 34; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.a.strides[2] += 34; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& g) { g.a.data += 16; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& g) {
              g.a = tensor_of(NPU_FLOAT16, 2, {64, 32, 2, 1});
              g.a.tiled = 1;
            }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) {
              constexpr uint64_t kLong = ops::kMatmulVectorElements + 32;
              g.a = tensor_of(NPU_Q8_0, 34, {kLong, 32, 2, 1});
              g.a.tiled = 1;
              g.b = tensor_of(NPU_FLOAT32, 4, {kLong, 3, 1, 1});
              g.y = tensor_of(NPU_FLOAT32, 4, {32, 3, 1, 1});
              g.ids = tensor_of(NPU_INT32, 4, {3, 1, 1, 1});
            }),
            NPU_ERROR_NOT_SUPPORTED);
}

TEST(MatmulPlan, ItsArgumentsFillTheProgramsBlock) {
  for (npuDataType type : kWeightTypes) {
    for (uint64_t n : {1, 100}) {
      for (bool chosen : {false, true}) {
        npuOpsMatmulInfo info{};
        info.struct_size = sizeof(info);
        const uint64_t bytes = ops::layout_of(type).block_bytes;
        info.a = tensor_of(type, bytes, {256, 16, chosen ? 4u : 1u, 1});
        info.b = tensor_of(NPU_FLOAT32, 4, {256, chosen ? 2 : n, chosen ? n : 1, 1});
        info.y = tensor_of(NPU_FLOAT32, 4, {16, chosen ? 2 : n, chosen ? n : 1, 1});
        if (chosen) info.ids = tensor_of(NPU_INT32, 4, {2, n, 1, 1});
        ops::Plan plan;
        ASSERT_EQ(planned(info, &plan), NPU_OK) << ops::error_text();
        const model::Program& p = program(ops::program_name(plan.program));
        EXPECT_EQ(plan.block_bytes(), p.args_bytes) << p.name;
      }
    }
  }
}

}  // namespace
}  // namespace npu::kernels
