// SPDX-License-Identifier: Apache-2.0
// Bring-up of a device, its limits and identity, and the calls into npu_device.h.
#include "firmware-model/server/device.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "uapi/npu_status.h"

namespace npu::model::server {
namespace {

constexpr uint32_t kMaxQueues = 2048;
constexpr uint32_t kMaxContexts = 256;
constexpr uint64_t kMiB = 1ull << 20;

// 64-bit FNV-1a; an identity, not a protection.
uint64_t fingerprint(const std::string& text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ull ^ seed;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
  return hash;
}

void fill_id(const std::string& text, uint8_t out[16]) {
  for (unsigned half = 0; half < 2; ++half) {
    const uint64_t word = fingerprint(text, half);
    std::memcpy(out + half * 8, &word, 8);
  }
}

uint64_t host_memory_limit() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return 4096 * kMiB;
  const uint64_t bytes = static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
  return (bytes - bytes / 4) & ~(NPU_PAGE_2M - 1);
}

}  // namespace

void fill_uuid(const npu_profile& profile, uint32_t index, uint8_t out[16]) {
  fill_id(std::string("npu-model/") + profile.name + "/" + std::to_string(index), out);
  out[6] = static_cast<uint8_t>((out[6] & 0x0f) | 0x80);
  out[8] = static_cast<uint8_t>((out[8] & 0x3f) | 0x80);
}

namespace {

// |engines| has to live as long as |config| is used, and so has |options|.
void fill_config(const DeviceOptions& options, npu_device_config* config,
                 npu_engine_trace* engines) {
  config->struct_size = sizeof(*config);
  config->worker_threads = options.worker_threads;
  config->scalar_numerics = options.scalar_numerics ? 1 : 0;
  config->checks = options.checks ? 1 : 0;
  config->production = options.production ? 1 : 0;
  static_assert(sizeof(std::array<uint8_t, 32>) == 32);
  config->keys = reinterpret_cast<const uint8_t(*)[32]>(options.keys.data());
  config->key_count = static_cast<uint32_t>(options.keys.size());
  config->max_queues = kMaxQueues;
  config->max_contexts = kMaxContexts;
  config->profile = options.profile;
  fill_uuid(options.profile, options.index, config->uuid);
  config->injections = options.injections.data();
  config->injection_count = static_cast<uint32_t>(options.injections.size());
  config->ports = options.ports.data();
  config->port_count = static_cast<uint32_t>(options.ports.size());
  if (options.engines == nullptr) return;
  *engines = options.engines->of_device(options.index);
  config->engine_trace = engines;
}

}  // namespace

std::unique_ptr<Device> Device::create(const DeviceOptions& options, std::string* error) {
  std::unique_ptr<Device> device(new Device);
  device->profile_ = options.profile;
  device->index_ = options.index;
  device->checks_ = options.checks;

  device->engines_ = options.engines;
  npu_device_config config{};
  npu_engine_trace engines{};
  fill_config(options, &config, &engines);
  device->cables_ = CableEnds(options.cables, std::to_array(config.uuid), options.ports);
  device->ports_ = {device.get(), &Device::host_memory, &Device::interrupt, nullptr,
                    &Device::port_traffic};
  npu_event_record* ring = device->events_.prepare(kMaxQueues, options.io_event_fd);
  char text[512] = "";
  device->device_ = npu_device_create(&config, &device->ports_, text, sizeof(text));
  if (device->device_ == nullptr) {
    *error = text;
    return nullptr;
  }
  if (device->reg(NPU_REG_STATUS) != NPU_DEVICE_STATUS_READY) {
    const auto status = static_cast<int32_t>(device->reg(NPU_REG_FW_STATUS));
    *error = "the firmware of device " + std::to_string(options.index) +
             " does not run (FW_STATUS " + std::to_string(status) +
             "); start the model without the injected fault that keeps it from booting";
    return nullptr;
  }
  device->hbm_ = std::make_unique<Hbm>(static_cast<std::byte*>(npu_device_hbm(device->device_)),
                                       device->reg(NPU_REG_HBM_BYTES));
  device->tables_ = std::make_unique<TablePool>(device->hbm_.get());
  device->queues_.reset(static_cast<uint32_t>(device->reg(NPU_REG_MAX_QUEUES)));
  device->contexts_.reset(static_cast<uint32_t>(device->reg(NPU_REG_MAX_CONTEXTS)));
  device->doorbell_pages_.reset(static_cast<uint32_t>(device->reg(NPU_REG_DOORBELL_PAGES)));
  device->listeners_.resize(device->queues_.count());
  device->make_limits();

  if (!device->make_buffers(ring) || !device->read_identity()) {
    *error =
        "the device refuses the event ring or its identity; server and device model are of "
        "different versions, or a fault was injected into the mailbox";
    return nullptr;
  }
  npu_device_mmio_write(device->device_, NPU_BAR_REGS, NPU_REG_IRQ_MASK, 4,
                        NPU_IRQ_EVENT | NPU_IRQ_QUEUE | NPU_IRQ_ERROR);
  device->metrics_ = std::make_unique<Metrics>(device.get());
  device->cables_.plug(device->device_);
  return device;
}

Device::~Device() {
  cables_.unplug();
  if (device_ != nullptr) npu_device_destroy(device_);
}

void Device::port_traffic(void* ctx, uint32_t port, const npu_port_traffic* traffic) {
  static_cast<Device*>(ctx)->cables_.carry(port, *traffic);
}

// Memory that the device writes to.
bool Device::make_buffers(npu_event_record* ring) {
  uint64_t ring_iova = 0;
  const uint64_t ring_bytes = EventHub::kEntries * sizeof(npu_event_record);
  return iova_.add(reinterpret_cast<std::byte*>(ring), ring_bytes, true, &ring_iova) == 0 &&
         iova_.add(reinterpret_cast<std::byte*>(port_buffer_.data()), sizeof(port_buffer_), true,
                   &port_buffer_iova_) == 0 &&
         mailbox(NPU_MBOX_EVENT_RING, {ring_iova, EventHub::kEntries}) == NPU_ST_OK;
}

std::vector<npu_port_info> Device::ports() {
  std::vector<npu_port_info> ports(reg(NPU_REG_PORTS));
  for (uint32_t i = 0; i < ports.size(); ++i) {
    const int status = mailbox(NPU_MBOX_PORT, {i, port_buffer_iova_, sizeof(npu_port_info)});
    if (status == NPU_ST_OK) std::memcpy(&ports[i], port_buffer_.data(), sizeof(npu_port_info));
    ports[i].index = i;
  }
  return ports;
}

bool Device::read_identity() {
  uint8_t bytes[64];
  for (uint64_t word = 0; word < 8; ++word) {
    uint64_t value = 0;
    if (mailbox(NPU_MBOX_IDENTITY, {word}, &value) != NPU_ST_OK) return false;
    std::memcpy(bytes + word * 8, &value, 8);
  }
  static_assert(sizeof(identity_.name) == 32 && sizeof(identity_.uuid) == 16);
  std::memcpy(identity_.name, bytes, 32);
  std::memcpy(identity_.uuid, bytes + 32, 16);
  std::memcpy(identity_.fw_build_id, bytes + 48, 16);
  return true;
}

void* Device::host_memory(void* ctx, uint64_t iova, int write, uint64_t* out_bytes) {
  return static_cast<Device*>(ctx)->iova_.find(iova, write != 0, out_bytes);
}

void Device::interrupt(void* ctx, uint32_t vector) {
  auto* device = static_cast<Device*>(ctx);
  if (vector == 0 || vector == 2) device->events_.interrupt();
  if (vector == 3) device->had_error_.store(true, std::memory_order_relaxed);
}

void Device::release_memory(const std::vector<Extent>& extents) {
  hbm_->release(extents);
  if (!had_error_.load(std::memory_order_relaxed)) return;
  for (const Extent& extent : extents) mailbox(NPU_MBOX_HBM_CLEAR, {extent.offset, extent.bytes});
}

uint64_t Device::reg(npu_reg reg) const {
  // Width by the row of regs.def: a 32-bit register cannot be read as 64 bits.
  uint32_t bytes = 4;
  switch (reg) {
#define NPU_REG(offset, bits, NAME, access, reset, doc) \
  case NPU_REG_##NAME:                                  \
    bytes = bits / 8;                                   \
    break;
#include "uapi/spec/regs.def"
  }
  uint64_t value = 0;
  npu_device_mmio_read(device_, NPU_BAR_REGS, static_cast<uint64_t>(reg), bytes, &value);
  return value;
}

int Device::mailbox(npu_mbox command, std::initializer_list<uint64_t> args, uint64_t* result) {
  uint64_t words[8] = {};
  std::copy_n(args.begin(), std::min<size_t>(args.size(), 8), words);
  uint64_t answer = 0;
  const int status = npu_device_mailbox(device_, command, words, &answer);
  if (result != nullptr) *result = answer;
  return status;
}

void Device::collect() {
  if (retire_.has_fresh()) {
    uint64_t ticket = 0;
    mailbox(NPU_MBOX_QUIESCE, {}, &ticket);
    retire_.flush(ticket);
  }
  if (retire_.waiting()) retire_.drain(reg(NPU_REG_QUIESCED));
}

void Device::dispatch_events() {
  const HubNews news = events_.take();
  for (const npu_event_record& record : news.faults) {
    if (record.type == NPU_EVENT_OVERFLOW) {
      for (PortListener* listener : port_listeners_) listener->on_ports_lost();
      continue;
    }
    if (record.type == NPU_EVENT_PORT_STATE) {
      for (PortListener* listener : port_listeners_) {
        listener->on_port_state(record.queue, static_cast<uint32_t>(record.value));
      }
      continue;
    }
    QueueListener* listener = listeners_[record.queue];
    if (listener != nullptr) listener->on_queue_fault(record.queue, record);
  }
  for (const uint32_t queue : news.progressed) {
    QueueListener* listener = listeners_[queue];
    if (listener != nullptr) listener->on_queue_progress(queue);
  }
}

void Device::make_limits() {
  npu_limits& l = limits_;
  l.va_end = NPU_VA_USER_END;
  l.hbm_bytes_max = hbm_->total_bytes();
  l.pinned_bytes_max = host_memory_limit();
  l.bo_bytes_max = std::max(l.hbm_bytes_max, l.pinned_bytes_max) & ~(NPU_PAGE_2M - 1);
  l.queues_max = NPU_DOORBELL_SLOTS;
  l.queues_device_max = queues_.count();
  l.vms_max = 32;
  l.bos_max = 30000;  // each is a mapping of the server, which may have 65,530
  l.mrs_max = 0;
  l.notifies_max = 1024;
  l.bind_ops_max = NPU_MAX_BIND_OPS;
  l.wait_conditions_max = NPU_MAX_WAIT_CONDITIONS;
  l.copy_ops_max = NPU_MAX_COPY_OPS;
  l.copy_syncs_max = NPU_MAX_COPY_SYNCS;
  l.perf_counters_max = NPU_MAX_PERF_COUNTERS;
  l.ring_log2_min = NPU_RING_LOG2_MIN;
  l.ring_log2_max = NPU_RING_LOG2_MAX;
  // The device bounds a job by its count of operations already; the clock only ends what hangs.
  l.timeout_ms_default = 3'600'000;
  l.timeout_ms_max = 86'400'000;
}

Limits Device::connection_limits() const {
  Limits limits{};
  limits[static_cast<size_t>(Resource::kHbmBytes)] = limits_.hbm_bytes_max;
  limits[static_cast<size_t>(Resource::kSystemBytes)] = limits_.pinned_bytes_max;
  limits[static_cast<size_t>(Resource::kObjects)] = limits_.bos_max;
  limits[static_cast<size_t>(Resource::kVms)] = limits_.vms_max;
  limits[static_cast<size_t>(Resource::kQueues)] = limits_.queues_max;
  limits[static_cast<size_t>(Resource::kNotifies)] = limits_.notifies_max;
  limits[static_cast<size_t>(Resource::kPerf)] = 16;
  return limits;
}

std::shared_ptr<Account> Device::user_account(uint32_t uid) {
  std::shared_ptr<Account> account = users_[uid].lock();
  if (account == nullptr) {
    // Whoever runs the server may use all of it, another user half: there is room for a second one.
    const uint64_t share = uid == geteuid() || uid == 0 ? 1 : 2;
    Limits limits = connection_limits();
    for (uint64_t& limit : limits) limit *= 2;
    limits[static_cast<size_t>(Resource::kHbmBytes)] = limits_.hbm_bytes_max / share;
    limits[static_cast<size_t>(Resource::kSystemBytes)] = limits_.pinned_bytes_max / share;
    limits[static_cast<size_t>(Resource::kVms)] = contexts_.count() / share;
    limits[static_cast<size_t>(Resource::kQueues)] = queues_.count() / share;
    account = std::make_shared<Account>(limits, nullptr);
    std::erase_if(users_, [](const auto& user) { return user.second.expired(); });
    users_[uid] = account;
  }
  return account;
}

npu_dev_info Device::info() const {
  npu_dev_info info = identity_;
  info.features[0] = NPU_FEATURE_HBM_MMAP | NPU_FEATURE_PERF | (checks_ ? NPU_FEATURE_CHECK : 0);
  info.epoch = epoch();
  info.page_sizes = NPU_PAGE_4K | NPU_PAGE_64K | NPU_PAGE_2M;
  info.hbm_bytes = reg(NPU_REG_HBM_BYTES);
  info.l1_bytes = reg(NPU_REG_L1_BYTES);
  info.l2_bytes = reg(NPU_REG_L2_BYTES);
  info.acc_bytes = reg(NPU_REG_ACC_BYTES);
  info.uapi_major = NPU_UAPI_MAJOR;
  info.uapi_minor = NPU_UAPI_MINOR;
  const uint32_t abi = static_cast<uint32_t>(reg(NPU_REG_FW_ABI));
  info.fw_abi_major = abi >> 16;
  info.fw_abi_minor = abi & 0xffff;
  const uint32_t isa = static_cast<uint32_t>(reg(NPU_REG_ISA));
  info.isa_major = isa >> 16;
  info.isa_minor = isa & 0xffff;
  info.platform = static_cast<uint32_t>(reg(NPU_REG_PLATFORM));
  const bool ready = reg(NPU_REG_STATUS) == NPU_DEVICE_STATUS_READY;
  info.health = ready ? NPU_HEALTH_OK : NPU_HEALTH_WEDGED;
  info.clusters = static_cast<uint32_t>(reg(NPU_REG_CLUSTERS));
  info.tiles_per_cluster = static_cast<uint32_t>(reg(NPU_REG_TILES_PER_CLUSTER));
  info.ports = static_cast<uint32_t>(reg(NPU_REG_PORTS));
  info.va_bits = NPU_VA_BITS;
  info.core_clock_khz = profile_.core_clock_khz;
  info.hbm_clock_khz = profile_.hbm_clock_khz;
  info.doorbell_page_bytes = NPU_DOORBELL_PAGE_BYTES;
  info.index = index_;
  return info;
}

}  // namespace npu::model::server
