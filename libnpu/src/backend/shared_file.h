// SPDX-License-Identifier: Apache-2.0
// Files that hold shared memory: memfds and dma-bufs, as other processes or the application hand them to us, and memfds of our own.
// Thread safety: all functions.
#pragma once

#include <cstdint>

#include "libnpu/src/backend/unique_fd.h"

namespace npu {

struct SharedFileInfo {
  uint64_t size_bytes = 0;
  uint64_t id = 0;          // the same in every process that holds the file; the highest bit is set
  bool is_memory = false;   // a memfd that nobody can shrink under us
  bool is_dma_buf = false;  // neither: a file that is never mapped for the device
  bool is_writable = false;
};

// 0 or an errno: EBADF for what is no descriptor.
int describe_shared_file(int fd, SharedFileInfo* out);

// A memfd of ours that holds |size_bytes| from |bytes| at |offset|, sealed against any change of size.
int create_shared_copy(const void* bytes, uint64_t size_bytes, uint64_t offset, uint64_t file_bytes,
                       UniqueFd* out);

// The sealed memfd that this process has mapped, shared, at all of [host, host + size_bytes), if a descriptor of it is open: *out and where in it |host| lies. ENOENT: there is none.
int find_mapped_memory(const void* host, uint64_t size_bytes, UniqueFd* out, uint64_t* out_offset);

}  // namespace npu
