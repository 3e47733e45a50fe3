// SPDX-License-Identifier: Apache-2.0
// The test driver.
#include "tests/unit/device/test_driver.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "test driver: %s\n", what);
  std::abort();
}

void require(bool holds, const char* what) {
  if (!holds) give_up(what);
}

uint64_t load(const __u64& word) {
  return std::atomic_ref<__u64>(const_cast<__u64&>(word)).load(std::memory_order_acquire);
}

}  // namespace

npu_profile small_profile() {
  npu_profile profile{};
  std::snprintf(profile.name, sizeof(profile.name), "small");
  profile.clusters = 2;
  profile.tiles_per_cluster = 4;
  profile.l1_bytes = 64 * 1024;
  profile.l2_bytes = 256 * 1024;
  profile.acc_bytes = 16 * 1024;
  profile.core_clock_khz = 1'000'000;
  profile.mac_per_cycle_bf16 = 512;
  profile.mac_per_cycle_f32 = 256;
  profile.mac_per_cycle_fp8 = 512;
  profile.mac_per_cycle_i8 = 512;
  profile.mac_per_cycle_fp6 = 512;
  profile.mac_per_cycle_fp4 = 512;
  profile.mac_per_cycle_fp8_fp4 = 512;
  profile.vector_lanes = 32;
  profile.dma_setup_cycles = 100;
  profile.mm_fill_cycles = 32;
  profile.vector_setup_cycles = 8;
  profile.l1_port_bytes_per_cycle = 64;
  profile.l2_bytes_per_cycle = 1024;
  profile.noc_bytes_per_cycle = 1024;
  profile.launch_overhead_ns = 1000;
  profile.hbm_bytes = 64 << 20;
  profile.hbm_mbytes_per_s = 100'000;
  profile.host_mbytes_per_s = 10'000;
  profile.hbm_clock_khz = 1'000'000;
  profile.power_idle_mw = 1000;
  profile.power_limit_mw = 10000;
  profile.pj_per_mac_f32 = 2000;
  profile.pj_per_mac_bf16 = 1000;
  profile.pj_per_hbm_byte = 5000;
  return profile;
}

TestDriver::TestDriver(const DriverOptions& options) {
  npu_device_config config{};
  config.struct_size = sizeof(config);
  config.worker_threads = options.worker_threads;
  config.scalar_numerics = options.scalar_numerics ? 1 : 0;
  config.production = options.production ? 1 : 0;
  config.min_counter = options.min_counter;
  std::vector<std::array<uint8_t, 32>> keys = options.keys;
  if (keys.empty()) keys.push_back(test_key().public_key);
  config.keys = reinterpret_cast<const uint8_t(*)[32]>(keys.data());
  config.key_count = static_cast<uint32_t>(keys.size());
  config.profile = options.profile;
  config.boot_from_host = options.boot_from_host ? 1 : 0;
  std::memcpy(config.uuid, options.uuid.data(), sizeof(config.uuid));
  config.injections = options.injections.data();
  config.injection_count = static_cast<uint32_t>(options.injections.size());
  config.ports = options.ports.data();
  config.port_count = static_cast<uint32_t>(options.ports.size());
  if (!options.net_class.empty()) config.net_class = options.net_class.c_str();
  const npu_device_ports ports{this, &TestDriver::host_memory, &TestDriver::interrupt, nullptr,
                               nullptr};
  char error[256] = "";
  device_ = npu_device_create(&config, &ports, error, sizeof(error));
  require(device_ != nullptr, error);
  hbm_ = static_cast<std::byte*>(npu_device_hbm(device_));
  hbm_bytes_ = options.profile.hbm_bytes;
  event_entries_ = reg(NPU_REG_STATUS, 4) == NPU_DEVICE_STATUS_READY ? options.event_entries : 0;
  if (event_entries_ != 0) {
    const uint64_t iova = host_alloc(uint64_t{event_entries_} * sizeof(npu_event_record));
    event_ring_ = host_.at(iova).data;
    require(mailbox(NPU_MBOX_EVENT_RING, {iova, event_entries_}) == NPU_ST_OK, "event ring");
  }
  if (options.shared_doorbells) {
    doorbells_ = host_.at(host_alloc(2 * NPU_DOORBELL_PAGE_BYTES)).data;
    require(
        npu_device_set_doorbells(device_, 0, doorbells_, doorbells_ + NPU_DOORBELL_PAGE_BYTES) == 0,
        "doorbells");
  }
  npu_device_mmio_write(device_, NPU_BAR_REGS, NPU_REG_IRQ_MASK, 4,
                        NPU_IRQ_EVENT | NPU_IRQ_MAILBOX | NPU_IRQ_QUEUE | NPU_IRQ_ERROR);
}

TestDriver::~TestDriver() {
  npu_device_destroy(device_);
  for (std::byte* storage : host_storage_) std::free(storage);
}

void* TestDriver::host_memory(void* ctx, uint64_t iova, int, uint64_t* out_bytes) {
  auto* driver = static_cast<TestDriver*>(ctx);
  std::lock_guard lock(driver->host_mutex_);
  auto piece = driver->host_.upper_bound(iova);
  if (piece == driver->host_.begin()) return nullptr;
  --piece;
  const uint64_t offset = iova - piece->first;
  if (offset >= piece->second.bytes) return nullptr;
  *out_bytes = piece->second.bytes - offset;
  return piece->second.data + offset;
}

void TestDriver::interrupt(void* ctx, uint32_t vector) {
  auto* driver = static_cast<TestDriver*>(ctx);
  driver->vectors_[vector].fetch_add(1);
  // The empty section orders the news before a waiter that is about to sleep.
  { std::lock_guard lock(driver->mutex_); }
  driver->interrupted_.notify_all();
}

uint64_t TestDriver::reg(npu_reg reg, uint32_t size_bytes) const {
  uint64_t value = 0;
  require(npu_device_mmio_read(device_, NPU_BAR_REGS, reg, size_bytes, &value) == 0, "register");
  return value;
}

int TestDriver::mailbox(uint32_t command, std::initializer_list<uint64_t> args, uint64_t* result) {
  uint64_t words[8] = {};
  size_t n = 0;
  for (const uint64_t arg : args) words[n++] = arg;
  uint64_t answer = 0;
  const int status = npu_device_mailbox(device_, command, words, &answer);
  if (result != nullptr) *result = answer;
  return status;
}

npu_pt_ops TestDriver::table_ops() {
  npu_pt_ops ops{};
  ops.ctx = this;
  ops.hbm_bytes = hbm_bytes_;
  ops.read64 = [](void* ctx, __u64 offset, __u64* value) {
    *value = load(*reinterpret_cast<__u64*>(static_cast<TestDriver*>(ctx)->hbm_ + offset));
    return 0;
  };
  ops.write64 = [](void* ctx, __u64 offset, __u64 value) {
    auto* word = reinterpret_cast<__u64*>(static_cast<TestDriver*>(ctx)->hbm_ + offset);
    std::atomic_ref<__u64>(*word).store(value, std::memory_order_release);
  };
  ops.alloc_table = [](void* ctx, __u32 bytes, __u64* offset) {
    *offset = static_cast<TestDriver*>(ctx)->hbm_alloc(bytes, bytes);
    return 0;
  };
  // Tables are not used again: the device is destroyed with its memory after each test.
  ops.free_table = [](void*, __u64, __u32) {};
  return ops;
}

uint32_t TestDriver::create_context() {
  const npu_pt_ops ops = table_ops();
  __u64 root = 0;
  require(npu_pt_create(&ops, &root) == 0, "root table");
  const uint32_t context = next_context_++;
  require(mailbox(NPU_MBOX_CONTEXT_CREATE, {context, root}) == NPU_ST_OK, "context");
  roots_[context] = root;
  return context;
}

void TestDriver::map(uint32_t context, uint64_t dva, uint64_t bytes, uint64_t pa, uint64_t flags) {
  const npu_pt_ops ops = table_ops();
  require(npu_pt_prepare_map(&ops, root(context), dva, bytes, pa, flags) == 0 &&
              npu_pt_commit_map(&ops, root(context), dva, bytes, pa, flags) == 0,
          "map");
}

void TestDriver::unmap(uint32_t context, uint64_t dva, uint64_t bytes) {
  const npu_pt_ops ops = table_ops();
  require(npu_pt_prepare_unmap(&ops, root(context), dva, bytes) == 0 &&
              npu_pt_commit_unmap(&ops, root(context), dva, bytes) == 0,
          "unmap");
}

void TestDriver::flush(uint32_t context) {
  require(mailbox(NPU_MBOX_TLB_FLUSH, {context}) == NPU_ST_OK, "flush");
}

uint64_t TestDriver::hbm_alloc(uint64_t bytes, uint64_t align_bytes) {
  const uint64_t at = (hbm_next_ + align_bytes - 1) / align_bytes * align_bytes;
  require(at + bytes <= hbm_bytes_, "the test needs more HBM than the profile has");
  hbm_next_ = at + bytes;
  return at;
}

uint64_t TestDriver::host_alloc(uint64_t bytes) {
  const uint64_t whole = (bytes + NPU_PAGE_4K - 1) / NPU_PAGE_4K * NPU_PAGE_4K;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(NPU_PAGE_4K, whole));
  std::memset(data, 0, whole);
  host_storage_.push_back(data);
  return add_host(data, whole);
}

uint64_t TestDriver::add_host(std::byte* data, uint64_t bytes) {
  std::lock_guard lock(host_mutex_);
  const uint64_t iova = iova_next_;
  iova_next_ += bytes + NPU_PAGE_64K;  // a gap: pieces never run into each other
  iova_next_ = (iova_next_ + NPU_PAGE_4K - 1) / NPU_PAGE_4K * NPU_PAGE_4K;
  host_[iova] = {data, bytes};
  return iova;
}

void TestDriver::forget_host(uint64_t iova) {
  std::lock_guard lock(host_mutex_);
  host_.erase(iova);
}

// The same place in its page on both sides; a hole between buffers.
uint64_t TestDriver::next_dva(uint64_t bytes) {
  const uint64_t dva = dva_next_;
  dva_next_ += (bytes + NPU_PAGE_2M - 1) / NPU_PAGE_2M * NPU_PAGE_2M + NPU_PAGE_2M;
  return dva;
}

Buffer TestDriver::map_of_another(uint32_t context, const Buffer& theirs) {
  Buffer buffer = theirs;
  buffer.dva = next_dva(theirs.bytes);
  buffer.pa = add_host(theirs.data, theirs.bytes);
  map(context, buffer.dva, theirs.bytes, buffer.pa, NPU_PTE_WRITE | NPU_PTE_SYSTEM);
  return buffer;
}

Buffer TestDriver::make_buffer(uint32_t context, uint64_t bytes, Place place, uint64_t flags) {
  const uint64_t page = place == Place::kHbm ? NPU_PAGE_64K : NPU_PAGE_4K;
  Buffer buffer;
  buffer.bytes = bytes;
  const uint64_t whole = (bytes + page - 1) / page * page;
  buffer.dva = next_dva(whole);
  if (place == Place::kHbm) {
    buffer.pa = hbm_alloc(whole, NPU_PAGE_64K);
    buffer.data = hbm_ + buffer.pa;
    map(context, buffer.dva, whole, buffer.pa, flags);
  } else {
    buffer.pa = host_alloc(whole);
    buffer.data = host_.at(buffer.pa).data;
    map(context, buffer.dva, whole, buffer.pa, flags | NPU_PTE_SYSTEM);
  }
  return buffer;
}

TestQueue TestDriver::create_queue(uint32_t context, const QueueOptions& options) {
  TestQueue queue;
  queue.driver = this;
  queue.context = context;
  queue.id = next_queue_++;
  queue.log2 = options.log2;
  queue.doorbell_slot = queue.id % NPU_DOORBELL_SLOTS;
  const uint64_t entries = uint64_t{1} << options.log2;
  queue.ring_memory = make_buffer(context, entries * NPU_CMD_BYTES, options.place, 0);
  queue.control =
      make_buffer(context, NPU_CTRL_BYTES + entries * NPU_COMPLETION_BYTES, options.place);
  const uint64_t shape = options.log2 | uint64_t{options.priority} << 8 |
                         uint64_t{options.queue_class} << 16 | uint64_t{options.mtu_bytes} << 32;
  const uint64_t doorbell = uint64_t{queue.id / NPU_DOORBELL_SLOTS} << 16 | queue.doorbell_slot;
  require(mailbox(NPU_MBOX_QUEUE_CREATE,
                  {queue.id, context, queue.ring_memory.dva, queue.control.dva, shape, doorbell,
                   options.budget, options.port_mask}) == NPU_ST_OK,
          "queue");
  return queue;
}

npu_completion TestDriver::load_module(TestQueue& queue, std::span<const uint8_t> blob) {
  const Buffer buffer = make_buffer(queue.context, std::max<size_t>(1, blob.size()));
  if (!blob.empty()) std::memcpy(buffer.data, blob.data(), blob.size());
  npu_cmd_module command{};
  command.op = NPU_CMD_MODULE_LOAD;
  command.blob_dva = buffer.dva;
  command.blob_bytes = blob.size();
  return queue.run(command);
}

std::vector<npu_event_record> TestDriver::take_events() {
  std::vector<npu_event_record> taken;
  for (;;) {
    auto* record =
        reinterpret_cast<npu_event_record*>(event_ring_) + (events_read_ & (event_entries_ - 1));
    if (load(record->seq) != events_read_ + 1) return taken;
    taken.push_back(*record);
    ++events_read_;
  }
}

npu_event_record TestDriver::wait_event(npu_event_type type) {
  npu_event_record found{};
  const bool arrived = wait_until([&] {
    for (const npu_event_record& record : take_events()) {
      if (record.type == type) found = record;
    }
    return found.type == type;
  });
  require(arrived, "no such event within a minute");
  return found;
}

uint64_t TestQueue::push_bytes(const void* command) {
  const uint64_t slot = written & ((uint64_t{1} << log2) - 1);
  std::memcpy(ring_memory.data + slot * NPU_CMD_BYTES, command, NPU_CMD_BYTES);
  return written++;
}

void TestQueue::ring() { ring_value(written); }

void TestQueue::ring_value(uint64_t value) {
  const uint32_t page = id / NPU_DOORBELL_SLOTS;
  if (driver->doorbells_ == nullptr || page != 0) {
    const uint64_t offset =
        NPU_BAR0_DOORBELLS + uint64_t{page} * NPU_DOORBELL_PAGE_BYTES + doorbell_slot * 8;
    npu_device_mmio_write(driver->device(), NPU_BAR_REGS, offset, 8, value);
    return;
  }
  auto* slots = reinterpret_cast<__u64*>(driver->doorbells_);
  auto* aux = reinterpret_cast<npu_doorbell_aux*>(driver->doorbells_ + NPU_DOORBELL_PAGE_BYTES);
  std::atomic_ref<__u64>(slots[doorbell_slot]).store(value, std::memory_order_release);
  std::atomic_ref<__u64>(aux->pending[doorbell_slot / 64])
      .fetch_or(1ull << (doorbell_slot % 64), std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (std::atomic_ref<__u32>(aux->device_sleeping).load() != 0) {
    eventfd_write(npu_device_wake_fd(driver->device()), 1);
  }
}

npu_completion TestQueue::record(uint64_t seq) const {
  const uint64_t slot = seq & ((uint64_t{1} << log2) - 1);
  npu_completion result;
  std::memcpy(&result, control.data + NPU_CTRL_BYTES + slot * NPU_COMPLETION_BYTES, sizeof(result));
  return result;
}

uint64_t TestQueue::completed() const { return load(ctrl()->completed); }

npu_queue_state TestQueue::state() const {
  return static_cast<npu_queue_state>(
      std::atomic_ref<__u32>(ctrl()->state).load(std::memory_order_acquire));
}

npu_completion TestQueue::wait(uint64_t seq) {
  std::atomic_ref<__u64>(ctrl()->interrupt_at).store(seq + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!driver->wait_until([&] { return completed() > seq; })) give_up("a command did not end");
  return record(seq);
}

npu_completion TestQueue::spin(uint64_t seq) {
  while (completed() <= seq) {
  }
  return record(seq);
}

npu_cmd nop() { return {}; }

npu_cmd_fill fill(uint64_t dst_dva, uint64_t bytes, uint64_t pattern, uint32_t pattern_bytes) {
  npu_cmd_fill command{};
  command.op = NPU_CMD_FILL;
  command.dst_dva = dst_dva;
  command.width_bytes = bytes;
  command.pattern = pattern;
  command.pattern_bytes = pattern_bytes;
  command.height = 1;
  return command;
}

npu_cmd_copy copy(uint64_t src_dva, uint64_t dst_dva, uint64_t bytes) {
  npu_cmd_copy command{};
  command.op = NPU_CMD_COPY;
  command.src_dva = src_dva;
  command.dst_dva = dst_dva;
  command.width_bytes = bytes;
  command.height = 1;
  command.depth = 1;
  return command;
}

npu_cmd_sem sem_wait(uint64_t dva, uint64_t value, npu_sem_op op) {
  npu_cmd_sem command{};
  command.op = NPU_CMD_SEM_WAIT;
  command.sem_dva = dva;
  command.value = value;
  command.sem_op = op;
  return command;
}

npu_cmd_sem sem_signal(uint64_t dva, uint64_t value, npu_sem_op op) {
  npu_cmd_sem command = sem_wait(dva, value, op);
  command.op = NPU_CMD_SEM_SIGNAL;
  return command;
}

npu_cmd_timestamp timestamp(uint64_t dva) {
  npu_cmd_timestamp command{};
  command.op = NPU_CMD_TIMESTAMP;
  command.dst_dva = dva;
  return command;
}

npu_cmd_launch launch(uint32_t module, uint32_t kernel, std::array<uint32_t, 3> grid,
                      uint64_t args_dva, uint32_t args_bytes) {
  npu_cmd_launch command{};
  command.op = NPU_CMD_LAUNCH;
  command.module = module;
  command.kernel = kernel;
  command.grid_x = grid[0];
  command.grid_y = grid[1];
  command.grid_z = grid[2];
  command.args_bytes = args_bytes;
  command.args_dva = args_dva;
  return command;
}

npu_cmd_exec exec(uint64_t list_dva, uint32_t count, uint64_t records_dva) {
  npu_cmd_exec command{};
  command.op = NPU_CMD_EXEC;
  command.list_dva = list_dva;
  command.count = count;
  command.records_dva = records_dva;
  return command;
}

npu_cmd_module module_unload(uint32_t module) {
  npu_cmd_module command{};
  command.op = NPU_CMD_MODULE_UNLOAD;
  command.module = module;
  return command;
}

}  // namespace npu::test
