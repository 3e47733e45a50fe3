// SPDX-License-Identifier: Apache-2.0
// One device of the server: the "driver" of an npu_device. It owns the device memory, bus addresses, numbers of
// contexts, queues and doorbell pages, and what waits for QUIESCE.
//
// Thread safety: the I/O thread owns it; device threads enter through the ports only (IovaMap, EventHub).
#ifndef NPU_MODEL_SERVER_DEVICE_H_
#define NPU_MODEL_SERVER_DEVICE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "firmware-model/device/cables.h"
#include "firmware-model/device/npu_device.h"
#include "firmware-model/server/account.h"
#include "firmware-model/server/engine_file.h"
#include "firmware-model/server/event_hub.h"
#include "firmware-model/server/exports.h"
#include "firmware-model/server/hbm.h"
#include "firmware-model/server/iova.h"
#include "firmware-model/server/metrics.h"
#include "firmware-model/server/number_pool.h"
#include "firmware-model/server/retire.h"
#include "firmware-model/server/table_pool.h"
#include "uapi/npu_accel.h"

namespace npu::model::server {

// A board keeps its name for life: the uuid depends on the profile and the place of the device alone (RFC 9562 version 8).
void fill_uuid(const npu_profile& profile, uint32_t index, uint8_t out[16]);

struct DeviceOptions {
  npu_profile profile{};
  uint32_t index = 0;
  uint32_t worker_threads = 0;
  bool scalar_numerics = false;
  bool checks = false;  // the checking mode of kernels
  bool production = false;
  std::vector<std::array<uint8_t, 32>> keys;
  std::vector<npu_injection> injections;
  std::vector<npu_port_config> ports;
  std::shared_ptr<Cables> cables;       // between ports; null: none
  std::shared_ptr<EngineFile> engines;  // null: nobody asks what engines do
  int io_event_fd = -1;                 // written when the I/O thread should look at events()
};

// Owner of queues.
class QueueListener {
 public:
  virtual ~QueueListener() = default;
  // The queue stopped at an error of its work.
  virtual void on_queue_fault(uint32_t queue, const npu_event_record& record) = 0;
  // A queue that is watched (EventHub::watch) has completed something.
  virtual void on_queue_progress(uint32_t queue) = 0;
};

// Who wants to hear of ports.
class PortListener {
 public:
  virtual ~PortListener() = default;
  virtual void on_port_state(uint32_t port, uint32_t state) = 0;
  // Changes were lost: every port may have another state.
  virtual void on_ports_lost() = 0;
};

class Device {
 public:
  // Null: |error| says why.
  static std::unique_ptr<Device> create(const DeviceOptions& options, std::string* error);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  npu_device* raw() const { return device_; }
  Hbm& hbm() { return *hbm_; }
  IovaMap& iova() { return iova_; }
  TablePool& tables() { return *tables_; }
  EventHub& events() { return events_; }
  Exports& exports() { return exports_; }
  Metrics& metrics() { return *metrics_; }
  bool is_letting_go() const { return retire_.has_fresh() || retire_.waiting(); }
  RetireList& retire() { return retire_; }
  NumberPool& contexts() { return contexts_; }
  NumberPool& queues() { return queues_; }
  NumberPool& doorbell_pages() { return doorbell_pages_; }

  const npu_profile& profile() const { return profile_; }
  const npu_limits& limits() const { return limits_; }
  npu_dev_info info() const;
  uint64_t reg(npu_reg reg) const;
  uint32_t epoch() const { return static_cast<uint32_t>(reg(NPU_REG_EPOCH)); }

  // Runs a mailbox command; enum npu_status.
  int mailbox(npu_mbox command, std::initializer_list<uint64_t> args, uint64_t* result = nullptr);

  // The account of a user on this device; connections charge to it.
  std::shared_ptr<Account> user_account(uint32_t uid);
  // What one connection may have.
  Limits connection_limits() const;

  // Gives back what the device has let go of, and asks about what was added since.
  void collect();

  // Makes memory free that the device has let go of. What an error left there is mended: the next
  // owner does not inherit it.
  void release_memory(const std::vector<Extent>& extents);

  // Who hears of a queue: set while the queue exists.
  void set_listener(uint32_t queue, QueueListener* listener) { listeners_[queue] = listener; }
  // Likewise, of ports; until it is taken away.
  void add_port_listener(PortListener* listener) { port_listeners_.push_back(listener); }
  void remove_port_listener(PortListener* listener) { std::erase(port_listeners_, listener); }
  // Hands out what the device threads have left: faults, progress, ports. Called when io_event_fd fires.
  void dispatch_events();

  // All ports, as the device tells of them now.
  std::vector<npu_port_info> ports();

  // HBM that objects of clients hold; kept by Bo.
  uint64_t object_bytes = 0;

 private:
  Device() = default;
  void make_limits();
  bool make_buffers(npu_event_record* ring);
  bool read_identity();

  static void* host_memory(void* ctx, uint64_t iova, int write, uint64_t* out_bytes);
  static void interrupt(void* ctx, uint32_t vector);
  static void port_traffic(void* ctx, uint32_t port, const npu_port_traffic* traffic);

  npu_profile profile_{};
  CableEnds cables_;
  uint32_t index_ = 0;
  bool checks_ = false;
  std::shared_ptr<EngineFile> engines_;
  npu_dev_info identity_{};  // name, uuid and build id, as the device tells them
  npu_limits limits_{};
  IovaMap iova_;
  EventHub events_;
  npu_device_ports ports_{};
  npu_device* device_ = nullptr;
  std::atomic<bool> had_error_{false};  // the device reported one of its own
  std::unique_ptr<Hbm> hbm_;
  std::unique_ptr<TablePool> tables_;
  std::unique_ptr<Metrics> metrics_;
  RetireList retire_;
  Exports exports_;
  NumberPool contexts_;
  NumberPool queues_;
  NumberPool doorbell_pages_;
  std::vector<QueueListener*> listeners_;  // by number of the queue
  std::vector<PortListener*> port_listeners_;
  std::array<uint64_t, sizeof(npu_port_info) / 8>
      port_buffer_{};  // where the device describes a port
  uint64_t port_buffer_iova_ = 0;
  std::map<uint32_t, std::weak_ptr<Account>> users_;
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_DEVICE_H_
