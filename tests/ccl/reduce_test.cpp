// SPDX-License-Identifier: Apache-2.0
// Reductions: every type, operation, number of ranks and kind of count, bit for bit against the scalar reference.
#include "tests/ccl/reference.h"
#include "tests/ccl/world.h"

namespace npu::test {
namespace {

constexpr uint64_t kChunkBytes = 4096;
constexpr npuDataType kTypes[] = {NPU_FLOAT32,     NPU_BFLOAT16,    NPU_FLOAT16, NPU_INT32,
                                  NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, NPU_INT8};
constexpr npuCclRedOp kReductions[] = {NPU_CCL_SUM, NPU_CCL_PROD, NPU_CCL_MIN, NPU_CCL_MAX,
                                       NPU_CCL_AVG};
constexpr uint64_t kCounts[] = {0, 1, 127, 1000, 5003};

class ReduceTest : public testing::TestWithParam<uint32_t> {};

struct Vectors {
  Vectors(World& world, npuDataType type, uint64_t count, uint64_t seed) : world_(world) {
    for (uint32_t r = 0; r < world.size(); r++) {
      inputs.push_back(numbers(type, count, seed * 100 + r));
      in.push_back(world.put(r, inputs.back()));
      out.push_back(world.alloc(r, inputs.back().size()));
    }
  }
  ~Vectors() {
    for (uint32_t r = 0; r < world_.size(); r++) {
      world_.free(r, in[r]);
      world_.free(r, out[r]);
    }
  }
  std::vector<Bytes> inputs;
  std::vector<npuDevPtr> in, out;

 private:
  World& world_;
};

TEST_P(ReduceTest, AllReduceHasTheBitsOfTheTree) {
  World world(GetParam(), make_info(kChunkBytes));
  uint64_t seed = 0;
  for (npuDataType type : kTypes) {
    for (npuCclRedOp op : kReductions) {
      for (uint64_t count : kCounts) {
        SCOPED_TRACE(testing::Message() << "type " << type << " op " << op << " count " << count);
        Vectors v(world, type, count, ++seed);
        CCL_ASSERT_OK(world.group([&](uint32_t r) {
          return npuCclAllReduce(world[r].comm, world[r].queue, v.in[r], v.out[r], count, type, op,
                                 nullptr);
        }));
        world.sync();
        const Bytes expected = reduced(type, op, v.inputs);
        for (uint32_t r = 0; r < world.size(); r++) {
          ASSERT_EQ(world.get(r, v.out[r], expected.size()), expected) << "rank " << r;
          ASSERT_EQ(world.get(r, v.in[r], expected.size()), v.inputs[r]) << "rank " << r;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, ReduceTest, testing::Range(1u, 9u));

}  // namespace
}  // namespace npu::test
