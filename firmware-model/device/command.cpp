// SPDX-License-Identifier: Apache-2.0
// Field checks and effects of each command.
#include "firmware-model/device/command.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "firmware-model/device/shared_memory.h"
#include "firmware-model/device/virtual_time.h"

namespace npu::model {
namespace {

constexpr uint64_t kMaxGroups = uint64_t{1} << 31;
// Blocks of a list, or of a ring, lie behind each other: one miss then serves many.
constexpr uint64_t kArgumentsAheadBytes = 64 * 1024;
// What takes a host about as long as a scalar instruction, for Queue::turn_work.
constexpr uint64_t kMacsPerWork = 512;
constexpr uint64_t kVectorOpsPerWork = 32;
// Read or written in caches; from memory it takes some five times as long.
constexpr uint64_t kBytesPerWork = 1024;

template <typename T>
bool zero(const T& words) {
  for (const auto word : words) {
    if (word != 0) return false;
  }
  return true;
}

// Returns the new value. Not inlined: where the addend lives on in another branch, g++ 12.2 -O2
// lets xadd overwrite it before the sum is made (2 * old).
[[gnu::noinline]] uint64_t add_word(std::byte* word, uint64_t addend) {
  std::atomic_ref<uint64_t> cell(*reinterpret_cast<uint64_t*>(word));
  return cell.fetch_add(addend, std::memory_order_acq_rel) + addend;
}

// An outcome that ends |duration_ps| after the start of its command; run() adds the start.
Outcome lasting(uint64_t duration_ps) {
  Outcome outcome;
  outcome.end_ps = duration_ps;
  return outcome;
}

// How a launch ended: what it did, or where it failed.
void put_end(const LaunchOutcome& done, const npu_cmd_launch& command, Outcome* out) {
  out->status = done.fault.status;
  if (out->status == NPU_ST_OK) {
    out->launched = true;
    out->mac_ops = done.stats.mac_ops;
    out->tensor_ps = done.tensor_ps;
    out->hbm_read_bytes = done.stats.hbm_read_bytes;
    out->hbm_write_bytes = done.stats.hbm_write_bytes;
    return;
  }
  out->result = done.fault.value;
  if (out->status == NPU_ST_VM_FAULT) out->fault_dva = done.fault.value;
  out->pc = done.fault.pc;
  out->line = done.fault.line;
  out->module = command.module;
  out->kernel = static_cast<uint16_t>(command.kernel);
  out->tile = static_cast<uint16_t>(done.fault_tile);
  out->group = static_cast<uint32_t>(done.fault_group);
  out->access = done.fault.access;
  out->engine = done.fault.engine;
}

constexpr uint64_t kPrintRecordsAt = sizeof(npu_print_ctrl);

// Appends what a launch has printed, as far as there is room.
[[gnu::noinline]] Outcome write_prints(Queue& queue, const npu_cmd_launch& command,
                                       GroupPrints& prints) {
  PrintBuffer& buffer = queue.print_buffer;
  std::byte* ctrl = buffer.memory.get(queue.space(), buffer.dva, kPrintRecordsAt, NPU_ACCESS_WRITE);
  if (ctrl == nullptr) return Outcome::vm_fault(buffer.dva, NPU_ACCESS_WRITE);
  // pairs with libnpu/src/core/print_buffer.cpp : PrintBuffer::take
  // The word is the user's: a count that was never written means that there is no room.
  const uint64_t unread =
      buffer.written - load_word(ctrl + offsetof(npu_print_ctrl, read), std::memory_order_acquire);
  uint64_t room = unread > buffer.entries() ? 0 : buffer.entries() - unread;
  buffer.dropped += prints.dropped;
  for (npu_print_record& record : prints.records) {
    record.seq = queue.completed;
    record.module = command.module;
    record.kernel = static_cast<__u16>(command.kernel);
    if (room == 0) {
      ++buffer.dropped;
      continue;
    }
    const uint64_t slot = buffer.written % buffer.entries();
    const uint64_t dva = buffer.dva + kPrintRecordsAt + slot * sizeof(record);
    std::byte* at = buffer.memory.get(queue.space(), dva, sizeof(record), NPU_ACCESS_WRITE);
    if (at == nullptr) return Outcome::vm_fault(dva, NPU_ACCESS_WRITE);
    store_struct(at, record);
    ++buffer.written;
    --room;
  }
  ctrl = buffer.memory.get(queue.space(), buffer.dva, kPrintRecordsAt, NPU_ACCESS_WRITE);
  if (ctrl == nullptr) return Outcome::vm_fault(buffer.dva, NPU_ACCESS_WRITE);
  store_word(ctrl + offsetof(npu_print_ctrl, dropped), buffer.dropped);
  // pairs with libnpu/src/core/print_buffer.cpp : PrintBuffer::take
  store_word(ctrl + offsetof(npu_print_ctrl, written), buffer.written, std::memory_order_release);
  return {};
}

}  // namespace

bool command_is_well_formed(const npu_cmd& command) {
  if (command.flags != 0 || command.rsvd != 0) return false;
  switch (command.op) {
    case NPU_CMD_NOP:
    case NPU_CMD_FENCE:
      return zero(command.body);
    case NPU_CMD_LAUNCH:
      return zero(command_as<npu_cmd_launch>(command).rsvd2);
    case NPU_CMD_COPY:
      return true;
    case NPU_CMD_FILL:
      return zero(command_as<npu_cmd_fill>(command).rsvd2);
    case NPU_CMD_SEM_WAIT:
    case NPU_CMD_SEM_SIGNAL: {
      const auto& sem = command_as<npu_cmd_sem>(command);
      const uint32_t last = command.op == NPU_CMD_SEM_WAIT ? NPU_SEM_WAIT_NE : NPU_SEM_ADD;
      return sem.sem_op <= last && sem.rsvd2 == 0 && zero(sem.rsvd3);
    }
    case NPU_CMD_TIMESTAMP:
      return zero(command_as<npu_cmd_timestamp>(command).rsvd2);
    case NPU_CMD_EXEC: {
      const auto& exec = command_as<npu_cmd_exec>(command);
      return exec.rsvd2 == 0 && zero(exec.rsvd3);
    }
    case NPU_CMD_MODULE_LOAD:
    case NPU_CMD_MODULE_UNLOAD: {
      const auto& module = command_as<npu_cmd_module>(command);
      if (!zero(module.rsvd3)) return false;
      if (command.op == NPU_CMD_MODULE_LOAD) return module.module == 0 && module.check_only <= 1;
      return module.blob_dva == 0 && module.blob_bytes == 0 && module.check_only == 0;
    }
    case NPU_CMD_PRINT_BUFFER: {
      const auto& print = command_as<npu_cmd_print_buffer>(command);
      if (print.rsvd2 != 0 || !zero(print.rsvd3)) return false;
      if (print.print_dva == 0) return print.print_log2 == 0;
      return print.print_log2 >= NPU_PRINT_LOG2_MIN && print.print_log2 <= NPU_PRINT_LOG2_MAX;
    }
    default:
      return false;
  }
}

// An outcome that lasts as long as its end says, of a command that began at |now_ps|.
void CommandRunner::put_in_time(const Queue& queue, uint64_t now_ps, Outcome* outcome) {
  if (outcome->status == NPU_ST_VM_FAULT) [[unlikely]]
    outcome->status = queue.space().fault_status(outcome->fault_dva, outcome->access);
  if (outcome->end_ps == 0) outcome->end_ps = kCommandPs;  // refused before it cost anything
  outcome->end_ps = later_ps(now_ps, outcome->end_ps);
}

Outcome CommandRunner::run(Queue& queue, const npu_cmd& command, uint64_t now_ps) {
  const DmaJob job{queue.space(), queue.cancel, queue.config.budget};
  const auto dispatch = [&]() -> Outcome {
    switch (command.op) {
      case NPU_CMD_LAUNCH:
        return launch(queue, command_as<npu_cmd_launch>(command), now_ps);
      case NPU_CMD_COPY:
        return copy(queue, job, command_as<npu_cmd_copy>(command));
      case NPU_CMD_FILL:
        return fill(queue, job, command_as<npu_cmd_fill>(command));
      case NPU_CMD_SEM_WAIT:
        return sem_wait(queue, command_as<npu_cmd_sem>(command), now_ps);
      case NPU_CMD_SEM_SIGNAL:
        return sem_signal(queue, command_as<npu_cmd_sem>(command), now_ps);
      case NPU_CMD_TIMESTAMP:
        return timestamp(queue, command_as<npu_cmd_timestamp>(command), now_ps);
      case NPU_CMD_FENCE:
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return lasting(kCommandPs);
      case NPU_CMD_MODULE_LOAD:
        return module_load(queue, command_as<npu_cmd_module>(command));
      case NPU_CMD_MODULE_UNLOAD:
        return module_unload(queue, command_as<npu_cmd_module>(command));
      case NPU_CMD_PRINT_BUFFER:
        return set_print_buffer(queue, command_as<npu_cmd_print_buffer>(command));
      default:
        return lasting(kCommandPs);
    }
  };
  Outcome outcome = dispatch();
  put_in_time(queue, now_ps, &outcome);
  return outcome;
}

bool CommandRunner::copy_arguments(Queue& queue, const npu_cmd_launch& command,
                                   uint64_t* fault_dva) {
  PreparedLaunches::Arguments& out = queue.launches.arguments();
  for (uint32_t at = 0; at < command.args_bytes; at += 8) {
    *fault_dva = command.args_dva + at;
    const std::byte* word =
        queue.args_memory.get(queue.space(), *fault_dva, 8, NPU_ACCESS_READ, kArgumentsAheadBytes);
    if (word == nullptr) return false;
    out[at / 8] = load_word(word);
  }
  return true;
}

PreparedLaunch* CommandRunner::prepare(Queue& queue, const npu_cmd_launch& command,
                                       npu_status* out_refusal) {
  const Module* const module = queue.module.get(queue.context->modules, command.module);
  *out_refusal = NPU_ST_BAD_MODULE;
  if (module == nullptr || command.kernel >= module->kernels.size()) return nullptr;
  const Kernel& kernel = *module->kernels[command.kernel];
  *out_refusal = NPU_ST_BAD_LAUNCH;
  const uint64_t plane = uint64_t{command.grid_x} * command.grid_y;
  if (plane == 0 || plane > kMaxGroups || command.grid_z == 0 ||
      plane * command.grid_z > kMaxGroups || command.args_bytes != kernel.program.args_bytes) {
    return nullptr;
  }
  PreparedLaunch& prepared =
      queue.launches.make(LaunchWords(command), queue.context->modules.removals());
  LaunchRequest& request = prepared.request;
  request.kernel = &kernel;
  request.launch.space = &queue.space();
  request.launch.args =
      std::as_bytes(std::span(queue.launches.arguments())).first(command.args_bytes);
  request.launch.grid = {command.grid_x, command.grid_y, command.grid_z};
  request.launch.cancel = &queue.cancel;
  request.launch.owner = queue.context->owner;
  request.budget = queue.config.budget;
  request.records_ops = parts_.engines != nullptr;
  if (plane * command.grid_z > 1) {
    request.urgent = [this, &queue] { return parts_.urgent(queue); };
    request.step_aside = [this, &queue] { parts_.step_aside(queue); };
  }
  return &prepared;
}

Outcome CommandRunner::run_known(Queue& queue, PreparedLaunch& known, const npu_cmd& command,
                                 uint64_t now_ps) {
  Outcome outcome = launch_prepared(queue, known, command_as<npu_cmd_launch>(command), now_ps);
  put_in_time(queue, now_ps, &outcome);
  return outcome;
}

[[gnu::always_inline]] inline void CommandRunner::account(Queue& queue,
                                                          const LaunchOutcome& outcome) {
  const GroupStats& stats = outcome.stats;
  const uint64_t bytes = stats.hbm_read_bytes + stats.hbm_write_bytes;
  queue.turn_work += stats.instructions + stats.mac_ops / kMacsPerWork +
                     stats.vector_ops / kVectorOpsPerWork + bytes / kBytesPerWork;
  RegisterFile& registers = parts_.registers;
  registers.add(NPU_REG_LAUNCHES, 1);
  registers.add(NPU_REG_BUSY_PS, outcome.duration_ps);
  if (bytes != 0) registers.add(NPU_REG_BYTES_MOVED, bytes);
  add_energy(outcome.stats.mac_ops, bytes);
}

LaunchOutcome* CommandRunner::begin_known(Queue& queue, PreparedLaunch& known,
                                          const npu_cmd& command) {
  const auto& launch = command_as<npu_cmd_launch>(command);
  uint64_t fault_dva = 0;
  if (launch.args_dva % 8 != 0) [[unlikely]]
    return nullptr;
  if (launch.args_bytes != 0 && !copy_arguments(queue, launch, &fault_dva)) return nullptr;
  known_outcome_.renew();
  known.request.prints_most = queue.print_buffer.entries();
  parts_.launches.run_again(known.request, &known_outcome_);
  account(queue, known_outcome_);
  return &known_outcome_;
}

Outcome CommandRunner::end_known(Queue& queue, PreparedLaunch& known, const npu_cmd& command,
                                 uint64_t now_ps) {
  const auto& launch = command_as<npu_cmd_launch>(command);
  const Module* module = nullptr;
  if (known_outcome_.ops != nullptr) {
    module = queue.module.get(queue.context->modules, launch.module);
  }
  Outcome outcome = end_of_launch(queue, launch, {known, module, now_ps}, known_outcome_);
  known_outcome_ = {};
  put_in_time(queue, now_ps, &outcome);
  return outcome;
}

Outcome CommandRunner::launch(Queue& queue, const npu_cmd_launch& command, uint64_t now_ps) {
  npu_status refusal = NPU_ST_OK;
  PreparedLaunch* const prepared = prepare(queue, command, &refusal);
  if (prepared == nullptr) return Outcome::error(refusal);
  return launch_prepared(queue, *prepared, command, now_ps);
}

Outcome CommandRunner::launch_prepared(Queue& queue, PreparedLaunch& prepared,
                                       const npu_cmd_launch& command, uint64_t now_ps) {
  // As in tile.cpp : Worker::run_fresh, the marks keep the way of all launches from being compiled for size.
  if (command.args_dva % 8 != 0) [[unlikely]]
    return Outcome::error(NPU_ST_UNALIGNED_ACCESS);
  uint64_t fault_dva = 0;
  if (!copy_arguments(queue, command, &fault_dva)) [[unlikely]]
    return Outcome::vm_fault(fault_dva, NPU_ACCESS_READ);
  LaunchRequest& request = prepared.request;
  // The queue's hold on it: a launch that steps aside may find the module removed when it comes back.
  const Module* module = nullptr;
  if (request.groups != 1 || request.records_ops) {
    module = queue.module.get(queue.context->modules, command.module);
  }
  request.prints_most = queue.print_buffer.entries();
  LaunchOutcome done = parts_.launches.run(request, parts_.quiet);
  const uint64_t work_before = queue.turn_work;
  account(queue, done);
  prepared.work = queue.turn_work - work_before;
  return end_of_launch(queue, command, {prepared, module, now_ps}, done);
}

// The report of a fault as the last records of the launch.
[[gnu::noinline]] void add_report(LaunchOutcome* done) {
  const std::string& text = *done->report;
  constexpr size_t kBytes = sizeof(npu_print_record::args);
  const size_t bytes = std::min(text.size(), kBytes * NPU_PRINT_REPORT_MAX);
  if (done->prints == nullptr) done->prints = std::make_unique<GroupPrints>();
  for (size_t begin = 0; begin < bytes; begin += kBytes) {
    npu_print_record record{};
    record.line = done->fault.line;
    record.tile = done->fault.tile_in_group;
    record.group = static_cast<__u32>(done->fault_group);
    record.flags = NPU_PRINT_REPORT;
    std::memcpy(record.args, text.data() + begin, std::min(kBytes, bytes - begin));
    done->prints->records.push_back(record);
  }
}

// One variable for all ways out: it is the caller's, and is not copied.
Outcome CommandRunner::end_of_launch(Queue& queue, const npu_cmd_launch& command,
                                     const LaunchRun& run, LaunchOutcome& done) {
  if (done.ops != nullptr) [[unlikely]] {
    const std::string& name = run.prepared.request.kernel->program.name;
    parts_.engines->write({queue.config.id, run.start_ps, name}, *run.module, done);
  }
  Outcome outcome;
  outcome.end_ps = done.duration_ps;
  // Whoever removed the queue while it had stepped aside has not waited: see Scheduler::stopped().
  if (queue.cancel.load(std::memory_order_relaxed)) {
    outcome.status = NPU_ST_CANCELED;
    return outcome;
  }
  if (done.report != nullptr && queue.print_buffer.entries() != 0) [[unlikely]]
    add_report(&done);
  if (done.prints != nullptr) [[unlikely]] {
    const Outcome written = write_prints(queue, command, *done.prints);
    if (written.status != NPU_ST_OK && done.fault.status == NPU_ST_OK) {
      outcome.status = written.status;
      outcome.result = outcome.fault_dva = written.fault_dva;
      outcome.access = written.access;
      return outcome;
    }
  }
  put_end(done, command, &outcome);
  return outcome;
}

void CommandRunner::add_energy(uint64_t macs, uint64_t hbm_bytes) {
  using Wide = unsigned __int128;
  if (macs == 0 && hbm_bytes == 0) return;
  const Wide femtojoule = Wide{macs} * parts_.profile.pj_per_mac_f32 +
                          Wide{hbm_bytes} * parts_.profile.pj_per_hbm_byte + energy_rest_fj_;
  parts_.registers.add(NPU_REG_ENERGY_NJ, static_cast<uint64_t>(femtojoule / 1'000'000));
  energy_rest_fj_ = static_cast<uint64_t>(femtojoule % 1'000'000);
}

Outcome CommandRunner::fill(Queue& queue, const DmaJob& job, const npu_cmd_fill& command) {
  return transfer(queue, dma_.fill(job, command), command.height);
}

Outcome CommandRunner::copy(Queue& queue, const DmaJob& job, const npu_cmd_copy& command) {
  const uint64_t rows = uint64_t{command.height} * command.depth;
  if (queue.config.queue_class != NPU_QUEUE_NET) {
    return transfer(queue, dma_.copy(job, command), rows);
  }
  const uint64_t mask = queue.config.port_mask;
  if (!parts_.traffic.has_link(mask)) return Outcome::error(NPU_ST_LINK_DOWN);
  DmaJob crossing = job;
  crossing.crosses = true;
  DmaResult result = dma_.copy(crossing, command);
  // What crossed before an error did so.
  const std::optional<uint64_t> wire_ps = parts_.traffic.carry(
      mask, queue.config.mtu_bytes, result.sent_bytes, result.received_bytes, parts_.tell_traffic);
  if (!wire_ps && result.status == NPU_ST_OK) result.status = NPU_ST_LINK_DOWN;
  // Memory of the other side lies behind the ports: the link to the host takes no part.
  result.duration_ps = std::max(dma_.duration_ps(result.hbm_bytes, 0),
                                later_ps(dma_.duration_ps(0, 0), wire_ps.value_or(0)));
  return transfer(queue, result, rows);
}

Outcome CommandRunner::transfer(Queue& queue, const DmaResult& result, uint64_t rows) {
  queue.turn_work += (result.hbm_bytes + result.host_bytes) / kBytesPerWork + rows;
  parts_.registers.add(NPU_REG_BYTES_MOVED, result.hbm_bytes);
  add_energy(0, result.hbm_bytes);
  if (result.status == NPU_ST_VM_FAULT) return Outcome::vm_fault(result.fault_dva, result.access);
  Outcome outcome = lasting(result.duration_ps);
  outcome.status = result.status;
  return outcome;
}

Outcome CommandRunner::sem_wait(Queue& queue, const npu_cmd_sem& command, uint64_t now_ps) {
  if (command.sem_dva % 8 != 0) return Outcome::error(NPU_ST_UNALIGNED_ACCESS);
  const uint64_t generation = queue.space().generation();
  const std::byte* word = queue.word_memory.get(queue.space(), command.sem_dva, 8, NPU_ACCESS_READ);
  if (word == nullptr) return Outcome::vm_fault(command.sem_dva, NPU_ACCESS_READ);
  // pairs with command.cpp : CommandRunner::sem_signal and libnpu/src/core/ring.cpp : Ring::open_gate and libnpu/src/core/semaphore.cpp : Semaphore::signal and libnpu/ccl/shared_memory.cpp : write_word
  const uint64_t present = load_word(word, std::memory_order_acquire);
  if (!wait_holds(command.sem_op, present, command.value)) {
    queue.parked_wait = {word, generation, command.sem_op, command.value};
    Outcome outcome;
    outcome.parked = true;
    return outcome;
  }
  const uint64_t since_ps = parts_.signals.find(word, command.sem_op, present, command.value);
  return lasting(later_ps(since_ps > now_ps ? since_ps - now_ps : 0, kCommandPs));
}

Outcome CommandRunner::sem_signal(Queue& queue, const npu_cmd_sem& command, uint64_t now_ps) {
  if (command.sem_dva % 8 != 0) return Outcome::error(NPU_ST_UNALIGNED_ACCESS);
  std::byte* word = queue.word_memory.get(queue.space(), command.sem_dva, 8, NPU_ACCESS_WRITE);
  if (word == nullptr) return Outcome::vm_fault(command.sem_dva, NPU_ACCESS_WRITE);
  // An addition reads as well.
  if (command.sem_op == NPU_SEM_ADD &&
      queue.word_memory.get(queue.space(), command.sem_dva, 8, NPU_ACCESS_READ) == nullptr) {
    return Outcome::vm_fault(command.sem_dva, NPU_ACCESS_READ);
  }
  uint64_t value = command.value;
  // pairs with command.cpp : CommandRunner::sem_wait and libnpu/src/core/semaphore.cpp : Semaphore::query and libnpu/ccl/shared_memory.cpp : read_word
  if (command.sem_op == NPU_SEM_SET) {
    store_word(word, value, std::memory_order_release);
  } else {
    value = add_word(word, command.value);
  }
  parts_.signals.record(word, value, later_ps(now_ps, kCommandPs), queue.context->owner);
  return lasting(kCommandPs);
}

Outcome CommandRunner::timestamp(Queue& queue, const npu_cmd_timestamp& command, uint64_t now_ps) {
  if (command.dst_dva % 8 != 0) return Outcome::error(NPU_ST_UNALIGNED_ACCESS);
  std::byte* word = queue.word_memory.get(queue.space(), command.dst_dva, 8, NPU_ACCESS_WRITE);
  if (word == nullptr) return Outcome::vm_fault(command.dst_dva, NPU_ACCESS_WRITE);
  store_word(word, later_ps(now_ps, kCommandPs), std::memory_order_release);
  return lasting(kCommandPs);
}

Outcome CommandRunner::module_load(Queue& queue, const npu_cmd_module& command) {
  queue.turn_work += command.blob_bytes;
  if (command.blob_bytes > NPU_BLOB_MAX_BYTES) return Outcome::error(NPU_ST_BLOB_TOO_LARGE);
  const bool check_only = command.check_only != 0;
  if (!check_only && queue.context->modules.full()) return Outcome::error(NPU_ST_OUT_OF_MODULES);
  if (command.blob_dva > UINT64_MAX - command.blob_bytes) {
    return Outcome::vm_fault(command.blob_dva, NPU_ACCESS_READ);
  }
  // The only copy: what is checked below is what is loaded.
  const auto copy = std::make_unique_for_overwrite<std::byte[]>(command.blob_bytes);
  CachedTranslation memory;
  for (uint64_t at = 0; at < command.blob_bytes;) {
    const uint64_t dva = command.blob_dva + at;
    const uint64_t left_bytes = command.blob_bytes - at;
    std::byte* from = nullptr;
    uint64_t piece = memory.get_run(queue.space(), dva, left_bytes, NPU_ACCESS_READ, &from);
    if (piece != 0) {
      std::memcpy(copy.get() + at, from, piece);
    } else {
      piece = queue.space().copy_by_port(dva, left_bytes, NPU_ACCESS_READ, copy.get() + at);
    }
    if (piece == 0) return Outcome::vm_fault(dva, NPU_ACCESS_READ);
    at += piece;
  }
  const std::span<const std::byte> blob(copy.get(), command.blob_bytes);
  const ModuleCache::Digest digest = digest_of(blob);
  Outcome outcome = lasting(dma_.duration_ps(blob.size(), 0));
  std::shared_ptr<const Module> module = parts_.module_cache.find(digest);
  if (module == nullptr) {
    BlobPlace place;
    outcome.status = load_blob(blob, parts_.policy, &module, &place);
    outcome.kernel = static_cast<uint16_t>(place.kernel);
    outcome.pc = place.pc;
    if (outcome.status != NPU_ST_OK) return outcome;
    outcome.kernel = 0;
    if (!check_only) parts_.module_cache.add(digest, module);
  }
  if (check_only) return outcome;
  outcome.result = queue.context->modules.add(std::move(module));
  if (outcome.result == 0) outcome.status = NPU_ST_OUT_OF_MODULES;
  return outcome;
}

Outcome CommandRunner::set_print_buffer(Queue& queue, const npu_cmd_print_buffer& command) {
  if (command.print_dva % sizeof(npu_print_record) != 0) {
    return Outcome::error(NPU_ST_UNALIGNED_ACCESS);
  }
  PrintBuffer& buffer = queue.print_buffer;
  buffer = {};
  if (command.print_dva == 0) return lasting(kCommandPs);
  const uint64_t bytes = kPrintRecordsAt + (sizeof(npu_print_record) << command.print_log2);
  if (command.print_dva > UINT64_MAX - bytes) return Outcome::error(NPU_ST_BAD_COMMAND);
  std::byte* ctrl =
      buffer.memory.get(queue.space(), command.print_dva, kPrintRecordsAt, NPU_ACCESS_WRITE);
  if (ctrl == nullptr) return Outcome::vm_fault(command.print_dva, NPU_ACCESS_WRITE);
  store_word(ctrl + offsetof(npu_print_ctrl, dropped), 0);
  store_word(ctrl + offsetof(npu_print_ctrl, written), 0, std::memory_order_release);
  buffer.dva = command.print_dva;
  buffer.log2 = command.print_log2;
  return lasting(kCommandPs);
}

Outcome CommandRunner::module_unload(Queue& queue, const npu_cmd_module& command) {
  if (!queue.context->modules.remove(command.module)) return Outcome::error(NPU_ST_BAD_MODULE);
  return lasting(kCommandPs);
}

}  // namespace npu::model
