// SPDX-License-Identifier: Apache-2.0
// The loop of one device.
#include "firmware-model/vfio_user/server.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <utility>

#include "firmware-model/device/thread.h"
#include "firmware-model/vfio_user/bus_guard.h"
#include "firmware-model/vfio_user/session.h"

namespace npu::model::vfio_user {
namespace {

// How soon withdrawn memory is looked at again that the device had not let go of.
constexpr int kCollectPeriodMs = 5;
constexpr int kRetryAcceptMs = 100;

int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void clear(const UniqueFd& event) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = read(event.get(), &count, sizeof(count));
}

bool readable(const pollfd& fd) { return (fd.revents & (POLLIN | POLLHUP | POLLERR)) != 0; }

}  // namespace

Server::Server(const FunctionOptions& options, UniqueFd listener, std::string name)
    : options_(options),
      name_(std::move(name)),
      listener_(std::move(listener)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      broken_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      idle_since_ns_(monotonic_ns()) {}

std::unique_ptr<Server> Server::create(const FunctionOptions& options, UniqueFd listener,
                                       std::string name, std::string* error) {
  std::unique_ptr<Server> server(new Server(options, std::move(listener), std::move(name)));
  if (!server->stop_.valid() || !server->wake_.valid() || !server->broken_.valid()) {
    *error = "no file descriptor left; raise the limit with ulimit -n";
    return nullptr;
  }
  BusGuard::install();
  // What cannot work is found out now, not by the first client.
  const auto trial =
      PciFunction::create(options, server->wake_.get(), server->broken_.get(), error);
  return trial == nullptr ? nullptr : std::move(server);
}

Server::~Server() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(stop_.get(), &one, sizeof(one));
  thread_.join();
}

void Server::start() {
  thread_ = start_device_thread("npu-vfio-user", [this] { run(); });
}

void Server::log(const std::string& text) const {
  fprintf(stderr, "npu-modeld: %s: %s\n", name_.c_str(), text.c_str());
}

void Server::run() {
  while (!stopping_) {
    pollfd fds[] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return log("poll fails; the device is given up");
    if (readable(fds[0])) return;
    if (!readable(fds[1])) continue;
    try {
      accept_client();
    } catch (const std::exception& failure) {
      log(std::string("the session has ended: ") + failure.what());
    }
    // Stops the device, unmaps the client's memory and closes its descriptors.
    session_.reset();
    idle_since_ns_.store(monotonic_ns());
    connected_.store(false);
  }
}

void Server::accept_client() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) {
    // Out of descriptors or memory: the caller stays in the queue, the loop does not spin.
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      pollfd stop{stop_.get(), POLLIN, 0};
      poll(&stop, 1, kRetryAcceptMs);
    }
    return;
  }
  connected_.store(true);
  clear(wake_);
  clear(broken_);
  std::string error;
  auto function = PciFunction::create(options_, wake_.get(), broken_.get(), &error);
  if (function == nullptr) return log("a client was sent away: " + error);
  session_ = std::make_unique<Session>(std::move(socket), std::move(function));
  serve();
}

void Server::serve() {
  while (!stopping_) {
    if (serve_once(*session_)) continue;
    if (!session_->why().empty()) log("the session has ended: " + session_->why());
    return;
  }
}

bool Server::serve_once(Session& session) {
  const short read = session.wants_read() ? POLLIN : 0;
  const short write = session.wants_write() ? POLLOUT : 0;
  pollfd fds[] = {{stop_.get(), POLLIN, 0},
                  {session.fd(), static_cast<short>(read | write), 0},
                  {wake_.get(), POLLIN, 0},
                  {broken_.get(), POLLIN, 0}};
  const int timeout_ms = session.collect() ? -1 : kCollectPeriodMs;
  if (poll(fds, 4, timeout_ms) < 0) return errno == EINTR;
  if (readable(fds[0])) {
    stopping_ = true;
    return false;
  }
  if (readable(fds[3])) {
    log("the session has ended: the client shrank a file that it had mapped for DMA");
    return false;
  }
  if (readable(fds[2])) {
    clear(wake_);
    if (!session.on_wake()) return false;
  }
  if ((fds[1].revents & POLLOUT) != 0 && !session.on_writable()) return false;
  return !readable(fds[1]) || session.on_readable();
}

}  // namespace npu::model::vfio_user
