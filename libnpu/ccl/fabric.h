// SPDX-License-Identifier: Apache-2.0
// libfabric, as much of it as is needed: one domain on one address with connected endpoints (FI_EP_MSG). The library is loaded when the first communicator has ranks of other hosts, so that all else works without it. One
// thread at a time.
#pragma once

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_rma.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "libnpu/ccl/address.h"

namespace npu::ccl {

struct FidCloser {
  template <typename Fid>
  void operator()(Fid* fid) const {
    fi_close(&fid->fid);
  }
};
template <typename Fid>
using FidPtr = std::unique_ptr<Fid, FidCloser>;
using EndpointPtr = FidPtr<fid_ep>;

struct InfoCloser {
  void operator()(fi_info* info) const;
};
using InfoPtr = std::unique_ptr<fi_info, InfoCloser>;

// Memory that the provider may read or write.
struct Region {
  FidPtr<fid_mr> mr;
  uint64_t remote_base = 0;  // how a remote write names its first byte

  void* desc() const { return fi_mr_desc(mr.get()); }
  uint64_t key() const { return fi_mr_key(mr.get()); }
};

// What the event queue has told.
struct FabricEvent {
  enum class Kind : uint8_t { kNone, kRequest, kConnected, kEnded } kind = Kind::kNone;
  fid* endpoint = nullptr;
  InfoPtr request;
  std::vector<std::byte> said;  // by whoever requests
  std::string text;             // why it ended
};

// What a transfer came to.
struct FabricCompletion {
  void* context;
  size_t bytes;
  int error;  // 0: none
};

class Fabric {
 public:
  static constexpr uint32_t kReceivesMax = 16;  // of an endpoint, under way at a time

  // False: |out_error| tells why.
  bool open(const NetAddress& own, const std::string& provider, size_t completions,
            std::string* out_error);
  const NetAddress& address() const { return address_; }

  bool register_memory(void* at, size_t bytes, uint64_t access, Region* out);
  // Whether what is sent must lie in such memory.
  bool needs_registration() const;
  // An endpoint that is enabled; empty: no.
  EndpointPtr connect(const NetAddress& to, std::span<const std::byte> say, std::string* out_error);
  EndpointPtr make_endpoint(fi_info* info);
  void refuse(fi_info* request);
  // The descriptor below a connected endpoint, which libfabric does not tell; -1: it has none.
  int socket_of(fid_ep* endpoint) const;
  FabricEvent next_event();
  // Of receives, then of what was sent, if |has_sends| are under way. How many there were.
  size_t next_completions(std::span<FabricCompletion> out, bool has_sends);

  // Descriptors to poll for reading; only while may_sleep(). None tells that something was sent: nobody waits for that alone, and each such word would wake a thread.
  std::vector<int> fds() const;
  bool may_sleep();

 private:
  InfoPtr find_info(const NetAddress& source, const NetAddress* to, std::string* out_error);
  bool listen(std::string* out_error);
  int open_queue(size_t completions, fi_wait_obj wait, FidPtr<fid_cq>* out);

  std::string provider_;
  NetAddress address_{};
  InfoPtr info_;
  // In the order in which they are made; they end the other way round.
  FidPtr<fid_fabric> fabric_;
  FidPtr<fid_eq> events_;
  FidPtr<fid_domain> domain_;
  FidPtr<fid_cq> receives_, sends_;  // completions
  FidPtr<fid_pep> listener_;
};

}  // namespace npu::ccl
