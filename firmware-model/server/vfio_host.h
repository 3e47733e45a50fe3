// SPDX-License-Identifier: Apache-2.0
// The main loop of npu-modeld when it serves virtual machines: one vfio-user server for each path,
// and the reasons to end.
//
// Thread safety: one thread. The servers have threads of their own.
#ifndef NPU_MODEL_SERVER_VFIO_HOST_H_
#define NPU_MODEL_SERVER_VFIO_HOST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "firmware-model/server/server.h"
#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/server.h"

namespace npu::model::server {

class VfioHost {
 public:
  // run() ends when |stop| becomes readable, or |idle_exit_s| seconds after the last client (0:
  // never). |options| counts the devices that add() will make.
  VfioHost(const ServerOptions& options, uint32_t idle_exit_s, UniqueFd stop);

  // A device of its own behind a listening socket. False: |error| says why.
  bool add(UniqueFd listener, const std::string& path, std::string* error);
  void run();

 private:
  // Milliseconds until the process may end; -1: no end in sight.
  int idle_ms_left() const;

  vfio_user::FunctionOptions options_;
  std::vector<PortBinding> bindings_;
  uint32_t device_count_ = 0;
  const int64_t idle_exit_ns_;
  UniqueFd stop_;
  std::vector<std::unique_ptr<vfio_user::Server>> servers_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_VFIO_HOST_H_
