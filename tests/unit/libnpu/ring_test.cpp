// SPDX-License-Identifier: Apache-2.0
// How a ring learns that its queue is dead: by `live`, and by `state` where a device or a driver knows no `live`.
#include "libnpu/src/core/ring.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <cstddef>
#include <memory>

#include "libnpu/src/backend/backend.h"
#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/vm.h"
#include "uapi/npu_status.h"

namespace npu {
namespace {

constexpr int64_t kSliceNs = 100'000'000;

class RingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("NPU_MODEL_LIBRARY", NPU_MODEL_LIBRARY_FILE, 1);
    auto environment = read_environment();
    ASSERT_TRUE(environment.is_ok());
    auto backend = open_backend(environment.value(), 0);
    ASSERT_TRUE(backend.is_ok());
    backend_ = backend.take();
    auto vm = Vm::create(*backend_);
    ASSERT_TRUE(vm.is_ok());
    vm_ = vm.take();
  }

  void open(bool has_live_word) {
    RingOptions options;
    options.has_live_word = has_live_word;
    auto ring = Ring::create(*vm_, options);
    ASSERT_TRUE(ring.is_ok());
    ring_ = ring.take();
    SleepWord at;
    ring_->begin_sleep(1, &at);
    ring_->end_sleep(1);
    auto* page = const_cast<uint64_t*>(at.word - offsetof(npu_queue_ctrl, completed) / 8);
    ctrl_ = reinterpret_cast<npu_queue_ctrl*>(page);
  }

  void fail_a_command() {
    npu_cmd bad{};
    bad.op = NPU_CMD_COUNT;
    ring_->push(bad, nullptr, 0);
    ring_->bell();
    while (ring_->completed() == 0) ring_->sleep_until(1, kSliceNs);
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Vm> vm_;
  std::unique_ptr<Ring> ring_;
  npu_queue_ctrl* ctrl_ = nullptr;
};

TEST_F(RingTest, ADeathIsSeenInTheWordOfItsOwn) {
  open(true);
  EXPECT_EQ(std::atomic_ref<__u64>(ctrl_->live).load(), NPU_QUEUE_LIVE);
  EXPECT_EQ(ring_->failure().status, 0);
  fail_a_command();
  EXPECT_EQ(std::atomic_ref<__u64>(ctrl_->live).load(), 0u);
  EXPECT_EQ(ring_->failure().status, NPU_ST_BAD_COMMAND);
}

TEST_F(RingTest, OfAnOlderDeviceTheStateTells) {
  open(true);
  std::atomic_ref<__u64>(ctrl_->live).store(0);  // as it leaves it
  EXPECT_EQ(ring_->failure().status, 0);
  fail_a_command();
  EXPECT_EQ(ring_->failure().status, NPU_ST_BAD_COMMAND);
}

TEST_F(RingTest, WithAnOlderDriverTheStateTells) {
  open(false);
  fail_a_command();
  std::atomic_ref<__u64>(ctrl_->live).store(NPU_QUEUE_LIVE);  // it writes `state` alone
  EXPECT_EQ(ring_->failure().status, NPU_ST_BAD_COMMAND);
}

}  // namespace
}  // namespace npu
