// SPDX-License-Identifier: Apache-2.0
// Operation: one collective with everything that all ranks have alike; inputs follow from a seed, so that each rank (in this process or another) knows all inputs and its own right output.
#pragma once

#include <string>
#include <vector>

#include "tests/ccl/reference.h"
#include "tests/ccl/world.h"
#include "tests/support/rng.h"

namespace npu::test {

enum class Kind : uint8_t {
  kAllReduce,
  kReduce,
  kBroadcast,
  kAllGather,
  kReduceScatter,
  kGather,
  kScatter,
  kAllToAll,
  kAllGatherV,
  kReduceScatterV,
  kAllToAllV,
  kRing,  // everybody sends to the next rank, in a group
  kBarrier,
};
inline constexpr uint32_t kKindCount = 13;

struct Operation {
  Kind kind = Kind::kAllReduce;
  npuDataType type = NPU_FLOAT32;
  npuCclRedOp op = NPU_CCL_SUM;
  uint64_t count = 0;
  uint32_t root = 0;
  bool in_place = false;
  bool in_window = false;  // where the rank has one
  uint64_t seed = 0;

  std::string text() const;
  // Of the forms with counts: some are 0.
  std::vector<uint64_t> counts(uint32_t ranks) const;
  uint64_t input_count(uint32_t ranks, uint32_t rank) const;
  uint64_t output_count(uint32_t ranks, uint32_t rank) const;  // 0: the rank has no output
  Bytes input(uint32_t ranks, uint32_t rank) const;
  Bytes expected(uint32_t ranks, uint32_t rank) const;
};

// In place only where there is such a form.
// The |number|-th of the types that an operation of this kind takes.
npuDataType some_type(Kind kind, uint64_t number);
Operation random_operation(Rng& rng, uint32_t ranks, uint64_t count_max);

// One rank's buffers for an operation.
class Trial {
 public:
  Trial(const RankEnd& end, uint32_t ranks, uint32_t rank, const Operation& operation);
  ~Trial();
  Trial(const Trial&) = delete;

  npuResult call(uint64_t* out_value = nullptr);
  // After the queue has come so far. Output as it must be, input as it was.
  testing::AssertionResult check() const;

 private:
  uint64_t own_offset() const;

  RankEnd end_;
  uint32_t ranks_, rank_;
  Operation o_;
  std::vector<uint64_t> counts_;
  Bytes input_;
  uint64_t out_bytes_;
  npuDevPtr in_ = 0, out_ = 0;
  npuDevPtr memory_[2] = {};
};

}  // namespace npu::test
