// SPDX-License-Identifier: Apache-2.0
// The 4096 bytes of PCI configuration space: header, power management, PCI Express, MSI-X, advanced
// error reporting. docs/vfio-user.md lists them.
//
// Thread safety: the I/O thread.
#ifndef NPU_MODEL_VFIO_USER_CONFIG_SPACE_H_
#define NPU_MODEL_VFIO_USER_CONFIG_SPACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "uapi/npu_regs.h"

namespace npu::model::vfio_user {

inline constexpr uint32_t kConfigBytes = 4096;
inline constexpr uint32_t kVectors = NPU_MSIX_VECTORS;
inline constexpr uint32_t kMsixTableOffset = 0;
inline constexpr uint32_t kMsixTableBytes = kVectors * 16;
inline constexpr uint32_t kMsixPbaOffset = 0x800;
inline constexpr uint64_t kBarMsixBytes = 4096;

class ConfigSpace {
 public:
  // Sizes of the BARs: powers of two.
  ConfigSpace(uint64_t bar0_bytes, uint64_t bar2_bytes, uint64_t bar4_bytes);

  // As after power-on.
  void reset();
  // The caller has checked the range.
  void read(uint32_t offset, std::span<std::byte> out) const;
  // Writes what is writable. True: the driver asks for a function-level reset.
  bool write(uint32_t offset, std::span<const std::byte> data);

  // Whether [address, address + bytes) touches a BAR whose address the driver has set.
  bool in_own_bar(uint64_t address, uint64_t bytes) const;
  // Where that BAR answers; 0: nowhere, for want of an address or of the driver's leave.
  uint64_t decoded_base(uint32_t bar) const;

 private:
  void set8(uint32_t at, uint8_t value);
  void set16(uint32_t at, uint32_t value);
  void set32(uint32_t at, uint32_t value);
  uint32_t get32(uint32_t at) const;
  uint64_t base_of(uint32_t bar) const;
  void writable(uint32_t at, uint32_t bytes, uint32_t mask);
  void write_one_clears(uint32_t at, uint32_t bytes, uint32_t mask);
  void add_header();
  void add_bar(uint32_t bar, uint64_t bytes, uint32_t type);
  void add_power_management();
  void add_express();
  void add_msix();
  void add_error_reporting();

  std::array<uint8_t, kConfigBytes> bytes_{};
  std::array<uint8_t, kConfigBytes> initial_{};
  std::array<uint8_t, kConfigBytes> writable_{};  // bits that a write sets
  std::array<uint8_t, kConfigBytes> clears_{};    // bits that a written 1 clears
  std::array<uint64_t, 6> bar_bytes_{};           // of the lower halves
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_CONFIG_SPACE_H_
