// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a hostile driver. Each input is a sequence of accesses to the BARs of a fresh
// device: mailbox commands, page tables, boots, resets and injected faults among them.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "firmware-model/device/npu_device.h"
#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace {

constexpr uint64_t kHostBase = 0x10000;
constexpr uint64_t kHostBytes = 64 * 1024;
constexpr uint64_t kImageOffset = 32 * 1024;
constexpr size_t kMaxAccesses = 200;

struct Host {
  alignas(4096) std::byte memory[kHostBytes];
};

void* host_memory(void* ctx, uint64_t iova, int, uint64_t* out_bytes) {
  if (iova < kHostBase || iova - kHostBase >= kHostBytes) return nullptr;
  *out_bytes = kHostBytes - (iova - kHostBase);
  return static_cast<Host*>(ctx)->memory + (iova - kHostBase);
}

const std::vector<uint8_t>& image() {
  static const std::vector<uint8_t> the_image = npu::test::firmware_image();
  return the_image;
}

npu_device* make_device(Host* host, bool boot_from_host) {
  npu_device_config config{};
  const auto key = npu::test::test_key().public_key;
  config.keys = reinterpret_cast<const uint8_t(*)[32]>(key.data());
  config.key_count = 1;
  config.boot_from_host = boot_from_host ? 1 : 0;
  config.struct_size = sizeof(config);
  config.worker_threads = 1;
  config.scalar_numerics = 1;
  config.max_queues = 8;
  config.max_contexts = 4;
  config.profile = npu::test::small_profile();
  config.profile.hbm_bytes = 2 << 20;
  const npu_device_ports ports{host, host_memory, [](void*, uint32_t) {}, nullptr, nullptr};
  char error[200];
  npu_device* device = npu_device_create(&config, &ports, error, sizeof(error));
  if (device == nullptr) std::abort();
  return device;
}

// A root table at 0 whose first 2 MiB are the whole HBM, readable and writable: half of the inputs
// then get as far as running queues.
void make_tables(npu_device* device) {
  auto* words = static_cast<uint64_t*>(npu_device_hbm(device));
  words[0] = 4096 | NPU_PTE_VALID;
  words[512] = 8192 | NPU_PTE_VALID;
  words[1024] = 0 | NPU_PTE_VALID | NPU_PTE_LEAF | NPU_PTE_WRITE;
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  uint64_t word(unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= uint64_t{byte()} << (8 * i);
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

uint64_t value_of(Input& input) {
  const uint8_t kind = input.byte();
  switch (kind % 6) {
    case 0:
      return kind / 6;
    case 1:
      return input.word(8);
    case 2:
      return uint64_t{input.byte()} * 4096;
    case 3:
      return 6 | 1 << 8 | (kind / 6 % 2) << 16;  // the shape of a queue
    case 4:
      return kHostBase + input.byte() * 64u;
    default:
      return ~uint64_t{0} >> (kind / 6);
  }
}

// A boot of the good image, or of what lies somewhere else.
void boot(npu_device* device, Input& input) {
  const uint8_t kind = input.byte();
  const uint64_t iova = kind % 4 == 0 ? value_of(input) : kHostBase + kImageOffset;
  const uint64_t bytes = kind % 4 == 1 ? value_of(input) : image().size();
  npu_device_mmio_write(device, 0, NPU_REG_FW_IOVA, 8, iova);
  npu_device_mmio_write(device, 0, NPU_REG_FW_BYTES, 4, bytes & UINT32_MAX);
  npu_device_mmio_write(device, 0, NPU_REG_CONTROL, 4,
                        kind % 8 < 6 ? NPU_CONTROL_BOOT : NPU_CONTROL_BOOT | NPU_CONTROL_RESET);
  // Half of the inputs go on when it has ended, unless it never does.
  uint64_t status = NPU_DEVICE_STATUS_BOOTING;
  for (int i = 0; kind % 2 == 0 && i < 10'000 && status == NPU_DEVICE_STATUS_BOOTING; ++i) {
    std::this_thread::yield();
    npu_device_mmio_read(device, 0, NPU_REG_STATUS, 4, &status);
  }
}

void inject(npu_device* device, Input& input) {
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG0, 8, input.byte() % 13u);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG1, 8, value_of(input));
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG2, 8, input.byte() % 4u);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_INJECT);
}

void one_access(npu_device* device, Input& input) {
  const uint8_t kind = input.byte();
  const uint32_t bar = kind / 7 % 5;
  const uint32_t size_bytes = 1u << (kind / 35 % 4);
  uint64_t value = 0;
  uint64_t offset = 0;
  switch (kind % 7) {
    case 0:
      npu_device_mmio_read(device, bar, input.word(3), size_bytes, &value);
      break;
    case 1:
      offset = input.word(3);
      npu_device_mmio_write(device, bar, offset, size_bytes, value_of(input));
      break;
    case 2:
      offset = NPU_REG_MBOX_ARG0 + kind / 7 % 8 * 8;
      npu_device_mmio_write(device, 0, offset, 8, value_of(input));
      break;
    case 3:
      npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, input.byte() % 19u);
      break;
    case 4:
      offset = NPU_BAR0_DOORBELLS + kind / 7 % 4 * 8;
      npu_device_mmio_write(device, 0, offset, 8, value_of(input) % 100);
      break;
    case 5:
      offset = input.byte() * 4096u;
      offset += input.byte() * 8u;
      npu_device_mmio_write(device, NPU_BAR_HBM, offset, 8, value_of(input));
      break;
    default:
      if (kind / 7 % 5 == 2) return boot(device, input);
      if (kind / 7 % 5 == 3) return inject(device, input);
      if (kind / 7 % 5 == 4) return npu_device_reset(device);
      // The device's own thread gets a turn.
      for (int i = 0; i < 64; ++i) std::this_thread::yield();
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto host = std::make_unique<Host>();
  std::memset(host->memory, 0, sizeof(host->memory));
  std::memcpy(host->memory + kImageOffset, image().data(), image().size());
  Input input(data, size);
  const uint8_t start = input.byte();
  npu_device* device = make_device(host.get(), start / 2 % 2 != 0);
  if (start % 2 == 0) make_tables(device);
  for (size_t i = 0; i < kMaxAccesses && !input.empty(); ++i) one_access(device, input);
  uint64_t id = 0;
  if (npu_device_mmio_read(device, 0, NPU_REG_ID, 4, &id) != 0 || id != 0x4e505530) std::abort();
  npu_device_destroy(device);
  return 0;
}
