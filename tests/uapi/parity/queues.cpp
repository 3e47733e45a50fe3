// SPDX-License-Identifier: Apache-2.0
// Queues at work: commands, faults of every kind, their ends, and what they hold.
#include "tests/uapi/parity/session.h"
#include "uapi/npu_validate.h"

namespace npu::parity {
namespace {

struct Lane {
  explicit Lane(Session& session) : s(session), vm(session.vm()), queue(session.queue(vm)) {}
  Session& s;
  uint32_t vm;
  QueueParts queue;
};

npu_cmd_fill fill(uint64_t dva, uint64_t bytes, uint64_t pattern) {
  npu_cmd_fill command{};
  command.op = NPU_CMD_FILL;
  command.dst_dva = dva;
  command.width_bytes = bytes;
  command.pattern = pattern;
  command.pattern_bytes = 8;
  command.height = 1;
  return command;
}

void query_queue(Session& s, const std::string& name, uint32_t id) {
  npu_queue_query args{};
  args.queue_id = id;
  if (s.logged(name, NPU_CALL_QUEUE_QUERY, &args) != 0) return;
  const npu_fault& f = args.fault;
  s.log().add(name + ".fault", "dva " + number(f.dva) + " seq " + number(f.seq) + " status " +
                                   std::to_string(f.status) + " reason " + number(f.reason) +
                                   " access " + number(f.access) + " module " + number(f.module));
}

void log_wait(Session& s, const std::string& name, const QueueParts& queue, uint64_t count) {
  npu_wait out{};
  const int error = s.wait_completed(queue, count, &out);
  s.log().add(name, errno_name(error) + " first " + number(out.first_index) + " status " +
                        std::to_string(out.status));
}

void log_record(Session& s, const std::string& name, const QueueParts& queue, uint64_t seq) {
  npu_completion record{};
  std::memcpy(&record, queue.ctrl->data() + NPU_CTRL_BYTES + seq * sizeof record, sizeof record);
  s.log().add(name, "seq " + number(record.seq) + " status " + std::to_string(record.status) +
                        " tag " + number(record.tag));
}

void destroy(Session& s, const std::string& name, uint32_t id) {
  npu_queue_destroy args{};
  args.queue_id = id;
  s.logged(name, NPU_CALL_QUEUE_DESTROY, &args);
}

void run_work(Session& s) {
  Lane lane(s);
  const npu_bo_create hbm = s.object(kHbmBytes, NPU_REGION_HBM);
  s.bind(lane.vm, hbm.handle, kHbmDva, kHbmBytes);
  query_queue(s, "queue.fresh", lane.queue.id);
  npu_cmd nop{};
  nop.tag = 0x1234;
  s.submit(&lane.queue, &nop);
  log_wait(s, "queue.nop", lane.queue, 1);
  log_record(s, "queue.nop.record", lane.queue, 0);
  const npu_cmd_fill work = fill(kHbmDva, kHbmBytes, 0x1122334455667788);
  s.submit(&lane.queue, &work);
  log_wait(s, "queue.fill", lane.queue, 2);
  query_queue(s, "queue.fill.query", lane.queue.id);
  const auto memory = s.file().map(hbm.map_token, hbm.size_bytes);
  uint64_t word = 0;
  std::memcpy(&word, memory->data() + kHbmBytes - 8, sizeof word);
  s.log().add("queue.fill.seen_by_host", number(word));
  // Around the ring twice.
  for (int i = 0; i < 2 << kRingLog2; i++) {
    s.submit(&lane.queue, &nop);
    if (s.wait_completed(lane.queue, lane.queue.submitted) != 0) break;
  }
  query_queue(s, "queue.around", lane.queue.id);
}

void run_faults(Road* road, Log* log) {
  struct Fault {
    const char* name;
    npu_cmd command;
  };
  npu_cmd unknown{};
  unknown.op = NPU_CMD_COUNT;
  npu_cmd reserved{};
  reserved.rsvd = 1;
  const npu_cmd_fill nowhere = fill(1ull << 40, 4096, 0);
  const npu_cmd_fill noncanonical = fill(1ull << 60, 4096, 0);
  const npu_cmd_fill readonly = fill(kHbmDva, 4096, 0);
  npu_cmd_launch launch{};
  launch.op = NPU_CMD_LAUNCH;
  launch.module = 77;
  launch.grid_x = launch.grid_y = launch.grid_z = 1;
  std::vector<Fault> faults = {{"unknown_command", unknown}, {"reserved_bits", reserved}};
  const auto add = [&](const char* name, const auto& command) {
    Fault fault{name, {}};
    static_assert(sizeof command == sizeof fault.command);
    std::memcpy(static_cast<void*>(&fault.command), &command, sizeof command);
    faults.push_back(fault);
  };
  add("unmapped", nowhere);
  add("beyond_the_addresses", noncanonical);
  add("readonly", readonly);
  add("no_module", launch);
  for (const Fault& fault : faults) {
    const std::string name = std::string("fault.") + fault.name;
    Session s(road, log);
    Lane lane(s);
    const npu_bo_create hbm = s.object(kHbmBytes, NPU_REGION_HBM);
    s.bind(lane.vm, hbm.handle, kHbmDva, kHbmBytes, NPU_BIND_READONLY);
    const npu_cmd nop{};
    s.submit(&lane.queue, &nop);
    s.submit(&lane.queue, &fault.command);
    s.submit(&lane.queue, &nop);
    log_wait(s, name + ".before_it", lane.queue, 1);
    log_wait(s, name + ".after_it", lane.queue, 3);
    log_record(s, name + ".record", lane.queue, 1);
    query_queue(s, name + ".query", lane.queue.id);
    npu_vm_query vm{};
    vm.vm_id = lane.vm;
    s.logged(name + ".vm", NPU_CALL_VM_QUERY, &vm);
    npu_queue_set set{};
    set.queue_id = lane.queue.id;
    set.what = NPU_QUEUE_SET_SUSPEND;
    s.logged(name + ".suspend", NPU_CALL_QUEUE_SET, &set);
    // Another queue of the address space is unharmed.
    QueueParts other = s.queue(lane.vm, 0x100000);
    s.submit(&other, &nop);
    log_wait(s, name + ".neighbour", other, 1);
    destroy(s, name + ".destroy", lane.queue.id);
  }
}

void run_doorbell(Road* road, Log* log) {
  Session s(road, log);
  Lane lane(s);
  s.file().ring(lane.queue.token, lane.queue.slot, 1000);
  log_wait(s, "queue.wild_doorbell", lane.queue, 1);
  query_queue(s, "queue.wild_doorbell.query", lane.queue.id);
}

void run_pins(Session& s) {
  Lane lane(s);
  const npu_queue_create& args = lane.queue.args;
  s.log().add("queue.pins.unmap_ring", errno_name(s.unbind(lane.vm, args.ring_dva, NPU_PAGE_4K)));
  s.log().add("queue.pins.unmap_control",
              errno_name(s.unbind(lane.vm, args.ctrl_dva, NPU_PAGE_4K)));
  s.log().add("queue.pins.map_over_ring",
              errno_name(s.bind(lane.vm, lane.queue.ring_handle, args.ring_dva, NPU_PAGE_4K)));
  npu_vm_destroy vm{};
  vm.vm_id = lane.vm;
  s.logged("queue.pins.destroy_space", NPU_CALL_VM_DESTROY, &vm);
  npu_queue_create twice = args;
  s.logged("queue.second_on_the_same_control", NPU_CALL_QUEUE_CREATE, &twice);
  s.log().add("queue.pins.close_ring", errno_name(s.file().close_object(lane.queue.ring_handle)));
  const npu_cmd nop{};
  s.submit(&lane.queue, &nop);
  log_wait(s, "queue.works_with_closed_ring", lane.queue, 1);
  destroy(s, "queue.destroy", lane.queue.id);
  destroy(s, "queue.destroy_twice", lane.queue.id);
  query_queue(s, "queue.destroyed.query", lane.queue.id);
  s.log().add("queue.destroyed.unmap_ring",
              errno_name(s.unbind(lane.vm, args.ring_dva, NPU_PAGE_4K)));
  npu_queue_create again = args;
  s.logged("queue.without_ring", NPU_CALL_QUEUE_CREATE, &again);
  s.logged("queue.destroyed.destroy_space", NPU_CALL_VM_DESTROY, &vm);
}

void run_memory_rules(Session& s) {
  const uint32_t vm = s.vm();
  QueueParts parts = s.queue_memory(vm);
  npu_queue_create args = parts.args;
  args.ctrl_handle = parts.ring_handle;
  s.logged("queue.control_without_sync", NPU_CALL_QUEUE_CREATE, &args);
  const npu_bo_create other = s.object(npu_ctrl_bytes(kRingLog2), NPU_REGION_SYSTEM, NPU_BO_SYNC);
  args = parts.args;
  args.ctrl_handle = other.handle;
  s.logged("queue.control_is_another_object", NPU_CALL_QUEUE_CREATE, &args);
  args = parts.args;
  args.ring_log2 = kRingLog2 + 1;
  s.logged("queue.ring_too_long_for_its_memory", NPU_CALL_QUEUE_CREATE, &args);
  args = parts.args;
  args.ring_dva = args.ctrl_dva;
  s.logged("queue.ring_over_control", NPU_CALL_QUEUE_CREATE, &args);
  s.bind(vm, parts.args.ctrl_handle, parts.args.ctrl_dva, npu_ctrl_bytes(kRingLog2),
         NPU_BIND_READONLY);
  args = parts.args;
  s.logged("queue.control_readonly", NPU_CALL_QUEUE_CREATE, &args);
  npu_queue_net net{};
  net.port_mask = 1;
  net.mtu_bytes = 4096;
  args = parts.args;
  args.queue_class = NPU_QUEUE_NET;
  const ArrayArg params = make_array(&args.params, &args, std::vector{net});
  s.logged("queue.net", NPU_CALL_QUEUE_CREATE, &args, {params});
}

void set(Session& s, const std::string& name, uint32_t queue, uint32_t what, uint32_t timeout = 0) {
  npu_queue_set args{};
  args.queue_id = queue;
  args.what = what;
  args.timeout_ms = timeout;
  s.logged(name, NPU_CALL_QUEUE_SET, &args);
}

void run_suspension(Session& s) {
  Lane lane(s);
  set(s, "queue.suspend", lane.queue.id, NPU_QUEUE_SET_SUSPEND);
  query_queue(s, "queue.suspend.query", lane.queue.id);
  set(s, "queue.suspend_twice", lane.queue.id, NPU_QUEUE_SET_SUSPEND);
  const npu_cmd nop{};
  s.submit(&lane.queue, &nop);
  npu_cond cond{};
  cond.op = NPU_COND_QUEUE_IDLE;
  cond.queue_id = lane.queue.id;
  npu_wait wait{};
  wait.deadline_ns = in_ms(50);
  const ArrayArg conds = make_array(&wait.conds, &wait, std::vector{cond});
  s.logged("queue.suspended_runs_nothing", NPU_CALL_WAIT, &wait, {conds});
  set(s, "queue.resume", lane.queue.id, NPU_QUEUE_SET_RUN);
  log_wait(s, "queue.resumed_goes_on", lane.queue, 1);
  set(s, "queue.run_and_suspend", lane.queue.id, NPU_QUEUE_SET_RUN | NPU_QUEUE_SET_SUSPEND);
}

void log_control_page(Session& s, const char* key, const QueueParts& queue) {
  npu_queue_ctrl ctrl{};
  std::memcpy(static_cast<void*>(&ctrl), queue.ctrl->data(), sizeof ctrl);
  s.log().add(key, "state " + number(ctrl.state) + " status " + std::to_string(ctrl.error_status) +
                       " live " + number(ctrl.live));
}

// A semaphore that nobody signals: only the watchdog ends it.
void run_watchdog(Session& s) {
  Lane lane(s);
  const npu_bo_create system = s.object(NPU_PAGE_4K, NPU_REGION_SYSTEM);
  s.bind(lane.vm, system.handle, kHbmDva, NPU_PAGE_4K);
  log_control_page(s, "watchdog.control_page_before", lane.queue);
  set(s, "watchdog.set", lane.queue.id, NPU_QUEUE_SET_TIMEOUT, 50);
  npu_cmd_sem wait{};
  wait.op = NPU_CMD_SEM_WAIT;
  wait.sem_dva = kHbmDva;
  wait.value = 1;
  s.submit(&lane.queue, &wait);
  log_wait(s, "watchdog.ends_it", lane.queue, 1);
  npu_queue_query query{};
  query.queue_id = lane.queue.id;
  s.must(NPU_CALL_QUEUE_QUERY, &query);
  s.log().add("watchdog.query", "state " + number(query.state) + " status " +
                                    std::to_string(query.status) + " completed " +
                                    number(query.completed));
  log_control_page(s, "watchdog.control_page", lane.queue);
}

}  // namespace

void run_queues(Road* road, Log* log) {
  using Family = void (*)(Session&);
  for (const Family family :
       {&run_work, &run_pins, &run_memory_rules, &run_suspension, &run_watchdog}) {
    Session session(road, log);
    family(session);
  }
  run_faults(road, log);
  run_doorbell(road, log);
}

}  // namespace npu::parity
