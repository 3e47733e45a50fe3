// SPDX-License-Identifier: Apache-2.0
// Mapping: a piece of shared memory in this process's address space. Not inherited by children: what a forked child wrote there would reach the device.
// Thread safety: as a plain value.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>

namespace npu {

class Mapping {
 public:
  // Maps [offset, offset + size_bytes) of |fd| for reading and writing, or only reading. 0 or an errno.
  int map(int fd, uint64_t offset, uint64_t size_bytes, bool readonly = false);
  // The same of a device: the driver knows what lies at |offset|, and answers for it.
  int map_device(int fd, uint64_t offset, uint64_t size_bytes, bool readonly = false);
  void unmap() { region_ = {}; }
  std::byte* data() const { return static_cast<std::byte*>(region_.get_address()); }
  uint64_t size_bytes() const { return region_.get_size(); }
  bool valid() const { return region_.get_address() != nullptr; }

 private:
  int map_region(int fd, uint64_t offset, uint64_t size_bytes, bool readonly);
  boost::interprocess::mapped_region region_;
};

}  // namespace npu
