// SPDX-License-Identifier: Apache-2.0
// The device as a PCI function: BARs over the device core, configuration space, HBM in one memfd,
// MSI-X, and the client's memory behind the core's ports.
//
// One function lives as long as one client: the next one gets a fresh device with fresh memory.
// Thread safety: the I/O thread; device threads enter through the ports.
#ifndef NPU_MODEL_VFIO_USER_PCI_FUNCTION_H_
#define NPU_MODEL_VFIO_USER_PCI_FUNCTION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "firmware-model/device/cables.h"
#include "firmware-model/device/npu_device.h"
#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/bus.h"
#include "firmware-model/vfio_user/config_space.h"
#include "firmware-model/vfio_user/dma_map.h"
#include "firmware-model/vfio_user/in_band.h"
#include "firmware-model/vfio_user/irq.h"
#include "firmware-model/vfio_user/wire.h"

namespace npu::model::vfio_user {

struct FunctionOptions {
  npu_profile profile{};
  uint32_t worker_threads = 0;
  bool scalar_numerics = false;
  bool checks = false;  // the checking mode of kernels
  bool production = false;
  std::vector<std::array<uint8_t, 32>> keys;
  std::array<uint8_t, 16> uuid{};         // of the board
  std::vector<npu_injection> injections;  // faults to begin with
  std::vector<npu_port_config> ports;
  std::shared_ptr<Cables> cables;  // between ports; null: none
  bool boot_from_host = true;      // the machine's driver brings the firmware
  std::shared_ptr<Bus> bus;        // of the machine; null: it reaches no other device's memory
};

class PciFunction {
 public:
  // |wake_fd| and |broken_fd|: eventfds of the I/O thread, for in-band requests and devices of the
  // bus that have left their place, and for files that were shrunk. nullptr: |error| says why.
  static std::unique_ptr<PciFunction> create(const FunctionOptions& options, int wake_fd,
                                             int broken_fd, std::string* error);
  ~PciFunction();
  PciFunction(const PciFunction&) = delete;
  PciFunction& operator=(const PciFunction&) = delete;

  // 0: no such region.
  uint64_t region_bytes(uint32_t region) const;
  int hbm_fd() const { return hbm_fd_.get(); }
  Irqs& irqs() { return irqs_; }
  InBand& in_band() { return in_band_; }
  DmaMap& dma() { return dma_; }

  // 0 or errno. An access of a BAR has 1, 2, 4 or 8 bytes; what no register answers reads as ones.
  int read(uint32_t region, uint64_t offset, std::span<std::byte> out);
  int write(uint32_t region, uint64_t offset, std::span<const std::byte> data);

  // Another device's memory where the client names no file and one lies there. 0 or errno.
  int map_dma(DmaMap::Request request, UniqueFd fd);
  // Other devices have come, moved or gone: their memory is found, or let go of. 0 or ENOMEM, as
  // DmaMap::unmap.
  int follow_bus();
  // The device lets go of what has been taken out of dma(); nothing waits.
  void memory_withdrawn();
  // Frees what it has let go of. False: there is more, ask again soon.
  bool collect();
  // Whether the device may read or write there at all: mapped, and no BAR of its own.
  bool may_reach(uint64_t iova, uint64_t bytes, bool write) const;

  void set_max_data_bytes(uint64_t bytes);
  // Function-level reset: engines are stopped, queues and contexts are lost; maps, eventfds and the
  // content of HBM stay.
  void reset();

 private:
  PciFunction(const FunctionOptions& options, int wake_fd, int broken_fd);
  bool make_device(const FunctionOptions& options, std::string* error);
  bool make_hbm(uint64_t hbm_bytes, std::string* error);
  void control(uint32_t bytes, uint64_t value);
  void read_msix(uint64_t offset, std::span<std::byte> out) const;
  void write_msix(uint64_t offset, std::span<const std::byte> data);

  static void* host_memory(void* ctx, uint64_t iova, int write, uint64_t* out_bytes);
  static void interrupt(void* ctx, uint32_t vector);
  static int host_copy(void* ctx, uint64_t iova, void* buffer, uint64_t bytes, int write);
  static void port_traffic(void* ctx, uint32_t port, const npu_port_traffic* traffic);

  const uint64_t bar_hbm_bytes_;
  uint64_t max_data_bytes_ = 0;
  ConfigSpace config_;
  std::array<std::byte, kMsixTableBytes> msix_table_{};
  UniqueFd hbm_fd_;
  Irqs irqs_;
  InBand in_band_;
  DmaMap dma_;
  BusPort bus_;
  uint64_t seen_moves_ = 0;  // of the bus
  npu_device* device_ = nullptr;
  CableEnds cables_;
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_PCI_FUNCTION_H_
