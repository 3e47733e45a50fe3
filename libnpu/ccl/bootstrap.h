// SPDX-License-Identifier: Apache-2.0
// How ranks find each other. Rank 0 serves a store on a TCP socket: each rank says where it is, and when all have come each is told where all are. Then every pair of ranks opens a
// connection, which stays open as the control connection: a Unix socket inside a host, over which the descriptors of shared memory go; TCP between hosts, with where data lands instead. Each step has
// the same deadline. Over TCP both sides prove that they know the id's secret before they believe anything else. Strangers are hung up on, and the store goes on.
#pragma once

#include <array>
#include <atomic>
#include <functional>
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
  std::vector<Fd> memory;  // kSharedFds; of a rank of another host none
  bool is_remote = false;
  Landings landings{};  // of a rank of another host
  Nonce nonce{};        // that the two have agreed on
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

// Opens what data from ranks of other hosts comes in by: those that are marked in |remote|. |own|: the addresses that they reach this host by, port 0.
using Prepare = std::function<std::optional<Refusal>(const std::vector<NetAddress>& own,
                                                     const std::vector<bool>& remote,
                                                     std::vector<Landings>* out)>;

// The other ranks, the own place empty. Blocks up to the deadline. |prepare| is called if there are ranks of other hosts.
std::optional<Refusal> meet(const Offer& offer, const Prepare& prepare,
                            std::vector<Peer>* out_peers);

// The parts of meet().
struct Listeners {
  Fd unix_socket;
  Fd tcp;
  std::vector<NetAddress> rails;  // that data may come by; the first one is that of |tcp|
};
std::optional<Refusal> serve_store(const Offer& offer, const Name& own, Welcome* out);
std::optional<Refusal> ask_store(const Offer& offer, const Name& own, Welcome* out);
std::optional<Refusal> connect_all(const Offer& offer, const Listeners& listeners,
                                   const Welcome& welcome, const std::vector<Landings>& landings,
                                   std::vector<Peer>* out_peers);
// One attempt of a second at most; empty: errno tells.
Fd try_to_connect(const Offer& offer, const NetAddress& to);

// True while there is time, and nobody wants an end.
inline bool goes_on(const Offer& offer) {
  return Clock::now() < offer.deadline && !offer.stop->load(std::memory_order_relaxed);
}
// For poll(): short enough to look at |stop| now and then.
int slice_ms(const Offer& offer);

}  // namespace npu::ccl
