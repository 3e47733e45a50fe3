// SPDX-License-Identifier: Apache-2.0
// COPY_SUBMIT.
#include "firmware-model/server/client.h"
#include "firmware-model/server/copy_engine.h"
#include "uapi/npu_validate.h"

namespace npu::model::server {

int Client::copy_submit(Call& call, npu_copy_submit& args) {
  // No syncobjs on this road; NPU_FEATURE_COPY_SYNC says so. So NPU_COPY_WAIT is set from here on.
  if (args.waits.count != 0 || args.signals.count != 0) return EOPNOTSUPP;
  std::vector<npu_copy_op> ops;
  int err = call.read_array(args.ops, &ops);
  if (err != 0) return err;
  std::vector<CopyStep> steps(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    const npu_copy_op& op = ops[i];
    err = -npu_validate_copy_op(&op, &device_->limits());
    if (err != 0) return err;
    CopyStep& step = steps[i];
    step.op = op;
    step.dst = find_bo(op.dst_handle);
    if (step.dst == nullptr) return ENOENT;
    if (npu_validate_span(op.dst_offset, op.size_bytes, step.dst->bytes()) != 0) return EINVAL;
    if (!step.dst->writable()) return EACCES;
    if (op.kind == NPU_COPY_FILL) continue;
    step.src = find_bo(op.src_handle);
    if (step.src == nullptr) return ENOENT;
    if (npu_validate_span(op.src_offset, op.size_bytes, step.src->bytes()) != 0) return EINVAL;
  }
  CopyJob* job = nullptr;
  err = copies_->submit(this, std::move(steps), &job);
  if (err != 0) return err;
  later_ = &copy_waits_[job];
  return kLater;
}

void Client::copy_done(CopyJob* job, int error) {
  const auto found = copy_waits_.find(job);
  if (found == copy_waits_.end()) return;
  const std::unique_ptr<Call> call = std::move(found->second);
  copy_waits_.erase(found);
  host_->send(call->reply(error, nullptr, 0));
}

}  // namespace npu::model::server
