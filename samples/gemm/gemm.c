/* SPDX-License-Identifier: Apache-2.0 */
/* D = relu(A B + bias) through libnpuops, compared with a double-precision sum on the CPU. */
#include <math.h>
#include <npu/npu.h>
#include <npu/npu_ops.h>
#include <stdio.h>
#include <stdlib.h>

enum { kM = 192, kN = 160, kK = 320 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  if (why.code == result)
    fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  else
    fprintf(stderr, "libnpuops: %s\n", npuOpsGetErrorText());
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

/* |count| numbers in [-1, 1) on the host, and a copy of them on the device. */
static float *make_operand(npuContext context, uint32_t seed, uint32_t count, npuDevPtr *out_ptr) {
  float *host = malloc(count * sizeof *host);
  if (host == NULL) exit(1);
  for (uint32_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    host[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
  }
  check(npuMemAlloc(context, NPU_MEM_DEVICE, count * sizeof *host, out_ptr));
  check(npuMemCopyToDevice(context, *out_ptr, host, count * sizeof *host));
  return host;
}

/* Elements of |d| that are further from the exact value than rounding can bring them. */
static int count_wrong(const float *a, const float *b, const float *bias, const float *d) {
  int wrong = 0;
  for (int i = 0; i < kM; i++) {
    for (int j = 0; j < kN; j++) {
      double exact = bias[j], size = fabs((double)bias[j]);
      for (int k = 0; k < kK; k++) {
        double product = (double)a[i * kK + k] * (double)b[k * kN + j];
        exact += product;
        size += fabs(product);
      }
      if (exact < 0) exact = 0;
      /* a chain of k fused multiply-adds: at most k roundings of at most 2^-24 of the running sum */
      if (!(fabs(d[i * kN + j] - exact) <= (kK + 2) * ldexp(size, -24))) wrong++;
    }
  }
  return wrong;
}

int main(void) {
  static float d[kM * kN];
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuOps ops;
  uint64_t done;
  npuTiming time = {.struct_size = sizeof time};
  npuOpsGemmInfo gemm = {.struct_size = sizeof gemm,
                         .type = NPU_FLOAT32,
                         .out_type = NPU_FLOAT32,
                         .activation = NPU_OPS_ACT_RELU,
                         .m = kM,
                         .n = kN,
                         .k = kK,
                         .alpha = 1.0f};

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuOpsCreate(context, NULL, &ops)); /* loads the blob of the operators */
  float *a = make_operand(context, 1, kM * kK, &gemm.a);
  float *b = make_operand(context, 2, kK * kN, &gemm.b);
  float *bias = make_operand(context, 3, kN, &gemm.bias);
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof d, &gemm.d));

  check(npuOpsGemm(ops, queue, &gemm, &done));
  check(npuQueueWait(queue, done, NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, d, gemm.d, sizeof d));
  check(npuQueueGetTiming(queue, done, &time));
  double us = (double)(time.end_ps - time.start_ps) / 1e6;
  printf("[%d x %d] x [%d x %d], fp32: %.2f us of device time, %.0f GFLOP/s\n", kM, kK, kK, kN, us,
         2e-3 * kM * kN * kK / us);
  int wrong = count_wrong(a, b, bias, d);
  check(npuOpsDestroy(ops));
  check(npuDeviceClose(device));
  free(a);
  free(b);
  free(bias);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
