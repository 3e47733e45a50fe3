// SPDX-License-Identifier: Apache-2.0
// The MSI-X vectors: an eventfd of the client for each, and the pending bits.
//
// Thread safety: raise() and pending() any thread, attach() and the rest the I/O thread.
#ifndef NPU_MODEL_VFIO_USER_IRQ_H_
#define NPU_MODEL_VFIO_USER_IRQ_H_

#include <array>
#include <cstdint>
#include <mutex>

#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/config_space.h"

namespace npu::model::vfio_user {

using server::UniqueFd;

// Whether |fd| is an eventfd. It is made non-blocking: a raise must never wait for the client.
bool prepare_eventfd(int fd);

class Irqs {
 public:
  // An invalid |fd| detaches. A vector that is pending fires.
  void attach(uint32_t vector, UniqueFd fd);
  void detach_all();
  void clear_pending();
  // Without an eventfd the vector becomes pending.
  void raise(uint32_t vector);
  uint64_t pending() const;

 private:
  void fire(uint32_t vector);

  mutable std::mutex mutex_;
  std::array<UniqueFd, kVectors> fds_;
  uint64_t pending_ = 0;
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_IRQ_H_
