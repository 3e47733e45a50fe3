// SPDX-License-Identifier: Apache-2.0
// npu_model_connect(): the server inside the process of its client (uapi/npu_model.h).
//
// Thread safety: any thread. One registry of running servers; its lock is held while a socket is handed over, so a server never ends between being
// found and being used.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "firmware-model/server/places.h"
#include "firmware-model/server/server.h"
#include "firmware-model/server/start.h"
#include "uapi/npu_model.h"

namespace npu::model::server {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, Server*> servers;  // by spec
};

// Never destroyed: a server's thread may outlive main().
Registry& registry() {
  static Registry* const the_registry = new Registry;
  return *the_registry;
}

// The process's signals are not for the threads that start while this lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

void serve(std::unique_ptr<Server> server, const std::string& spec) {
  try {
    server->run();
  } catch (const std::exception&) {
    // No memory: the clients see closed sockets, the process goes on.
    std::lock_guard lock(registry().mutex);
    const auto found = registry().servers.find(spec);
    if (found != registry().servers.end() && found->second == server.get())
      registry().servers.erase(found);
  }
  server.reset();
}

// Called with the registry locked. Null: |error| says why.
Server* start(const std::string& spec, std::string* error) {
  ServerOptions options;
  if (!options_from_spec(spec, &options, error) || !default_keys(&options.keys, error))
    return nullptr;
  const SignalsBlocked blocked;
  std::unique_ptr<Server> server = Server::create(options, error);
  if (server == nullptr) return nullptr;
  Server* const raw = server.get();
  server->set_on_empty([spec, raw] {
    std::lock_guard lock(registry().mutex);
    if (raw->has_adopted()) return false;
    registry().servers.erase(spec);
    return true;
  });
  std::thread(serve, std::move(server), spec).detach();
  return raw;
}

int connect(const std::string& spec, std::string* error) {
  std::lock_guard lock(registry().mutex);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    *error = std::string("no socket: ") + std::strerror(errno) + "; raise the limit with ulimit -n";
    return -errno;
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  const auto found = registry().servers.find(spec);
  Server* server = found == registry().servers.end() ? nullptr : found->second;
  if (server == nullptr) {
    server = start(spec, error);
    if (server == nullptr) return -EINVAL;
    registry().servers[spec] = server;
  }
  server->adopt(std::move(ours));
  return theirs.release();
}

int connect_or_errno(const char* spec, std::string* error) {
  try {
    return connect(spec == nullptr ? NPU_MODEL_DEFAULT_SPEC : spec, error);
  } catch (const std::exception& failure) {
    *error = std::string("the device model could not start: ") + failure.what();
    return -ENOMEM;
  }
}

}  // namespace
}  // namespace npu::model::server

extern "C" __attribute__((visibility("default"))) int npu_model_connect(const char* spec,
                                                                        char* error,
                                                                        unsigned long error_bytes) {
  std::string text;
  const int result = npu::model::server::connect_or_errno(spec, &text);
  if (result < 0 && error != nullptr && error_bytes > 0) {
    const size_t n = std::min<size_t>(text.size(), error_bytes - 1);
    std::memcpy(error, text.data(), n);
    error[n] = '\0';
  }
  return result;
}
