// SPDX-License-Identifier: Apache-2.0
// What happens when the other side shrinks a file that is mapped here: SIGBUS at the next access.
// The handler puts zero pages of our own over the whole mapping, so that the access goes on, and
// tells the owner. Seals would forbid the shrinking, but only memfds have them and a client may
// share a file that is none.
//
// Thread safety: any thread. The handler runs on the thread that touched the memory.
#ifndef NPU_MODEL_VFIO_USER_BUS_GUARD_H_
#define NPU_MODEL_VFIO_USER_BUS_GUARD_H_

#include <cstddef>
#include <cstdint>

namespace npu::model::vfio_user {

class BusGuard {
 public:
  // Installs the handler, once in a process; faults elsewhere go to the handler before it.
  static void install();

  BusGuard() = default;
  BusGuard(BusGuard&& other) noexcept;
  BusGuard& operator=(BusGuard&& other) noexcept;
  ~BusGuard() { release(); }

  // Guards a mapping: whole pages. |notify_fd|, an eventfd that outlives the guard, is written when
  // it broke. False: no room, nothing is guarded.
  bool watch(void* begin, size_t bytes, int notify_fd);
  // Before the mapping goes away.
  void release();
  bool broke() const;

 private:
  int32_t slot_ = -1;
};

// Zero pages of our own in place of whatever is mapped there. False: the range may be unmapped now.
bool replace_by_zeros(void* begin, size_t bytes);

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_BUS_GUARD_H_
