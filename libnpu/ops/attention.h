// SPDX-License-Identifier: Apache-2.0
// What attention and its gradient ask of their operands.
#ifndef LIBNPU_OPS_ATTENTION_H_
#define LIBNPU_OPS_ATTENTION_H_

#include "libnpu/ops/check.h"

namespace npu::ops {

struct AttentionShape {
  npuDataType type;
  uint32_t batch, heads, kv_heads, q_len, kv_len, head_dim, causal, window;
};
npuResult check_attention(const AttentionShape& shape);

// A tensor [batch, head, token, dim] with strides.
npuResult check_attention_tensor(const char* name, npuDevPtr at, const AttentionShape& shape,
                                 uint32_t heads, uint32_t tokens, const npuOpsStrides& strides);
// One fp32 number for each query: [batch, heads, q_len].
npuResult check_attention_statistics(const char* name, npuDevPtr at, const AttentionShape& shape);

// As programs take it: without a window one that is larger than every distance.
inline uint32_t attention_window(const AttentionShape& shape) {
  return shape.window != 0 ? shape.window : static_cast<uint32_t>(kCountMax);
}

}  // namespace npu::ops

#endif  // LIBNPU_OPS_ATTENTION_H_
