// SPDX-License-Identifier: Apache-2.0
// Faults that a test makes happen: the rows NPU_INJECT of uapi/spec/ras.def.
#include "firmware-model/device/device.h"

namespace npu::model {
namespace {

// Interrupts and errors at once; more is a mistake, not a test.
constexpr uint64_t kMaxAtOnce = 65536;

}  // namespace

npu_status Device::inject_memory_error(uint32_t fault, uint64_t place, uint64_t count) {
  if (place >= hbm_.bytes) return NPU_ST_INVALID_ADDRESS;
  if (fault == NPU_INJECT_ECC_SBE) {
    if (count > UINT32_MAX) return NPU_ST_INVALID_ARGUMENT;
    if (count != 0) ras_.single_bit_errors(place, static_cast<uint32_t>(count));
    return NPU_ST_OK;
  }
  if (count != 0) return NPU_ST_INVALID_ARGUMENT;
  if (!ras_.double_bit_error(place)) return NPU_ST_QUOTA;
  // Translations made before may reach over the poison.
  for (const auto& context : contexts_) {
    if (context != nullptr) context->space.flush();
  }
  return NPU_ST_OK;
}

npu_status Device::inject_interrupts(uint32_t fault, uint64_t place, uint64_t count) {
  if (count > kMaxAtOnce) return NPU_ST_INVALID_ARGUMENT;
  if (fault == NPU_INJECT_LOST_IRQ) {
    if (place != 0) return NPU_ST_INVALID_ARGUMENT;
    interrupts_.lose(static_cast<uint32_t>(count));
    return NPU_ST_OK;
  }
  if (place >= NPU_MSIX_VECTORS) return NPU_ST_INVALID_ARGUMENT;
  for (uint64_t i = 0; i < count; ++i) interrupts_.fire_vector(static_cast<uint32_t>(place));
  return NPU_ST_OK;
}

npu_status Device::inject_link(uint32_t fault, uint64_t place, uint64_t count) {
  if (place >= network_.count()) return NPU_ST_INVALID_ARGUMENT;
  if (fault == NPU_INJECT_LINK_DOWN) {
    if (count > 1) return NPU_ST_INVALID_ARGUMENT;
    network_.hold_down(place, count == 1);
    return NPU_ST_OK;
  }
  if (count > kMaxAtOnce) return NPU_ST_INVALID_ARGUMENT;
  return network_.flap(place, count) ? NPU_ST_OK : NPU_ST_BUSY;
}

npu_status Device::inject_counted(uint64_t* counter, uint64_t place, uint64_t count) {
  if (place != 0) return NPU_ST_INVALID_ARGUMENT;
  *counter = count;
  return NPU_ST_OK;
}

npu_status Device::inject(Lock& lock, uint32_t fault, uint64_t place, uint64_t count) {
  switch (fault) {
    case NPU_INJECT_ECC_SBE:
    case NPU_INJECT_ECC_DBE:
      return inject_memory_error(fault, place, count);
    case NPU_INJECT_LOST_IRQ:
    case NPU_INJECT_SPURIOUS_IRQ:
      return inject_interrupts(fault, place, count);
    case NPU_INJECT_LINK_FLAP:
    case NPU_INJECT_LINK_DOWN:
      return inject_link(fault, place, count);
    case NPU_INJECT_BOOT_FAIL:
      return inject_counted(&armed_.boot_fail, place, count);
    case NPU_INJECT_BOOT_STALL:
      return inject_counted(&armed_.boot_stall, place, count);
    case NPU_INJECT_MBOX_STALL:
      return inject_counted(&armed_.mbox_stall, place, count);
    case NPU_INJECT_FW_ABI:
      if (place > UINT32_MAX || count == 0) return NPU_ST_INVALID_ARGUMENT;
      armed_.fw_abi = static_cast<uint32_t>(place);
      armed_.fw_abi_boots = count;
      return NPU_ST_OK;
    default:
      break;
  }
  if (count != 0) return NPU_ST_INVALID_ARGUMENT;
  switch (fault) {
    case NPU_INJECT_HANG:
      if (place >= queues_.size() && place != CommandProcessor::kAnyQueue) {
        return NPU_ST_INVALID_ARGUMENT;
      }
      processor_.hang_next(place);
      return NPU_ST_OK;
    case NPU_INJECT_FW_ASSERT:
      if (place != 0) return NPU_ST_INVALID_ARGUMENT;
      armed_.fw_assert = !firmware_runs();
      stop_firmware(lock, NPU_ERROR_FW_ASSERT, kInjectedAssert);
      return NPU_ST_OK;
    case NPU_INJECT_TEMPERATURE:
      if (!sensors_.set_offset(static_cast<int64_t>(place))) return NPU_ST_INVALID_ARGUMENT;
      look_at_heat(lock);
      return NPU_ST_OK;
    default:
      return NPU_ST_NOT_FOUND;
  }
}

}  // namespace npu::model
