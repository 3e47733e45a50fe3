// SPDX-License-Identifier: Apache-2.0
//
// NpuWeights: a checkpoint in device memory, matrices in the two forms that the GEMM streams.
#ifndef SAMPLES_LLM_NPU_WEIGHTS_H_
#define SAMPLES_LLM_NPU_WEIGHTS_H_

#include <cstdint>
#include <vector>

#include "samples/llm/checkpoint.h"
#include "samples/llm/npu_session.h"

namespace npu::llm {

/// A weight [n, k] as operand B of a GEMM. A token of decoding reads it by rows, once and as it lies; the prompt reads what npuOpsGemmPackB made of it, many times. That is twice the memory: who
/// has none to spare keeps one of them, and decodes or reads prompts at two thirds of the speed.
struct WeightMatrix {
  npuDevPtr rows = 0;
  npuDevPtr packed = 0;
  uint32_t n = 0;
  uint32_t k = 0;
};

/// Matrices that multiply the same vector lie behind one another and are one GEMM.
struct NpuLayer {
  npuDevPtr attention_norm = 0;
  WeightMatrix projection;  // q, k, v
  WeightMatrix output;
  npuDevPtr ffn_norm = 0;
  WeightMatrix gate_up;  // w1, w3
  WeightMatrix down;     // w2
};

struct NpuWeights {
  npuDataType type = NPU_FLOAT32;
  npuDevPtr embedding = 0;  // [vocabulary x dim] by rows, for look-ups
  std::vector<NpuLayer> layers;
  npuDevPtr final_norm = 0;
  WeightMatrix logits;
  uint64_t bytes = 0;  // of all the above
};

inline uint32_t type_bytes(npuDataType type) { return type == NPU_BFLOAT16 ? 2 : 4; }

/// Uploads every weight once, as `type` (NPU_FLOAT32: widened, exact; NPU_BFLOAT16: as stored, or
/// rounded to nearest even from a wider format). Waits until all of it is there. The memory is the
/// session's.
Result<NpuWeights> upload_weights(NpuSession& session, const Checkpoint& checkpoint,
                                  npuDataType type);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_NPU_WEIGHTS_H_
