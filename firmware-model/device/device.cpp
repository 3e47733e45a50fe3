// SPDX-License-Identifier: Apache-2.0
// Life of a device and its BARs.
#include "firmware-model/device/device.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "firmware-model/device/thread.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "uapi/npu_isa.h"
#include "uapi/npu_pagetable.h"

namespace npu::model {
namespace {

constexpr uint32_t kDefaultQueues = 1024;
constexpr uint32_t kDefaultContexts = 256;
constexpr uint32_t kMaxQueues = 65536;
constexpr uint32_t kMaxContexts = 65535;  // the event record has 16 bits
constexpr uint32_t kMaxKeys = 64;
constexpr uint32_t kMaxTiles = 65536;
constexpr uint32_t kMaxThreads = 1024;
constexpr uint64_t kMaxHbmBytes = uint64_t{1} << 46;

BlobPolicy make_policy(const npu_device_config& config) {
  BlobPolicy policy;
  policy.keys.resize(config.key_count);
  for (uint32_t i = 0; i < config.key_count; ++i) {
    std::memcpy(policy.keys[i].data(), config.keys[i], policy.keys[i].size());
  }
  policy.production = config.production != 0;
  policy.min_counter = config.min_counter;
  policy.l1_bytes = config.profile.l1_bytes;
  policy.l2_bytes = config.profile.l2_bytes;
  policy.acc_bytes = config.profile.acc_bytes;
  policy.tiles_per_cluster = config.profile.tiles_per_cluster;
  return policy;
}

}  // namespace

std::string Device::check(const npu_device_config& config) {
  const npu_profile& profile = config.profile;
  if (config.struct_size != sizeof(npu_device_config)) {
    return "npu_device_config.struct_size is not that of this library; build both from one version";
  }
  if (config.pad1 != 0) return "npu_device_config.pad1 is not 0; zero the struct before filling it";
  if (config.key_count > kMaxKeys || (config.key_count != 0 && config.keys == nullptr)) {
    return "keys must point to key_count public keys, at most 64";
  }
  if (config.max_queues > kMaxQueues || config.max_contexts > kMaxContexts) {
    return "max_queues may be 65536 and max_contexts 65535 at most";
  }
  if (config.boot_from_host > 1) return "boot_from_host is 0 or 1";
  if (config.injection_count != 0 && config.injections == nullptr) {
    return "injections must point to injection_count faults";
  }
  if (std::string problem = Ports::check(config); !problem.empty()) return problem;
  if (config.worker_threads > kMaxThreads) return "worker_threads may be 1024 at most";
  if (profile.clusters == 0 || profile.tiles_per_cluster == 0 ||
      uint64_t{profile.clusters} * profile.tiles_per_cluster > kMaxTiles) {
    return "the profile needs clusters and tiles_per_cluster, 65536 tiles together at most";
  }
  if (profile.core_clock_khz == 0 || profile.hbm_mbytes_per_s == 0 ||
      profile.host_mbytes_per_s == 0 || profile.mac_per_cycle_bf16 == 0 ||
      profile.mac_per_cycle_f32 == 0 || profile.mac_per_cycle_fp8 == 0 ||
      profile.mac_per_cycle_i8 == 0 || profile.mac_per_cycle_fp6 == 0 ||
      profile.mac_per_cycle_fp4 == 0 || profile.mac_per_cycle_fp8_fp4 == 0 ||
      profile.vector_lanes == 0 || profile.l1_port_bytes_per_cycle == 0 ||
      profile.l2_bytes_per_cycle < profile.tiles_per_cluster ||
      profile.noc_bytes_per_cycle < profile.tiles_per_cluster) {
    return "the profile has a clock or rate of 0; fill in all of core_clock_khz, hbm_mbytes_per_s, "
           "host_mbytes_per_s, mac_per_cycle_*, vector_lanes and l1_port_bytes_per_cycle, "
           "and a byte a tile of l2_bytes_per_cycle and noc_bytes_per_cycle";
  }
  if (profile.hbm_bytes == 0 || profile.hbm_bytes % NPU_PAGE_2M != 0 ||
      profile.hbm_bytes > kMaxHbmBytes) {
    return "the profile's hbm_bytes must be a multiple of 2 MiB, at most 2^46";
  }
  return {};
}

std::unique_ptr<Device> Device::create(const npu_device_config& config,
                                       const npu_device_ports& ports, std::string* error) {
  *error = check(config);
  if (!error->empty()) return nullptr;
  if (ports.host_memory == nullptr) {
    *error = "ports.host_memory is missing; give a function that resolves host addresses";
    return nullptr;
  }
  if (!init_crypto()) {
    *error = "libsodium does not start; check that the system can give random numbers";
    return nullptr;
  }
  HbmWindow hbm;
  hbm.bytes = config.profile.hbm_bytes;
  void* base = mmap(nullptr, hbm.bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    *error =
        "no room for the address range of the device memory; lower hbm_bytes in the profile, "
        "or raise the limit of virtual memory (ulimit -v)";
    return nullptr;
  }
  madvise(base, hbm.bytes, MADV_DONTDUMP);
  hbm.base = static_cast<std::byte*>(base);
  std::unique_ptr<Device> device(new Device(config, ports, hbm));
  *error = device->scheduler_.open();
  if (!error->empty()) return nullptr;
  *error = device->inject_at_start(config);
  if (!error->empty()) return nullptr;
  device->start();
  return device;
}

std::string Device::inject_at_start(const npu_device_config& config) {
  Lock lock(scheduler_);
  for (uint32_t i = 0; i < config.injection_count; ++i) {
    const npu_injection& injection = config.injections[i];
    if (injection.pad != 0 ||
        inject(lock, injection.fault, injection.place, injection.count) != NPU_ST_OK) {
      return "injected fault " + std::to_string(injection.fault) +
             " does not exist or cannot be at place " + std::to_string(injection.place) + ", " +
             std::to_string(injection.count) + " times; see its row in uapi/spec/ras.def";
    }
  }
  return {};
}

Device::Device(const npu_device_config& config, const npu_device_ports& ports, const HbmWindow& hbm)
    : ports_(ports),
      profile_(config.profile),
      uuid_(std::to_array(config.uuid)),
      boot_from_host_(config.boot_from_host != 0),
      interrupts_(registers_, ports_),
      events_(ports_),
      ras_(registers_, interrupts_, ports_),
      hbm_{hbm.base, hbm.bytes, &ras_.poison()},
      policy_(make_policy(config)),
      launches_(profile_, config.worker_threads,
                config.scalar_numerics != 0 ? scalar_numerics() : simd_numerics(),
                config.checks != 0),
      engines_(config.engine_trace == nullptr
                   ? nullptr
                   : std::make_unique<EngineTrace>(*config.engine_trace, profile_)),
      processor_({profile_, hbm_, policy_, registers_, signals_, module_cache_, launches_, traffic_,
                  [this] { scheduler_.quiet(); },
                  [this](const Queue& queue) { return scheduler_.urgent(queue); },
                  [this](const Queue& queue) { scheduler_.step_aside(queue); },
                  [this](uint32_t port, const npu_port_traffic& part) {
                    if (ports_.port_traffic != nullptr)
                      ports_.port_traffic(ports_.ctx, port, &part);
                  },
                  engines_.get()},
                 events_, interrupts_),
      contexts_(config.max_contexts != 0 ? config.max_contexts : kDefaultContexts),
      queues_(config.max_queues != 0 ? config.max_queues : kDefaultQueues),
      sensors_(profile_, registers_, [this] { return scheduler_.busy_wall_ns(); }),
      // A copy by the port may have to wait for a virtual machine.
      scheduler_(processor_, registers_, ports_.host_copy == nullptr),
      network_(
          config, traffic_,
          [this](const std::function<void()>& body) {
            Lock lock(scheduler_);
            body();
          },
          [this](uint32_t port, npu_port_state state) { on_port_state(port, state); }) {
  scheduler_.set_after_command([this] { finish_pending_answers(); });
  set_identity_registers();
}

Device::~Device() {
  if (boot_thread_.joinable()) boot_thread_.join();
  scheduler_.stop();
  munmap(hbm_.base, hbm_.bytes);
}

void Device::set_identity_registers() {
  registers_.set(NPU_REG_PLATFORM, NPU_PLATFORM_MODEL);
  registers_.set(NPU_REG_ISA, uint64_t{NPU_ISA_MAJOR} << 16 | NPU_ISA_MINOR);
  registers_.set(NPU_REG_CLUSTERS, profile_.clusters);
  registers_.set(NPU_REG_TILES_PER_CLUSTER, profile_.tiles_per_cluster);
  registers_.set(NPU_REG_L1_BYTES, profile_.l1_bytes);
  registers_.set(NPU_REG_L2_BYTES, profile_.l2_bytes);
  registers_.set(NPU_REG_ACC_BYTES, profile_.acc_bytes);
  registers_.set(NPU_REG_HBM_BYTES, profile_.hbm_bytes);
  registers_.set(NPU_REG_CORE_CLOCK_KHZ, profile_.core_clock_khz);
  registers_.set(NPU_REG_HBM_MBYTES_PER_S,
                 static_cast<uint32_t>(std::min<uint64_t>(profile_.hbm_mbytes_per_s, UINT32_MAX)));
  registers_.set(NPU_REG_MAX_QUEUES, queues_.size());
  registers_.set(NPU_REG_MAX_CONTEXTS, contexts_.size());
  registers_.set(NPU_REG_DOORBELL_PAGES, Doorbells::kPages);
  registers_.set(NPU_REG_PORTS, network_.count());
}

bool Device::access_hbm(uint64_t offset, uint32_t size_bytes, bool write, uint64_t* value) {
  const bool width_fits = size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8;
  if (!width_fits || offset % size_bytes != 0 || offset > hbm_.bytes - size_bytes) return false;
  const auto access = [&]<typename T>(T) {
    std::atomic_ref<T> cell(*reinterpret_cast<T*>(hbm_.base + offset));
    if (write) {
      cell.store(static_cast<T>(*value), std::memory_order_relaxed);
    } else {
      *value = cell.load(std::memory_order_relaxed);
    }
  };
  switch (size_bytes) {
    case 1:
      access(uint8_t{});
      break;
    case 2:
      access(uint16_t{});
      break;
    case 4:
      access(uint32_t{});
      break;
    default:
      access(uint64_t{});
      break;
  }
  return true;
}

bool Device::read(uint32_t bar, uint64_t offset, uint32_t size_bytes, uint64_t* value) {
  if (bar == NPU_BAR_HBM) return access_hbm(offset, size_bytes, false, value);
  if (bar != NPU_BAR_REGS) return false;
  const auto ref = decode_register(offset, size_bytes);
  if (!ref) return false;
  uint64_t whole = ref->access == RegisterAccess::WO ? 0 : registers_.get(ref->reg);
  if (ref->reg == NPU_REG_BUSY_WALL_NS) whole = scheduler_.busy_wall_ns();
  if (ref->reg == NPU_REG_HEARTBEAT) whole = heartbeat_.count();
  *value = registers_.read_part(*ref, whole);
  return true;
}

bool Device::write(uint32_t bar, uint64_t offset, uint32_t size_bytes, uint64_t value) {
  if (bar == NPU_BAR_HBM) return access_hbm(offset, size_bytes, true, &value);
  if (bar != NPU_BAR_REGS) return false;
  if (offset >= NPU_BAR0_DOORBELLS) return write_doorbell(offset, size_bytes, value);
  const auto ref = decode_register(offset, size_bytes);
  if (!ref) return false;
  write_register(*ref, value);
  return true;
}

void Device::write_register(const RegisterRef& ref, uint64_t value) {
  switch (ref.reg) {
    case NPU_REG_CONTROL:
      if ((value & NPU_CONTROL_RESET) != 0) reset();
      if ((value & NPU_CONTROL_BOOT) != 0) boot();
      break;
    case NPU_REG_IRQ_STATUS:
      interrupts_.acknowledge(static_cast<uint32_t>(value));
      break;
    case NPU_REG_IRQ_MASK:
      interrupts_.set_mask(static_cast<uint32_t>(value));
      break;
    case NPU_REG_MBOX_CMD:
      start_mailbox_command(static_cast<uint32_t>(value));
      break;
    default:
      if (ref.access == RegisterAccess::RW) registers_.write_part(ref, value);
      break;
  }
}

bool Device::write_doorbell(uint64_t offset, uint32_t size_bytes, uint64_t value) {
  if (size_bytes != 8 || offset % 8 != 0 || offset >= NPU_BAR0_BYTES) return false;
  const uint64_t slot = (offset - NPU_BAR0_DOORBELLS) / 8;
  Lock lock(scheduler_);
  const bool wake =
      scheduler_.doorbells().ring(static_cast<uint32_t>(slot / NPU_DOORBELL_SLOTS),
                                  static_cast<uint32_t>(slot % NPU_DOORBELL_SLOTS), value);
  if (wake) scheduler_.kick(lock);
  return true;
}

bool Device::set_doorbells(uint32_t page, void* slots, void* aux) {
  const bool both = (slots == nullptr) == (aux == nullptr);
  const bool aligned =
      (reinterpret_cast<uintptr_t>(slots) | reinterpret_cast<uintptr_t>(aux)) % 64 == 0;
  if (page >= Doorbells::kPages || !both || !aligned) return false;
  Lock lock(scheduler_);
  if (slots == nullptr) scheduler_.waker().close_page_fd(page);
  scheduler_.doorbells().set_memory(page, slots, aux, registers_.get(NPU_REG_EPOCH),
                                    scheduler_.asleep());
  // Somebody may have rung before the page was known.
  scheduler_.kick(lock);
  return true;
}

int Device::page_wake_fd(uint32_t page) {
  if (page >= Doorbells::kPages) return -1;
  Lock lock(scheduler_);
  return scheduler_.waker().page_fd(page);
}

std::shared_ptr<const Module> Device::module(uint32_t context, uint32_t number) {
  Lock lock(scheduler_);
  const Context* found = context_of(context);
  return found == nullptr ? nullptr : found->modules.find(number);
}

}  // namespace npu::model
