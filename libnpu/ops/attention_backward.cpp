// SPDX-License-Identifier: Apache-2.0
// Plans of attention's gradient: by queries, then by keys and values.
#include <algorithm>
#include <initializer_list>

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
  struct Named {
    const char* name;
    npuDevPtr at;
    const npuOpsStrides& strides;
  };
  for (const Named& x : {Named{"q", t.q, t.q_strides},
                         {"o", t.o, t.o_strides},
                         {"d_o", t.d_o, t.do_strides},
                         {"dq", t.dq, t.dq_strides}})
    NPU_OPS_TRY(check_attention_tensor(x.name, x.at, s, s.heads, s.q_len, x.strides));
  for (const Named& x : {Named{"k", t.k, t.k_strides},
                         {"v", t.v, t.v_strides},
                         {"dk", t.dk, t.dk_strides},
                         {"dv", t.dv, t.dv_strides}})
    NPU_OPS_TRY(check_attention_tensor(x.name, x.at, s, s.kv_heads, s.kv_len, x.strides));
  NPU_OPS_TRY(check_attention_statistics("lse", t.lse, s));
  return check_attention_statistics("delta", t.delta, s);
}

struct Tensor {
  npuDevPtr at;
  const npuOpsStrides& strides;
};

// By queries or by keys: both programs take their own two tensors, the other two, and two more.
void make_plan(const Task& task, bool keys, std::initializer_list<Tensor> tensors, Plan* plan) {
  const AttentionShape& s = task.shape;
  const uint32_t heads = keys ? s.kv_heads : s.heads, own = keys ? s.kv_len : s.q_len;
  if (s.batch == 0 || heads == 0 || own == 0 || s.head_dim == 0) return;
  plan->program = kProgramAttentionBackward + type_index(s.type) * 2 + (keys ? 1 : 0);
  plan->grid[0] = ceil_div(own, kAttentionBackwardOwn);
  plan->grid[1] = heads;
  plan->grid[2] = s.batch;
  const uint64_t elem = type_bytes(s.type);
  for (const Tensor& x : tensors) {
    plan->add64(x.at).add64(x.strides.batch * elem).add64(x.strides.head * elem);
    plan->add32(std::max<uint64_t>(x.strides.token, s.head_dim));
  }
  plan->add64(task.info.lse).add64(task.info.delta);
  plan->add32(s.q_len).add32(s.kv_len).add32(s.head_dim).add32(s.heads / s.kv_heads);
  plan->add32(s.causal).add32(attention_window(s)).add_f32(task.info.scale);
  plan->add32(kAttentionBackwardOwn).add32(kAttentionBackwardOther);
}

npuResult plan_keys(const void* info, Plan* plan) {
  Task task;
  NPU_OPS_TRY(read_task(info, &task));
  const npuOpsAttentionBackwardInfo& t = task.info;
  make_plan(task, true,
            {{t.k, t.k_strides},
             {t.v, t.v_strides},
             {t.q, t.q_strides},
             {t.d_o, t.do_strides},
             {t.dk, t.dk_strides},
             {t.dv, t.dv_strides}},
            plan);
  return NPU_OK;
}

}  // namespace

npuResult plan_attention_backward(const void* info, Plan* plan) {
  Task task;
  NPU_OPS_TRY(read_task(info, &task));
  plan->then = plan_keys;
  const npuOpsAttentionBackwardInfo& t = task.info;
  make_plan(task, false,
            {{t.q, t.q_strides},
             {t.d_o, t.do_strides},
             {t.k, t.k_strides},
             {t.v, t.v_strides},
             {t.dq, t.dq_strides},
             {t.o, t.o_strides}},
            plan);
  return NPU_OK;
}

}  // namespace npu::ops
