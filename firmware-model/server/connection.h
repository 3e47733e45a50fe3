// SPDX-License-Identifier: Apache-2.0
// One socket: cuts requests out of its bytes, hands them to the client behind it, and sends what comes back.
//
// Nothing here ever waits for the peer. Thread safety: the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_CONNECTION_H_
#define NPU_MODEL_SERVER_CONNECTION_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "firmware-model/server/client.h"
#include "firmware-model/server/frame.h"
#include "firmware-model/server/unique_fd.h"

namespace npu::model::server {

class Server;

class Connection final : public ClientHost {
 public:
  // What may wait to be sent; a peer that leaves more than this unread is sent away.
  static constexpr size_t kOutputMaxBytes = 4u << 20;
  // A peer that has opened no device by then is sent away: silent sockets would use up the descriptors of everybody.
  static constexpr int64_t kGreetingNs = 30'000'000'000;
  // Beyond this no events are added: they are lost, and the peer is told.
  static constexpr size_t kEventOutputBytes = 64u << 10;

  Connection(Server* server, UniqueFd socket, const Peer& peer, uint32_t id, int64_t greet_by_ns);
  ~Connection() override;

  void on_readable();
  void on_writable() { flush(); }
  void tick(int64_t now_ns);
  int64_t next_due_ns() const;

  int socket() const { return socket_.get(); }
  bool closed() const { return closed_; }
  const Client* client() const { return client_.get(); }

  // Of the timer queue of the server.
  int64_t timer_ns = INT64_MAX;
  bool timer_dirty = false;

  void send(Reply reply) override;
  bool send_event(const void* event, size_t bytes) override;
  void timer_changed() override;
  std::vector<npu_client_info> client_rows(const Device* device, uid_t viewer) override;

 private:
  struct Output {
    std::vector<std::byte> bytes;
    std::vector<UniqueFd> fds;
    size_t sent = 0;
  };

  void close();
  // The peer is sent away, and the log says why: whoever runs the server has to be able to tell a broken client from one that has ended.
  void expel(const char* why);
  size_t room_wanted() const;
  bool receive();
  bool handle_frame(const Frame& frame);
  int hello(Call* call, npu_wire_hello* args);
  int open_device(uint32_t index, Call* call, npu_wire_hello* args);
  void map(Call* call);
  void close_bo(Call* call);
  void flush();
  bool send_some(Output* output);
  void watch_writable(bool on);

  Server* server_;
  UniqueFd socket_;
  Peer peer_;
  uint32_t id_;
  int64_t greet_by_ns_;
  std::unique_ptr<Client> client_;
  std::vector<std::byte> input_;
  size_t input_used_ = 0;
  std::deque<UniqueFd> input_fds_;
  std::deque<Output> output_;
  size_t output_bytes_ = 0;
  bool writable_watched_ = false;
  bool closed_ = false;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_CONNECTION_H_
