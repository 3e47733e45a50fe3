// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing of whole files.
#include "samples/llm/file_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

namespace npu::llm {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error system_error(const std::string& what, const std::string& path, int number) {
  return {ErrorCode::kIo, "cannot " + what + " '" + path + "': " + std::strerror(number) +
                              "; check the path and its permissions"};
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

Result<FileBytes> FileBytes::allocate(uint64_t size_bytes) {
  FileBytes out;
  out.data_.reset(new (std::nothrow) std::byte[size_bytes]);
  if (!out.data_) {
    return Error{ErrorCode::kNoMemory, "no host memory for " + std::to_string(size_bytes) +
                                           " bytes; use a smaller model or a larger machine"};
  }
  out.size_ = size_bytes;
  return out;
}

Result<FileBytes> FileBytes::copy_of(std::span<const std::byte> bytes) {
  Result<FileBytes> out = allocate(bytes.size());
  if (out.ok() && !bytes.empty()) std::memcpy(out->data_.get(), bytes.data(), bytes.size());
  return out;
}

Result<FileBytes> FileBytes::read(const std::string& path, uint64_t limit_bytes) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not hang before it is refused.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return system_error("open", path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error("examine", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{ErrorCode::kIo, "'" + path + "' is not a regular file; name the file itself"};
  }
  uint64_t size_bytes = static_cast<uint64_t>(info.st_size);
  if (size_bytes > limit_bytes) {
    return Error{ErrorCode::kTooLong, "'" + path + "' has " + std::to_string(size_bytes) +
                                          " bytes, more than the " + std::to_string(limit_bytes) +
                                          " that such a file may have; check that it is the right "
                                          "file"};
  }
  Result<FileBytes> out = allocate(size_bytes);
  if (!out.ok()) return out;
  for (size_t done = 0; done < out->size_;) {
    ssize_t n = ::read(fd.get(), out->data_.get() + done, out->size_ - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path, errno);
    if (n == 0) {
      return Error{ErrorCode::kTruncated, "'" + path +
                                              "' became shorter while it was read; try "
                                              "again when nothing writes to it"};
    }
    done += static_cast<size_t>(n);
  }
  return out;
}

Failure write_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  {
    FileDescriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (fd.get() < 0) return system_error("create", temporary, errno);
    if (!write_all(fd.get(), bytes) || ::fsync(fd.get()) != 0) {
      int number = errno;
      ::unlink(temporary.c_str());
      return system_error("write", temporary, number);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    int number = errno;
    ::unlink(temporary.c_str());
    return system_error("replace", path, number);
  }
  return {};
}

}  // namespace npu::llm
