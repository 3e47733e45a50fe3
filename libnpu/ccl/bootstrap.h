// SPDX-License-Identifier: Apache-2.0
// How ranks find each other. Rank 0 serves a store on a TCP socket: each rank says where it is, and when all have come each is told where all are. Then every pair
// of ranks opens a Unix socket, over which the descriptors of shared memory go; it stays open as the control connection. Each step has the same deadline.
// Strangers, and who has the wrong token, are hung up on, and the store goes on.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "libnpu/ccl/frame.h"
#include "libnpu/ccl/id.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {

inline constexpr size_t kSharedFds = 2;

struct Peer {
  Fd control;
  std::vector<Fd> memory;  // kSharedFds
};

struct Offer {
  Address address;
  Agreement agreement;
  uint32_t rank;
  std::array<int, kSharedFds> fds;
  Deadline deadline;
  const std::atomic<bool>* stop;  // true: give up
};

struct Refusal {
  uint32_t rank;  // whose fault
  npuCclReason reason;
  std::string text;
};

// The other ranks, the own place empty. Blocks up to the deadline.
std::optional<Refusal> meet(const Offer& offer, std::vector<Peer>* out_peers);

// The parts of meet().
std::optional<Refusal> serve_store(const Offer& offer, const SocketName& own, Welcome* out);
std::optional<Refusal> ask_store(const Offer& offer, const SocketName& own, Welcome* out);
std::optional<Refusal> connect_all(const Offer& offer, const Fd& listener, const Welcome& welcome,
                                   std::vector<Peer>* out_peers);

// True while there is time, and nobody wants an end.
inline bool goes_on(const Offer& offer) {
  return Clock::now() < offer.deadline && !offer.stop->load(std::memory_order_relaxed);
}
// For poll(): short enough to look at |stop| now and then.
int slice_ms(const Offer& offer);

}  // namespace npu::ccl
