// SPDX-License-Identifier: Apache-2.0
// From a node of ggml's graph to operators of libnpuops. Pure functions; the host alone.
#ifndef INTEGRATIONS_GGML_LOWER_H_
#define INTEGRATIONS_GGML_LOWER_H_

#include <ggml.h>
#include <npu/npu_tensor.h>

#include <cstdint>

namespace npu::ggml {

// One operator: its kind, and the info struct of that kind.
struct Operation {
  npuOpsKind kind;
  union {
    npuOpsMapInfo map;
    npuOpsCombineInfo combine;
    npuOpsGateInfo gate;
    npuOpsReduceInfo reduce;
    npuOpsSortInfo sort;
    npuOpsTensorNormInfo norm;
    npuOpsTensorSoftmaxInfo softmax;
    npuOpsTensorRopeInfo rope;
    npuOpsTensorGatherInfo gather;
    npuOpsTensorScatterInfo scatter;
    npuOpsMatmulInfo matmul;
    npuOpsTensorAttentionInfo attention;
    npuOpsProductsInfo products;  // of several nodes only
  } info;
};

inline constexpr uint32_t kOperationsMax = 2;  // of one node
struct Lowered {
  uint32_t count = 0;
  Operation operations[kOperationsMax];
};

// Nothing to compute: views, empty tensors.
bool is_idle(const ggml_tensor* node);

// False: no operator does this. An address that is not known yet stands as a number that is aligned.
bool lower(const ggml_tensor* node, Lowered* out);

// Whether the node can run on the device: the same road as when it runs, up to the launch. Takes about a microsecond.
bool is_supported(const ggml_tensor* node);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_LOWER_H_
