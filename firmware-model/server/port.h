// SPDX-License-Identifier: Apache-2.0
// Which ports a device of the server has, what is at their other ends, and which interfaces of the host they stand for.
//
// Wiring. Devices of one server, or of one npu-modeld with several --vfio-user, stand in groups of port_neighbours + 1. Neighbour n of device d is
// device d xor (n + 1) of its group, so that both ends agree: port p leads to neighbour p mod port_neighbours, there to port p. A neighbour that
// does not exist leaves the port DOWN; a port that leads up is UP, as if a switch were there.
//
// Thread safety: pure but for resolve_bindings(), which asks the system for its interfaces. That takes a socket: it has to happen before
// enter_sandbox().
#ifndef NPU_MODEL_SERVER_PORT_H_
#define NPU_MODEL_SERVER_PORT_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "firmware-model/device/npu_device.h"
#include "uapi/npu_accel.h"

namespace npu::model::server {

// A port that stands for an interface of the host. One of |interface| and |address| is written in the profile.
struct PortBinding {
  uint32_t device = 0;
  uint32_t port = 0;
  std::string interface;
  std::string address;  // IPv4 or IPv6

  // By resolve_bindings():
  uint32_t flags = 0;  // NPU_PORT_FLAG_MAC, _IPV4, _IPV6
  std::array<uint8_t, NPU_MAC_BYTES> mac{};
  std::array<uint8_t, 4> ipv4{};
  std::array<uint8_t, 16> ipv6{};
};

// What can be checked without looking at the machine. False: |error| says what is wrong.
bool check_bindings(const std::vector<PortBinding>& bindings, std::string* error);
// Whether each names a device that there is.
bool bindings_fit(const std::vector<PortBinding>& bindings, uint32_t device_count,
                  std::string* error);
// Finds interfaces and their addresses as they are now; addresses are not followed later. False: an interface or address is not of this machine,
// or two bindings mean one interface.
bool resolve_bindings(std::vector<PortBinding>* bindings, std::string* error);

// The ports of device |index| of |device_count|.
std::vector<npu_port_config> make_ports(const npu_profile& profile,
                                        const std::vector<PortBinding>& bindings, uint32_t index,
                                        uint32_t device_count);

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_PORT_H_
