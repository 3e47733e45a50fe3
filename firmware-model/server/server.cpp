// SPDX-License-Identifier: Apache-2.0
// The I/O loop: sockets, device events, deadlines.
#include "firmware-model/server/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace npu::model::server {
namespace {

// epoll data: these, or a connection's id.
constexpr uint64_t kIoEvent = 0;
constexpr uint64_t kTimer = 1;
constexpr uint64_t kListener = 2;
constexpr uint64_t kStop = 3;
constexpr uint64_t kFirstConnection = 8;

constexpr int kBatch = 64;
// How soon memory is looked at again that the device had not let go of.
constexpr int64_t kRetirePeriodNs = 5'000'000;

Peer peer_of(int socket) {
  Peer peer;
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
    peer.pid = credentials.pid;
    peer.uid = credentials.uid;
  } else {
    peer.uid = static_cast<uid_t>(-1);
  }
  char path[32];
  char comm[NPU_COMM_BYTES + 1] = "";
  snprintf(path, sizeof(path), "/proc/%d/comm", peer.pid);
  const UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  const ssize_t n = file.valid() ? read(file.get(), comm, sizeof(comm) - 1) : 0;
  peer.comm.assign(comm, n > 0 ? static_cast<size_t>(n) : 0);
  while (!peer.comm.empty() && peer.comm.back() == '\n') peer.comm.pop_back();
  return peer;
}

}  // namespace

std::unique_ptr<Server> Server::create(const ServerOptions& options, std::string* error) {
  std::unique_ptr<Server> server(new Server);
  return server->open(options, error) ? std::move(server) : nullptr;
}

bool Server::open(const ServerOptions& options, std::string* error) {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  io_event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  timer_ = UniqueFd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  spare_ = UniqueFd(fcntl(io_event_.get(), F_DUPFD_CLOEXEC, 0));
  if (!epoll_.valid() || !timer_.valid() || !spare_.valid() ||
      watch(io_event_.get(), EPOLLIN, kIoEvent, false) != 0 ||
      watch(timer_.get(), EPOLLIN, kTimer, false) != 0) {
    *error = "no file descriptor left; raise the limit with ulimit -n";
    return false;
  }
  DeviceOptions device;
  device.profile = options.profile;
  device.worker_threads = options.worker_threads;
  device.scalar_numerics = options.scalar_numerics;
  device.checks = options.checks;
  device.engines = options.engines;
  device.production = options.production;
  device.keys = options.keys;
  device.injections = options.injections;
  device.io_event_fd = io_event_.get();
  if (!bindings_fit(options.bindings, options.device_count, error)) return false;
  device.cables = std::make_shared<Cables>();
  for (device.index = 0; device.index < options.device_count; ++device.index) {
    device.ports =
        make_ports(options.profile, options.bindings, device.index, options.device_count);
    devices_.push_back(Device::create(device, error));
    if (devices_.back() == nullptr) return false;
    copies_.push_back(std::make_unique<CopyEngine>(devices_.back().get()));
  }
  next_id_ = kFirstConnection;
  idle_since_ns_ = monotonic_ns();
  return true;
}

Server::~Server() {
  connections_.clear();
  copies_.clear();
  // The hub of a device writes io_event_ until the device has gone: members below it are destroyed first.
  devices_.clear();
}

int Server::watch(int fd, uint32_t events, uint64_t data, bool change) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  const int op = change ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  return epoll_ctl(epoll_.get(), op, fd, &event) == 0 ? 0 : errno;
}

int Server::listen_on(UniqueFd socket) {
  listener_ = std::move(socket);
  return watch(listener_.get(), EPOLLIN, kListener, false);
}

int Server::stop_on(UniqueFd fd) {
  stop_ = std::move(fd);
  return watch(stop_.get(), EPOLLIN, kStop, false);
}

void Server::set_idle_exit(uint32_t seconds) { idle_exit_ns_ = seconds * 1'000'000'000LL; }

Device* Server::device(uint32_t index) {
  return index < devices_.size() ? devices_[index].get() : nullptr;
}

void Server::run() {
  while (!stopping_) {
    program_timer();
    epoll_event events[kBatch];
    const int n = epoll_wait(epoll_.get(), events, kBatch, -1);
    for (int i = 0; i < n; ++i) handle_event(events[i].data.u64, events[i].events);
    end_of_round();
  }
}

void Server::handle_event(uint64_t data, uint32_t events) {
  uint64_t count = 0;
  switch (data) {
    case kIoEvent: {
      [[maybe_unused]] ssize_t n = read(io_event_.get(), &count, sizeof(count));
      for (const auto& device : devices_) device->dispatch_events();
      take_adopted();
      return;
    }
    case kTimer: {
      [[maybe_unused]] ssize_t n = read(timer_.get(), &count, sizeof(count));
      programmed_ns_ = INT64_MAX;
      return;
    }
    case kListener:
      return accept_all();
    case kStop:
      stopping_ = true;
      return;
    default:
      break;
  }
  const auto found = connections_.find(data);
  if (found == connections_.end()) return;
  Connection* connection = found->second.get();
  if ((events & EPOLLOUT) != 0) connection->on_writable();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) connection->on_readable();
}

void Server::accept_all() {
  for (int i = 0; i < kBatch; ++i) {
    UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid() && (errno == EMFILE || errno == ENFILE) && spare_.valid()) {
      // The caller is sent away rather than left in a queue that wakes this loop for ever.
      spare_.reset();
      const UniqueFd refused(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    if (!spare_.valid()) spare_ = UniqueFd(fcntl(io_event_.get(), F_DUPFD_CLOEXEC, 0));
    if (!socket.valid()) return;
    add_connection(std::move(socket));
  }
}

void Server::adopt(UniqueFd socket) {
  std::lock_guard lock(adopt_mutex_);
  adopted_.push_back(std::move(socket));
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(io_event_.get(), &one, sizeof(one));
}

bool Server::has_adopted() {
  std::lock_guard lock(adopt_mutex_);
  return !adopted_.empty();
}

void Server::stop() {
  std::lock_guard lock(adopt_mutex_);
  stop_asked_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(io_event_.get(), &one, sizeof(one));
}

void Server::take_adopted() {
  std::vector<UniqueFd> sockets;
  {
    std::lock_guard lock(adopt_mutex_);
    sockets.swap(adopted_);
    stopping_ = stopping_ || stop_asked_;
  }
  for (UniqueFd& socket : sockets) add_connection(std::move(socket));
}

void Server::add_connection(UniqueFd socket) {
  if (connections_.size() >= kMaxConnections) return;
  const int fd = socket.get();
  const uint64_t id = next_id_++;
  const Peer peer = peer_of(fd);
  auto connection = std::make_unique<Connection>(
      this, std::move(socket), peer, static_cast<uint32_t>(id), monotonic_ns() + greeting_ns_);
  if (watch(fd, EPOLLIN, id, false) != 0) return;
  ids_[connection.get()] = id;
  timer_changed(connection.get());
  connections_.emplace(id, std::move(connection));
}

void Server::watch_writable(Connection* connection, bool on) {
  watch(connection->socket(), on ? EPOLLIN | EPOLLOUT : EPOLLIN, ids_.at(connection), true);
}

void Server::timer_changed(Connection* connection) {
  if (connection->timer_dirty) return;
  connection->timer_dirty = true;
  dirty_timers_.push_back(ids_.at(connection));
}

std::vector<npu_client_info> Server::client_rows(const Device* device, uid_t viewer) const {
  std::vector<npu_client_info> rows;
  for (const auto& [id, connection] : connections_) {
    const Client* client = connection->client();
    if (client == nullptr || client->device() != device) continue;
    if (viewer != 0 && client->peer().uid != viewer) continue;
    const npu_client_info row = client->row();
    const auto same = std::find_if(rows.begin(), rows.end(), [&](const npu_client_info& other) {
      return other.pid == row.pid && other.uid == row.uid;
    });
    if (same == rows.end()) {
      rows.push_back(row);
      continue;
    }
    same->queues += row.queues;
    same->vms += row.vms;
    same->hbm_bytes += row.hbm_bytes;
    same->system_bytes += row.system_bytes;
    same->busy_ns += row.busy_ns;
    same->launches += row.launches;
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return rows;
}

void Server::end_of_round() {
  run_timers();
  for (const auto& engine : copies_) engine->service();
  remove_closed();
  for (const auto& device : devices_) device->collect();
  if (!connections_.empty()) return;
  if (on_empty_ && !has_adopted() && on_empty_()) stopping_ = true;
  if (idle_exit_ns_ != 0 && monotonic_ns() - idle_since_ns_ >= idle_exit_ns_) stopping_ = true;
}

void Server::run_timers() {
  const int64_t now_ns = monotonic_ns();
  std::vector<uint64_t> due;
  for (auto at = timers_.begin(); at != timers_.end() && at->first <= now_ns; ++at) {
    due.push_back(at->second);
  }
  for (const uint64_t id : due) {
    Connection* connection = connections_.at(id).get();
    connection->tick(now_ns);
    timer_changed(connection);
  }
  for (const uint64_t id : dirty_timers_) {
    Connection* connection = connections_.at(id).get();
    connection->timer_dirty = false;
    if (connection->timer_ns != INT64_MAX) timers_.erase({connection->timer_ns, id});
    connection->timer_ns = connection->next_due_ns();
    if (connection->timer_ns != INT64_MAX) timers_.insert({connection->timer_ns, id});
  }
  dirty_timers_.clear();
}

void Server::log_expelled(uint32_t id, const Peer& peer, const char* why) {
  constexpr uint64_t kEach = 32;
  ++expelled_;
  if (expelled_ > kEach && !std::has_single_bit(expelled_)) return;
  std::fprintf(stderr,
               "npu-modeld: connection %u of process %d (user %u) is closed: it %s; %llu so far\n",
               id, static_cast<int>(peer.pid), static_cast<unsigned>(peer.uid), why,
               static_cast<unsigned long long>(expelled_));
}

void Server::connection_closed(Connection* connection) { closed_.push_back(ids_.at(connection)); }

void Server::remove_closed() {
  const std::vector<uint64_t> ids = std::exchange(closed_, {});
  for (const uint64_t id : ids) {
    const auto found = connections_.find(id);
    const std::unique_ptr<Connection> gone = std::move(found->second);
    connections_.erase(found);
    timers_.erase({gone->timer_ns, id});
    std::erase(dirty_timers_, id);
    ids_.erase(gone.get());
  }
  if (!ids.empty() && connections_.empty()) idle_since_ns_ = monotonic_ns();
}

void Server::program_timer() {
  int64_t due = timers_.empty() ? INT64_MAX : timers_.begin()->first;
  for (const auto& device : devices_) {
    if (device->retire().waiting()) due = std::min(due, monotonic_ns() + kRetirePeriodNs);
  }
  if (connections_.empty() && idle_exit_ns_ != 0)
    due = std::min(due, idle_since_ns_ + idle_exit_ns_);
  if (due == programmed_ns_) return;
  programmed_ns_ = due;
  itimerspec spec{};
  if (due != INT64_MAX) {
    // All zero would switch the timer off.
    const int64_t at = std::max<int64_t>(due, 1);
    spec.it_value = {at / 1'000'000'000, at % 1'000'000'000};
  }
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

}  // namespace npu::model::server
