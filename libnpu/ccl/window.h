// SPDX-License-Identifier: Apache-2.0
// Window: memory of this rank that the other ranks of the host may touch in operations, and theirs, mapped here.
#pragma once

#include <npu/npu_ccl.h>
#include <npu/npu_memory.h>

#include <memory>
#include <string>
#include <vector>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/frame.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {

inline constexpr size_t kWindowsMax = 64;  // of a communicator at a time
inline constexpr uint64_t kWindowAlignBytes = 256;

class Window {
 public:
  Window(npuContext context, uint32_t ranks, npuDevPtr base_dva, uint64_t size_bytes)
      : base_dva(base_dva), size_bytes(size_bytes), peers_dva(ranks), context_(context) {}
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;
  ~Window();

  // Maps what |rank| offers; all that it says is checked.
  npuResult import(uint32_t rank, const WindowOffer& offer, const Fd& fd);
  bool holds(npuDevPtr at, uint64_t bytes) const {
    return at >= base_dva && at - base_dva <= size_bytes && bytes <= size_bytes - (at - base_dva);
  }

  // Whether its memory is what was registered: an address may be another allocation's once that was freed.
  bool is_there() const;

  npuCclWindow number = 0;
  const npuDevPtr base_dva;
  const uint64_t size_bytes;
  uint64_t allocation_id = 0;  // npuMemInfo's
  bool is_mapped = false;      // by all ranks
  std::string reason;          // why it is not
  std::vector<npuDevPtr>
      peers_dva;  // its first byte in the memory of each rank, as this one sees it; the own place is 0

 private:
  npuContext context_;
  std::vector<npuDevPtr> imports_dva_;
};
using WindowPtr = std::shared_ptr<Window>;

// What another rank has offered.
struct OfferedWindow {
  WindowOffer offer;
  Fd fd;
};
inline uint64_t sequence_of(const OfferedWindow& offered) { return offered.offer.sequence; }
inline uint64_t sequence_of(const WindowVerdict& verdict) { return verdict.sequence; }

// A registration that is under way.
struct Registration {
  uint64_t sequence = 0;
  WindowPtr window;
  WindowOffer mine{};
  Fd fd;  // of the own memory
  WindowVerdict verdict{};
};

// Fills in |offer|, and what else is known of |bytes| from |base|: what cannot be a window is refused, with the reason.
void offer_memory(npuContext context, uint32_t rank, npuDevPtr base, uint64_t bytes,
                  WindowOffer* offer, uint64_t* out_allocation_id, Fd* out_fd);

}  // namespace npu::ccl
