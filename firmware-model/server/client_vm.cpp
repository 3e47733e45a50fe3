// SPDX-License-Identifier: Apache-2.0
// Calls on address spaces: VM_CREATE, VM_DESTROY, VM_BIND, VM_QUERY.
#include <algorithm>

#include "firmware-model/server/client.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {

Vm* Client::find_vm(uint32_t id) const {
  const auto found = vms_.find(id);
  return found == vms_.end() ? nullptr : found->second.get();
}

int Client::vm_create(Call&, npu_vm_create& args) {
  std::unique_ptr<Vm> vm;
  const uint64_t va_end = args.va_end == 0 ? device_->limits().va_end : args.va_end;
  const int err = Vm::create(device_, account_, va_end, &vm);
  if (err != 0) return err;
  args.vm_id = next_vm_++;
  args.va_end = va_end;
  vms_.emplace(args.vm_id, std::move(vm));
  return 0;
}

int Client::vm_destroy(Call&, npu_vm_destroy& args) {
  const Vm* vm = find_vm(args.vm_id);
  if (vm == nullptr) return ENOENT;
  const bool busy = std::any_of(queues_.begin(), queues_.end(),
                                [vm](const auto& queue) { return queue.second->vm() == vm; });
  if (busy) return EBUSY;
  vms_.erase(args.vm_id);
  return 0;
}

int Client::check_bind(const Vm& vm, uint32_t vm_id, const npu_bind_op& op, BindStep* out) const {
  int err = -npu_validate_bind_op(&op, &device_->limits());
  if (err != 0) return err;
  if (op.dva + op.size_bytes > vm.va_end()) return EINVAL;
  if (op.kind == NPU_BIND_MAP) {
    std::shared_ptr<Bo> bo = find_bo(op.bo_handle);
    if (bo == nullptr) return ENOENT;
    err = -npu_validate_bind_bo(&op, bo->region(), bo->bytes());
    if (err != 0) return err;
    if (bo->vm_id() != 0 && bo->vm_id() != vm_id) return EACCES;
    if (!bo->writable() && (op.flags & NPU_BIND_READONLY) == 0) return EACCES;
    out->bo = std::move(bo);
  }
  if (vm.pinned(op.dva, op.size_bytes)) return EBUSY;
  out->op = op;
  return 0;
}

int Client::vm_bind(Call& call, npu_vm_bind& args) {
  args.failed_index = ~0u;
  Vm* vm = find_vm(args.vm_id);
  if (vm == nullptr) return ENOENT;
  std::vector<npu_bind_op> ops;
  const int err = call.read_array(args.ops, &ops);
  if (err != 0) return err;
  std::vector<BindStep> steps(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    const int bad = check_bind(*vm, args.vm_id, ops[i], &steps[i]);
    if (bad != 0) {
      args.failed_index = static_cast<uint32_t>(i);
      return bad;
    }
  }
  return vm->bind(steps, &args.failed_index);
}

int Client::vm_query(Call& call, npu_vm_query& args) {
  const Vm* vm = find_vm(args.vm_id);
  if (vm == nullptr) return ENOENT;
  args.state = NPU_VM_READY;
  args.mapped_bytes = vm->mapped_bytes();
  args.table_bytes = vm->table_bytes();
  args.faults_total = vm->faults_total();
  return call.write_array(&args.faults, vm->faults());
}

}  // namespace npu::model::server
