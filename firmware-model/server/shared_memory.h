// SPDX-License-Identifier: Apache-2.0
// Memory that two processes see: sealed memfds and their mappings.
//
// A file of ours can neither shrink nor grow, so no access to a mapping of it can raise SIGBUS,
// whatever the peer does with its descriptor. Thread safety: as a plain value.
#ifndef NPU_MODEL_SERVER_SHARED_MEMORY_H_
#define NPU_MODEL_SERVER_SHARED_MEMORY_H_

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>

#include "firmware-model/server/unique_fd.h"

namespace npu::model::server {

// A new memfd of |bytes| zeros, sealed against a change of its size. 0 or an errno.
int create_shared_file(const char* name, uint64_t bytes, UniqueFd* out);

// Whether a file that a client sent can be mapped without risk: a memfd, sealed against shrinking,
// that holds [offset, offset + bytes). 0, EINVAL, or EACCES when it must be writable and is not.
int check_shared_file(int fd, uint64_t offset, uint64_t bytes, bool writable);

// A shared mapping of part of a file, anywhere in the address space.
class Mapping {
 public:
  // 0 or an errno. |offset| is a multiple of 4 KiB.
  int map(int fd, uint64_t offset, uint64_t bytes, bool writable);
  void unmap() { region_ = {}; }

  std::byte* data() const { return static_cast<std::byte*>(region_.get_address()); }
  uint64_t bytes() const { return region_.get_size(); }

 private:
  boost::interprocess::mapped_region region_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_SHARED_MEMORY_H_
