// SPDX-License-Identifier: Apache-2.0
// Which road leads to the devices: NPU_DEVICE decides.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "libnpu/src/backend/accel_node.h"
#include "libnpu/src/backend/backend.h"
#include "libnpu/src/backend/calls.h"
#include "libnpu/src/backend/connection.h"
#include "libnpu/src/backend/daemon.h"
#include "libnpu/src/backend/kmd.h"
#include "libnpu/src/backend/model.h"
#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/uuid.h"
#include "uapi/npu_model.h"

namespace npu {
namespace {

// NPU_MODEL_LIBRARY, else beside this library (installed or in a build tree), else where the loader looks.
void* load_model_library(const Environment& environment, std::string* tried) {
  std::vector<std::string> names;
  if (!environment.model_library.empty()) {
    names.push_back(environment.model_library);
  } else {
    if (const std::string own = library_folder(); !own.empty()) {
      names.push_back(own + "/" NPU_MODEL_LIBRARY);
      names.push_back(own + "/../firmware-model/server/" NPU_MODEL_LIBRARY);
    }
    names.push_back(NPU_MODEL_LIBRARY);
  }
  for (const std::string& name : names) {
    // Never closed: the server's threads run in it, and they may end later than the device handle.
    if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return library;
    const char* reason = dlerror();
    *tried = reason != nullptr ? reason : name;
  }
  return nullptr;
}

constexpr int kGreetings = 3;

// The process in which the model's threads run; 0: not started.
std::atomic<pid_t> g_model_process{0};

Result<UniqueFd> connect_in_process(const Environment& environment) {
  pid_t owner = 0;
  if (!g_model_process.compare_exchange_strong(owner, getpid()) && owner != getpid()) {
    const Status status = fail(
        NPU_ERROR_NOT_SUPPORTED,
        "the model inside the process was started before the fork; its threads are the parent's");
    set_remedy("Fork before the first npuDeviceOpen, or use NPU_DEVICE=model.");
    return status;
  }
  std::string tried;
  void* library = load_model_library(environment, &tried);
  if (library == nullptr) {
    const Status status =
        fail(NPU_ERROR_START_MODEL, "%s cannot be loaded: %s", NPU_MODEL_LIBRARY, tried.c_str());
    set_remedy("Install %s, or set NPU_MODEL_LIBRARY to its path.", NPU_MODEL_LIBRARY);
    return status;
  }
  const auto function = reinterpret_cast<npu_model_connect_fn>(dlsym(library, NPU_MODEL_CONNECT));
  if (function == nullptr) {
    return fail(NPU_ERROR_VERSION_SKEW, "the library that was loaded as %s has no %s",
                NPU_MODEL_LIBRARY, NPU_MODEL_CONNECT);
  }
  char error[384] = {};
  const int fd = function(environment.device.spec.c_str(), error, sizeof error);
  if (fd < 0) {
    const Status status =
        fail(NPU_ERROR_START_MODEL, "the model in the process did not start: %s", error);
    set_remedy(
        "Correct what the detail names: a profile, a variable or a limit; see npu(7) for the "
        "variables.");
    return status;
  }
  return UniqueFd(fd);
}

Result<UniqueFd> connect_path(const std::string& path) {
  UniqueFd socket;
  const int error = connect_unix(path.c_str(), &socket);
  if (error == 0) return socket;
  const npuResult code =
      error == EACCES || error == EPERM ? NPU_ERROR_PERMISSION : NPU_ERROR_NO_DEVICE;
  const Status status = fail_errno(code, error, "connecting to %s failed", path.c_str());
  set_remedy("Start a device server there, or correct NPU_DEVICE.");
  return status;
}

// A machine with nodes of ours means them, whether or not this user may open them: silence about a device that is there would be the worse surprise.
Road chosen_road(const DeviceRoad& device) {
  if (device.road != Road::kAuto) return device.road;
  return find_accel_nodes().empty() ? Road::kModel : Road::kKernel;
}

Result<UniqueFd> connect_server(Road road, const Environment& environment) {
  switch (road) {
    case Road::kInProcess:
      return connect_in_process(environment);
    case Road::kSocket:
      return connect_path(environment.device.path);
    default:
      return connect_daemon(environment);
  }
}

Status no_such_index(uint32_t index, uint32_t count) {
  return fail(NPU_ERROR_NO_DEVICE, "there is no device %u: NPU_DEVICE names %u", index, count);
}

Result<std::unique_ptr<Backend>> open_kernel_road(const Environment& environment, uint32_t index) {
  NPU_TRY_ASSIGN(const std::vector<AccelNode> nodes, select_accel_nodes(environment.device.path));
  if (nodes.empty()) {
    const Status status = fail(NPU_ERROR_NO_DEVICE, "no node of the driver npu is in /dev/accel");
    set_remedy(
        "Load the driver (modprobe npu) where lspci -d 1234:4e50 shows a device; NPU_DEVICE=model "
        "uses the device model.");
    return status;
  }
  if (index >= nodes.size()) return no_such_index(index, static_cast<uint32_t>(nodes.size()));
  return open_kmd(nodes[index]);
}

// Device |index| in the order of the machine, NPU_VISIBLE_DEVICES left aside.
Result<std::unique_ptr<Backend>> open_physical(const Environment& environment, uint32_t index) {
  const Road road = chosen_road(environment.device);
  if (road == Road::kKernel) return open_kernel_road(environment, index);
  if (road != Road::kSocket && index >= environment.device.count) {
    return no_such_index(index, environment.device.count);
  }
  for (int attempt = 1;; attempt++) {
    NPU_TRY_ASSIGN(UniqueFd socket, connect_server(road, environment));
    auto backend = open_model(std::move(socket), index);
    // A daemon that was about to end for idleness may hang up on a client it just let in.
    const bool hung_up = !backend.is_ok() && backend.status().code() == NPU_ERROR_DEVICE_LOST;
    if (!hung_up || road != Road::kModel || attempt == kGreetings) return backend;
  }
}

uint32_t count_physical(const Environment& environment) {
  const Road road = chosen_road(environment.device);
  if (road == Road::kKernel) {
    auto nodes = select_accel_nodes(environment.device.path);
    // A name of nothing is no device, as with a socket that nobody listens on.
    return nodes.is_ok() ? static_cast<uint32_t>(nodes.value().size()) : 0;
  }
  if (road != Road::kSocket) return environment.device.count;
  UniqueFd socket;
  uint32_t count = 0;
  if (connect_unix(environment.device.path.c_str(), &socket) != 0) return 0;
  // A server that does not answer has no device to offer.
  return ask_device_count(std::move(socket), &count) == 0 ? count : 0;
}

Status not_visible(const VisibleDevice& device, npuResult code) {
  const Status status = fail(code, "NPU_VISIBLE_DEVICES names '%s', and there is no such device",
                             device.text.c_str());
  set_remedy(
      "npu-smi list shows indices, UUIDs and addresses; correct or unset NPU_VISIBLE_DEVICES.");
  return status;
}

// The place in the machine's order of the node at |address|; UINT32_MAX: there is none.
uint32_t index_of_address(const Environment& environment, const std::string& address) {
  if (chosen_road(environment.device) != Road::kKernel) return UINT32_MAX;
  auto nodes = select_accel_nodes(environment.device.path);
  for (uint32_t i = 0; nodes.is_ok() && i < nodes.value().size(); i++) {
    if (nodes.value()[i].pci_address == address) return i;
  }
  return UINT32_MAX;
}

// The place of a device that is named by index or address. UINT32_MAX or one behind the last: there is none.
uint32_t place_of(const Environment& environment, const VisibleDevice& device) {
  if (device.kind == VisibleDevice::Kind::kIndex) return device.index;
  return index_of_address(environment, device.text);
}

Result<std::unique_ptr<Backend>> open_uuid(const Environment& environment,
                                           const VisibleDevice& wanted) {
  const uint32_t count = count_physical(environment);
  for (uint32_t index = 0; index < count; index++) {
    NPU_TRY_ASSIGN(std::unique_ptr<Backend> backend, open_physical(environment, index));
    npu_dev_info info{};
    if (query_one(*backend, NPU_QUERY_DEVICE, &info) != 0) continue;
    char uuid[kUuidTextBytes];
    format_uuid(info.uuid, uuid);
    if (wanted.text == uuid) return backend;
  }
  return not_visible(wanted, NPU_ERROR_NO_DEVICE);
}

}  // namespace

Result<std::unique_ptr<Backend>> open_backend(const Environment& environment, uint32_t index) {
  const std::vector<VisibleDevice>& visible = environment.visible;
  if (visible.empty()) return open_physical(environment, index);
  if (index >= visible.size()) {
    return fail(NPU_ERROR_NO_DEVICE, "there is no device %u: NPU_VISIBLE_DEVICES names %zu", index,
                visible.size());
  }
  const VisibleDevice& device = visible[index];
  if (device.kind == VisibleDevice::Kind::kUuid) return open_uuid(environment, device);
  const uint32_t place = place_of(environment, device);
  if (place >= count_physical(environment)) return not_visible(device, NPU_ERROR_NO_DEVICE);
  return open_physical(environment, place);
}

Result<uint32_t> count_devices(const Environment& environment) {
  const uint32_t count = count_physical(environment);
  if (environment.visible.empty() || count == 0) return count;
  for (const VisibleDevice& device : environment.visible) {
    // Whether a UUID exists is only known by opening devices, which counting must not do.
    if (device.kind == VisibleDevice::Kind::kUuid) continue;
    const uint32_t place = place_of(environment, device);
    if (place >= count) return not_visible(device, NPU_ERROR_BAD_ENVIRONMENT);
  }
  return static_cast<uint32_t>(environment.visible.size());
}

}  // namespace npu
