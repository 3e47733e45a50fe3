// SPDX-License-Identifier: Apache-2.0
// Ports: the network ports of the own device that stand for interfaces of this host, and which of them have a link. libnpuml knows them: by a connection of its own to the device. One thread at a time.
#pragma once

#include <npu/npu_device.h>
#include <npu/npu_ml.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "libnpu/ccl/address.h"

namespace npu::ccl {

// An address by which ranks of other hosts reach this one.
struct RailAddress {
  static constexpr uint32_t kNoPort = ~0u;

  NetAddress at;
  uint32_t port = kNoPort;  // of the own device, if it is that port's
};

class Ports {
 public:
  // Finds the ports of the device behind |context|. None where it has none, or cannot be asked.
  void open(npuContext context);

  // Those that have a link and an address of IP |version| that this host has: at most kRailsMax, by their number.
  std::vector<RailAddress> rails(uint16_t version) const;
  // How many ports stand for interfaces.
  size_t bound() const { return bound_.size(); }

  // Takes what has happened since the last call. Does not wait for anything to happen.
  void look();
  // A port that is not known has one.
  bool has_link(uint32_t port) const;

 private:
  struct Closer {
    void operator()(npuMlDevice device) const { npuMlClose(device); }
  };

  // Asks for all of them.
  void ask();

  std::unique_ptr<std::remove_pointer_t<npuMlDevice>, Closer> device_;
  std::vector<npuMlPort> bound_;
};

}  // namespace npu::ccl
