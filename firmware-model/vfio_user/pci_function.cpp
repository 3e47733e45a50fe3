// SPDX-License-Identifier: Apache-2.0
// BAR accesses, reset, and the ports of the device core.
#include "firmware-model/vfio_user/pci_function.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "uapi/npu_regs.h"

namespace npu::model::vfio_user {
namespace {

constexpr uint64_t kBarRegsBytes = std::bit_ceil(uint64_t{NPU_BAR0_BYTES});

bool bar_access(size_t bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; }

}  // namespace

PciFunction::PciFunction(const FunctionOptions& options, int wake_fd, int broken_fd)
    : bar_hbm_bytes_(std::bit_ceil(options.profile.hbm_bytes)),
      config_(kBarRegsBytes, bar_hbm_bytes_, kBarMsixBytes),
      in_band_(wake_fd),
      dma_(broken_fd),
      bus_(options.bus, wake_fd) {}

std::unique_ptr<PciFunction> PciFunction::create(const FunctionOptions& options, int wake_fd,
                                                 int broken_fd, std::string* error) {
  std::unique_ptr<PciFunction> function(new PciFunction(options, wake_fd, broken_fd));
  if (!function->make_device(options, error)) return nullptr;
  if (!function->make_hbm(options.profile.hbm_bytes, error)) return nullptr;
  return function;
}

// The one place where the device behind vfio-user is configured.
bool PciFunction::make_device(const FunctionOptions& options, std::string* error) {
  npu_device_config config{};
  config.struct_size = sizeof(config);
  config.worker_threads = options.worker_threads;
  config.scalar_numerics = options.scalar_numerics ? 1 : 0;
  config.checks = options.checks ? 1 : 0;
  config.production = options.production ? 1 : 0;
  config.keys = reinterpret_cast<const uint8_t(*)[32]>(options.keys.data());
  config.key_count = static_cast<uint32_t>(options.keys.size());
  config.profile = options.profile;
  std::copy(options.uuid.begin(), options.uuid.end(), config.uuid);
  config.injections = options.injections.data();
  config.injection_count = static_cast<uint32_t>(options.injections.size());
  config.ports = options.ports.data();
  config.port_count = static_cast<uint32_t>(options.ports.size());
  config.boot_from_host = options.boot_from_host ? 1 : 0;
  const npu_device_ports ports{this, &PciFunction::host_memory, &PciFunction::interrupt,
                               &PciFunction::host_copy, &PciFunction::port_traffic};
  cables_ = CableEnds(options.cables, options.uuid, options.ports);
  char text[512] = "";
  device_ = npu_device_create(&config, &ports, text, sizeof(text));
  if (device_ == nullptr) {
    *error = text;
    return false;
  }
  cables_.plug(device_);
  return true;
}

bool PciFunction::make_hbm(uint64_t hbm_bytes, std::string* error) {
  hbm_fd_ = UniqueFd(memfd_create("npu-hbm", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // The file is as long as the BAR: a client that maps all of it must find memory. Nobody can shrink
  // it under the device.
  const bool made =
      hbm_fd_.valid() && ftruncate(hbm_fd_.get(), static_cast<off_t>(bar_hbm_bytes_)) == 0 &&
      fcntl(hbm_fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  if (made && mmap(npu_device_hbm(device_), hbm_bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED | MAP_NORESERVE, hbm_fd_.get(), 0) != MAP_FAILED) {
    madvise(npu_device_hbm(device_), hbm_bytes, MADV_DONTDUMP);
    if (bus_.show(hbm_fd_.get(), bar_hbm_bytes_)) return true;
  }
  *error = std::string("no shared memory for the device memory: ") + std::strerror(errno) +
           "; raise the limits of files and of virtual memory (ulimit -n, -f, -v)";
  return false;
}

PciFunction::~PciFunction() {
  in_band_.close();
  cables_.unplug();
  if (device_ != nullptr) npu_device_destroy(device_);
}

void PciFunction::port_traffic(void* ctx, uint32_t port, const npu_port_traffic* traffic) {
  static_cast<PciFunction*>(ctx)->cables_.carry(port, *traffic);
}

uint64_t PciFunction::region_bytes(uint32_t region) const {
  switch (region) {
    case wire::kBar0:
      return kBarRegsBytes;
    case wire::kBar2:
      return bar_hbm_bytes_;
    case wire::kBar4:
      return kBarMsixBytes;
    case wire::kConfig:
      return kConfigBytes;
    default:
      return 0;
  }
}

int PciFunction::read(uint32_t region, uint64_t offset, std::span<std::byte> out) {
  const uint64_t bytes = region_bytes(region);
  if (offset > bytes || out.size() > bytes - offset || out.empty()) return EINVAL;
  if (region == wire::kConfig) {
    config_.read(static_cast<uint32_t>(offset), out);
    return 0;
  }
  if (!bar_access(out.size())) return EINVAL;
  if (region == wire::kBar4) {
    read_msix(offset, out);
    return 0;
  }
  static_assert(wire::kBar0 == NPU_BAR_REGS && wire::kBar2 == NPU_BAR_HBM);
  const uint32_t bar = region == wire::kBar0 ? NPU_BAR_REGS : NPU_BAR_HBM;
  uint64_t value = ~uint64_t{0};
  npu_device_mmio_read(device_, bar, offset, static_cast<uint32_t>(out.size()), &value);
  std::memcpy(out.data(), &value, out.size());
  return 0;
}

int PciFunction::write(uint32_t region, uint64_t offset, std::span<const std::byte> data) {
  const uint64_t bytes = region_bytes(region);
  if (offset > bytes || data.size() > bytes - offset || data.empty()) return EINVAL;
  if (region == wire::kConfig) {
    if (config_.write(static_cast<uint32_t>(offset), data)) reset();
    bus_.decode(config_.decoded_base(NPU_BAR_HBM));
    return 0;
  }
  if (!bar_access(data.size())) return EINVAL;
  if (region == wire::kBar4) {
    write_msix(offset, data);
    return 0;
  }
  uint64_t value = 0;
  std::memcpy(&value, data.data(), data.size());
  if (region == wire::kBar0 && offset == NPU_REG_CONTROL) {
    control(static_cast<uint32_t>(data.size()), value);
    return 0;
  }
  const uint32_t bar = region == wire::kBar0 ? NPU_BAR_REGS : NPU_BAR_HBM;
  npu_device_mmio_write(device_, bar, offset, static_cast<uint32_t>(data.size()), value);
  return 0;
}

// The table is the client's affair, which attaches eventfds instead: here it is memory.
void PciFunction::read_msix(uint64_t offset, std::span<std::byte> out) const {
  const uint64_t pending = irqs_.pending();
  for (size_t i = 0; i < out.size(); ++i) {
    const uint64_t at = offset + i;
    out[i] = std::byte{0};
    if (at < msix_table_.size()) out[i] = msix_table_[at];
    if (at >= kMsixPbaOffset && at < kMsixPbaOffset + sizeof(pending)) {
      out[i] = static_cast<std::byte>(pending >> (8 * (at - kMsixPbaOffset)) & 0xff);
    }
  }
}

void PciFunction::write_msix(uint64_t offset, std::span<const std::byte> data) {
  for (size_t i = 0; i < data.size() && offset + i < msix_table_.size(); ++i) {
    msix_table_[offset + i] = data[i];
  }
}

int PciFunction::map_dma(DmaMap::Request request, UniqueFd fd) {
  if (fd.valid()) return dma_.map(request, std::move(fd));
  uint64_t offset = 0;
  auto peer = bus_.find(request.iova, request.bytes, &offset);
  if (peer == nullptr || offset % DmaMap::kPageBytes != 0) return dma_.map(request, UniqueFd());
  request.offset = offset;
  return dma_.map_peer(request, std::move(peer));
}

int PciFunction::follow_bus() {
  // Read first: what moves meanwhile wakes the thread once more.
  const uint64_t moves = bus_.moves();
  if (moves == seen_moves_) return 0;
  seen_moves_ = moves;
  const int err = dma_.drop_peers();
  if (err != ENOENT) memory_withdrawn();
  if (err == ENOMEM) return err;
  dma_.adopt_peers([this](uint64_t iova, uint64_t bytes, uint64_t* out_offset) {
    return bus_.find(iova, bytes, out_offset);
  });
  return 0;
}

void PciFunction::memory_withdrawn() {
  dma_.retire(npu_device_host_changed(device_));
  collect();
}

bool PciFunction::collect() {
  if (!dma_.has_retired()) return true;
  // A boot reads its image on a thread that tickets do not count.
  uint64_t status = 0;
  npu_device_mmio_read(device_, NPU_BAR_REGS, NPU_REG_STATUS, 4, &status);
  if (status == NPU_DEVICE_STATUS_BOOTING) return false;
  uint64_t quiesced = 0;
  npu_device_mmio_read(device_, NPU_BAR_REGS, NPU_REG_QUIESCED, sizeof(quiesced), &quiesced);
  dma_.drain(quiesced);
  return !dma_.has_retired();
}

bool PciFunction::may_reach(uint64_t iova, uint64_t bytes, bool write) const {
  return dma_.reach(iova, bytes, write) && !config_.in_own_bar(iova, bytes);
}

void PciFunction::set_max_data_bytes(uint64_t bytes) {
  max_data_bytes_ = bytes;
  in_band_.open(bytes);
}

// A device thread that waits for the client would wait for this thread: it is let go first.
void PciFunction::control(uint32_t bytes, uint64_t value) {
  const bool reset = (value & NPU_CONTROL_RESET) != 0;
  if (reset) in_band_.close();
  npu_device_mmio_write(device_, NPU_BAR_REGS, NPU_REG_CONTROL, bytes, value);
  if (reset) in_band_.open(max_data_bytes_);
}

void PciFunction::reset() {
  in_band_.close();
  npu_device_reset(device_);
  in_band_.open(max_data_bytes_);
  irqs_.clear_pending();
  config_.reset();
  bus_.decode(Aperture::kNowhere);
  msix_table_.fill(std::byte{0});
}

void* PciFunction::host_memory(void* ctx, uint64_t iova, int write, uint64_t* out_bytes) {
  return static_cast<PciFunction*>(ctx)->dma_.find(iova, write != 0, out_bytes);
}

void PciFunction::interrupt(void* ctx, uint32_t vector) {
  static_cast<PciFunction*>(ctx)->irqs_.raise(vector);
}

int PciFunction::host_copy(void* ctx, uint64_t iova, void* buffer, uint64_t bytes, int write) {
  auto* function = static_cast<PciFunction*>(ctx);
  return function->in_band_.copy(iova, static_cast<std::byte*>(buffer), bytes, write != 0);
}

}  // namespace npu::model::vfio_user
