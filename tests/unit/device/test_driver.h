// SPDX-License-Identifier: Apache-2.0
// A small driver of the device model for tests: page tables in HBM, memory in HBM and on the host,
// queues through the mailbox, events and interrupts.
//
// Thread safety: one test thread; the device's threads enter through the ports only. A mistake of
// the test itself ends it with a sentence.
#ifndef NPU_TESTS_UNIT_DEVICE_TEST_DRIVER_H_
#define NPU_TESTS_UNIT_DEVICE_TEST_DRIVER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "firmware-model/device/npu_device.h"
#include "uapi/npu_pagetable.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_regs.h"
#include "uapi/npu_status.h"
#include "uapi/npu_wire.h"

namespace npu::test {

// A chip of 2 clusters with 4 tiles each: small, with round numbers.
npu_profile small_profile();

struct DriverOptions {
  uint32_t worker_threads = 1;
  bool scalar_numerics = true;
  bool production = false;
  uint64_t min_counter = 0;
  uint32_t event_entries = 1024;
  bool shared_doorbells = false;  // doorbells in shared memory instead of registers
  npu_profile profile = small_profile();
  std::vector<std::array<uint8_t, 32>> keys;
  bool boot_from_host = false;  // then the device stays in ROM, and there is no event ring
  std::array<uint8_t, 16> uuid{};
  std::vector<npu_injection> injections;
  std::vector<npu_port_config> ports;
  std::string net_class;  // empty: the host's
};

enum class Place { kHbm, kHost };

// Memory that is mapped in a context.
struct Buffer {
  uint64_t dva = 0;
  uint64_t bytes = 0;
  uint64_t pa = 0;  // HBM offset or iova
  std::byte* data = nullptr;

  template <typename T>
  std::span<T> as() const {
    return {reinterpret_cast<T*>(data), static_cast<size_t>(bytes / sizeof(T))};
  }
};

class TestDriver;

// The user's side of one queue.
class TestQueue {
 public:
  // Writes a command (any npu_cmd_* struct) without ringing; its number.
  template <typename Command>
  uint64_t push(const Command& command) {
    static_assert(sizeof(Command) == NPU_CMD_BYTES);
    return push_bytes(&command);
  }
  void ring();
  void ring_value(uint64_t value);
  // push, ring, wait.
  template <typename Command>
  npu_completion run(const Command& command) {
    const uint64_t seq = push(command);
    ring();
    return wait(seq);
  }
  // Sleeps until command |seq| has ended; ends the test after a minute.
  npu_completion wait(uint64_t seq);
  // Likewise, looking all the time.
  npu_completion spin(uint64_t seq);
  npu_completion record(uint64_t seq) const;

  uint64_t completed() const;
  npu_queue_state state() const;
  npu_queue_ctrl* ctrl() const { return reinterpret_cast<npu_queue_ctrl*>(control.data); }

  TestDriver* driver = nullptr;
  uint32_t id = 0;
  uint32_t context = 0;
  uint32_t log2 = 6;
  uint32_t doorbell_slot = 0;
  uint64_t written = 0;
  Buffer ring_memory;
  Buffer control;

 private:
  uint64_t push_bytes(const void* command);
};

class TestDriver {
 public:
  explicit TestDriver(const DriverOptions& options = {});
  ~TestDriver();
  TestDriver(const TestDriver&) = delete;
  TestDriver& operator=(const TestDriver&) = delete;

  npu_device* device() const { return device_; }
  uint64_t reg(npu_reg reg, uint32_t size_bytes) const;
  int mailbox(uint32_t command, std::initializer_list<uint64_t> args, uint64_t* result = nullptr);
  void* hbm() const { return hbm_; }

  uint32_t create_context();
  uint64_t root(uint32_t context) const { return roots_.at(context); }
  // Changes page tables; the device is told by flush().
  void map(uint32_t context, uint64_t dva, uint64_t bytes, uint64_t pa, uint64_t flags);
  void unmap(uint32_t context, uint64_t dva, uint64_t bytes);
  void flush(uint32_t context);

  uint64_t hbm_alloc(uint64_t bytes, uint64_t align_bytes = NPU_PAGE_64K);
  // Whole 4 KiB pages of host memory, zero, known to the device at the returned iova.
  uint64_t host_alloc(uint64_t bytes);
  std::byte* host_data(uint64_t iova) const { return host_.at(iova).data; }
  Buffer make_buffer(uint32_t context, uint64_t bytes, Place place = Place::kHbm,
                     uint64_t flags = NPU_PTE_WRITE);
  // Host memory of another driver, which has to outlive this one, mapped here too.
  Buffer map_of_another(uint32_t context, const Buffer& theirs);

  struct QueueOptions {
    uint32_t log2 = 6;
    uint32_t priority = NPU_PRIO_NORMAL;
    uint32_t queue_class = NPU_QUEUE_COMPUTE;
    uint64_t budget = 0;
    Place place = Place::kHost;
    uint64_t port_mask = 0;  // of class NET
    uint32_t mtu_bytes = 0;
  };
  TestQueue create_queue(uint32_t context) { return create_queue(context, QueueOptions()); }
  TestQueue create_queue(uint32_t context, const QueueOptions& options);
  int destroy_queue(TestQueue& queue) { return mailbox(NPU_MBOX_QUEUE_DESTROY, {queue.id}); }
  // Loads a blob on |queue|; the record's result is the module.
  npu_completion load_module(TestQueue& queue, std::span<const uint8_t> blob);

  // Event records that have arrived since the last call.
  std::vector<npu_event_record> take_events();
  // Sleeps until an event of this type arrives; events before it are dropped.
  npu_event_record wait_event(npu_event_type type);
  // Sleeps until condition() is true; looks at each interrupt.
  template <typename Condition>
  bool wait_until(Condition condition) {
    std::unique_lock lock(mutex_);
    return interrupted_.wait_for(lock, std::chrono::seconds(60), condition);
  }
  uint64_t interrupts(uint32_t vector) const { return vectors_[vector].load(); }
  // Takes host memory away from the ports.
  void forget_host(uint64_t iova);

 private:
  friend class TestQueue;
  uint64_t add_host(std::byte* data, uint64_t bytes);
  uint64_t next_dva(uint64_t bytes);
  static void* host_memory(void* ctx, uint64_t iova, int write, uint64_t* out_bytes);
  static void interrupt(void* ctx, uint32_t vector);
  npu_pt_ops table_ops();

  struct HostPiece {
    std::byte* data;
    uint64_t bytes;
  };
  npu_device* device_ = nullptr;
  std::byte* hbm_ = nullptr;
  uint64_t hbm_bytes_ = 0;
  uint64_t hbm_next_ = 0;
  mutable std::mutex host_mutex_;
  std::map<uint64_t, HostPiece> host_;
  std::vector<std::byte*> host_storage_;
  uint64_t iova_next_ = 0x10'0000'0000;
  uint64_t dva_next_ = 0x4000'0000;
  std::map<uint32_t, uint64_t> roots_;
  uint32_t next_context_ = 0;
  uint32_t next_queue_ = 0;
  uint32_t event_entries_ = 0;
  std::byte* event_ring_ = nullptr;
  uint64_t events_read_ = 0;
  std::byte* doorbells_ = nullptr;  // shared: slots, then aux
  std::array<std::atomic<uint64_t>, NPU_MSIX_VECTORS> vectors_{};
  std::mutex mutex_;
  std::condition_variable interrupted_;
};

// Commands with everything that must be 0 set to 0.
npu_cmd nop();
npu_cmd_fill fill(uint64_t dst_dva, uint64_t bytes, uint64_t pattern, uint32_t pattern_bytes);
npu_cmd_copy copy(uint64_t src_dva, uint64_t dst_dva, uint64_t bytes);
npu_cmd_sem sem_wait(uint64_t dva, uint64_t value, npu_sem_op op = NPU_SEM_WAIT_GE);
npu_cmd_sem sem_signal(uint64_t dva, uint64_t value, npu_sem_op op = NPU_SEM_SET);
npu_cmd_timestamp timestamp(uint64_t dva);
npu_cmd_launch launch(uint32_t module, uint32_t kernel, std::array<uint32_t, 3> grid,
                      uint64_t args_dva, uint32_t args_bytes);
npu_cmd_exec exec(uint64_t list_dva, uint32_t count, uint64_t records_dva = 0);
npu_cmd_module module_unload(uint32_t module);

}  // namespace npu::test

#endif  // NPU_TESTS_UNIT_DEVICE_TEST_DRIVER_H_
