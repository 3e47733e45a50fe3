// SPDX-License-Identifier: Apache-2.0
// What a guest's driver does, over a replay client: page tables through the HBM aperture, the
// mailbox through BAR0, a queue whose ring and records lie in guest memory.
//
// Guest memory is mapped at kRamDva + iova, HBM at kHbmDva + offset. Ring and control page take the
// first 64 KiB of guest memory.
// Thread safety: one thread, that of the client.
#ifndef NPU_TESTS_UNIT_VFIO_USER_GUEST_H_
#define NPU_TESTS_UNIT_VFIO_USER_GUEST_H_

#include <cstdint>
#include <initializer_list>

#include "tests/unit/vfio_user/fixture.h"
#include "uapi/npu_pagetable.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_regs.h"
#include "uapi/npu_status.h"

namespace npu::test {

class Guest {
 public:
  static constexpr uint64_t kRamDva = 0x10'0000'0000;
  static constexpr uint64_t kHbmDva = 0x20'0000'0000;
  static constexpr uint64_t kRingIova = 0;
  static constexpr uint64_t kCtrlIova = 0x1000;
  static constexpr uint64_t kFirstFreeIova = 0x10000;
  static constexpr uint64_t kHbmOffset = 4 << 20;  // tables lie below
  static constexpr uint64_t kHbmBytes = 16 << 20;

  // The client is realised, with |ram_fd| at iova 0.
  Guest(ReplayClient& client, int ram_fd, uint64_t ram_bytes);

  // Boots the firmware that lies in guest memory at |iova|; enum npu_device_status at its end.
  uint32_t boot(uint64_t iova, uint64_t bytes);
  // Boots a device in ROM, then makes context 0 with all of it mapped, and queue 0.
  bool start();
  // Makes another range of bus addresses reachable at kRamDva + iova.
  void map_system(uint64_t iova, uint64_t bytes);
  int mailbox(uint32_t command, std::initializer_list<uint64_t> args);

  template <typename Command>
  uint64_t submit(const Command& command) {
    static_assert(sizeof(command) == NPU_CMD_BYTES);
    std::memcpy(ram() + kRingIova + written_ % kEntries * NPU_CMD_BYTES, &command, sizeof(command));
    return ring();
  }
  // Whether that command has ended, or the queue has stopped.
  bool over(uint64_t seq) const;
  // Serves the client's requests until it is over; its record, or a record of status
  // NPU_ST_INTERNAL when the queue stopped without one.
  npu_completion wait(uint64_t seq);
  template <typename Command>
  npu_completion run(const Command& command) {
    return wait(submit(command));
  }

  std::byte* ram() const { return ram_.data(); }
  // Device address kHbmDva.
  std::byte* hbm() const { return hbm_.data() + kHbmOffset; }
  npu_queue_ctrl* ctrl() const { return reinterpret_cast<npu_queue_ctrl*>(ram() + kCtrlIova); }
  npu_queue_state state() const;

 private:
  static constexpr uint64_t kEntries = 64;
  static UniqueFd hbm_fd(ReplayClient& client);
  npu_pt_ops table_ops();
  bool map(uint64_t dva, uint64_t bytes, uint64_t pa, uint64_t flags);
  uint64_t ring();

  ReplayClient& client_;
  const uint64_t ram_bytes_;
  Mapping ram_;
  Mapping hbm_;
  uint64_t table_next_ = 0x10000;
  __u64 root_ = 0;
  uint64_t written_ = 0;
};

}  // namespace npu::test

#endif  // NPU_TESTS_UNIT_VFIO_USER_GUEST_H_
