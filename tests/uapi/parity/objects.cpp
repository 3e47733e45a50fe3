// SPDX-License-Identifier: Apache-2.0
// Address spaces and objects in every order: what is used stays, what is gone is gone, what another file has is nothing.
#include "tests/uapi/parity/operations.h"
#include "tests/uapi/parity/session.h"

namespace npu::parity {
namespace {

void bind(Session& s, const std::string& name, uint32_t vm, const std::vector<npu_bind_op>& ops) {
  npu_vm_bind args{};
  args.vm_id = vm;
  const ArrayArg array = make_array(&args.ops, &args, ops);
  s.logged(name, NPU_CALL_VM_BIND, &args, {array});
}

void query_vm(Session& s, const std::string& name, uint32_t vm) {
  npu_vm_query args{};
  args.vm_id = vm;
  s.logged(name, NPU_CALL_VM_QUERY, &args);
}

void info(Session& s, const std::string& name, uint32_t handle) {
  npu_bo_info args{};
  args.handle = handle;
  s.logged(name, NPU_CALL_BO_INFO, &args);
}

void close_object(Session& s, const std::string& name, uint32_t handle) {
  s.log().add(name, errno_name(s.file().close_object(handle)));
}

void destroy(Session& s, const std::string& name, uint32_t vm) {
  npu_vm_destroy args{};
  args.vm_id = vm;
  s.logged(name, NPU_CALL_VM_DESTROY, &args);
}

void run_binding(Session& s) {
  const uint32_t vm = s.vm();
  const npu_bo_create hbm = s.object(kHbmBytes, NPU_REGION_HBM);
  const npu_bo_create system = s.object(kSystemBytes, NPU_REGION_SYSTEM);
  query_vm(s, "bind.empty", vm);
  bind(s, "bind.whole", vm, {map_op(hbm.handle, 0, kHbmDva, kHbmBytes)});
  query_vm(s, "bind.whole.query", vm);
  bind(s, "bind.the_same_again", vm, {map_op(hbm.handle, 0, kHbmDva, kHbmBytes)});
  query_vm(s, "bind.the_same_again.query", vm);
  bind(s, "bind.over_the_middle", vm,
       {map_op(system.handle, 0, kHbmDva + NPU_PAGE_64K, NPU_PAGE_64K)});
  query_vm(s, "bind.over_the_middle.query", vm);
  bind(s, "bind.small_pages", vm,
       {map_op(system.handle, 0, kHbmDva + NPU_PAGE_64K + NPU_PAGE_4K, NPU_PAGE_4K)});
  bind(s, "bind.unmap_a_piece", vm, {unmap_op(kHbmDva, NPU_PAGE_64K)});
  query_vm(s, "bind.unmap_a_piece.query", vm);
  bind(s, "bind.unmap_half_a_page", vm, {unmap_op(kHbmDva + 2 * NPU_PAGE_64K, NPU_PAGE_4K)});
  query_vm(s, "bind.unmap_half_a_page.query", vm);
  bind(s, "bind.unmap_nothing", vm, {unmap_op(1ull << 40, NPU_PAGE_2M)});
  bind(s, "bind.unmap_everything", vm, {unmap_op(NPU_VA_MIN, NPU_VA_USER_END - NPU_VA_MIN)});
  query_vm(s, "bind.unmap_everything.query", vm);
  bind(s, "bind.beyond_the_object", vm, {map_op(hbm.handle, 0, kHbmDva, kHbmBytes + NPU_PAGE_64K)});
  bind(s, "bind.last_page_of_the_space", vm,
       {map_op(hbm.handle, 0, NPU_VA_USER_END - NPU_PAGE_64K, NPU_PAGE_64K)});
  bind(s, "bind.across_the_end_of_the_space", vm,
       {map_op(hbm.handle, 0, NPU_VA_USER_END - NPU_PAGE_64K, 2 * NPU_PAGE_64K)});
  bind(s, "bind.hbm_at_small_page", vm,
       {map_op(hbm.handle, 0, kHbmDva + NPU_PAGE_4K, NPU_PAGE_64K)});
  bind(
      s, "bind.all_or_nothing", vm,
      {map_op(hbm.handle, 0, kHbmDva, NPU_PAGE_64K), map_op(kUnknownId, 0, kHbmDva, NPU_PAGE_64K)});
  query_vm(s, "bind.all_or_nothing.query", vm);
  bind(s, "bind.in_order", vm,
       {map_op(hbm.handle, 0, kHbmDva, NPU_PAGE_64K), unmap_op(kHbmDva, NPU_PAGE_64K)});
  query_vm(s, "bind.in_order.query", vm);
  npu_bind_op code = map_op(hbm.handle, 0, kHbmDva, NPU_PAGE_64K);
  code.flags = NPU_BIND_EXEC | NPU_BIND_READONLY;
  bind(s, "bind.code", vm, {code});
  destroy(s, "bind.destroy_with_mappings", vm);
  destroy(s, "bind.destroy_twice", vm);
  bind(s, "bind.after_destroy", vm, {map_op(hbm.handle, 0, kHbmDva, NPU_PAGE_64K)});
  query_vm(s, "bind.after_destroy.query", vm);
}

void run_small_space(Session& s) {
  npu_vm_create args{};
  args.va_end = 1ull << 30;
  s.logged("space.small", NPU_CALL_VM_CREATE, &args);
  const npu_bo_create hbm = s.object(NPU_PAGE_64K, NPU_REGION_HBM);
  bind(s, "space.small.beyond", args.vm_id, {map_op(hbm.handle, 0, 1ull << 30, NPU_PAGE_64K)});
  bind(s, "space.small.last", args.vm_id,
       {map_op(hbm.handle, 0, (1ull << 30) - NPU_PAGE_64K, NPU_PAGE_64K)});
  bind(s, "space.small.unmap_beyond", args.vm_id, {unmap_op(1ull << 30, NPU_PAGE_64K)});
  npu_vm_create odd{};
  odd.va_end = (1ull << 30) + NPU_PAGE_64K;
  s.logged("space.not_whole_2m", NPU_CALL_VM_CREATE, &odd);
}

void run_lifetimes(Session& s, Road* road) {
  const uint32_t vm = s.vm();
  const uint32_t other = s.vm();
  const npu_bo_create own = s.object(NPU_PAGE_64K, NPU_REGION_HBM, 0, vm);
  bind(s, "object.exclusive.own", vm, {map_op(own.handle, 0, kHbmDva, NPU_PAGE_64K)});
  bind(s, "object.exclusive.other", other, {map_op(own.handle, 0, kHbmDva, NPU_PAGE_64K)});
  close_object(s, "object.close_while_mapped", own.handle);
  query_vm(s, "object.close_while_mapped.query", vm);
  info(s, "object.closed.info", own.handle);
  bind(s, "object.closed.bind", vm, {map_op(own.handle, 0, kHbmDva, NPU_PAGE_64K)});
  close_object(s, "object.close_twice", own.handle);
  close_object(s, "object.close_none", 0);
  const npu_bo_create hidden = s.object(NPU_PAGE_64K, NPU_REGION_HBM, NPU_BO_NO_MMAP);
  info(s, "object.no_mmap.info", hidden.handle);
  const npu_bo_create huge = s.object(NPU_PAGE_64K, NPU_REGION_HBM, NPU_BO_HUGE);
  info(s, "object.huge.info", huge.handle);
  Session foreign(road, &s.log());
  for (uint32_t i = 0; i < 40; i++) foreign.object(NPU_PAGE_4K, NPU_REGION_SYSTEM);
  const npu_bo_create theirs = foreign.object(NPU_PAGE_64K, NPU_REGION_HBM);
  info(s, "object.foreign.info", theirs.handle);
  bind(s, "object.foreign.bind", vm, {map_op(theirs.handle, 0, kHbmDva, NPU_PAGE_64K)});
  close_object(s, "object.foreign.close", theirs.handle);
  info(foreign, "object.foreign.still_there", theirs.handle);
  npu_bo_set_label label{};
  label.handle = hidden.handle;
  std::memset(label.label, 'x', sizeof label.label);
  s.logged("object.label.without_end", NPU_CALL_BO_SET_LABEL, &label);
  std::memset(label.label, 0, sizeof label.label);
  s.logged("object.label.empty", NPU_CALL_BO_SET_LABEL, &label);
}

// Fresh memory is zero, also where somebody else has just written.
void run_clearing(Road* road, Log* log) {
  for (const uint32_t region : {NPU_REGION_SYSTEM, NPU_REGION_HBM}) {
    const std::string name = "clearing.region" + std::to_string(region);
    {
      Session writer(road, log);
      const npu_bo_create object = writer.object(64 * NPU_PAGE_64K, region);
      std::memset(writer.file().map(object.map_token, object.size_bytes)->data(), 0xa5,
                  object.size_bytes);
    }
    Session reader(road, log);
    const npu_bo_create object = reader.object(64 * NPU_PAGE_64K, region);
    const auto memory = reader.file().map(object.map_token, object.size_bytes);
    uint64_t dirty = 0;
    for (uint64_t i = 0; i < object.size_bytes; i++) dirty += memory->data()[i] != 0;
    log->add(name, dirty == 0 ? "zero" : "DIRTY");
  }
}

void run_exhaustion(Session& s) {
  npu_bo_create args{};
  args.size_bytes = 1ull << 40;
  args.region = NPU_REGION_HBM;
  s.logged("object.more_than_the_device", NPU_CALL_BO_CREATE, &args);
  uint32_t made = 0;
  npu_vm_create vm{};
  int error = 0;
  for (; made < 1000 && error == 0; made++) {
    vm = {};
    error = s.silent(NPU_CALL_VM_CREATE, &vm);
  }
  s.log().add("space.too_many", errno_name(error));
}

}  // namespace

void run_objects(Road* road, Log* log) {
  {
    Session session(road, log);
    run_binding(session);
  }
  {
    Session session(road, log);
    run_small_space(session);
    run_lifetimes(session, road);
  }
  run_clearing(road, log);
  Session session(road, log);
  run_exhaustion(session);
}

}  // namespace npu::parity
