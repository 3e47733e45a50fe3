/* SPDX-License-Identifier: Apache-2.0 */
/* A small network of two layers is captured once and replayed with other inputs. */
#include <npu/npu.h>
#include <npu/npu_ops.h>
#include <stdio.h>
#include <stdlib.h>

enum { kRows = 16, kSize = 64, kReplays = 8 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

/* y = relu(x w), submitted (or captured, the library of operators cannot tell). */
static void layer(npuOps ops, npuQueue queue, npuDevPtr x, npuDevPtr w, npuDevPtr y) {
  npuOpsGemmInfo gemm = {.struct_size = sizeof gemm,
                         .activation = NPU_OPS_ACT_RELU,
                         .m = kRows,
                         .n = kSize,
                         .k = kSize,
                         .a = x,
                         .b = w,
                         .d = y,
                         .alpha = 1.0f};
  check(npuOpsGemm(ops, queue, &gemm, NULL));
}

/* Small whole numbers: every sum is exact, so the CPU finds the same bits. */
static void reference(const float *x, const float *w, float *y) {
  for (int i = 0; i < kRows; i++) {
    for (int j = 0; j < kSize; j++) {
      float sum = 0;
      for (int k = 0; k < kSize; k++) sum += x[i * kSize + k] * w[k * kSize + j];
      y[i * kSize + j] = sum > 0 ? sum : 0;
    }
  }
}

int main(void) {
  static float x[kReplays][kRows * kSize], w[kSize * kSize], hidden[kRows * kSize],
      expected[kRows * kSize], found[kRows * kSize];
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuOps ops;
  npuGraph graph;
  npuGraphExec exec;
  npuDevPtr inputs, in, weights, middle, out;
  npuTiming time = {.struct_size = sizeof time};
  uint64_t done, bytes = 0;
  uint32_t nodes;
  int wrong = 0;

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuOpsCreate(context, NULL, &ops));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof x, &inputs));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof x[0], &in));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof w, &weights));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof hidden, &middle));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof found, &out));
  for (int r = 0; r < kReplays; r++)
    for (int i = 0; i < kRows * kSize; i++) x[r][i] = (float)((i * 7 + r * 13) % 5 - 2);
  for (int i = 0; i < kSize * kSize; i++) w[i] = (float)(i % 3 - 1);
  check(npuMemCopyToDevice(context, inputs, x, sizeof x));
  check(npuMemCopyToDevice(context, weights, w, sizeof w));

  check(npuQueueBeginCapture(queue));
  check(npuQueueCopy(queue, in, inputs, sizeof x[0], NULL)); /* node 1 */
  layer(ops, queue, in, weights, middle);
  layer(ops, queue, middle, weights, out);
  check(npuQueueEndCapture(queue, &graph)); /* nothing has run so far */
  check(npuGraphGetNodeCount(graph, &nodes));
  check(npuGraphDump(graph, NPU_GRAPH_DOT, &bytes, NULL));
  check(npuGraphInstantiate(graph, &exec));

  for (int r = 0; r < kReplays; r++) {
    npuCommand copy = {.struct_size = sizeof copy, .kind = NPU_COMMAND_COPY};
    copy.as.copy.dst = in;
    copy.as.copy.src = inputs + (uint64_t)r * sizeof x[0];
    copy.as.copy.size_bytes = sizeof x[0];
    check(npuGraphExecUpdateNode(exec, 1, &copy)); /* another input for this replay */
    check(npuGraphLaunch(exec, queue, &done));     /* one command, however many nodes */
    check(npuQueueWait(queue, done, NPU_TIMEOUT_INFINITE));
    check(npuMemCopyToHost(context, found, out, sizeof found));
    reference(x[r], w, hidden);
    reference(hidden, w, expected);
    for (int i = 0; i < kRows * kSize; i++) wrong += found[i] != expected[i];
  }
  check(npuGraphExecGetNodeTiming(exec, 2, &time));
  printf("%u nodes, %d replays; the first layer took %.2f us of device time\n", nodes, kReplays,
         (double)(time.end_ps - time.start_ps) / 1e6);
  check(npuDeviceClose(device));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
