// SPDX-License-Identifier: Apache-2.0
// The guest.
#include "tests/unit/vfio_user/guest.h"

#include <atomic>

namespace npu::test {
namespace {

uint64_t load(const __u64& word) {
  return std::atomic_ref<__u64>(const_cast<__u64&>(word)).load(std::memory_order_acquire);
}

}  // namespace

UniqueFd Guest::hbm_fd(ReplayClient& client) {
  UniqueFd fd;
  client.region(wire::kBar2, &fd);
  return fd;
}

Guest::Guest(ReplayClient& client, int ram_fd, uint64_t ram_bytes)
    : client_(client),
      ram_bytes_(ram_bytes),
      ram_(ram_fd, ram_bytes),
      hbm_(hbm_fd(client).get(), small_profile().hbm_bytes) {}

npu_pt_ops Guest::table_ops() {
  npu_pt_ops ops{};
  ops.ctx = this;
  ops.hbm_bytes = small_profile().hbm_bytes;
  ops.read64 = [](void* ctx, __u64 offset, __u64* value) {
    *value = load(*reinterpret_cast<__u64*>(static_cast<Guest*>(ctx)->hbm_.data() + offset));
    return 0;
  };
  ops.write64 = [](void* ctx, __u64 offset, __u64 value) {
    auto* word = reinterpret_cast<__u64*>(static_cast<Guest*>(ctx)->hbm_.data() + offset);
    std::atomic_ref<__u64>(*word).store(value, std::memory_order_release);
  };
  ops.alloc_table = [](void* ctx, __u32 bytes, __u64* offset) {
    auto* guest = static_cast<Guest*>(ctx);
    guest->table_next_ = (guest->table_next_ + bytes - 1) / bytes * bytes;
    *offset = guest->table_next_;
    guest->table_next_ += bytes;
    return guest->table_next_ <= kHbmOffset ? 0 : -1;
  };
  ops.free_table = [](void*, __u64, __u32) {};
  return ops;
}

bool Guest::map(uint64_t dva, uint64_t bytes, uint64_t pa, uint64_t flags) {
  const npu_pt_ops ops = table_ops();
  return npu_pt_prepare_map(&ops, root_, dva, bytes, pa, flags) == 0 &&
         npu_pt_commit_map(&ops, root_, dva, bytes, pa, flags) == 0;
}

void Guest::map_system(uint64_t iova, uint64_t bytes) {
  EXPECT_TRUE(map(kRamDva + iova, bytes, iova, NPU_PTE_SYSTEM | NPU_PTE_WRITE));
  EXPECT_EQ(mailbox(NPU_MBOX_TLB_FLUSH, {0}), NPU_ST_OK);
}

int Guest::mailbox(uint32_t command, std::initializer_list<uint64_t> args) {
  uint64_t offset = NPU_REG_MBOX_ARG0;
  for (const uint64_t arg : args) {
    client_.post(wire::kBar0, offset, bytes_of(arg));
    offset += 8;
  }
  client_.post(wire::kBar0, NPU_REG_MBOX_CMD, bytes_of(command));
  uint32_t status = NPU_MBOX_BUSY;
  while (status == NPU_MBOX_BUSY) status = client_.read32(wire::kBar0, NPU_REG_MBOX_STATUS);
  return static_cast<int>(status);
}

uint32_t Guest::boot(uint64_t iova, uint64_t bytes) {
  client_.write64(wire::kBar0, NPU_REG_FW_IOVA, iova);
  client_.write32(wire::kBar0, NPU_REG_FW_BYTES, static_cast<uint32_t>(bytes));
  client_.write32(wire::kBar0, NPU_REG_CONTROL, NPU_CONTROL_BOOT);
  uint32_t status = NPU_DEVICE_STATUS_BOOTING;
  while (status == NPU_DEVICE_STATUS_BOOTING) status = client_.read32(wire::kBar0, NPU_REG_STATUS);
  return status;
}

bool Guest::start() {
  if (client_.read32(wire::kBar0, NPU_REG_STATUS) == NPU_DEVICE_STATUS_ROM) {
    const std::vector<uint8_t> image = firmware_image();
    std::memcpy(ram() + kFirstFreeIova, image.data(), image.size());
    if (boot(kFirstFreeIova, image.size()) != NPU_DEVICE_STATUS_READY) return false;
  }
  const npu_pt_ops ops = table_ops();
  std::memset(ram(), 0, kFirstFreeIova);
  written_ = 0;
  if (npu_pt_create(&ops, &root_) != 0) return false;
  if (!map(kRamDva, ram_bytes_, 0, NPU_PTE_SYSTEM | NPU_PTE_WRITE)) return false;
  if (!map(kHbmDva, kHbmBytes, kHbmOffset, NPU_PTE_WRITE)) return false;
  client_.write32(wire::kBar0, NPU_REG_IRQ_MASK, NPU_IRQ_EVENT | NPU_IRQ_MAILBOX | NPU_IRQ_QUEUE);
  return mailbox(NPU_MBOX_CONTEXT_CREATE, {0, root_}) == NPU_ST_OK &&
         mailbox(NPU_MBOX_QUEUE_CREATE,
                 {0, 0, kRamDva + kRingIova, kRamDva + kCtrlIova,
                  NPU_RING_LOG2_MIN | NPU_PRIO_NORMAL << 8 | NPU_QUEUE_COMPUTE << 16, 0, 0}) ==
             NPU_ST_OK;
}

uint64_t Guest::ring() {
  ++written_;
  client_.post(wire::kBar0, NPU_BAR0_DOORBELLS, bytes_of(written_));
  return written_ - 1;
}

npu_queue_state Guest::state() const {
  const auto* state = reinterpret_cast<const std::byte*>(&ctrl()->state);
  return static_cast<npu_queue_state>(
      std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(const_cast<std::byte*>(state)))
          .load());
}

bool Guest::over(uint64_t seq) const {
  return load(ctrl()->completed) > seq || state() >= NPU_QUEUE_STATE_FAULTED;
}

npu_completion Guest::wait(uint64_t seq) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  client_.serve([&] { return !over(seq) && std::chrono::steady_clock::now() < end; });
  npu_completion record{};
  record.status = NPU_ST_INTERNAL;
  EXPECT_TRUE(over(seq)) << "command " << seq << " does not end";
  if (load(ctrl()->completed) <= seq) return record;
  std::memcpy(&record, ram() + kCtrlIova + NPU_CTRL_BYTES + seq % kEntries * sizeof(record),
              sizeof(record));
  return record;
}

}  // namespace npu::test
