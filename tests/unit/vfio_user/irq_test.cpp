// SPDX-License-Identifier: Apache-2.0
// MSI-X by eventfd: attaching in pieces, detaching, pending vectors, and descriptors that are none.
#include <fcntl.h>

#include "tests/unit/vfio_user/guest.h"

namespace npu::test {
namespace {

constexpr uint32_t kAttach = wire::kDataEventfd | wire::kActionTrigger;
constexpr uint32_t kTrigger = wire::kDataNone | wire::kActionTrigger;
constexpr uint64_t kPba = 0x800;
constexpr int kNotLong = 20;

using Irq = VfioTest;

std::vector<UniqueFd> make_events(size_t count) {
  std::vector<UniqueFd> events;
  for (size_t i = 0; i < count; ++i) events.push_back(make_eventfd());
  return events;
}

std::vector<int> fds_of(const std::vector<UniqueFd>& events, size_t first, size_t count) {
  std::vector<int> fds;
  for (size_t i = 0; i < count; ++i) fds.push_back(events[first + i].get());
  return fds;
}

TEST_F(Irq, FiresTheVectorOfItsBit) {
  ReplayClient client = realized();
  const std::vector<UniqueFd> events = make_events(16);
  ASSERT_EQ(client.set_irqs(kAttach, 0, 16, fds_of(events, 0, 16)), 0);
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest.start());
  EXPECT_GT(take_event(events[1].get()), 0u);  // NPU_IRQ_MAILBOX
  guest.ctrl()->interrupt_at = 1;
  EXPECT_EQ(guest.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(take_event(events[2].get()), 1u);  // NPU_IRQ_QUEUE
  EXPECT_EQ(take_event(events[0].get()), 1u);  // NPU_IRQ_EVENT
  for (size_t i = 3; i < events.size(); ++i) EXPECT_EQ(take_event(events[i].get(), 0), 0u);
}

TEST_F(Irq, IsAttachedInPiecesAndDetachedInPieces) {
  const size_t before = open_descriptors();
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  const std::vector<UniqueFd> events = make_events(16);
  const size_t with_events = open_descriptors();
  ASSERT_EQ(client.set_irqs(kAttach, 0, 4, fds_of(events, 0, 4)), 0);
  ASSERT_EQ(client.set_irqs(kAttach, 8, 8, fds_of(events, 8, 8)), 0);
  EXPECT_EQ(open_descriptors(), with_events + 12);
  for (uint32_t i = 0; i < 16; ++i) ASSERT_EQ(client.set_irqs(kTrigger, i, 1), 0);
  for (size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(take_event(events[i].get(), 0), i < 4 || i >= 8 ? 1u : 0u) << i;
  }
  // Again: the old ones are closed.
  ASSERT_EQ(client.set_irqs(kAttach, 0, 4, fds_of(events, 4, 4)), 0);
  EXPECT_EQ(open_descriptors(), with_events + 12);
  ASSERT_EQ(client.set_irqs(kAttach, 1, 2), 0);  // no descriptors: these two are detached
  EXPECT_EQ(open_descriptors(), with_events + 10);
  ASSERT_EQ(client.set_irqs(kTrigger, 0, 4), 0);
  EXPECT_EQ(take_event(events[4].get()), 1u);
  EXPECT_EQ(take_event(events[5].get(), 0), 0u);
  EXPECT_EQ(take_event(events[7].get()), 1u);
  ASSERT_EQ(client.set_irqs(kTrigger, 0, 0), 0);  // all are switched off
  EXPECT_EQ(open_descriptors(), with_events);
  EXPECT_GE(with_events, before + 16);
}

TEST_F(Irq, IsRefusedOutsideOfItsRange) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  const std::vector<UniqueFd> events = make_events(2);
  const std::vector<int> fds = fds_of(events, 0, 2);
  EXPECT_EQ(client.set_irqs(kAttach, 15, 2, fds), EINVAL);
  EXPECT_EQ(client.set_irqs(kAttach, 16, 1, {fds[0]}), EINVAL);
  EXPECT_EQ(client.set_irqs(kAttach, 0xffff'ffff, 2, fds), EINVAL);
  EXPECT_EQ(client.set_irqs(kAttach, 0, 0xffff'ffff, fds), EINVAL);
  EXPECT_EQ(client.set_irqs(kAttach, 0, 3, fds), EINVAL);
  EXPECT_EQ(client.set_irqs(kAttach, 0, 0), EINVAL);
  EXPECT_EQ(client.set_irqs(kTrigger, 1, 0), EINVAL);
  EXPECT_EQ(client.set_irqs(kTrigger, 0, 1, fds), EINVAL);
  EXPECT_EQ(client.set_irqs(0, 0, 1), EINVAL);
  EXPECT_EQ(client.set_irqs(wire::kDataNone, 0, 1), EINVAL);
  EXPECT_EQ(client.set_irqs(kTrigger | wire::kDataBool, 0, 1), EINVAL);
  EXPECT_EQ(client.set_irqs(wire::kDataNone | 8, 0, 1), EINVAL);   // mask: not offered
  EXPECT_EQ(client.set_irqs(wire::kDataNone | 16, 0, 1), EINVAL);  // unmask
  EXPECT_EQ(client.set_irqs(kTrigger | 64, 0, 1), EINVAL);
  EXPECT_EQ(client.set_irqs(wire::kDataBool | wire::kActionTrigger, 0, 2, {}, Bytes(1)), EINVAL);
  EXPECT_EQ(client.set_irqs(kTrigger, 0, 1, {}, {}, 99), EINVAL);
  for (const uint32_t absent : {wire::kIntx, wire::kMsi, wire::kErr, wire::kReq}) {
    EXPECT_EQ(client.set_irqs(kTrigger, 0, 1, {}, {}, absent), EINVAL);
    EXPECT_EQ(client.set_irqs(kTrigger, 0, 0, {}, {}, absent), 0);
  }
}

TEST_F(Irq, TakesEventfdsAndNothingElse) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC), 0);
  const UniqueFd ends[2] = {UniqueFd(pipes[0]), UniqueFd(pipes[1])};
  EXPECT_EQ(client.set_irqs(kAttach, 0, 1, {pipes[1]}), EINVAL);
  EXPECT_EQ(client.set_irqs(kAttach, 0, 1, {ram_.get()}), EINVAL);
  const UniqueFd good = make_eventfd();
  EXPECT_EQ(client.set_irqs(kAttach, 0, 2, {good.get(), pipes[1]}), EINVAL);
  EXPECT_EQ(client.set_irqs(kTrigger, 0, 1), 0);
  EXPECT_EQ(take_event(good.get(), kNotLong), 0u);  // nothing of a refused message holds
}

TEST_F(Irq, FiresByBytes) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  const std::vector<UniqueFd> events = make_events(3);
  ASSERT_EQ(client.set_irqs(kAttach, 5, 3, fds_of(events, 0, 3)), 0);
  const Bytes which = {std::byte{1}, std::byte{0}, std::byte{0xff}};
  ASSERT_EQ(client.set_irqs(wire::kDataBool | wire::kActionTrigger, 5, 3, {}, which), 0);
  EXPECT_EQ(take_event(events[0].get()), 1u);
  EXPECT_EQ(take_event(events[1].get(), 0), 0u);
  EXPECT_EQ(take_event(events[2].get()), 1u);
}

TEST_F(Irq, IsPendingUntilSomebodyListens) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  ASSERT_EQ(client.set_irqs(kTrigger, 3, 1), 0);
  EXPECT_EQ(client.read64(wire::kBar4, kPba), uint64_t{1} << 3);
  EXPECT_EQ(client.read32(wire::kBar4, kPba), 1u << 3);
  const UniqueFd event = make_eventfd();
  ASSERT_EQ(client.set_irqs(kAttach, 3, 1, {event.get()}), 0);
  EXPECT_EQ(take_event(event.get()), 1u);
  EXPECT_EQ(client.read64(wire::kBar4, kPba), 0u);
  ASSERT_EQ(client.set_irqs(kTrigger, 4, 1), 0);
  ASSERT_EQ(client.reset(), 0);
  EXPECT_EQ(client.read64(wire::kBar4, kPba), 0u);
}

TEST_F(Irq, DoesNotWaitForAFullCounter) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  // Blocking, and one below the value at which a write waits.
  const UniqueFd event = make_eventfd();
  fcntl(event.get(), F_SETFL, 0);
  const uint64_t most = 0xffff'ffff'ffff'fffe;
  ASSERT_EQ(write(event.get(), &most, sizeof(most)), 8);
  ASSERT_EQ(client.set_irqs(kAttach, 0, 1, {event.get()}), 0);
  EXPECT_EQ(client.set_irqs(kTrigger, 0, 1), 0);
  fcntl(event.get(), F_SETFL, 0);
  EXPECT_EQ(client.set_irqs(kTrigger, 0, 1), 0);
}

TEST_F(Irq, KeepsTheTableAsMemory) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  client.write64(wire::kBar4, 16, 0xfee0'1000);
  client.write32(wire::kBar4, 16 + 12, 1);
  EXPECT_EQ(client.read64(wire::kBar4, 16), 0xfee0'1000u);
  EXPECT_EQ(client.read32(wire::kBar4, 28), 1u);
  client.write64(wire::kBar4, kPba, ~uint64_t{0});
  client.write64(wire::kBar4, 256, ~uint64_t{0});
  EXPECT_EQ(client.read64(wire::kBar4, kPba), 0u);
  EXPECT_EQ(client.read64(wire::kBar4, 256), 0u);
}

}  // namespace
}  // namespace npu::test
