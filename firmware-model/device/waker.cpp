// SPDX-License-Identifier: Apache-2.0
// epoll over eventfds.
#include "firmware-model/device/waker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <vector>

namespace npu::model {
namespace {

std::mutex g_wakers_mutex;
// Those of this process that are open. Never destroyed: a program that ends with a device open has one that ends after its static objects.
std::vector<Waker*>& open_wakers() {
  static auto* const all = new std::vector<Waker*>;
  return *all;
}

}  // namespace

std::atomic<uint32_t> Waker::watchers_{0};

Waker::~Waker() {
  {
    std::lock_guard lock(g_wakers_mutex);
    std::erase(open_wakers(), this);
    stop_watching();
  }
  for (const auto& [page, fd] : page_fds_) close(fd);
  for (const int fd : {shared_fd_, own_fd_, epoll_fd_}) {
    if (fd >= 0) close(fd);
  }
}

int Waker::add_eventfd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return -1;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = fd;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0) return fd;
  close(fd);
  return -1;
}

std::string Waker::open() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ >= 0) own_fd_ = add_eventfd();
  if (own_fd_ >= 0) shared_fd_ = add_eventfd();
  if (shared_fd_ >= 0) {
    std::lock_guard lock(g_wakers_mutex);
    open_wakers().push_back(this);
    return {};
  }
  return std::string("no file descriptors for the wake-up of the device (") + std::strerror(errno) +
         "); raise the limit of open files";
}

void Waker::wake() {
  // The counter would need 2^64 wakes to be full: own_fd_ never leaves this object.
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(own_fd_, &one, sizeof(one));
}

bool Waker::wait(std::chrono::milliseconds timeout) {
  std::array<epoll_event, 8> events;
  int count = 0;
  do {
    count = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()),
                       static_cast<int>(timeout.count()));
  } while (count < 0 && errno == EINTR);
  stop_watching();
  return count != 0;
}

void Waker::watch_memory() {
  if (!watches_.exchange(true)) watchers_.fetch_add(1);
  // pairs with waker.cpp : Waker::wake_watchers
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// True: this call has ended it.
bool Waker::stop_watching() {
  if (!watches_.exchange(false)) return false;
  watchers_.fetch_sub(1);
  return true;
}

void Waker::wake_watchers() const {
  // pairs with waker.cpp : Waker::watch_memory
  std::atomic_thread_fence(std::memory_order_seq_cst);
  wake_fenced_watchers();
}

void Waker::wake_others() const {
  std::lock_guard lock(g_wakers_mutex);
  for (Waker* waker : open_wakers()) {
    if (waker == this || !waker->watches_.load(std::memory_order_relaxed)) continue;
    if (waker->must_look_() && waker->stop_watching()) waker->wake();
  }
}

int Waker::page_fd(uint32_t page) {
  const auto found = page_fds_.find(page);
  if (found != page_fds_.end()) return found->second;
  const int fd = add_eventfd();
  if (fd >= 0) page_fds_.emplace(page, fd);
  return fd;
}

void Waker::close_page_fd(uint32_t page) {
  const auto found = page_fds_.find(page);
  if (found == page_fds_.end()) return;
  // Clients may hold duplicates, which would keep the entry of the set alive.
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, found->second, nullptr);
  close(found->second);
  page_fds_.erase(found);
}

}  // namespace npu::model
