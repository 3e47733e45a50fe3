// SPDX-License-Identifier: Apache-2.0
// The commands of a queue, except EXEC: every field is checked on a private copy, then the command
// acts.
//
// Thread safety: one thread at a time (the command processor); run() also from inside of step_aside().
#ifndef NPU_MODEL_DEVICE_COMMAND_H_
#define NPU_MODEL_DEVICE_COMMAND_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>

#include "firmware-model/device/dma.h"
#include "firmware-model/device/engine_trace.h"
#include "firmware-model/device/launch.h"
#include "firmware-model/device/loader.h"
#include "firmware-model/device/port_traffic.h"
#include "firmware-model/device/queue.h"
#include "firmware-model/device/registers.h"
#include "firmware-model/device/signal_times.h"

namespace npu::model {

// Virtual time that the command processor spends on a command that has no cost of its own
// (inferred: about 30 clocks of a small core).
inline constexpr uint64_t kCommandPs = 20'000;

// A command, copied by load_struct(), as the struct of its operator. In place: a copy is read in wider pieces than were written just now, and waits for them.
template <typename Body>
const Body& command_as(const npu_cmd& command) {
  static_assert(sizeof(Body) == sizeof(npu_cmd) && alignof(Body) == alignof(npu_cmd));
  return *std::launder(reinterpret_cast<const Body*>(&command));
}

// False: an unknown code, or a bit that must be 0 is set.
bool command_is_well_formed(const npu_cmd& command);

class CommandRunner {
 public:
  struct Parts {
    const npu_profile& profile;
    HbmWindow hbm;
    const BlobPolicy& policy;
    RegisterFile& registers;
    SignalTimes& signals;
    ModuleCache& module_cache;
    LaunchEngine& launches;
    PortTraffic& traffic;
    // Called where no access to memory is under way.
    std::function<void()> quiet;
    // Whether another queue has work that goes before that of this one; and to let it run, where no
    // access to memory is under way.
    std::function<bool(const Queue&)> urgent;
    std::function<void(const Queue&)> step_aside;
    // What crosses a port, for whoever knows its other end.
    PortTraffic::Tell tell_traffic;
    EngineTrace* engines = nullptr;  // null: nobody records what engines do
  };
  explicit CommandRunner(const Parts& parts) : parts_(parts), dma_(parts.profile, parts.hbm) {}

  // Runs a well-formed command that begins at |now_ps| of the queue's time.
  Outcome run(Queue& queue, const npu_cmd& command, uint64_t now_ps);
  // What the queue knows of a command that is a launch like one before; such a one is well-formed. nullptr: run() has to look.
  static PreparedLaunch* known(const Queue& queue, const npu_cmd& command) {
    const auto& launch = command_as<npu_cmd_launch>(command);
    uint64_t first = 0;  // operator, flags and tag
    std::memcpy(&first, &command, sizeof first);
    const auto& rest = launch.rsvd2;
    if (static_cast<uint32_t>(first) != NPU_CMD_LAUNCH || (rest[0] | rest[1] | rest[2]) != 0) {
      return nullptr;
    }
    return queue.launches.find(LaunchWords(launch), queue.context->modules.removals());
  }
  // As run(), of a launch that is known.
  Outcome run_known(Queue& queue, PreparedLaunch& known, const npu_cmd& command, uint64_t now_ps);
  // Likewise, of one work-group, as far as its record: nullptr when it cannot begin, and run_known() tells why.
  // What it did is there until the next one; what is not plain needs end_known() to end.
  LaunchOutcome* begin_known(Queue& queue, PreparedLaunch& known, const npu_cmd& command);
  Outcome end_known(Queue& queue, PreparedLaunch& known, const npu_cmd& command, uint64_t now_ps);

 private:
  static void put_in_time(const Queue& queue, uint64_t now_ps, Outcome* outcome);
  Outcome launch(Queue& queue, const npu_cmd_launch& command, uint64_t now_ps);
  Outcome launch_prepared(Queue& queue, PreparedLaunch& prepared, const npu_cmd_launch& command,
                          uint64_t now_ps);
  struct LaunchRun {
    const PreparedLaunch& prepared;
    const Module* module;  // when operations are recorded
    uint64_t start_ps;
  };
  Outcome end_of_launch(Queue& queue, const npu_cmd_launch& command, const LaunchRun& run,
                        LaunchOutcome& done);
  // How the command is to be run, or nullptr and why it is not.
  PreparedLaunch* prepare(Queue& queue, const npu_cmd_launch& command, npu_status* out_refusal);
  // False: *fault_dva cannot be read.
  static bool copy_arguments(Queue& queue, const npu_cmd_launch& command, uint64_t* fault_dva);
  Outcome fill(Queue& queue, const DmaJob& job, const npu_cmd_fill& command);
  Outcome copy(Queue& queue, const DmaJob& job, const npu_cmd_copy& command);
  // |rows|: each costs something beside its bytes.
  Outcome transfer(Queue& queue, const DmaResult& result, uint64_t rows);
  Outcome sem_wait(Queue& queue, const npu_cmd_sem& command, uint64_t now_ps);
  Outcome sem_signal(Queue& queue, const npu_cmd_sem& command, uint64_t now_ps);
  Outcome timestamp(Queue& queue, const npu_cmd_timestamp& command, uint64_t now_ps);
  Outcome module_load(Queue& queue, const npu_cmd_module& command);
  static Outcome set_print_buffer(Queue& queue, const npu_cmd_print_buffer& command);
  Outcome module_unload(Queue& queue, const npu_cmd_module& command);
  void account(Queue& queue, const LaunchOutcome& outcome);
  void add_energy(uint64_t macs, uint64_t hbm_bytes);

  const Parts parts_;
  Dma dma_;
  uint64_t energy_rest_fj_ = 0;
  LaunchOutcome known_outcome_;  // of begin_known()
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_COMMAND_H_
