// SPDX-License-Identifier: Apache-2.0
// One vfio-user device: a listening socket and a thread that serves one client after the other.
//
// Devices of a process share nothing, not even a thread: a client that keeps its server busy keeps
// no other client waiting.
// Thread safety: create(), start() and the destructor belong to one thread; connected() and
// idle_since_ns() to any.
#ifndef NPU_MODEL_VFIO_USER_SERVER_H_
#define NPU_MODEL_VFIO_USER_SERVER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/pci_function.h"

namespace npu::model::vfio_user {

class Session;

class Server {
 public:
  // |listener|: a listening Unix socket. nullptr: |error| says why.
  static std::unique_ptr<Server> create(const FunctionOptions& options, UniqueFd listener,
                                        std::string name, std::string* error);
  // Ends the session and the thread.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();
  bool connected() const { return connected_.load(); }
  // When the last client left, or the server started; CLOCK_MONOTONIC.
  int64_t idle_since_ns() const { return idle_since_ns_.load(); }

 private:
  Server(const FunctionOptions& options, UniqueFd listener, std::string name);
  void run();
  void accept_client();
  void serve();
  bool serve_once(Session& session);
  void log(const std::string& text) const;

  const FunctionOptions options_;
  const std::string name_;
  UniqueFd listener_;
  UniqueFd stop_;
  UniqueFd wake_;
  UniqueFd broken_;
  std::atomic<bool> connected_{false};
  std::atomic<int64_t> idle_since_ns_{0};
  std::unique_ptr<Session> session_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_SERVER_H_
