// SPDX-License-Identifier: Apache-2.0
// Waiting for a signal or for idleness.
#include "firmware-model/server/vfio_host.h"

#include <limits.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "firmware-model/server/device.h"
#include "firmware-model/server/metrics.h"

namespace npu::model::server {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

// Rounded up: 0 means that the time is over.
int clamp_ms(int64_t ns) {
  return static_cast<int>(std::min<int64_t>((ns + kNsPerMs - 1) / kNsPerMs, INT_MAX));
}

}  // namespace

VfioHost::VfioHost(const ServerOptions& options, uint32_t idle_exit_s, UniqueFd stop)
    : idle_exit_ns_(idle_exit_s * 1'000'000'000LL), stop_(std::move(stop)) {
  options_.profile = options.profile;
  options_.worker_threads = options.worker_threads;
  options_.scalar_numerics = options.scalar_numerics;
  options_.checks = options.checks;
  options_.production = options.production;
  options_.keys = options.keys;
  options_.injections = options.injections;
  if (options.one_machine) options_.bus = std::make_shared<vfio_user::Bus>();
  bindings_ = options.bindings;
  device_count_ = options.device_count;
  options_.cables = std::make_shared<Cables>();
}

bool VfioHost::add(UniqueFd listener, const std::string& path, std::string* error) {
  const auto index = static_cast<uint32_t>(servers_.size());
  fill_uuid(options_.profile, index, options_.uuid.data());
  options_.ports = make_ports(options_.profile, bindings_, index, device_count_);
  auto server = vfio_user::Server::create(options_, std::move(listener), path, error);
  if (server == nullptr) return false;
  servers_.push_back(std::move(server));
  return true;
}

int VfioHost::idle_ms_left() const {
  if (idle_exit_ns_ == 0) return -1;
  int64_t last_ns = 0;
  for (const auto& server : servers_) {
    // A client that leaves in the next moment keeps the process for one whole period from then on.
    if (server->connected()) return clamp_ms(idle_exit_ns_);
    last_ns = std::max(last_ns, server->idle_since_ns());
  }
  const int64_t left_ns = std::max<int64_t>(last_ns + idle_exit_ns_ - monotonic_ns(), 0);
  return clamp_ms(left_ns);
}

void VfioHost::run() {
  for (const auto& server : servers_) server->start();
  for (int left_ms = idle_ms_left(); left_ms != 0; left_ms = idle_ms_left()) {
    pollfd stop{stop_.get(), POLLIN, 0};
    if (poll(&stop, 1, left_ms) > 0) break;
  }
  servers_.clear();
}

}  // namespace npu::model::server
