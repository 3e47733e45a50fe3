// SPDX-License-Identifier: Apache-2.0
// A file descriptor that is closed with its owner.
#ifndef NPU_MODEL_SERVER_UNIQUE_FD_H_
#define NPU_MODEL_SERVER_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace npu::model::server {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_UNIQUE_FD_H_
