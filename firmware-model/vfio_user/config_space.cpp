// SPDX-License-Identifier: Apache-2.0
// Layout of the configuration space; offsets and bits by their names in <linux/pci_regs.h>.
#include "firmware-model/vfio_user/config_space.h"

#include <linux/pci_regs.h>

#include <cstring>

namespace npu::model::vfio_user {
namespace {

// Where the capabilities lie; each list names the next.
constexpr uint32_t kPowerManagement = 0x40;
constexpr uint32_t kExpress = 0x60;
constexpr uint32_t kMsix = 0xb0;
constexpr uint32_t kErrorReporting = 0x100;

constexpr uint32_t kSpeed32GT = 5;
constexpr uint32_t kSpeeds = 0x3e;  // 2.5 to 32 GT/s
constexpr uint32_t kLanes = 8;      // 32 GB/s each way: what the profiles have
constexpr uint32_t kPayload256 = 1;

constexpr uint32_t kUncorrectable =
    PCI_ERR_UNC_DLP | PCI_ERR_UNC_POISON_TLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_COMP_TIME |
    PCI_ERR_UNC_COMP_ABORT | PCI_ERR_UNC_UNX_COMP | PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP |
    PCI_ERR_UNC_ECRC | PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_INTN;
constexpr uint32_t kFatalByDefault = PCI_ERR_UNC_DLP | PCI_ERR_UNC_FCP | PCI_ERR_UNC_RX_OVER |
                                     PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_INTN;
constexpr uint32_t kCorrectable = PCI_ERR_COR_RCVR | PCI_ERR_COR_BAD_TLP | PCI_ERR_COR_BAD_DLLP |
                                  PCI_ERR_COR_REP_ROLL | PCI_ERR_COR_REP_TIMER |
                                  PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL;
// First error pointer, and generation and checking of ECRC, which are not there.
constexpr uint32_t kNoEcrc = 0;

}  // namespace

ConfigSpace::ConfigSpace(uint64_t bar0_bytes, uint64_t bar2_bytes, uint64_t bar4_bytes) {
  add_header();
  add_bar(NPU_BAR_REGS, bar0_bytes, PCI_BASE_ADDRESS_MEM_TYPE_64);
  add_bar(NPU_BAR_HBM, bar2_bytes, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
  add_bar(NPU_BAR_MSIX, bar4_bytes, PCI_BASE_ADDRESS_MEM_TYPE_64);
  add_power_management();
  add_express();
  add_msix();
  add_error_reporting();
  initial_ = bytes_;
}

void ConfigSpace::set8(uint32_t at, uint8_t value) { bytes_[at] = value; }

void ConfigSpace::set16(uint32_t at, uint32_t value) {
  set8(at, value & 0xff);
  set8(at + 1, value >> 8 & 0xff);
}

void ConfigSpace::set32(uint32_t at, uint32_t value) {
  set16(at, value & 0xffff);
  set16(at + 2, value >> 16);
}

uint32_t ConfigSpace::get32(uint32_t at) const {
  uint32_t value = 0;
  std::memcpy(&value, bytes_.data() + at, sizeof(value));
  return value;
}

void ConfigSpace::writable(uint32_t at, uint32_t bytes, uint32_t mask) {
  for (uint32_t i = 0; i < bytes; ++i) writable_[at + i] = mask >> (8 * i) & 0xff;
}

void ConfigSpace::write_one_clears(uint32_t at, uint32_t bytes, uint32_t mask) {
  for (uint32_t i = 0; i < bytes; ++i) clears_[at + i] = mask >> (8 * i) & 0xff;
}

void ConfigSpace::add_header() {
  set16(PCI_VENDOR_ID, NPU_PCI_VENDOR);
  set16(PCI_DEVICE_ID, NPU_PCI_DEVICE);
  writable(PCI_COMMAND, 2,
           PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
               PCI_COMMAND_INTX_DISABLE);
  set16(PCI_STATUS, PCI_STATUS_CAP_LIST);
  write_one_clears(PCI_STATUS, 2,
                   PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
                       PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |
                       PCI_STATUS_DETECTED_PARITY);
  set32(PCI_CLASS_REVISION, NPU_PCI_CLASS << 8);
  writable(PCI_CACHE_LINE_SIZE, 1, 0xff);
  set16(PCI_SUBSYSTEM_VENDOR_ID, NPU_PCI_VENDOR);
  set16(PCI_SUBSYSTEM_ID, NPU_PCI_DEVICE);
  set8(PCI_CAPABILITY_LIST, kPowerManagement);
  // No legacy interrupt: PCI_INTERRUPT_PIN stays 0.
  writable(PCI_INTERRUPT_LINE, 1, 0xff);
}

void ConfigSpace::add_bar(uint32_t bar, uint64_t bytes, uint32_t type) {
  const uint32_t at = PCI_BASE_ADDRESS_0 + bar * 4;
  const uint64_t address_bits = ~(bytes - 1);
  set32(at, type);
  writable(at, 4, static_cast<uint32_t>(address_bits));
  writable(at + 4, 4, static_cast<uint32_t>(address_bits >> 32));
  bar_bytes_[bar] = bytes;
}

void ConfigSpace::add_power_management() {
  set8(kPowerManagement, PCI_CAP_ID_PM);
  set8(kPowerManagement + PCI_CAP_LIST_NEXT, kExpress);
  set16(kPowerManagement + PCI_PM_PMC, 3);  // version 1.2: D0 and D3 only, no PME
  set16(kPowerManagement + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
  writable(kPowerManagement + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
}

void ConfigSpace::add_express() {
  constexpr uint32_t kVersion = 2;
  constexpr uint32_t kLink = kSpeed32GT | kLanes << 4;
  set8(kExpress, PCI_CAP_ID_EXP);
  set8(kExpress + PCI_CAP_LIST_NEXT, kMsix);
  set16(kExpress + PCI_EXP_FLAGS, kVersion | PCI_EXP_TYPE_ENDPOINT << 4);
  set32(kExpress + PCI_EXP_DEVCAP,
        kPayload256 | PCI_EXP_DEVCAP_EXT_TAG | PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
  set16(kExpress + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | 2u << 12);
  // The reset bit is not kept: it reads as 0.
  writable(kExpress + PCI_EXP_DEVCTL, 2, 0xffff & ~PCI_EXP_DEVCTL_BCR_FLR);
  write_one_clears(
      kExpress + PCI_EXP_DEVSTA, 2,
      PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD);
  set32(kExpress + PCI_EXP_LNKCAP, kLink);
  writable(kExpress + PCI_EXP_LNKCTL, 2, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_CCC);
  set16(kExpress + PCI_EXP_LNKSTA, kLink);
  writable(kExpress + PCI_EXP_DEVCTL2, 2, 0x1f);  // completion timeout
  set32(kExpress + PCI_EXP_LNKCAP2, kSpeeds);
  set16(kExpress + PCI_EXP_LNKCTL2, kSpeed32GT);
  writable(kExpress + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS);
}

void ConfigSpace::add_msix() {
  set8(kMsix, PCI_CAP_ID_MSIX);
  set16(kMsix + PCI_MSIX_FLAGS, kVectors - 1);
  writable(kMsix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  set32(kMsix + PCI_MSIX_TABLE, kMsixTableOffset | NPU_BAR_MSIX);
  set32(kMsix + PCI_MSIX_PBA, kMsixPbaOffset | NPU_BAR_MSIX);
}

void ConfigSpace::add_error_reporting() {
  constexpr uint32_t kVersion = 2;
  set32(kErrorReporting, PCI_EXT_CAP_ID_ERR | kVersion << 16);
  write_one_clears(kErrorReporting + PCI_ERR_UNCOR_STATUS, 4, kUncorrectable);
  writable(kErrorReporting + PCI_ERR_UNCOR_MASK, 4, kUncorrectable);
  set32(kErrorReporting + PCI_ERR_UNCOR_SEVER, kFatalByDefault);
  writable(kErrorReporting + PCI_ERR_UNCOR_SEVER, 4, kUncorrectable);
  write_one_clears(kErrorReporting + PCI_ERR_COR_STATUS, 4, kCorrectable);
  set32(kErrorReporting + PCI_ERR_COR_MASK, PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL);
  writable(kErrorReporting + PCI_ERR_COR_MASK, 4, kCorrectable);
  set32(kErrorReporting + PCI_ERR_CAP, kNoEcrc);
}

void ConfigSpace::reset() { bytes_ = initial_; }

void ConfigSpace::read(uint32_t offset, std::span<std::byte> out) const {
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
}

bool ConfigSpace::write(uint32_t offset, std::span<const std::byte> data) {
  constexpr uint32_t kResetByte = kExpress + PCI_EXP_DEVCTL + 1;
  constexpr uint8_t kResetBit = PCI_EXP_DEVCTL_BCR_FLR >> 8;
  bool function_reset = false;
  for (size_t i = 0; i < data.size(); ++i) {
    const uint32_t at = offset + static_cast<uint32_t>(i);
    const auto value = static_cast<uint8_t>(data[i]);
    const auto kept = static_cast<uint8_t>(bytes_[at] & ~writable_[at] & ~(clears_[at] & value));
    bytes_[at] = static_cast<uint8_t>(kept | (value & writable_[at]));
    function_reset = function_reset || (at == kResetByte && (value & kResetBit) != 0);
  }
  return function_reset;
}

uint64_t ConfigSpace::base_of(uint32_t bar) const {
  const uint32_t at = PCI_BASE_ADDRESS_0 + bar * 4;
  const uint64_t type_bits = static_cast<uint64_t>(~PCI_BASE_ADDRESS_MEM_MASK);
  return (uint64_t{get32(at + 4)} << 32 | get32(at)) & ~type_bits;
}

uint64_t ConfigSpace::decoded_base(uint32_t bar) const {
  return (get32(PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0 ? base_of(bar) : 0;
}

bool ConfigSpace::in_own_bar(uint64_t address, uint64_t bytes) const {
  for (uint32_t bar = 0; bar < bar_bytes_.size(); ++bar) {
    if (bar_bytes_[bar] == 0) continue;
    const uint64_t base = base_of(bar);
    if (base == 0) continue;
    const uint64_t last = base + (bar_bytes_[bar] - 1);
    if (address <= last && address + (bytes - 1) >= base) return true;
  }
  return false;
}

}  // namespace npu::model::vfio_user
