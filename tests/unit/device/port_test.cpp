// SPDX-License-Identifier: Apache-2.0
// Ports of a device: what they tell, injected faults, and a port that follows a made-up interface.
#include "firmware-model/device/port.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <thread>

#include "firmware-model/device/interface.h"
#include "tests/unit/device/test_driver.h"

namespace npu::test {
namespace {

namespace fs = std::filesystem;
using model::InterfaceReading;
using model::read_interface;

// A folder that looks like /sys/class/net with one interface.
class FakeInterface {
 public:
  FakeInterface() {
    std::string path = testing::TempDir() + "/npu-net-XXXXXX";
    root_ = mkdtemp(path.data());
    fs::create_directories(folder() + "/statistics");
    write("flags", "0x1003\n");
    write("operstate", "up\n");
    write("carrier", "1\n");
    write("speed", "25000\n");
    for (const char* name :
         {"rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_errors", "tx_errors"}) {
      write(std::string("statistics/") + name, "10\n");
    }
  }
  ~FakeInterface() { fs::remove_all(root_); }
  FakeInterface(const FakeInterface&) = delete;
  FakeInterface& operator=(const FakeInterface&) = delete;

  // The device reads while this writes: a file is replaced, never half written.
  void write(const std::string& name, const std::string& text) {
    const std::string draft = root_ + "/draft";
    std::ofstream(draft) << text;
    fs::rename(draft, folder() + "/" + name);
  }
  void remove(const std::string& name) { fs::remove(folder() + "/" + name); }
  std::string root() const { return root_; }
  std::string folder() const { return root_ + "/test0"; }

 private:
  std::string root_;
};

TEST(InterfaceTest, StateSpeedAndCountersAreThoseOfTheFolder) {
  const FakeInterface interface;
  const InterfaceReading reading = read_interface(interface.folder());
  EXPECT_EQ(reading.state, NPU_PORT_UP);
  EXPECT_EQ(reading.speed_mbps, 25000u);
  EXPECT_TRUE(reading.has_counters);
  EXPECT_EQ(reading.rx_bytes, 10u);
}

TEST(InterfaceTest, WordsOfTheKernelBecomeStates) {
  FakeInterface interface;
  const std::pair<const char*, npu_port_state> kStates[] = {
      {"down", NPU_PORT_UP},          {"lowerlayerdown", NPU_PORT_DOWN},
      {"notpresent", NPU_PORT_DOWN},  {"dormant", NPU_PORT_TRAINING},
      {"testing", NPU_PORT_TRAINING}, {"unknown", NPU_PORT_UP},
      {"nonsense", NPU_PORT_DOWN}};
  for (const auto& [word, state] : kStates) {
    interface.write("operstate", std::string(word) + "\n");
    EXPECT_EQ(read_interface(interface.folder()).state, state) << word;
  }
  interface.write("carrier", "0\n");
  for (const char* word : {"unknown", "down"}) {
    interface.write("operstate", std::string(word) + "\n");
    EXPECT_EQ(read_interface(interface.folder()).state, NPU_PORT_DOWN) << word;
  }
  interface.write("flags", "0x1002\n");
  EXPECT_EQ(read_interface(interface.folder()).state, NPU_PORT_DISABLED);
}

TEST(InterfaceTest, WhatIsNoAnswerOfAKernelIsNotTaken) {
  FakeInterface interface;
  for (const char* bad : {"-1\n", "", "1x\n", "99999999999999999999999\n", "200000000\n"}) {
    interface.write("speed", bad);
    EXPECT_EQ(read_interface(interface.folder()).speed_mbps, 0u) << bad;
  }
  for (const std::string& bad :
       {std::string("-5\n"), std::string(5000, '1'), std::string("0x10\n")}) {
    interface.write("statistics/tx_errors", bad);
    EXPECT_FALSE(read_interface(interface.folder()).has_counters) << bad.substr(0, 20);
  }
  interface.remove("statistics/tx_errors");
  ASSERT_EQ(mkfifo((interface.folder() + "/statistics/tx_errors").c_str(), 0600), 0);
  EXPECT_FALSE(read_interface(interface.folder()).has_counters);
  const InterfaceReading gone = read_interface(interface.root() + "/none");
  EXPECT_EQ(gone.state, NPU_PORT_DOWN);
  EXPECT_FALSE(gone.has_counters);
}

npu_port_config up_link() {
  npu_port_config port{};
  port.state = NPU_PORT_UP;
  port.flags = NPU_PORT_FLAG_UP_LINK;
  port.speed_mbps = 400'000;
  port.lanes = 4;
  return port;
}

npu_port_config bound_port() {
  npu_port_config port = up_link();
  std::strcpy(port.interface, "test0");
  return port;
}

class PortTest : public testing::Test {
 protected:
  void make(std::vector<npu_port_config> ports) {
    DriverOptions options;
    options.ports = std::move(ports);
    options.net_class = interface_.root();
    driver_ = std::make_unique<TestDriver>(options);
    iova_ = driver_->host_alloc(sizeof(npu_port_info));
  }

  int inject(npu_inject fault, uint64_t place, uint64_t count) {
    return driver_->mailbox(NPU_MBOX_INJECT, {static_cast<uint64_t>(fault), place, count});
  }

  npu_port_info describe(uint64_t port) {
    uint64_t bytes = 0;
    EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {port, iova_, sizeof(npu_port_info)}, &bytes),
              NPU_ST_OK);
    EXPECT_EQ(bytes, sizeof(npu_port_info));
    npu_port_info info;
    std::memcpy(&info, driver_->host_data(iova_), sizeof(info));
    return info;
  }

  // The next event, which comes within a minute.
  npu_event_record next() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (events_.empty()) {
      const auto taken = driver_->take_events();
      events_.assign(taken.begin(), taken.end());
      if (!events_.empty()) break;
      EXPECT_LT(std::chrono::steady_clock::now(), deadline) << "no event came";
      if (testing::Test::HasFailure()) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const npu_event_record record = events_.front();
    events_.pop_front();
    return record;
  }

  void expect_change(uint32_t port, npu_port_state state) {
    const npu_event_record record = next();
    EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_EVENT_PORT_STATE));
    EXPECT_EQ(record.queue, port);
    EXPECT_EQ(record.value, static_cast<uint64_t>(state));
  }

  FakeInterface interface_;
  std::unique_ptr<TestDriver> driver_;
  uint64_t iova_ = 0;
  std::deque<npu_event_record> events_;  // taken and not looked at yet
};

TEST_F(PortTest, APortTellsWhatItsConfigurationSays) {
  npu_port_config local = up_link();
  local.flags = NPU_PORT_FLAG_PEER;
  local.peer_port = 7;
  local.peer_uuid[3] = 0x42;
  make({up_link(), local});
  EXPECT_EQ(driver_->reg(NPU_REG_PORTS, 4), 2u);
  const npu_port_info info = describe(1);
  EXPECT_EQ(info.index, 1u);
  EXPECT_EQ(info.state, static_cast<uint32_t>(NPU_PORT_UP));
  EXPECT_EQ(info.flags, NPU_PORT_FLAG_PEER | NPU_PORT_FLAG_COUNTERS);
  EXPECT_EQ(info.peer_port, 7u);
  EXPECT_EQ(info.peer_uuid[3], 0x42);
  EXPECT_EQ(info.speed_mbps, 400'000u);
  EXPECT_EQ(info.lanes, 4u);
}

TEST_F(PortTest, TheCommandIsCheckedFieldByField) {
  make({up_link()});
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {1, iova_, 168}), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {~uint64_t{0}, iova_, 168}), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {0, iova_ + 4, 168}), NPU_ST_UNALIGNED);
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {0, iova_, 100}), NPU_ST_UNALIGNED);
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {0, 8, 168}), NPU_ST_INVALID_ADDRESS);
  // A driver that knows less of the struct gets less, and not one byte more.
  std::memset(driver_->host_data(iova_), 0xee, sizeof(npu_port_info));
  uint64_t bytes = 0;
  EXPECT_EQ(driver_->mailbox(NPU_MBOX_PORT, {0, iova_, NPU_PORT_INFO_MIN_BYTES}, &bytes),
            NPU_ST_OK);
  EXPECT_EQ(bytes, uint64_t{NPU_PORT_INFO_MIN_BYTES});
  EXPECT_EQ(std::to_integer<int>(driver_->host_data(iova_)[NPU_PORT_INFO_MIN_BYTES]), 0xee);
}

TEST_F(PortTest, AFlapIsTwoEventsAndOneCount) {
  make({up_link(), up_link()});
  ASSERT_EQ(inject(NPU_INJECT_LINK_FLAP, 1, 2), NPU_ST_OK);
  for (int i = 0; i < 2; ++i) {
    expect_change(1, NPU_PORT_DOWN);
    expect_change(1, NPU_PORT_UP);
  }
  EXPECT_EQ(describe(1).flaps, 2u);
  EXPECT_EQ(describe(1).state, static_cast<uint32_t>(NPU_PORT_UP));
  EXPECT_EQ(describe(0).flaps, 0u);
}

TEST_F(PortTest, ALinkIsHeldDownUntilItIsLetGo) {
  make({up_link()});
  ASSERT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 1), NPU_ST_OK);
  expect_change(0, NPU_PORT_DOWN);
  ASSERT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 1), NPU_ST_OK);
  EXPECT_EQ(describe(0).state, static_cast<uint32_t>(NPU_PORT_DOWN));
  EXPECT_EQ(inject(NPU_INJECT_LINK_FLAP, 0, 1), NPU_ST_BUSY);
  ASSERT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 0), NPU_ST_OK);
  expect_change(0, NPU_PORT_UP);
  EXPECT_EQ(describe(0).flaps, 1u);
}

TEST_F(PortTest, FaultsOfPortsThatAreNotThereAreRefused) {
  make({up_link()});
  EXPECT_EQ(inject(NPU_INJECT_LINK_FLAP, 1, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_LINK_FLAP, 0, 65537), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_LINK_DOWN, ~uint64_t{0}, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 2), NPU_ST_INVALID_ARGUMENT);
}

TEST_F(PortTest, CountersAndFaultsSurviveAReset) {
  make({up_link()});
  ASSERT_EQ(inject(NPU_INJECT_LINK_FLAP, 0, 3), NPU_ST_OK);
  ASSERT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 1), NPU_ST_OK);
  npu_device_reset(driver_->device());
  EXPECT_EQ(describe(0).flaps, 4u);
  EXPECT_EQ(describe(0).state, static_cast<uint32_t>(NPU_PORT_DOWN));
}

TEST_F(PortTest, ABoundPortFollowsItsInterface) {
  make({bound_port()});
  npu_port_info info = describe(0);
  EXPECT_EQ(info.flags, NPU_PORT_FLAG_UP_LINK | NPU_PORT_FLAG_BOUND | NPU_PORT_FLAG_COUNTERS);
  EXPECT_STREQ(info.interface, "test0");
  EXPECT_EQ(info.speed_mbps, 25000u);
  EXPECT_EQ(info.lanes, 0u);
  EXPECT_EQ(info.errors, 20u);
  interface_.write("statistics/rx_bytes", "4096\n");
  interface_.write("operstate", "lowerlayerdown\n");
  expect_change(0, NPU_PORT_DOWN);
  info = describe(0);
  EXPECT_EQ(info.rx_bytes, 4096u);
  EXPECT_EQ(info.flaps, 1u);
  EXPECT_EQ(info.counters_generation, 0u);
  // The same name, another interface.
  interface_.write("statistics/rx_bytes", "1\n");
  interface_.write("operstate", "up\n");
  expect_change(0, NPU_PORT_UP);
  EXPECT_EQ(describe(0).rx_bytes, 1u);
  EXPECT_EQ(describe(0).counters_generation, 1u);
}

TEST_F(PortTest, AnInjectedFaultIsStrongerThanTheInterface) {
  make({bound_port()});
  ASSERT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 1), NPU_ST_OK);
  expect_change(0, NPU_PORT_DOWN);
  interface_.write("operstate", "dormant\n");
  interface_.write("statistics/rx_bytes", "77\n");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (describe(0).rx_bytes != 77 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(describe(0).rx_bytes, 77u);
  EXPECT_EQ(describe(0).state, static_cast<uint32_t>(NPU_PORT_DOWN));
  ASSERT_EQ(inject(NPU_INJECT_LINK_DOWN, 0, 0), NPU_ST_OK);
  expect_change(0, NPU_PORT_TRAINING);
}

TEST(PortConfigTest, WhatADeviceCannotHaveIsRefused) {
  npu_device_config config{};
  const auto problem = [&](const npu_port_config& port) {
    config.ports = &port;
    config.port_count = 1;
    return model::Ports::check(config);
  };
  EXPECT_EQ(problem(bound_port()), "");
  npu_port_config port = bound_port();
  std::memset(port.interface, 'x', sizeof(port.interface));
  EXPECT_NE(problem(port), "");
  port = bound_port();
  std::strcpy(port.interface, "../x");
  EXPECT_NE(problem(port), "");
  port = bound_port();
  port.state = NPU_PORT_STATE_COUNT;
  EXPECT_NE(problem(port), "");
  port = bound_port();
  port.flags |= NPU_PORT_FLAG_COUNTERS;
  EXPECT_NE(problem(port), "");
  config.port_count = NPU_MAX_PORTS + 1;
  EXPECT_NE(model::Ports::check(config), "");
  config.port_count = 1;
  config.ports = nullptr;
  EXPECT_NE(model::Ports::check(config), "");
}

}  // namespace
}  // namespace npu::test
