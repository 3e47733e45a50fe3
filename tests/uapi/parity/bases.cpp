// SPDX-License-Identifier: Apache-2.0
// The good calls.
#include "tests/uapi/parity/bases.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "uapi/npu_metrics.h"
#include "uapi/npu_wire.h"

namespace npu::parity {
namespace {

// Ids of another file lie beyond those that a case creates.
constexpr int kForeignVms = 10;
constexpr int kForeignObjects = 60;
constexpr int kForeignQueues = 4;
constexpr uint64_t kQueueShift = 0x100000;

template <typename T>
T struct_of(const Bytes& bytes) {
  T out{};
  std::memcpy(&out, bytes.data(), std::min(bytes.size(), sizeof out));
  return out;
}

template <typename T>
Prepared simple(const T& args) {
  return {bytes_of(args), {}, {}, -1};
}

template <typename T, typename E>
Prepared with_array(T args, npu_array T::*member, const char* element, std::vector<E> elements,
                    bool is_out = false) {
  Prepared out;
  out.arrays.push_back(make_array(&(args.*member), &args, elements, is_out));
  out.elements.push_back(element);
  out.args = bytes_of(args);
  return out;
}

void destroy_vm(Session& session, uint32_t id) {
  npu_vm_destroy args{};
  args.vm_id = id;
  session.silent(NPU_CALL_VM_DESTROY, &args);
}

npu_cond true_condition(const Scene& s) {
  npu_cond cond{};
  cond.op = NPU_COND_GE;
  cond.bo_handle = s.queue.args.ctrl_handle;
  cond.queue_id = s.queue.id;
  cond.offset = offsetof(npu_queue_ctrl, completed);
  cond.value = 0;
  cond.mask = ~0ull;
  return cond;
}

void add_queries_and_spaces(std::vector<Base>* out) {
  out->push_back({"DEV_QUERY", NPU_CALL_DEV_QUERY, "npu_dev_query", [](Scene&) {
                    npu_dev_query args{};
                    args.type = NPU_QUERY_DEVICE;
                    return with_array(args, &npu_dev_query::out, "", std::vector{npu_dev_info{}},
                                      true);
                  }});
  out->push_back({"VM_CREATE", NPU_CALL_VM_CREATE, "npu_vm_create",
                  [](Scene&) { return simple(npu_vm_create{}); },
                  [](Scene& s, const Bytes& after, int error) {
                    if (error == 0) destroy_vm(s.own, struct_of<npu_vm_create>(after).vm_id);
                  }});
  out->push_back({"VM_DESTROY", NPU_CALL_VM_DESTROY, "npu_vm_destroy",
                  [](Scene& s) {
                    npu_vm_destroy args{};
                    args.vm_id = s.own.vm();
                    return simple(args);
                  },
                  [](Scene& s, const Bytes& after, int error) {
                    if (error != 0) destroy_vm(s.own, struct_of<npu_vm_destroy>(after).vm_id);
                  }});
  out->push_back({"VM_BIND", NPU_CALL_VM_BIND, "npu_vm_bind",
                  [](Scene& s) {
                    npu_bind_op op{};
                    op.kind = NPU_BIND_MAP;
                    op.bo_handle = s.hbm.handle;
                    op.dva = kHbmDva;
                    op.size_bytes = kHbmBytes;
                    npu_vm_bind args{};
                    args.vm_id = s.vm;
                    return with_array(args, &npu_vm_bind::ops, "npu_bind_op", std::vector{op});
                  },
                  [](Scene& s, const Bytes&, int) { s.own.unbind(s.vm, kHbmDva, kHbmBytes); }});
  out->push_back({"VM_QUERY", NPU_CALL_VM_QUERY, "npu_vm_query", [](Scene& s) {
                    npu_vm_query args{};
                    args.vm_id = s.vm;
                    return with_array(args, &npu_vm_query::faults, "", std::vector{npu_fault{}},
                                      true);
                  }});
}

void close_made(Scene& s, const Bytes& after, int error) {
  if (error == 0) s.own.file().close_object(struct_of<npu_bo_create>(after).handle);
}

void add_objects(std::vector<Base>* out) {
  out->push_back({"BO_CREATE.hbm", NPU_CALL_BO_CREATE, "npu_bo_create",
                  [](Scene&) {
                    npu_bo_create args{};
                    args.size_bytes = NPU_PAGE_64K;
                    args.region = NPU_REGION_HBM;
                    return simple(args);
                  },
                  close_made});
  out->push_back({"BO_CREATE.system", NPU_CALL_BO_CREATE, "npu_bo_create",
                  [](Scene& s) {
                    npu_bo_create args{};
                    args.size_bytes = NPU_PAGE_4K;
                    args.region = NPU_REGION_SYSTEM;
                    args.flags = NPU_BO_SYNC;
                    args.vm_id = s.vm;
                    return simple(args);
                  },
                  close_made});
  out->push_back({"BO_CREATE_USERPTR", NPU_CALL_BO_CREATE_USERPTR, "npu_bo_create_userptr",
                  [](Scene& s) {
                    npu_bo_create_userptr args{};
                    args.size_bytes = NPU_PAGE_64K;
                    args.fd = -1;
                    __u64 address = 0;
                    Prepared prepared;
                    uint64_t at = 0;
                    s.own.file().user_memory(args.size_bytes, &at, &prepared.fd);
                    address = at;
                    args.address = address;
                    prepared.args = bytes_of(args);
                    return prepared;
                  },
                  [](Scene& s, const Bytes& after, int error) {
                    const auto args = struct_of<npu_bo_create_userptr>(after);
                    if (error == 0) s.own.file().close_object(args.handle);
                  }});
  out->push_back({"BO_INFO", NPU_CALL_BO_INFO, "npu_bo_info", [](Scene& s) {
                    npu_bo_info args{};
                    args.handle = s.hbm.handle;
                    return simple(args);
                  }});
  out->push_back({"BO_SET_LABEL", NPU_CALL_BO_SET_LABEL, "npu_bo_set_label", [](Scene& s) {
                    npu_bo_set_label args{};
                    args.handle = s.hbm.handle;
                    std::strcpy(args.label, "weights");
                    return simple(args);
                  }});
}

void add_queues(std::vector<Base>* out) {
  out->push_back({"QUEUE_CREATE", NPU_CALL_QUEUE_CREATE, "npu_queue_create",
                  [](Scene& s) { return simple(s.spare.args); },
                  [](Scene& s, const Bytes& after, int error) {
                    if (error == 0)
                      s.own.destroy_queue(struct_of<npu_queue_create>(after).queue_id);
                  }});
  out->push_back({"QUEUE_DESTROY", NPU_CALL_QUEUE_DESTROY, "npu_queue_destroy",
                  [](Scene& s) {
                    npu_queue_create create = s.spare.args;
                    s.own.must(NPU_CALL_QUEUE_CREATE, &create);
                    s.spare.id = create.queue_id;
                    npu_queue_destroy args{};
                    args.queue_id = create.queue_id;
                    return simple(args);
                  },
                  [](Scene& s, const Bytes&, int error) {
                    if (error != 0) s.own.destroy_queue(s.spare.id);
                  }});
  out->push_back({"QUEUE_QUERY", NPU_CALL_QUEUE_QUERY, "npu_queue_query", [](Scene& s) {
                    npu_queue_query args{};
                    args.queue_id = s.queue.id;
                    return simple(args);
                  }});
  out->push_back({"QUEUE_SET", NPU_CALL_QUEUE_SET, "npu_queue_set", [](Scene& s) {
                    npu_queue_set args{};
                    args.queue_id = s.queue.id;
                    args.what = NPU_QUEUE_SET_PRIORITY;
                    args.priority = NPU_PRIO_NORMAL;
                    return simple(args);
                  }});
}

void add_waits(std::vector<Base>* out) {
  out->push_back({"WAIT", NPU_CALL_WAIT, "npu_wait", [](Scene& s) {
                    npu_wait args{};
                    args.deadline_ns = 1;  // long past: a look, no sleep
                    return with_array(args, &npu_wait::conds, "npu_cond",
                                      std::vector{true_condition(s)});
                  }});
  out->push_back({"NOTIFY", NPU_CALL_NOTIFY, "npu_notify",
                  [](Scene& s) {
                    npu_notify args{};
                    args.flags = NPU_NOTIFY_ADD;
                    args.cookie = 77;
                    args.cond = true_condition(s);
                    args.fd = -1;
                    Prepared prepared = simple(args);
                    prepared.fd = s.event_fd;
                    return prepared;
                  },
                  [](Scene& s, const Bytes& after, int error) {
                    npu_notify args{};
                    args.flags = NPU_NOTIFY_REMOVE;
                    args.fd = -1;
                    args.cookie = struct_of<npu_notify>(after).cookie;
                    if (error == 0) s.own.silent(NPU_CALL_NOTIFY, &args);
                  }});
}

void add_rest(std::vector<Base>* out) {
  out->push_back({"COPY_SUBMIT", NPU_CALL_COPY_SUBMIT, "npu_copy_submit", [](Scene& s) {
                    npu_copy_op op{};
                    op.kind = NPU_COPY_COPY;
                    op.src_handle = s.system.handle;
                    op.dst_handle = s.hbm.handle;
                    op.size_bytes = NPU_PAGE_64K;
                    npu_copy_submit args{};
                    args.flags = NPU_COPY_WAIT;
                    return with_array(args, &npu_copy_submit::ops, "npu_copy_op", std::vector{op});
                  }});
  out->push_back({"MR_CREATE", NPU_CALL_MR_CREATE, "npu_mr_create", [](Scene& s) {
                    npu_mr_create args{};
                    args.vm_id = s.vm;
                    args.access = NPU_MR_REMOTE_READ;
                    args.dva = kRingDva;
                    args.size_bytes = NPU_PAGE_4K;
                    return simple(args);
                  }});
  out->push_back({"MR_DESTROY", NPU_CALL_MR_DESTROY, "npu_mr_destroy", [](Scene&) {
                    npu_mr_destroy args{};
                    args.mr_id = 1;
                    return simple(args);
                  }});
  out->push_back({"PERF_OPEN", NPU_CALL_PERF_OPEN, "npu_perf_open",
                  [](Scene&) {
                    npu_perf_counter counter{};
                    counter.metric_id = NPU_METRIC_MEMORY_USED;
                    npu_perf_open args{};
                    args.fd = -1;
                    args.period_ns = NPU_PERF_PERIOD_MAX_NS;
                    return with_array(args, &npu_perf_open::counters, "npu_perf_counter",
                                      std::vector{counter});
                  },
                  [](Scene&, const Bytes& after, int error) {
                    if (error == 0) close(struct_of<npu_perf_open>(after).fd);
                  }});
  out->push_back({"EVENT_MASK", NPU_CALL_EVENT_MASK, "npu_event_mask",
                  [](Scene&) { return simple(npu_event_mask{}); },
                  [](Scene& s, const Bytes&, int) {
                    npu_event_mask none{};
                    s.own.silent(NPU_CALL_EVENT_MASK, &none);
                  }});
}

}  // namespace

Scene::Scene(Road* road, Log* log) : own(road, log), foreign(road, log) {
  vm = own.vm();
  hbm = own.object(kHbmBytes, NPU_REGION_HBM);
  system = own.object(kSystemBytes, NPU_REGION_SYSTEM);
  queue = own.queue(vm);
  spare = own.queue_memory(vm, kQueueShift);
  for (int i = 0; i < kForeignVms; i++) foreign_vm = foreign.vm();
  for (int i = 0; i < kForeignQueues; i++) {
    foreign_queue = foreign.queue(foreign_vm, static_cast<uint64_t>(i) * kQueueShift).id;
  }
  for (int i = 0; i < kForeignObjects; i++) {
    foreign_object = foreign.object(NPU_PAGE_4K, NPU_REGION_SYSTEM).handle;
  }
  event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

Scene::~Scene() { close(event_fd); }

const std::vector<Base>& all_bases() {
  static const std::vector<Base> kBases = [] {
    std::vector<Base> bases;
    add_queries_and_spaces(&bases);
    add_objects(&bases);
    add_queues(&bases);
    add_waits(&bases);
    add_rest(&bases);
    return bases;
  }();
  return kBases;
}

}  // namespace npu::parity
