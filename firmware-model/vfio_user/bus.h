// SPDX-License-Identifier: Apache-2.0
// The bus that devices of one machine share: where the memory aperture (BAR2) of each answers, so that another one reaches it without the machine monitor. A monitor says that there is memory
// at such an address (a DMA_MAP), but not whose: QEMU sends no descriptor with it.
//
// Thread safety: all functions. A port and its bus outlive each other in any order.
#ifndef NPU_MODEL_VFIO_USER_BUS_H_
#define NPU_MODEL_VFIO_USER_BUS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "firmware-model/server/unique_fd.h"

namespace npu::model::vfio_user {

using server::UniqueFd;

// The memory of one device as others see it. The file outlives the device for as long as somebody has it mapped: who is in the middle of an access finds memory.
class Aperture {
 public:
  static constexpr uint64_t kNowhere = 0;

  Aperture(UniqueFd fd, uint64_t bytes) : fd_(std::move(fd)), bytes_(bytes) {}
  int fd() const { return fd_.get(); }
  uint64_t bytes() const { return bytes_; }
  // The bus address of its first byte; kNowhere while the device decodes no memory, and for good once it has gone.
  uint64_t base() const { return base_.load(); }

 private:
  friend class BusPort;
  const UniqueFd fd_;
  const uint64_t bytes_;
  std::atomic<uint64_t> base_{kNowhere};
};

class BusPort;

class Bus {
 public:
  Bus() = default;
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

 private:
  friend class BusPort;
  std::mutex mutex_;
  std::vector<BusPort*> ports_;
  std::atomic<uint64_t> moves_{0};
};

// Where one device is plugged in, from its making to its end.
class BusPort {
 public:
  // |bus| nullptr: the device is alone. |wake_fd|, an eventfd that outlives this object, is written when the aperture of another device has moved or gone.
  BusPort(std::shared_ptr<Bus> bus, int wake_fd);
  ~BusPort();
  BusPort(const BusPort&) = delete;
  BusPort& operator=(const BusPort&) = delete;

  // Once, before decode(): a copy of |fd|, a file of |bytes| that nobody can shrink. False: no descriptor is left.
  bool show(int fd, uint64_t bytes);
  // The aperture answers at |base| from now on, or nowhere.
  void decode(uint64_t base);
  // The aperture of another device that holds all of [address, address + bytes), and what lies before it there; nullptr: none.
  std::shared_ptr<const Aperture> find(uint64_t address, uint64_t bytes, uint64_t* offset) const;
  // How often an aperture has come, moved or gone: what find() says stays true for as long as this does.
  uint64_t moves() const { return bus_ == nullptr ? 0 : bus_->moves_.load(); }

 private:
  const std::shared_ptr<Bus> bus_;
  const int wake_fd_;
  std::shared_ptr<Aperture> own_;  // guarded by bus_->mutex_ once it is there
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_BUS_H_
