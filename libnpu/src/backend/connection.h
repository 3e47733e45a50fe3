// SPDX-License-Identifier: Apache-2.0
// Connection: one stream socket to a device server, on which calls are asked and answered one at a time.
// Thread safety: all functions; callers queue up behind a mutex.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "libnpu/src/backend/marshal.h"
#include "libnpu/src/backend/unique_fd.h"

namespace npu {

class Connection {
 public:
  explicit Connection(UniqueFd socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Asks and waits for the answer. 0 or an errno: the server's own, ENODEV when it is gone, EPROTO when it broke the protocol (then it counts as gone).
  // A descriptor in the reply becomes the caller's, in the struct's member.
  int ask(uint32_t nr, void* args);

  // The next event, as Backend::next_event().
  int next_event(void* event, size_t room, int64_t timeout_ns);

  // True once the other side has hung up or broken the protocol.
  bool is_lost();
  // The process at the other end as it was when the connection was made; 0: not known.
  int64_t peer_process() const;

 private:
  int send_request(const Request& request);
  int receive_frame(uint32_t sequence);
  int receive_more(int flags);
  int keep_event();
  void drop_frame();
  int take_event(void* event, size_t room);
  int give_up(int error);
  void drop_input();

  UniqueFd socket_;
  std::atomic<bool> lost_{false};
  std::mutex mutex_;  // of what follows
  uint32_t sequence_ = 0;
  Request request_;
  std::vector<std::byte> input_;  // bytes received and not used yet
  size_t input_bytes_ = 0;
  size_t frame_bytes_ = 0;  // of the frame at the start of input_
  std::vector<int> input_fds_;
  std::deque<std::vector<std::byte>> events_;  // that nobody has asked for yet
  bool events_lost_ = false;                   // since the newest of them
};

// Connects to the Unix socket |path|. 0 or an errno.
int connect_unix(const char* path, UniqueFd* out);

}  // namespace npu
