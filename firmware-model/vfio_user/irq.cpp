// SPDX-License-Identifier: Apache-2.0
// Raising of vectors.
#include "firmware-model/vfio_user/irq.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <utility>

namespace npu::model::vfio_user {

bool prepare_eventfd(int fd) {
  char path[32];
  char name[32];
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(path, name, sizeof(name));
  if (n <= 0 || std::string_view(name, static_cast<size_t>(n)) != "anon_inode:[eventfd]") {
    return false;
  }
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void Irqs::fire(uint32_t vector) {
  const uint64_t one = 1;
  // A full counter is an interrupt that the client has not taken yet: this one merges with it. The
  // client can make the descriptor block again, so it is looked at first.
  pollfd writable{fds_[vector].get(), POLLOUT, 0};
  if (poll(&writable, 1, 0) != 1) return;
  [[maybe_unused]] const ssize_t n = write(fds_[vector].get(), &one, sizeof(one));
}

void Irqs::attach(uint32_t vector, UniqueFd fd) {
  std::lock_guard lock(mutex_);
  fds_[vector] = std::move(fd);
  const uint64_t bit = uint64_t{1} << vector;
  if (!fds_[vector].valid() || (pending_ & bit) == 0) return;
  pending_ &= ~bit;
  fire(vector);
}

void Irqs::detach_all() {
  std::lock_guard lock(mutex_);
  for (UniqueFd& fd : fds_) fd.reset();
  pending_ = 0;
}

void Irqs::clear_pending() {
  std::lock_guard lock(mutex_);
  pending_ = 0;
}

void Irqs::raise(uint32_t vector) {
  if (vector >= kVectors) return;
  std::lock_guard lock(mutex_);
  if (fds_[vector].valid()) {
    fire(vector);
  } else {
    pending_ |= uint64_t{1} << vector;
  }
}

uint64_t Irqs::pending() const {
  std::lock_guard lock(mutex_);
  return pending_;
}

}  // namespace npu::model::vfio_user
