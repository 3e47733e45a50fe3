/* SPDX-License-Identifier: Apache-2.0 */
/* The device and what is asked of it: arrays, operators, products. */
#ifndef NPU_SAMPLES_TRAIN_DEVICE_H_
#define NPU_SAMPLES_TRAIN_DEVICE_H_

#include <npu/npu.h>
#include <npu/npu_ops_train.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "samples/train/model.h"

inline npuContext context;
inline npuQueue queue;
inline npuOps ops;

inline void check(npuResult result) {
  if (result == NPU_OK) return;
  npuErrorInfo why = {};
  why.struct_size = sizeof why;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\nlibnpuops: %s\n", why.function, why.text, npuOpsGetErrorText());
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

template <typename Info>
Info make() {
  Info info = {};
  info.struct_size = sizeof info;
  return info;
}

template <typename Info>
void submit(npuOpsKind kind, const Info& info) {
  check(npuOpsSubmit(ops, queue, kind, &info, nullptr));
}

inline npuDevPtr array(uint32_t count, const void* from = nullptr) {
  npuDevPtr at;
  check(npuMemAlloc(context, NPU_MEM_DEVICE, count * sizeof(float), &at));
  const std::vector<float> zeros(count);
  check(npuMemCopyToDevice(context, at, from ? from : zeros.data(), count * sizeof(float)));
  return at;
}

// D[m, n] = A B, or C + A B.
inline void gemm(npuDevPtr a, npuOpsForm a_form, npuDevPtr b, npuOpsForm b_form, npuDevPtr d,
                 uint32_t m, uint32_t n, uint32_t k, npuDevPtr c = 0) {
  auto g = make<npuOpsGemmInfo>();
  g.a = a, g.a_form = a_form, g.b = b, g.b_form = b_form, g.d = d, g.m = m, g.n = n, g.k = k;
  g.alpha = 1, g.beta = c != 0 ? 1.0f : 0.0f, g.c = c;
  submit(NPU_OPS_GEMM, g);
}

// y = x w (+ residual) for all tokens, w [in, out]; and its gradients, dx added to what it was where |adds|.
inline void linear(npuDevPtr x, npuDevPtr w, npuDevPtr y, uint32_t in, uint32_t out,
                   npuDevPtr residual = 0) {
  gemm(x, NPU_OPS_PLAIN, w, NPU_OPS_PLAIN, y, kTokens, out, in, residual);
}
inline void linear_backward(npuDevPtr x, npuDevPtr w, npuDevPtr dy, npuDevPtr dx, npuDevPtr dw,
                            uint32_t in, uint32_t out, bool adds = false) {
  gemm(x, NPU_OPS_TRANSPOSED, dy, NPU_OPS_PLAIN, dw, in, out, kTokens);
  gemm(dy, NPU_OPS_PLAIN, w, NPU_OPS_TRANSPOSED, dx, kTokens, in, out, adds ? dx : 0);
}

#endif
