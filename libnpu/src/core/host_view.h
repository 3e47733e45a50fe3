// SPDX-License-Identifier: Apache-2.0
// HostView: what the host sees of a range of device addresses, in one piece or, over several mapped pieces of a reservation, in more. Keeps the memory mapped.
// Thread safety: as a plain value; the bytes are shared with the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "libnpu/src/core/status.h"

namespace npu {

class Storage;

class HostView {
 public:
  HostView() = default;
  // Memory of the process itself.
  HostView(void* host, uint64_t size_bytes);

  void add(std::shared_ptr<Storage> storage, std::byte* host, uint64_t size_bytes, bool readonly);
  uint64_t size_bytes() const { return size_bytes_; }
  bool readonly() const { return readonly_; }

  // The address of a byte, and in *out_bytes how many follow it in one piece. |offset| is below size_bytes().
  std::byte* at(uint64_t offset, uint64_t* out_bytes) const;
  // Bytes of the caller there and back; the range lies inside.
  void write(uint64_t offset, const void* from, uint64_t size_bytes) const;
  void read(uint64_t offset, void* to, uint64_t size_bytes) const;
  // Copies between views; both ranges lie inside.
  static void copy(const HostView& dst, uint64_t dst_offset, const HostView& src,
                   uint64_t src_offset, uint64_t size_bytes);

 private:
  struct Span {
    std::shared_ptr<Storage> storage;  // null: memory of the process
    std::byte* host = nullptr;
    uint64_t begin = 0;
    uint64_t size_bytes = 0;
  };
  std::vector<Span> spans_;  // one after the other
  uint64_t size_bytes_ = 0;
  bool readonly_ = false;
};

// Device memory may be mapped with write combining: after this, what the host wrote has left this CPU, so that another thread can ring for it.
void finish_host_writes();

}  // namespace npu
