// SPDX-License-Identifier: Apache-2.0
// The device: registers, mailbox, contexts and queues, and the parts that do the work.
//
// Thread safety: any thread. Reading a register takes no lock. Lock order: the scheduler's mutex,
// then those of event ring, module tables and signal times.
#ifndef NPU_MODEL_DEVICE_DEVICE_H_
#define NPU_MODEL_DEVICE_DEVICE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "firmware-model/device/command_processor.h"
#include "firmware-model/device/context.h"
#include "firmware-model/device/event.h"
#include "firmware-model/device/firmware.h"
#include "firmware-model/device/interrupt.h"
#include "firmware-model/device/launch.h"
#include "firmware-model/device/loader.h"
#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/port.h"
#include "firmware-model/device/queue.h"
#include "firmware-model/device/ras.h"
#include "firmware-model/device/registers.h"
#include "firmware-model/device/scheduler.h"
#include "firmware-model/device/sensor.h"

namespace npu::model {

class Device {
 public:
  // nullptr, and a sentence in |error|, when the configuration is not possible.
  static std::unique_ptr<Device> create(const npu_device_config& config,
                                        const npu_device_ports& ports, std::string* error);
  ~Device();

  bool read(uint32_t bar, uint64_t offset, uint32_t size_bytes, uint64_t* value);
  bool write(uint32_t bar, uint64_t offset, uint32_t size_bytes, uint64_t value);
  // A command that never answers is NPU_ST_TIMEOUT here.
  npu_status mailbox(uint32_t command, std::span<const uint64_t, 8> args, uint64_t* result);
  // Ends all work; waits for another reset that is under way.
  void reset();

  // Host memory was withdrawn: all translations are forgotten; a ticket of QUIESCE.
  uint64_t host_changed();

  // Of the other end of |port|; any thread.
  void hear_traffic(uint32_t port, const npu_port_traffic& other_end);

  void* hbm() { return hbm_.base; }
  bool set_doorbells(uint32_t page, void* slots, void* aux);
  int wake_fd() { return scheduler_.waker().shared_fd(); }
  int page_wake_fd(uint32_t page);
  // nullptr when the context or the module has gone.
  std::shared_ptr<const Module> module(uint32_t context, uint32_t number);

 private:
  // The answer of a mailbox command; when it must wait until |until_stopped| does not run any more,
  // the rest follows then.
  struct Answer {
    npu_status status = NPU_ST_OK;
    uint64_t result = 0;
    std::shared_ptr<Queue> until_stopped;
    bool to_registers = false;  // the answer belongs into MBOX_STATUS and MBOX_RESULT
  };
  // Injected faults that wait for their occasion; they survive a reset.
  struct ArmedFaults {
    uint64_t boot_fail = 0;
    uint64_t boot_stall = 0;
    uint64_t mbox_stall = 0;
    uint32_t fw_abi = 0;
    uint64_t fw_abi_boots = 0;
    bool fw_assert = false;
  };
  static constexpr uint64_t kInjectedAssert = 0xdead;  // its code
  using Args = std::span<const uint64_t, 8>;
  using Lock = Scheduler::Lock;

  Device(const npu_device_config& config, const npu_device_ports& ports, const HbmWindow& hbm);
  static std::string check(const npu_device_config& config);
  void set_identity_registers();
  std::string inject_at_start(const npu_device_config& config);

  bool access_hbm(uint64_t offset, uint32_t size_bytes, bool write, uint64_t* value);
  void write_register(const RegisterRef& ref, uint64_t value);
  bool write_doorbell(uint64_t offset, uint32_t size_bytes, uint64_t value);
  void start_mailbox_command(uint32_t command);
  void finish_pending_answers();
  void answer_registers(const Answer& answer);

  // boot.cpp
  void start();
  void boot();
  void boot_built_in(Lock& lock);
  bool stall_boot();
  void run_boot(uint64_t iova, uint64_t bytes);
  void finish_boot(Lock& lock, npu_status status, const FirmwareInfo& info);
  bool firmware_runs() const;
  // Firmware dies of |reason|: STATUS is FAILED and no work is left.
  void stop_firmware(Lock& lock, npu_error_type reason, uint64_t info);
  void look_at_heat(Lock& lock);
  void end_all_work(Lock& lock);

  // inject.cpp
  npu_status inject(Lock& lock, uint32_t fault, uint64_t place, uint64_t count);
  npu_status inject_memory_error(uint32_t fault, uint64_t place, uint64_t count);
  npu_status inject_interrupts(uint32_t fault, uint64_t place, uint64_t count);
  npu_status inject_link(uint32_t fault, uint64_t place, uint64_t count);
  static npu_status inject_counted(uint64_t* counter, uint64_t place, uint64_t count);

  // Whether a command is refused, or swallowed (TIMEOUT), before anybody looks at it.
  npu_status admit_command();
  Answer begin_command(Lock& lock, uint32_t command, Args args);
  Answer report_command(Lock& lock, uint32_t command, Args args);
  Answer queue_command(Lock& lock, uint32_t command, Args args);
  Answer metric(Lock& lock, uint64_t id);
  Answer identity(uint64_t word) const;
  Answer port(Args args) const;
  void on_port_state(uint32_t port, npu_port_state state);
  void end_command(Queue& queue);
  Answer context_create(Args args);
  Answer context_destroy(Args args);
  Answer queue_create(Lock& lock, Args args);
  npu_status check_queue(const QueueConfig& config, uint32_t priority) const;
  npu_status check_net(const QueueConfig& config) const;
  Answer queue_destroy(Lock& lock, uint32_t id);
  Answer queue_suspend(Lock& lock, uint32_t id);
  npu_status hbm_clear(uint64_t offset, uint64_t bytes);
  npu_status admitted_hbm_clear(Args args);
  Context* context_of(uint64_t number);
  Queue* queue_of(uint64_t number);

  const npu_device_ports ports_;
  const npu_profile profile_;
  const std::array<uint8_t, 16> uuid_;
  const bool boot_from_host_;
  RegisterFile registers_;
  Interrupts interrupts_;
  EventRing events_;
  Ras ras_;
  const HbmWindow hbm_;
  Heartbeat heartbeat_;
  SignalTimes signals_;
  PortTraffic traffic_;
  ModuleCache module_cache_;
  BlobPolicy policy_;
  LaunchEngine launches_;
  std::unique_ptr<EngineTrace> engines_;  // null: not asked for
  CommandProcessor processor_;

  // Guarded by the scheduler's mutex.
  std::vector<std::shared_ptr<Context>> contexts_;
  std::vector<std::shared_ptr<Queue>> queues_;
  // Of commands written to MBOX_CMD; only the last one is to_registers.
  std::vector<Answer> pending_answers_;
  bool resetting_ = false;
  bool booting_ = false;  // boot_thread_ has not finished
  uint64_t last_owner_ = 0;
  FirmwareInfo firmware_;  // of the last good boot
  ArmedFaults armed_;
  Sensors sensors_;
  Sensors::Heat heat_ = Sensors::Heat::kNormal;
  std::thread boot_thread_;

  // Last: their threads use everything above. Guarded by the scheduler's mutex: the ports.
  Scheduler scheduler_;
  Ports network_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_DEVICE_H_
