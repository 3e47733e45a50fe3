/* SPDX-License-Identifier: Apache-2.0 */
/* Causal attention with grouped heads and a KV cache through libnpuops, compared with double precision on the CPU. */
#include <math.h>
#include <npu/npu.h>
#include <npu/npu_ops.h>
#include <stdio.h>
#include <stdlib.h>

/* 8 query heads share 2 key/value heads; 24 new tokens follow 72 that are in the cache already. */
enum { kHeads = 8, kKvHeads = 2, kQLen = 24, kKvLen = 96, kDim = 64 };

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

/* |count| numbers in [-2, 2) on the host, and a copy of them on the device. */
static float *make_operand(npuContext context, uint32_t seed, uint32_t count, npuDevPtr *out_ptr) {
  float *host = malloc(count * sizeof *host);
  if (host == NULL) exit(1);
  for (uint32_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    host[i] = (float)(seed >> 8) / 4194304.0f - 2.0f;
  }
  check(npuMemAlloc(context, NPU_MEM_DEVICE, count * sizeof *host, out_ptr));
  check(npuMemCopyToDevice(context, *out_ptr, host, count * sizeof *host));
  return host;
}

/* One query against the keys that it may see: |out| has kDim elements. */
static void attend(const float *q, const float *k, const float *v, int seen, double *out) {
  double weights[kKvLen], largest = -INFINITY, sum = 0;
  for (int j = 0; j < seen; j++) {
    weights[j] = 0;
    for (int d = 0; d < kDim; d++) weights[j] += (double)q[d] * (double)k[j * kDim + d];
    weights[j] /= sqrt(kDim);
    if (weights[j] > largest) largest = weights[j];
  }
  for (int j = 0; j < seen; j++) sum += weights[j] = exp(weights[j] - largest);
  for (int d = 0; d < kDim; d++) {
    out[d] = 0;
    for (int j = 0; j < seen; j++) out[d] += weights[j] / sum * (double)v[j * kDim + d];
  }
}

/* The largest distance between |o| and the exact result. */
static double largest_error(const float *q, const float *k, const float *v, const float *o) {
  double worst = 0, exact[kDim];
  for (int head = 0; head < kHeads; head++) {
    int kv = head / (kHeads / kKvHeads) * kKvLen * kDim;
    for (int i = 0; i < kQLen; i++) {
      int at = (head * kQLen + i) * kDim;
      attend(q + at, k + kv, v + kv, kKvLen - kQLen + i + 1, exact);
      for (int d = 0; d < kDim; d++) {
        double error = fabs(o[at + d] - exact[d]);
        if (!(error <= worst)) worst = error; /* also when it is NaN */
      }
    }
  }
  return worst;
}

int main(void) {
  static float o[kHeads * kQLen * kDim];
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuOps ops;
  uint64_t done;
  npuTiming time = {.struct_size = sizeof time};
  npuOpsStrides q_strides = {kHeads * kQLen * kDim, kQLen * kDim, kDim};
  npuOpsStrides kv_strides = {kKvHeads * kKvLen * kDim, kKvLen * kDim, kDim};
  npuOpsAttentionInfo info = {.struct_size = sizeof info,
                              .type = NPU_FLOAT32,
                              .batch = 1,
                              .heads = kHeads,
                              .kv_heads = kKvHeads,
                              .q_len = kQLen,
                              .kv_len = kKvLen,
                              .head_dim = kDim,
                              .causal = 1,
                              .scale = 0.125f,
                              .q_strides = q_strides,
                              .k_strides = kv_strides,
                              .v_strides = kv_strides,
                              .o_strides = q_strides};

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuOpsCreate(context, NULL, &ops)); /* loads the blob of the operators */
  float *q = make_operand(context, 1, kHeads * kQLen * kDim, &info.q);
  float *k = make_operand(context, 2, kKvHeads * kKvLen * kDim, &info.k);
  float *v = make_operand(context, 3, kKvHeads * kKvLen * kDim, &info.v);
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof o, &info.o));

  check(npuOpsAttention(ops, queue, &info, &done));
  check(npuQueueWait(queue, done, NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, o, info.o, sizeof o));
  check(npuQueueGetTiming(queue, done, &time));
  double error = largest_error(q, k, v, o);
  printf(
      "%d heads, %d queries, %d keys, head size %d, causal: %.2f us of device time, largest error "
      "%.1e\n",
      kHeads, kQLen, kKvLen, kDim, (double)(time.end_ps - time.start_ps) / 1e6, error);
  check(npuOpsDestroy(ops));
  check(npuDeviceClose(device));
  free(q);
  free(k);
  free(v);
  puts(error < 1e-5 ? "PASSED" : "FAILED");
  return error < 1e-5 ? 0 : 1;
}
