// SPDX-License-Identifier: Apache-2.0
// Calls on queues: QUEUE_CREATE, QUEUE_DESTROY, QUEUE_QUERY, QUEUE_SET; what happens when one dies.
#include <algorithm>
#include <cstring>
#include <vector>

#include "firmware-model/server/client.h"
#include "uapi/npu_status.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {
namespace {

npu_fault fault_of(const npu_event_record& record, uint32_t queue_id, const Vm& vm) {
  npu_fault fault{};
  fault.dva = record.address_dva;
  fault.seq = record.value;
  fault.time_ns = monotonic_ns();
  fault.queue_id = queue_id;
  fault.status = record.status;
  fault.reason = vm.covers(record.address_dva, 1) ? NPU_FAULT_PERMISSION : NPU_FAULT_NOT_PRESENT;
  if (record.address_dva >= NPU_PT_VA_END) fault.reason = NPU_FAULT_RANGE;
  if (record.status == NPU_ST_MEMORY_POISON) fault.reason = NPU_FAULT_POISON;
  fault.module = record.module;
  fault.pc = record.pc;
  fault.line = record.line;
  fault.group = static_cast<uint32_t>(record.group);
  fault.kernel = record.kernel;
  fault.tile = record.tile;
  fault.access = record.access;
  fault.engine = record.engine;
  return fault;
}

// Only root may overtake others.
bool may_use(uint32_t priority, uid_t uid) { return priority != NPU_PRIO_HIGH || uid == 0; }

}  // namespace

Queue* Client::find_queue(uint32_t id) const {
  const auto found = queues_.find(id);
  return found == queues_.end() ? nullptr : found->second.get();
}

uint32_t Client::id_of(uint32_t number) const {
  const auto found = queue_ids_.find(number);
  return found == queue_ids_.end() ? 0 : found->second;
}

int Client::read_net(const Call& call, const npu_queue_create& args, npu_queue_net* out) const {
  if (args.queue_class != NPU_QUEUE_NET) return 0;
  std::vector<npu_queue_net> params;
  const int err = call.read_array(args.params, &params);
  if (err != 0) return err;
  *out = params[0];
  if (npu_validate_queue_net(out, &device_->limits()) != 0) return EINVAL;
  const std::vector<npu_port_info> ports = device_->ports();
  for (uint32_t port = 0; port < NPU_MAX_PORTS; ++port) {
    if ((out->port_mask >> port & 1) == 0) continue;
    if (port >= ports.size() || (ports[port].flags & NPU_PORT_FLAG_PEER) == 0 ||
        std::memcmp(ports[port].peer_uuid, out->remote_uuid, sizeof(out->remote_uuid)) != 0) {
      return EINVAL;
    }
  }
  return 0;
}

int Client::check_queue(const npu_queue_create& args, Queue::Places* out) const {
  if ((args.engine_mask & ~1ull) != 0) return EINVAL;
  if (!may_use(args.priority, peer_.uid)) return EACCES;
  Vm* vm = find_vm(args.vm_id);
  std::shared_ptr<Bo> ctrl = find_bo(args.ctrl_handle);
  if (vm == nullptr || ctrl == nullptr) return ENOENT;
  if ((ctrl->flags() & NPU_BO_SYNC) == 0) return EINVAL;
  const uint64_t ctrl_bytes = npu_ctrl_bytes(args.ring_log2);
  if (npu_validate_span(args.ctrl_offset, ctrl_bytes, ctrl->bytes()) != 0) return EINVAL;
  if (!vm->covers(args.ring_dva, npu_ring_bytes(args.ring_log2))) return EINVAL;
  if (!vm->maps(ctrl.get(), args.ctrl_offset, args.ctrl_dva, ctrl_bytes)) return EINVAL;
  // Two queues that complete into one control block would wake each other's sleepers for nothing, or never.
  if (vm->pinned(args.ctrl_dva, ctrl_bytes)) return EBUSY;
  out->vm = vm;
  out->ctrl = std::move(ctrl);
  return 0;
}

int Client::queue_create(Call& call, npu_queue_create& args) {
  Queue::Places places;
  int err = read_net(call, args, &places.net);
  if (err == 0) err = check_queue(args, &places);
  if (err != 0) return err;
  places.device = device_;
  places.doorbells = &doorbells_;
  places.listener = this;
  std::unique_ptr<Queue> queue;
  err = Queue::create(places, account_, args, &queue);
  if (err != 0) return err;
  args.queue_id = next_queue_++;
  args.doorbell_slot = queue->slot();
  args.doorbell_token = doorbell_token();
  watchdog_due_ns_ = std::min(watchdog_due_ns_, queue->watchdog_due_ns());
  queue_ids_[queue->number()] = args.queue_id;
  queues_.emplace(args.queue_id, std::move(queue));
  host_->timer_changed();
  return 0;
}

int Client::queue_destroy(Call&, npu_queue_destroy& args) {
  const auto found = queues_.find(args.queue_id);
  if (found == queues_.end()) return ENOENT;
  const Queue& queue = *found->second;
  ended_commands_ += queue.progress();
  ended_busy_ns_ += __atomic_load_n(&queue.view()->ctrl->time_ps, __ATOMIC_RELAXED) / 1000;
  queue_ids_.erase(queue.number());
  queues_.erase(found);
  look_at_waits(monotonic_ns());
  poll_notifications();
  return 0;
}

int Client::queue_query(Call&, npu_queue_query& args) {
  // A WAIT may have told of a death that this thread has not looked at yet.
  device_->dispatch_events();
  const Queue* queue = find_queue(args.queue_id);
  if (queue == nullptr) return ENOENT;
  const npu_queue_ctrl* ctrl = queue->view()->ctrl;
  args.state = queue->state();
  args.status = queue->dead() ? queue->view()->status.load(std::memory_order_relaxed) : 0;
  args.epoch = queue->epoch();
  args.fetched = __atomic_load_n(&ctrl->fetched, __ATOMIC_RELAXED);
  args.completed = queue->progress();
  args.progress = args.completed;
  args.busy_ns = __atomic_load_n(&ctrl->time_ps, __ATOMIC_RELAXED) / 1000;
  args.fault = queue->fault();
  return 0;
}

int Client::queue_set(Call&, npu_queue_set& args) {
  Queue* queue = find_queue(args.queue_id);
  if (queue == nullptr) return ENOENT;
  int err = 0;
  if ((args.what & NPU_QUEUE_SET_PRIORITY) != 0) {
    err = may_use(args.priority, peer_.uid) ? queue->set_priority(args.priority) : EACCES;
  }
  if (err == 0 && (args.what & NPU_QUEUE_SET_TIMEOUT) != 0) {
    if (queue->dead()) return ECANCELED;
    queue->set_timeout(args.timeout_ms);
    watchdog_due_ns_ = std::min(watchdog_due_ns_, queue->watchdog_due_ns());
    host_->timer_changed();
  }
  if (err == 0 && (args.what & NPU_QUEUE_SET_RUN) != 0) err = queue->resume();
  if (err == 0 && (args.what & NPU_QUEUE_SET_SUSPEND) != 0) err = queue->suspend();
  if (err != EINPROGRESS) return err;
  suspensions_.push_back({nullptr, queue->view()});
  later_ = &suspensions_.back().call;
  poll_soon(monotonic_ns());
  return kLater;
}

void Client::look_at_suspensions() {
  for (auto at = suspensions_.begin(); at != suspensions_.end();) {
    if (!Queue::stopped(*at->queue)) {
      ++at;
      continue;
    }
    const bool dead = at->queue->dead.load(std::memory_order_acquire);
    host_->send(at->call->reply(dead ? ECANCELED : 0, nullptr, 0));
    at = suspensions_.erase(at);
  }
}

void Client::report_death(uint32_t queue_id, const Queue& queue, uint64_t seq) {
  npu_event_queue_error event{};
  event.queue_id = queue_id;
  event.state = queue.state();
  event.status = queue.view()->status.load(std::memory_order_relaxed);
  event.seq = seq;
  send_event(&event.base, NPU_EVENT_TYPE_QUEUE_ERROR, sizeof(event));
  look_at_waits(monotonic_ns());
  poll_notifications();
}

void Client::on_queue_fault(uint32_t number, const npu_event_record& record) {
  const uint32_t id = id_of(number);
  Queue* queue = find_queue(id);
  if (queue == nullptr || queue->dead()) return;
  npu_fault fault{};
  if (record.status == NPU_ST_VM_FAULT || record.status == NPU_ST_MEMORY_POISON) {
    fault = fault_of(record, id, *queue->vm());
    queue->vm()->record_fault(fault);
    npu_event_vm_fault event{};
    for (const auto& [vm_id, vm] : vms_) {
      if (vm.get() == queue->vm()) event.vm_id = vm_id;
    }
    event.fault = fault;
    send_event(&event.base, NPU_EVENT_TYPE_VM_FAULT, sizeof(event));
  }
  if (record.type == NPU_EVENT_COMMAND_FAULT) return;  // it goes on
  queue->faulted(fault);
  report_death(id, *queue, record.value);
}

void Client::on_queue_progress(uint32_t) {
  look_at_waits(monotonic_ns());
  drop_spent();
}

void Client::run_watchdogs(int64_t now_ns) {
  watchdog_due_ns_ = INT64_MAX;
  for (const auto& [id, queue] : queues_) {
    if (queue->watchdog_expired(now_ns)) {
      queue->kill(NPU_QUEUE_STATE_KILLED, NPU_ST_WATCHDOG);
      report_death(id, *queue, 0);
    }
    if (!queue->dead()) watchdog_due_ns_ = std::min(watchdog_due_ns_, queue->watchdog_due_ns());
  }
}

}  // namespace npu::model::server
