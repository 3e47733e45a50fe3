// SPDX-License-Identifier: Apache-2.0
// Who sits where. One lock for all: addresses change when a machine starts or a device is reset.
#include "firmware-model/vfio_user/bus.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace npu::model::vfio_user {

BusPort::BusPort(std::shared_ptr<Bus> bus, int wake_fd) : bus_(std::move(bus)), wake_fd_(wake_fd) {
  if (bus_ == nullptr) return;
  std::lock_guard lock(bus_->mutex_);
  bus_->ports_.push_back(this);
}

BusPort::~BusPort() {
  if (bus_ == nullptr) return;
  decode(Aperture::kNowhere);
  std::lock_guard lock(bus_->mutex_);
  std::erase(bus_->ports_, this);
}

bool BusPort::show(int fd, uint64_t bytes) {
  if (bus_ == nullptr) return true;
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return false;
  std::lock_guard lock(bus_->mutex_);
  own_ = std::make_shared<Aperture>(std::move(copy), bytes);
  return true;
}

void BusPort::decode(uint64_t base) {
  if (bus_ == nullptr) return;
  std::lock_guard lock(bus_->mutex_);
  if (own_ == nullptr || own_->base() == base) return;
  own_->base_.store(base);
  bus_->moves_.fetch_add(1);
  for (const BusPort* port : bus_->ports_) {
    if (port == this) continue;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(port->wake_fd_, &one, sizeof(one));
  }
}

std::shared_ptr<const Aperture> BusPort::find(uint64_t address, uint64_t bytes,
                                              uint64_t* offset) const {
  if (bus_ == nullptr) return nullptr;
  std::lock_guard lock(bus_->mutex_);
  for (const BusPort* port : bus_->ports_) {
    if (port == this || port->own_ == nullptr) continue;
    const uint64_t base = port->own_->base();
    if (base == Aperture::kNowhere || address < base) continue;
    *offset = address - base;
    const uint64_t room = port->own_->bytes();
    if (*offset < room && bytes <= room - *offset) return port->own_;
  }
  return nullptr;
}

}  // namespace npu::model::vfio_user
