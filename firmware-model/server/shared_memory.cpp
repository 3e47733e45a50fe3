// SPDX-License-Identifier: Apache-2.0
// Sealed memfds: creation, the check of a client's file, mappings through Boost.Interprocess.
#include "firmware-model/server/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <boost/interprocess/exceptions.hpp>
#include <limits>

namespace npu::model::server {
namespace {

namespace bip = boost::interprocess;

// What mapped_region wants of a "memory mappable": a borrowed descriptor.
class MappableFd {
 public:
  explicit MappableFd(int fd) : fd_(fd) {}
  bip::mapping_handle_t get_mapping_handle() const {
    return bip::ipcdetail::mapping_handle_from_file_handle(fd_);
  }

 private:
  int fd_;
};

}  // namespace

int create_shared_file(const char* name, uint64_t bytes, UniqueFd* out) {
  if (bytes == 0 || bytes > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) return EINVAL;
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ENOMEM;  // descriptors count as host memory
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return errno;
  if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return errno;
  *out = std::move(fd);
  return 0;
}

int check_shared_file(int fd, uint64_t offset, uint64_t bytes, bool writable) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return EINVAL;
  // Huge pages can run out at a page fault, which would be SIGBUS: only ordinary tmpfs pages.
  struct statfs fs {};
  if (fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC) return EINVAL;
  struct stat st {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 0) return EINVAL;
  const uint64_t size = static_cast<uint64_t>(st.st_size);
  if (bytes == 0 || offset > size || bytes > size - offset) return EINVAL;
  const int mode = fcntl(fd, F_GETFL);
  if (mode < 0) return EINVAL;
  if ((mode & O_ACCMODE) == O_WRONLY) return EACCES;
  if (!writable) return 0;
  const bool sealed = (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
  return sealed || (mode & O_ACCMODE) != O_RDWR ? EACCES : 0;
}

int Mapping::map(int fd, uint64_t offset, uint64_t bytes, bool writable) {
  try {
    bip::mapped_region region(MappableFd(fd), writable ? bip::read_write : bip::read_only,
                              static_cast<bip::offset_t>(offset), static_cast<size_t>(bytes));
    region_ = std::move(region);
    return 0;
  } catch (const bip::interprocess_exception& error) {
    return error.get_native_error() == EACCES ? EACCES : ENOMEM;
  }
}

}  // namespace npu::model::server
