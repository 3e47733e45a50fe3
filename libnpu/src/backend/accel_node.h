// SPDX-License-Identifier: Apache-2.0
// The nodes of the kernel driver: which there are, which NPU_DEVICE means, and the opening of one.
// Thread safety: all functions. Finding opens nothing: it reads sysfs, so that counting devices wakes none.
#pragma once

#include <string>
#include <vector>

#include "libnpu/src/backend/unique_fd.h"
#include "libnpu/src/core/status.h"

namespace npu {

// Where the kernel shows accelerators; tests put a tree of their own here.
struct AccelPlaces {
  std::string classes = "/sys/class/accel";
  std::string nodes = "/dev/accel";
};

struct AccelNode {
  std::string path;         // "/dev/accel/accel0"
  std::string pci_address;  // "0000:03:00.0"; empty when no PCI device stands behind it
};

// All nodes of our driver that this process sees, ordered by PCI address: the order is that of the slots, not of probing.
std::vector<AccelNode> find_accel_nodes(const AccelPlaces& places = {});

// The nodes that |selector| means: all ("", perhaps none), the one at a PCI address, the one of a path.
Result<std::vector<AccelNode>> select_accel_nodes(const std::string& selector,
                                                  const AccelPlaces& places = {});

Result<UniqueFd> open_accel_node(const AccelNode& node);

// Exposed for tests: the error of a node whose opening failed with |error|; |group| owns it.
Status refuse_accel_node(const std::string& path, int error, const std::string& group);

}  // namespace npu
