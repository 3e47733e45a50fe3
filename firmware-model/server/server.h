// SPDX-License-Identifier: Apache-2.0
// The device server: devices, connections, and the one thread that serves them all.
//
// Thread safety: run() is the I/O thread; adopt() and stop() may be called by any thread, everything else by the I/O thread or before
// run().
#ifndef NPU_MODEL_SERVER_SERVER_H_
#define NPU_MODEL_SERVER_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware-model/server/connection.h"
#include "firmware-model/server/copy_engine.h"
#include "firmware-model/server/device.h"
#include "firmware-model/server/port.h"
#include "firmware-model/server/unique_fd.h"

namespace npu::model::server {

struct ServerOptions {
  npu_profile profile{};
  uint32_t device_count = 1;
  uint32_t worker_threads = 0;
  bool scalar_numerics = false;
  bool checks = false;  // the checking mode of kernels
  bool production = false;
  std::shared_ptr<EngineFile> engines;  // where devices write what their engines do; null: nowhere
  std::vector<std::array<uint8_t, 32>> keys;
  std::vector<npu_injection> injections;  // into every device
  std::vector<PortBinding> bindings;      // resolved
  bool one_machine = false;               // devices of several --vfio-user share a bus
};

class Server {
 public:
  static constexpr size_t kMaxConnections = 4096;

  // Null: |error| says why.
  static std::unique_ptr<Server> create(const ServerOptions& options, std::string* error);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Before run(): a listening socket; a descriptor that ends run() when it becomes readable; seconds without a connection after which run() ends (0:
  // never); how long a connection may stay without a device; a question asked when the last connection has gone: true ends run().
  int listen_on(UniqueFd socket);
  int stop_on(UniqueFd fd);
  void set_idle_exit(uint32_t seconds);
  void set_greeting_deadline(int64_t ns) { greeting_ns_ = ns; }
  void set_on_empty(std::function<bool()> on_empty) { on_empty_ = std::move(on_empty); }

  void run();
  void stop();
  // Takes over the server's end of a connected socket.
  void adopt(UniqueFd socket);
  // Sockets given to adopt() that run() has not taken yet.
  bool has_adopted();

  // For connections.
  uint32_t device_count() const { return static_cast<uint32_t>(devices_.size()); }
  Device* device(uint32_t index);
  CopyEngine* copies(uint32_t index) { return copies_[index].get(); }
  void watch_writable(Connection* connection, bool on);
  void timer_changed(Connection* connection);
  // One line on stderr; of many such connections fewer and fewer, so that nobody fills a disk with them.
  void log_expelled(uint32_t id, const Peer& peer, const char* why);
  void connection_closed(Connection* connection);  // it is destroyed at the end of the round
  std::vector<npu_client_info> client_rows(const Device* device, uid_t viewer) const;

 private:
  Server() = default;
  bool open(const ServerOptions& options, std::string* error);
  int watch(int fd, uint32_t events, uint64_t data, bool change);
  void handle_event(uint64_t data, uint32_t events);
  void accept_all();
  void take_adopted();
  void add_connection(UniqueFd socket);
  void end_of_round();
  void run_timers();
  void program_timer();
  void remove_closed();

  UniqueFd epoll_;
  UniqueFd io_event_;
  UniqueFd timer_;
  UniqueFd listener_;
  UniqueFd stop_;
  UniqueFd spare_;  // given up for a moment when descriptors have run out
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<CopyEngine>> copies_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;  // by epoll data
  std::vector<uint64_t> closed_;
  std::vector<uint64_t> dirty_timers_;
  std::set<std::pair<int64_t, uint64_t>> timers_;
  std::unordered_map<const Connection*, uint64_t> ids_;
  uint64_t next_id_ = 0;
  int64_t programmed_ns_ = INT64_MAX;
  int64_t idle_since_ns_ = 0;
  int64_t idle_exit_ns_ = 0;
  int64_t greeting_ns_ = Connection::kGreetingNs;
  uint64_t expelled_ = 0;
  bool stopping_ = false;
  std::function<bool()> on_empty_;

  std::mutex adopt_mutex_;
  std::vector<UniqueFd> adopted_;
  bool stop_asked_ = false;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_SERVER_H_
