// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/namespaces.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace npu::test {
namespace {

// A queue in front of the bucket that holds what TCP has under way: what is lost is sent twice, and then it is not the cable that is measured.
constexpr const char* kQueueTime = "200ms";
constexpr auto kTrainTime = std::chrono::seconds(10);

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// Those of tests that were killed: their names say which process made them.
void remove_leftovers() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", error)) {
    const std::string name = entry.path().filename();
    pid_t maker = 0;
    if (std::sscanf(name.c_str(), "npu-ccl-%d-", &maker) != 1 || maker <= 0) continue;
    if (kill(maker, 0) != 0 && errno == ESRCH) run("ip netns delete " + name);
  }
}

std::string interface(uint32_t cable) { return "cable" + std::to_string(cable); }

}  // namespace

Namespaces::Namespaces(uint32_t cables) : cables_(cables), cause_(make()) {}

Namespaces::~Namespaces() {
  if (geteuid() != 0) return;
  for (uint32_t host = 0; host < kHosts; host++) run("ip netns delete " + name(host));
}

std::string Namespaces::make() {
  if (geteuid() != 0) return "network namespaces are made by root";
  if (!run("ip -V")) return "there is no ip: apt-get install iproute2";
  remove_leftovers();
  if (!run("ip netns add " + name(0)) || !run("ip netns add " + name(1))) {
    return "this system lets nobody make network namespaces";
  }
  for (uint32_t cable = 0; cable < cables_; cable++) {
    const std::string own = interface(cable);
    if (!run("ip -n " + name(0) + " link add " + own + " type veth peer name " + own + " netns " +
             name(1))) {
      return "this kernel has no veth";
    }
  }
  for (uint32_t host = 0; host < kHosts; host++) {
    bool is_up = run("ip -n " + name(host) + " link set lo up");
    for (uint32_t cable = 0; cable < cables_ && is_up; cable++) {
      const std::string link = "ip -n " + name(host);
      is_up = run(link + " address add " + address(host, cable) + "/30 dev " + interface(cable)) &&
              run(link + " link set " + interface(cable) + " up");
    }
    if (!is_up) return "interfaces of network namespaces cannot be brought up here";
  }
  return "";
}

std::string Namespaces::name(uint32_t host) const {
  return "npu-ccl-" + std::to_string(getpid()) + "-" + std::to_string(host);
}

std::string Namespaces::address(uint32_t host, uint32_t cable) {
  return "198.51.100." + std::to_string(4 * cable + host + 1);
}

std::string Namespaces::interfaces() const {
  std::string all = interface(0);
  for (uint32_t cable = 1; cable < cables_; cable++) all += "," + interface(cable);
  return all;
}

std::vector<std::string> Namespaces::prefix(uint32_t host) const {
  return {"ip", "netns", "exec", name(host)};
}

bool Namespaces::shape(const Shape& shape) {
  bool can = true;
  for (uint32_t host = 0; host < kHosts; host++) {
    for (uint32_t cable = 0; cable < cables_; cable++) {
      can = can && run("tc -n " + name(host) + " qdisc replace dev " + interface(cable) +
                       " root tbf rate " + std::to_string(shape.bits_per_s) + "bit burst " +
                       std::to_string(shape.burst_bytes) + "b latency " + kQueueTime);
    }
  }
  return can;
}

bool Namespaces::cut(uint32_t cable) {
  return run("ip -n " + name(0) + " link set " + interface(cable) + " down");
}

bool Namespaces::mend(uint32_t cable) {
  return run("ip -n " + name(0) + " link set " + interface(cable) + " up");
}

bool Namespaces::train(uint32_t cable, bool trains) {
  const std::string wanted = trains ? "DORMANT" : "UP", link = "ip -n " + name(0) + " -o link ";
  const auto end = std::chrono::steady_clock::now() + kTrainTime;
  // The kernel passes over the wish while it has yet to tell of a new carrier.
  do {
    if (!run(link + "set " + interface(cable) + " state " + wanted)) return false;
    if (run(link + "show " + interface(cable) + " | grep -q 'state " + wanted + "'")) return true;
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

bool Namespaces::swallow(uint32_t cable, bool swallows) {
  return run("ip -n " + name(0) + " route " + (swallows ? "add" : "delete") + " blackhole " +
             address(1, cable) + "/32");
}

}  // namespace npu::test
