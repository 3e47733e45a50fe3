// SPDX-License-Identifier: Apache-2.0
// Discovery in sysfs, and opening with errors that say what to do.
#include "libnpu/src/backend/accel_node.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "libnpu/src/core/error.h"
#include "uapi/npu_ioctl.h"

namespace npu {
namespace {

// The last part of what a link points to; empty when it is no link.
std::string link_name(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  if (length <= 0 || static_cast<size_t>(length) == sizeof target) return {};
  const std::string text(target, static_cast<size_t>(length));
  return text.substr(text.rfind('/') + 1);
}

bool is_pci_address(const std::string& text) {
  return text.size() == 12 && text[4] == ':' && text[7] == ':' && text[10] == '.';
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(folder.c_str()), &closedir);
  if (listing == nullptr) return names;
  while (const dirent* entry = readdir(listing.get())) names.push_back(entry->d_name);
  return names;
}

std::string group_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  char buffer[4096];
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(info.st_gid, &entry, buffer, sizeof buffer, &found) != 0 || found == nullptr) {
    return std::to_string(info.st_gid);
  }
  return found->gr_name;
}

Status no_such_node(const std::string& selector, const std::vector<AccelNode>& nodes) {
  std::string known;
  for (const AccelNode& node : nodes) {
    known +=
        (known.empty() ? "" : ", ") + (node.pci_address.empty() ? node.path : node.pci_address);
  }
  const Status status =
      fail(NPU_ERROR_NO_DEVICE, "the driver %s has no device at %s; it has: %.200s",
           NPU_DRIVER_NAME, selector.c_str(), known.empty() ? "none" : known.c_str());
  set_remedy("Correct NPU_DEVICE, or unset it to use what is there.");
  return status;
}

Status check_driver(int fd, const std::string& path) {
  const std::unique_ptr<drmVersion, void (*)(drmVersionPtr)> version(drmGetVersion(fd),
                                                                     &drmFreeVersion);
  if (version != nullptr && std::strcmp(version->name, NPU_DRIVER_NAME) == 0) return Status::ok();
  const Status status = fail(NPU_ERROR_NO_DEVICE, "%s belongs to %s%.32s, not to the driver %s",
                             path.c_str(), version != nullptr ? "the driver " : "no DRM driver",
                             version != nullptr ? version->name : "", NPU_DRIVER_NAME);
  set_remedy("Correct NPU_DEVICE: 'npu-smi list' with NPU_DEVICE=accel shows the nodes of ours.");
  return status;
}

}  // namespace

std::vector<AccelNode> find_accel_nodes(const AccelPlaces& places) {
  std::vector<AccelNode> nodes;
  for (const std::string& name : names_in(places.classes)) {
    if (name.compare(0, 5, "accel") != 0) continue;
    const std::string device = places.classes + "/" + name + "/device";
    if (link_name(device + "/driver") != NPU_DRIVER_NAME) continue;
    AccelNode node{places.nodes + "/" + name, link_name(device)};
    // A container sees all of sysfs, but only the nodes that it was given.
    if (access(node.path.c_str(), F_OK) != 0) continue;
    if (!is_pci_address(node.pci_address)) node.pci_address.clear();
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(), [](const AccelNode& a, const AccelNode& b) {
    if (a.pci_address != b.pci_address) return a.pci_address < b.pci_address;
    // accel2 before accel10
    return a.path.size() != b.path.size() ? a.path.size() < b.path.size() : a.path < b.path;
  });
  return nodes;
}

Result<std::vector<AccelNode>> select_accel_nodes(const std::string& selector,
                                                  const AccelPlaces& places) {
  std::vector<AccelNode> nodes = find_accel_nodes(places);
  if (selector.empty()) return nodes;
  for (const AccelNode& node : nodes) {
    if (node.path == selector || node.pci_address == selector) return std::vector<AccelNode>{node};
  }
  // A node that sysfs does not show (a container without it) can still be named by its path; opening it tells whose it is.
  if (selector[0] == '/' && access(selector.c_str(), F_OK) == 0) {
    return std::vector<AccelNode>{{selector, ""}};
  }
  return no_such_node(selector, nodes);
}

Status refuse_accel_node(const std::string& path, int error, const std::string& group) {
  if (error == EACCES || error == EPERM) {
    const Status status = fail_errno(NPU_ERROR_PERMISSION, error,
                                     "user %u may not open %s, which belongs to group %s",
                                     static_cast<unsigned>(geteuid()), path.c_str(), group.c_str());
    if (group.empty() || group == "root" || group == "0") {
      set_remedy(
          "Install the udev rule of the driver (60-npu.rules: group render, mode 0660), then join "
          "the group render.");
    } else {
      set_remedy(
          "Join the group (usermod -aG %s USER, then log in again); a container also needs the "
          "node and its group.",
          group.c_str());
    }
    return status;
  }
  if (error == ENOENT || error == ENXIO || error == ENODEV) {
    return fail_errno(NPU_ERROR_NO_DEVICE, error, "opening %s failed: the device went away",
                      path.c_str());
  }
  if (error == EPROTO) {
    const Status status = fail_errno(NPU_ERROR_VERSION_SKEW, error,
                                     "driver and firmware of %s do not fit", path.c_str());
    set_remedy("See the kernel's log for both versions, and install a firmware of the driver's.");
    return status;
  }
  return fail_errno(result_of_errno(error), error, "opening %s failed", path.c_str());
}

Result<UniqueFd> open_accel_node(const AccelNode& node) {
  UniqueFd fd(open(node.path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    const int error = errno;
    return refuse_accel_node(node.path, error, group_of(node.path));
  }
  NPU_TRY(check_driver(fd.get(), node.path));
  return fd;
}

}  // namespace npu
