// SPDX-License-Identifier: Apache-2.0
// The life of the firmware on a device: boot, death, and the reset that ends both.
//
// STATUS: ROM -> BOOTING -> READY or FAILED; READY -> FAILED when firmware dies; a reset leads back to
// ROM, or boots the built-in firmware where no host brings one. Whatever dies takes all work with it.
#include <system_error>
#include <utility>

#include "firmware-model/device/device.h"
#include "firmware-model/device/thread.h"

namespace npu::model {

void Device::start() {
  Lock lock(scheduler_);
  if (!boot_from_host_) boot_built_in(lock);
}

void Device::boot_built_in(Lock& lock) {
  registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_BOOTING);
  if (stall_boot()) return;
  finish_boot(lock, NPU_ST_OK, built_in_firmware());
}

// True: this boot is one of those that never end.
bool Device::stall_boot() {
  if (armed_.boot_stall == 0) return false;
  --armed_.boot_stall;
  return true;
}

void Device::boot() {
  Lock lock(scheduler_);
  if (resetting_ || registers_.get(NPU_REG_STATUS) != NPU_DEVICE_STATUS_ROM) return;
  registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_BOOTING);
  if (stall_boot()) return;
  const uint64_t iova = registers_.get(NPU_REG_FW_IOVA);
  const uint64_t bytes = registers_.get(NPU_REG_FW_BYTES);
  booting_ = true;
  try {
    boot_thread_ = start_device_thread("npu-boot", [this, iova, bytes] { run_boot(iova, bytes); });
  } catch (const std::system_error&) {
    booting_ = false;
    finish_boot(lock, NPU_ST_OUT_OF_HOST_MEMORY, {});
  }
}

void Device::run_boot(uint64_t iova, uint64_t bytes) {
  FirmwareInfo info;
  const npu_status status = read_firmware(ports_, iova, bytes, policy_, &info);
  Lock lock(scheduler_);
  if (!resetting_) finish_boot(lock, status, info);
  booting_ = false;
  scheduler_.notify(lock);
}

void Device::finish_boot(Lock& lock, npu_status status, const FirmwareInfo& info) {
  if (status == NPU_ST_OK && armed_.boot_fail != 0) {
    --armed_.boot_fail;
    status = NPU_ST_INTERNAL;
  }
  registers_.set(NPU_REG_FW_STATUS, static_cast<uint32_t>(status));
  if (status != NPU_ST_OK) {
    registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_FAILED);
    return;
  }
  firmware_ = info;
  uint32_t abi = uint32_t{info.abi_major} << 16 | info.abi_minor;
  if (armed_.fw_abi_boots != 0) {
    --armed_.fw_abi_boots;
    abi = armed_.fw_abi;
  }
  registers_.set(NPU_REG_FW_ABI, abi);
  heartbeat_.start();
  registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_READY);
  if (std::exchange(armed_.fw_assert, false)) {
    stop_firmware(lock, NPU_ERROR_FW_ASSERT, kInjectedAssert);
  } else {
    look_at_heat(lock);
  }
}

bool Device::firmware_runs() const {
  return registers_.get(NPU_REG_STATUS) == NPU_DEVICE_STATUS_READY;
}

void Device::stop_firmware(Lock& lock, npu_error_type reason, uint64_t info) {
  if (!firmware_runs()) return;
  registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_FAILED);
  registers_.set(NPU_REG_FW_ABI, 0);
  heartbeat_.stop();
  ras_.report(reason, Ras::kNoAddress, 1, info);
  end_all_work(lock);
}

void Device::look_at_heat(Lock& lock) {
  if (!firmware_runs()) return;
  sensors_.refresh();
  const Sensors::Heat heat = sensors_.heat();
  const auto millideg = static_cast<uint64_t>(sensors_.die_millideg());
  const Sensors::Heat before = std::exchange(heat_, heat);
  if (heat != Sensors::Heat::kNormal && before == Sensors::Heat::kNormal) {
    ras_.report(NPU_ERROR_THERMAL, Ras::kNoAddress, 1, millideg);
  }
  if (heat == Sensors::Heat::kShutdown) stop_firmware(lock, NPU_ERROR_THERMAL_STOP, millideg);
}

void Device::end_all_work(Lock& lock) {
  std::vector<std::shared_ptr<Queue>> ended(queues_.size());
  // Nobody else finds them from here on, also not while the lock is given up below.
  queues_.swap(ended);
  for (const auto& queue : ended) {
    if (queue != nullptr) scheduler_.remove(lock, *queue, NPU_QUEUE_STATE_LOST);
  }
  scheduler_.wait(lock, [this] { return scheduler_.idle(); });
  for (const auto& queue : ended) {
    if (queue == nullptr) continue;
    queue->publish_state(NPU_QUEUE_STATE_LOST, NPU_ST_CANCELED);
    signals_.unwatch_completed(queue->watched_completed, &queue->ends);
  }
}

void Device::reset() {
  Lock lock(scheduler_);
  if (resetting_) return scheduler_.wait(lock, [this] { return !resetting_; });
  resetting_ = true;
  registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_BOOTING);
  heartbeat_.stop();
  end_all_work(lock);
  scheduler_.wait(lock, [this] { return !booting_; });
  // It has nothing left to do that needs the lock.
  if (boot_thread_.joinable()) boot_thread_.join();
  for (auto& context : contexts_) {
    if (context != nullptr) signals_.forget_owner(context->owner);
    context.reset();
  }
  pending_answers_.clear();
  events_.configure(0, 0);
  ras_.configure_ring(0, 0);
  // A board that was too hot has cooled down by the time somebody resets it.
  if (std::exchange(heat_, Sensors::Heat::kNormal) == Sensors::Heat::kShutdown) {
    sensors_.set_offset(0);
  }
  for (const npu_reg reg : {NPU_REG_IRQ_MASK, NPU_REG_IRQ_STATUS, NPU_REG_MBOX_STATUS,
                            NPU_REG_FW_IOVA, NPU_REG_FW_BYTES, NPU_REG_FW_STATUS, NPU_REG_FW_ABI}) {
    registers_.set(reg, 0);
  }
  registers_.add(NPU_REG_EPOCH, 1);
  scheduler_.doorbells().set_epoch(registers_.get(NPU_REG_EPOCH));
  resetting_ = false;
  registers_.set(NPU_REG_STATUS, NPU_DEVICE_STATUS_ROM);
  if (!boot_from_host_) boot_built_in(lock);
  scheduler_.notify(lock);
}

}  // namespace npu::model
