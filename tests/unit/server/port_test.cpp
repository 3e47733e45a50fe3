// SPDX-License-Identifier: Apache-2.0
// Wiring of ports, tables [[port]] of profiles, and the look at the interfaces of this machine.
#include "firmware-model/server/port.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "firmware-model/server/device.h"
#include "firmware-model/server/profile.h"
#include "tests/unit/server/server_fixture.h"

namespace npu::model::server {
namespace {

npu_profile wired(uint32_t ports, uint32_t neighbours, uint32_t up) {
  npu_profile profile{};
  std::strcpy(profile.name, "wired");
  profile.ports = ports;
  profile.port_mbps = 400'000;
  profile.port_lanes = 4;
  profile.port_neighbours = neighbours;
  profile.ports_up = up;
  return profile;
}

std::string tiny_with(const std::string& tables) {
  std::ifstream stream(NPU_TEST_PROFILE_DIR "/tiny.toml");
  std::stringstream text;
  text << stream.rdbuf() << tables;
  return text.str();
}

std::string error_of(const std::string& tables) {
  npu_profile profile{};
  std::vector<PortBinding> bindings;
  std::string error;
  EXPECT_FALSE(parse_profile(tiny_with(tables), "x.toml", &profile, &bindings, &error)) << tables;
  EXPECT_TRUE(bindings.empty());
  return error;
}

// Why the interfaces of |bindings| are not those of this machine; empty: they are.
std::string resolve_error(std::vector<PortBinding> bindings) {
  std::string error;
  const bool resolved = resolve_bindings(&bindings, &error);
  EXPECT_EQ(resolved, error.empty());
  return error;
}

PortBinding by_interface(const std::string& name, uint32_t port = 0) {
  PortBinding binding;
  binding.port = port;
  binding.interface = name;
  return binding;
}

PortBinding by_address(const std::string& text, uint32_t port = 0) {
  PortBinding binding;
  binding.port = port;
  binding.address = text;
  return binding;
}

TEST(WiringTest, BothEndsOfEveryLinkAgree) {
  for (const uint32_t neighbours : {1u, 3u, 7u}) {
    const npu_profile profile = wired(12, neighbours, 3);
    const uint32_t devices = 8;
    std::vector<std::vector<npu_port_config>> all;
    for (uint32_t d = 0; d < devices; ++d) all.push_back(make_ports(profile, {}, d, devices));
    for (uint32_t d = 0; d < devices; ++d) {
      uint8_t self[16];
      fill_uuid(profile, d, self);
      for (uint32_t p = 0; p < 9; ++p) {
        ASSERT_EQ(all[d][p].flags, NPU_PORT_FLAG_PEER) << neighbours << " " << d << " " << p;
        uint32_t other = 0;
        uint8_t uuid[16];
        for (; other < devices; ++other) {
          fill_uuid(profile, other, uuid);
          if (std::memcmp(uuid, all[d][p].peer_uuid, sizeof(uuid)) == 0) break;
        }
        ASSERT_LT(other, devices);
        EXPECT_NE(other, d);
        EXPECT_EQ(other / (neighbours + 1), d / (neighbours + 1));
        const npu_port_config& back = all[other][all[d][p].peer_port];
        EXPECT_EQ(std::memcmp(back.peer_uuid, self, sizeof(self)), 0);
        EXPECT_EQ(back.peer_port, p);
      }
    }
  }
}

TEST(WiringTest, APortWithoutNeighbourIsDownAndOneToASwitchIsUp) {
  const std::vector<npu_port_config> ports = make_ports(wired(12, 3, 3), {}, 0, 1);
  ASSERT_EQ(ports.size(), 12u);
  for (uint32_t p = 0; p < 12; ++p) {
    EXPECT_EQ(ports[p].state, static_cast<uint32_t>(p < 9 ? NPU_PORT_DOWN : NPU_PORT_UP));
    EXPECT_EQ(ports[p].flags, p < 9 ? 0 : NPU_PORT_FLAG_UP_LINK);
    EXPECT_EQ(ports[p].speed_mbps, 400'000u);
  }
  // The last device of an incomplete group has links to those that are there.
  const std::vector<npu_port_config> last = make_ports(wired(3, 3, 0), {}, 4, 6);
  EXPECT_EQ(last[0].state, static_cast<uint32_t>(NPU_PORT_UP));
  EXPECT_EQ(last[1].state, static_cast<uint32_t>(NPU_PORT_DOWN));
}

TEST(BindingTest, ATableIsReadStrictly) {
  npu_profile profile{};
  std::vector<PortBinding> bindings;
  std::string error;
  ASSERT_TRUE(parse_profile(tiny_with("\n[[port]]\nindex = 2\ninterface = \"eth0\"\n"
                                      "[[port]]\ndevice = 1\nindex = 0\naddress = \"::1\"\n"),
                            "x.toml", &profile, &bindings, &error))
      << error;
  ASSERT_EQ(bindings.size(), 2u);
  EXPECT_EQ(bindings[0].port, 2u);
  EXPECT_EQ(bindings[0].interface, "eth0");
  EXPECT_EQ(bindings[1].device, 1u);
  EXPECT_EQ(bindings[1].address, "::1");
  EXPECT_EQ(error_of("\n[[port]]\ninterface = \"eth0\"\n"),
            "profile x.toml: key 'port.index' must be an integer; allowed: 0 to 2");
  for (const char* bad : {"index = 3\ninterface = \"eth0\"",
                          "index = -1\ninterface = \"eth0\"",
                          "index = \"0\"\ninterface = \"eth0\"",
                          "index = 0\ndevice = 16\ninterface = \"eth0\"",
                          "index = 0",
                          "index = 0\ninterface = \"\"",
                          "index = 0\ninterface = 5",
                          "index = 0\ninterface = \"eth0\"\naddress = \"::1\"",
                          "index = 0\ninterface = \"../../etc\"",
                          "index = 0\ninterface = \"..\"",
                          "index = 0\ninterface = \"a b\"",
                          "index = 0\ninterface = \"eth0:1\"",
                          "index = 0\ninterface = \"sixteen-letters-\"",
                          "index = 0\ninterface = \"e\\u0000h0\"",
                          "index = 0\naddress = \"10.0.0\"",
                          "index = 0\naddress = \"eth0\"",
                          "index = 0\naddress = \"::1\\u0000\"",
                          "index = 0\naddress = \"10.0.0.1/8\"",
                          "index = 0\ninterface = \"eth0\"\nspeed = 5",
                          "index = 0\ninterface = \"a\"\n[[port]]\nindex = 0\ninterface = \"b\""}) {
    EXPECT_NE(error_of("\n[[port]]\n" + std::string(bad) + "\n"), "") << bad;
  }
  EXPECT_NE(error_of("\n[port]\nindex = 0\n"), "");
}

TEST(BindingTest, WiringThatCannotBeIsRefused) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = tiny_with("");
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    npu_profile profile{};
    std::vector<PortBinding> bindings;
    std::string error;
    EXPECT_FALSE(
        parse_profile(text.replace(at, from.size(), to), "x.toml", &profile, &bindings, &error));
    return error;
  };
  EXPECT_EQ(with("port_neighbours = 1", "port_neighbours = 2"),
            "profile x.toml: key 'port_neighbours' is 2; allowed: 0, 1, 3, 7, 15");
  EXPECT_EQ(with("ports_up = 1", "ports_up = 4"),
            "profile x.toml: key 'ports_up' is larger than ports; allowed: 0 to 3");
  EXPECT_NE(with("port_neighbours = 1", "port_neighbours = 3"), "");
  EXPECT_NE(with("port_neighbours = 1", "port_neighbours = 0"), "");
  EXPECT_NE(with("port_mbps = 100000", "port_mbps = 0"), "");
  EXPECT_NE(with("ports = 3", "ports = 65"), "");
}

TEST(BindingTest, InterfacesOfThisMachineAreFoundByNameAndByAddress) {
  // Every machine has this one, up or down.
  std::vector<PortBinding> bindings = {by_interface("lo")};
  std::string error;
  ASSERT_TRUE(resolve_bindings(&bindings, &error)) << error;
  EXPECT_EQ(bindings[0].flags & NPU_PORT_FLAG_MAC, 0u);
  if ((bindings[0].flags & NPU_PORT_FLAG_IPV4) == 0) GTEST_SKIP() << "lo has no address here";
  EXPECT_EQ(bindings[0].ipv4, (std::array<uint8_t, 4>{127, 0, 0, 1}));
  std::vector<PortBinding> found = {by_address("127.0.0.1")};
  ASSERT_TRUE(resolve_bindings(&found, &error)) << error;
  EXPECT_EQ(found[0].interface, "lo");
  EXPECT_EQ(resolve_error({by_interface("lo"), by_address("127.0.0.1", 1)}),
            "port 1 of device 0 and port 0 of device 0 are bound to one interface, 'lo'; each "
            "needs its own");
}

TEST(BindingTest, WhatThisMachineDoesNotHaveIsAnError) {
  EXPECT_EQ(resolve_error({by_interface("npu-none")}),
            "port 0 of device 0: this machine has no interface 'npu-none'; 'ip address' shows what "
            "there is");
  EXPECT_EQ(resolve_error({by_address("192.0.2.254")}),
            "port 0 of device 0: this machine has no address '192.0.2.254'; 'ip address' shows "
            "what there is");
  PortBinding second = by_interface("lo");
  second.device = 1;
  std::string error;
  EXPECT_TRUE(bindings_fit({second}, 2, &error));
  EXPECT_FALSE(bindings_fit({second}, 1, &error));
  EXPECT_NE(error.find("port 0 of device 1"), std::string::npos) << error;
}

}  // namespace
}  // namespace npu::model::server

namespace npu::model::test {
namespace {

class PortCallsTest : public ServerTest {
 protected:
  void inject(npu_inject fault, uint64_t place, uint64_t count) {
    EXPECT_EQ(server_->device(0)->mailbox(NPU_MBOX_INJECT, {fault, place, count}), NPU_ST_OK);
  }
};

// The next event of |client|; its answers come behind it, so it is asked until one has come.
npu_event_port_state next_event(RawClient& client) {
  const int64_t end = server::monotonic_ns() + 60'000'000'000;
  while (client.events.empty() && server::monotonic_ns() < end) {
    client.query<npu_limits>(NPU_QUERY_LIMITS);
  }
  npu_event_port_state event{};
  if (client.events.empty()) ADD_FAILURE() << "no event came";
  if (client.events.empty()) return event;
  EXPECT_EQ(client.events.front().payload.size(), sizeof(event));
  std::memcpy(&event, client.events.front().payload.data(), sizeof(event));
  client.events.pop_front();
  return event;
}

TEST_F(PortCallsTest, TwoDevicesAreNeighbours) {
  RawClient client = open(0);
  RawClient other = open(1);
  const auto ports = client.query<npu_port_info>(NPU_QUERY_PORTS);
  ASSERT_EQ(ports.size(), 3u);
  EXPECT_EQ(client.query<npu_dev_info>(NPU_QUERY_DEVICE).at(0).ports, 3u);
  const auto uuid = std::to_array(other.query<npu_dev_info>(NPU_QUERY_DEVICE).at(0).uuid);
  EXPECT_EQ(std::to_array(ports[1].peer_uuid), uuid);
  EXPECT_EQ(ports[1].peer_port, 1u);
  EXPECT_EQ(ports[2].flags, NPU_PORT_FLAG_UP_LINK);
}

TEST_F(PortCallsTest, OnlyWhoAskedHearsOfALink) {
  RawClient asker = open(0);
  RawClient silent = open(0);
  RawClient elsewhere = open(1);
  npu_event_mask mask{};
  mask.mask = NPU_EVENT_MASK_PORT_STATE;
  ASSERT_EQ(asker.call(NPU_CALL_EVENT_MASK, &mask), 0);
  mask = {};
  mask.mask = NPU_EVENT_MASK_PORT_STATE;
  ASSERT_EQ(elsewhere.call(NPU_CALL_EVENT_MASK, &mask), 0);
  inject(NPU_INJECT_LINK_FLAP, 2, 1);
  for (const uint32_t state : {NPU_PORT_DOWN, NPU_PORT_UP}) {
    const auto event = next_event(asker);
    EXPECT_EQ(event.base.type, NPU_EVENT_TYPE_PORT_STATE);
    EXPECT_EQ(event.base.length, sizeof(event));
    EXPECT_EQ(event.base.flags, 0u);
    EXPECT_EQ(event.port, 2u);
    EXPECT_EQ(event.state, state);
  }
  EXPECT_EQ(silent.query<npu_port_info>(NPU_QUERY_PORTS).at(2).flaps, 1u);
  EXPECT_TRUE(silent.events.empty());
  elsewhere.query<npu_limits>(NPU_QUERY_LIMITS);
  EXPECT_TRUE(elsewhere.events.empty());
}

}  // namespace
}  // namespace npu::model::test
