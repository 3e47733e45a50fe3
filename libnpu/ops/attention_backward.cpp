// SPDX-License-Identifier: Apache-2.0
// Plans of attention's gradient: by queries, then by keys and values.
#include "libnpu/ops/attention.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

struct Task {
  npuOpsAttentionBackwardInfo info;
  AttentionShape shape;
};

npuResult read_task(const void* info, Task* task) {
  npuOpsAttentionBackwardInfo& t = task->info;
  NPU_OPS_TRY(read_info(info, &t));
  NPU_OPS_TRY(check_reserved(t.reserved));
  const AttentionShape& s = task->shape = {t.type,   t.batch,    t.heads,  t.kv_heads, t.q_len,
                                           t.kv_len, t.head_dim, t.causal, t.window};
  NPU_OPS_TRY(check_attention(s));
  struct Tensor {
    const char* name;
    npuDevPtr at;
    const npuOpsStrides& strides;
  };
  for (const Tensor& x : {Tensor{"q", t.q, t.q_strides},
                          {"o", t.o, t.o_strides},
                          {"d_o", t.d_o, t.do_strides},
                          {"dq", t.dq, t.dq_strides}})
    NPU_OPS_TRY(check_attention_tensor(x.name, x.at, s, s.heads, s.q_len, x.strides));
  for (const Tensor& x : {Tensor{"k", t.k, t.k_strides},
                          {"v", t.v, t.v_strides},
                          {"dk", t.dk, t.dk_strides},
                          {"dv", t.dv, t.dv_strides}})
    NPU_OPS_TRY(check_attention_tensor(x.name, x.at, s, s.kv_heads, s.kv_len, x.strides));
  NPU_OPS_TRY(check_attention_statistics("lse", t.lse, s));
  return check_attention_statistics("delta", t.delta, s);
}

// Of a program that owns |own| tokens of |heads| heads.
void start_plan(const Task& task, bool keys, Plan* plan) {
  const AttentionShape& s = task.shape;
  plan->program = kProgramAttentionBackward + type_index(s.type) * 2 + (keys ? 1 : 0);
  plan->grid[0] = ceil_div(keys ? s.kv_len : s.q_len, kAttentionBackwardOwn);
  plan->grid[1] = keys ? s.kv_heads : s.heads;
  plan->grid[2] = s.batch;
}

void add_tensor(const Task& task, npuDevPtr at, const npuOpsStrides& strides, Plan* plan) {
  const uint64_t elem = type_bytes(task.shape.type);
  plan->add64(at).add64(strides.batch * elem).add64(strides.head * elem);
  plan->add32(std::max<uint64_t>(strides.token, task.shape.head_dim));
}

void finish_plan(const Task& task, Plan* plan) {
  const AttentionShape& s = task.shape;
  plan->add64(task.info.lse).add64(task.info.delta);
  plan->add32(s.q_len).add32(s.kv_len).add32(s.head_dim).add32(s.heads / s.kv_heads);
  plan->add32(s.causal).add32(attention_window(s)).add_f32(task.info.scale);
  plan->add32(kAttentionBackwardOwn).add32(kAttentionBackwardOther);
}

npuResult plan_keys(const void* info, Plan* plan) {
  Task task;
  NPU_OPS_TRY(read_task(info, &task));
  const AttentionShape& s = task.shape;
  if (s.batch == 0 || s.kv_heads == 0 || s.kv_len == 0 || s.head_dim == 0) return NPU_OK;
  const npuOpsAttentionBackwardInfo& t = task.info;
  start_plan(task, true, plan);
  add_tensor(task, t.k, t.k_strides, plan);
  add_tensor(task, t.v, t.v_strides, plan);
  add_tensor(task, t.q, t.q_strides, plan);
  add_tensor(task, t.d_o, t.do_strides, plan);
  add_tensor(task, t.dk, t.dk_strides, plan);
  add_tensor(task, t.dv, t.dv_strides, plan);
  finish_plan(task, plan);
  return NPU_OK;
}

}  // namespace

npuResult plan_attention_backward(const void* info, Plan* plan) {
  Task task;
  NPU_OPS_TRY(read_task(info, &task));
  plan->then = plan_keys;
  const AttentionShape& s = task.shape;
  if (s.batch == 0 || s.heads == 0 || s.q_len == 0 || s.head_dim == 0) return NPU_OK;
  const npuOpsAttentionBackwardInfo& t = task.info;
  start_plan(task, false, plan);
  add_tensor(task, t.q, t.q_strides, plan);
  add_tensor(task, t.d_o, t.do_strides, plan);
  add_tensor(task, t.k, t.k_strides, plan);
  add_tensor(task, t.v, t.v_strides, plan);
  add_tensor(task, t.dq, t.dq_strides, plan);
  add_tensor(task, t.o, t.o_strides, plan);
  finish_plan(task, plan);
  return NPU_OK;
}

}  // namespace npu::ops
