// SPDX-License-Identifier: Apache-2.0
// Namespaces: two network namespaces joined by cables, the nearest thing to two hosts on one machine. Needs root, iproute2 and a kernel with veth; shaped cables need tc and sch_tbf besides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace npu::test {

// What a cable lets through in one direction: a token bucket (tc-tbf(8)), of frames as the interface has them.
struct Shape {
  uint64_t bits_per_s;
  uint64_t burst_bytes;  // that go at once after a pause
};

class Namespaces {
 public:
  static constexpr uint32_t kHosts = 2;

  // Interfaces cable0, cable1 ... on both sides, with addresses of networks that nothing else uses (RFC 5737).
  explicit Namespaces(uint32_t cables = 1);
  ~Namespaces();
  Namespaces(const Namespaces&) = delete;

  // Why there are none; empty: there are.
  const std::string& cause() const { return cause_; }
  std::string name(uint32_t host) const;
  static std::string address(uint32_t host, uint32_t cable = 0);
  // Of all cables, as NPU_CCL_INTERFACE has them.
  std::string interfaces() const;
  // Words before a command that is to run there.
  std::vector<std::string> prefix(uint32_t host) const;

  // Both directions of all cables. False: this kernel cannot.
  bool shape(const Shape& shape);
  // At the first host's end.
  bool cut(uint32_t cable = 0);
  bool mend(uint32_t cable);
  // Whether the first host's end is being trained: it has a carrier and carries packets, yet counts as no link to a device's port (RFC 2863: dormant).
  bool train(uint32_t cable, bool trains);
  // Whether what leaves the first host for the second one by that cable is lost, though its interfaces are up.
  bool swallow(uint32_t cable, bool swallows);

 private:
  std::string make();

  uint32_t cables_;
  std::string cause_;
};

}  // namespace npu::test
