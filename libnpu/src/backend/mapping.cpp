// SPDX-License-Identifier: Apache-2.0
// Mapping of shared memory through Boost.Interprocess.
#include "libnpu/src/backend/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <boost/interprocess/exceptions.hpp>
#include <cerrno>

namespace npu {
namespace {

// What Boost.Interprocess wants to see of something that can be mapped.
class SharedFile {
 public:
  explicit SharedFile(int fd) : fd_(fd) {}
  boost::interprocess::mapping_handle_t get_mapping_handle() const {
    return boost::interprocess::ipcdetail::mapping_handle_from_file_handle(fd_);
  }

 private:
  int fd_;
};

// A file that its sender can shrink, or that is too short, would turn an access into SIGBUS.
int check_file(int fd, uint64_t offset, uint64_t size_bytes) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return errno;
  const uint64_t file_bytes = static_cast<uint64_t>(status.st_size);
  if (size_bytes == 0 || offset > file_bytes || size_bytes > file_bytes - offset) return EPROTO;
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return EPROTO;
  return 0;
}

}  // namespace

int Mapping::map(int fd, uint64_t offset, uint64_t size_bytes, bool readonly) {
  if (const int error = check_file(fd, offset, size_bytes); error != 0) return error;
  return map_region(fd, offset, size_bytes, readonly);
}

int Mapping::map_device(int fd, uint64_t offset, uint64_t size_bytes, bool readonly) {
  // Size 0 would mean "as long as the file" to Boost; a device has no length.
  return size_bytes == 0 ? EINVAL : map_region(fd, offset, size_bytes, readonly);
}

int Mapping::map_region(int fd, uint64_t offset, uint64_t size_bytes, bool readonly) {
  try {
    region_ = boost::interprocess::mapped_region(
        SharedFile(fd), readonly ? boost::interprocess::read_only : boost::interprocess::read_write,
        static_cast<boost::interprocess::offset_t>(offset), static_cast<size_t>(size_bytes));
  } catch (const boost::interprocess::interprocess_exception& error) {
    return error.get_native_error() != 0 ? error.get_native_error() : ENOMEM;
  }
  if (madvise(region_.get_address(), region_.get_size(), MADV_DONTFORK) != 0) {
    const int error = errno;
    unmap();
    return error;
  }
  return 0;
}

}  // namespace npu
