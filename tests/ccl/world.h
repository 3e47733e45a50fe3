// SPDX-License-Identifier: Apache-2.0
// World: several ranks in this process, each with a context and a queue of its own, on as many devices as there are.
#pragma once

#include <gtest/gtest.h>
#include <npu/npu.h>
#include <npu/npu_ccl.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace npu::test {

std::string why();
#define CCL_ASSERT_OK(call) ASSERT_EQ(call, NPU_OK) << ::npu::test::why()
#define CCL_EXPECT_OK(call) EXPECT_EQ(call, NPU_OK) << ::npu::test::why()

inline constexpr int64_t kLongNs = 60'000'000'000;

struct RankEnd {
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuCclComm comm = nullptr;
  // Of a window, if there is one: two halves.
  npuDevPtr arena = 0;
  uint64_t arena_bytes = 0;
  npuCclWindow window = 0;
};
// Memory of |bytes| that can be a window, into |end|. Registering it is the caller's.
npuResult make_arena(RankEnd* end, uint64_t bytes);

npuCclCommInfo make_info(uint64_t chunk_bytes = 0, uint32_t op_timeout_ms = 0);

class World {
 public:
  explicit World(uint32_t ranks, const npuCclCommInfo& info = make_info());
  ~World();
  World(const World&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(ends_.size()); }
  RankEnd& operator[](uint32_t rank) { return ends_[rank]; }
  // In this thread, as one group.
  npuResult group(const std::function<npuResult(uint32_t rank)>& body);
  // A thread for each rank.
  void threads(const std::function<void(uint32_t rank)>& body);
  void sync();
  // Makes a window of |bytes| on all ranks.
  void register_windows(uint64_t bytes);

  npuDevPtr alloc(uint32_t rank, uint64_t bytes);
  npuDevPtr put(uint32_t rank, const std::vector<uint8_t>& bytes);
  std::vector<uint8_t> get(uint32_t rank, npuDevPtr at, uint64_t bytes);
  void free(uint32_t rank, npuDevPtr at);

  npuCclFailure failure(uint32_t rank);
  bool wait_failed(uint32_t rank, int64_t timeout_ms = 10'000);

 private:
  std::vector<npuDevice> devices_;
  std::vector<RankEnd> ends_;
};

}  // namespace npu::test
