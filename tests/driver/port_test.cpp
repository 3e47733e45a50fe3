// SPDX-License-Identifier: Apache-2.0
// Ports behind the driver: what they tell, and what is heard of a link that is lost.
#include <cstring>

#include "tests/driver/guest.h"

namespace npu::driver_test {
namespace {

constexpr int kSoonMs = 20'000;
constexpr uint32_t kUpLink = 2;  // of the profile tiny

class PortTest : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    choose(NPU_EVENT_MASK_PORT_STATE);
  }

  void choose(uint64_t events) {
    npu_event_mask mask{};
    mask.mask = events;
    file_.must(NPU_CALL_EVENT_MASK, &mask);
  }

  npu_port_info describe(uint32_t port) {
    npu_dev_query args{};
    args.type = NPU_QUERY_PORTS;
    const parity::ArrayArg out =
        parity::make_array(&args.out, &args, std::vector<npu_port_info>(NPU_MAX_PORTS), true);
    file_.must(NPU_CALL_DEV_QUERY, &args, {out});
    npu_port_info info{};
    EXPECT_LT(port, args.out.count);
    if (port < args.out.count) {
      std::memcpy(&info, out.memory->data() + port * sizeof(info), sizeof(info));
    }
    return info;
  }

  // The next event, which is one of a port.
  npu_event_port_state next() {
    npu_event_port_state event{};
    const parity::Bytes bytes = file_.file().read_event(kSoonMs);
    EXPECT_EQ(bytes.size(), sizeof(event));
    if (bytes.size() == sizeof(event)) std::memcpy(&event, bytes.data(), sizeof(event));
    EXPECT_EQ(event.base.type, NPU_EVENT_TYPE_PORT_STATE);
    return event;
  }

  void expect_change(uint32_t state) {
    const npu_event_port_state event = next();
    EXPECT_EQ(event.port, kUpLink);
    EXPECT_EQ(event.state, state);
  }

  File file_;
};

TEST_F(PortTest, AFlapIsTwoEventsAndOneCount) {
  const uint64_t before = describe(kUpLink).flaps;
  inject("link-flap 2 1");
  expect_change(NPU_PORT_DOWN);
  expect_change(NPU_PORT_UP);
  EXPECT_EQ(describe(kUpLink).flaps, before + 1);
}

TEST_F(PortTest, ALinkThatIsHeldDownStaysDownOverAReset) {
  inject("link-down 2 1");
  expect_change(NPU_PORT_DOWN);
  EXPECT_EQ(describe(kUpLink).state, static_cast<uint32_t>(NPU_PORT_DOWN));
  ASSERT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
  EXPECT_EQ(describe(kUpLink).state, static_cast<uint32_t>(NPU_PORT_DOWN));
  inject("link-down 2 0");
  expect_change(NPU_PORT_UP);
  EXPECT_EQ(describe(kUpLink).state, static_cast<uint32_t>(NPU_PORT_UP));
}

// More changes than the driver keeps, and more events than DRM keeps for a file: some are lost, and that is told.
TEST_F(PortTest, AStormOfFlapsIsToldAsLost) {
  const uint64_t before = describe(kUpLink).flaps;
  inject("link-flap 2 3000");
  EXPECT_EQ(describe(kUpLink).flaps, before + 3000);
  bool lost = false;
  // The flag is on the first event that fits again, so room is made and another change made until it comes.
  EXPECT_TRUE(becomes([&] {
    inject("link-flap 2 1");
    for (parity::Bytes bytes = file_.file().read_event(100); !bytes.empty();
         bytes = file_.file().read_event(100)) {
      npu_event head{};
      std::memcpy(&head, bytes.data(), std::min(bytes.size(), sizeof(head)));
      lost = lost || (head.flags & NPU_EVENT_FLAG_LOST) != 0;
    }
    return lost;
  }));
}

TEST_F(PortTest, FaultsOfPortsThatAreNotThereAreRefused) {
  EXPECT_EQ(write_file(debugfs("inject"), "link-flap 3 1"), EINVAL);
  EXPECT_EQ(write_file(debugfs("inject"), "link-down 0 2"), EINVAL);
}

}  // namespace
}  // namespace npu::driver_test
