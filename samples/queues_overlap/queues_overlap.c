/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of data go to the device, are computed on, and come back: first on one queue, then on three that overlap. */
#include <npu/npu.h>
#include <npu/npu_ops.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBlocks = 16, kCols = 65536, kBytes = kCols * 4 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

struct pipeline {
  npuContext context;
  npuOps ops;
  npuDevPtr input, output;             /* pinned host memory, all blocks */
  npuDevPtr in[kBlocks], out[kBlocks]; /* on the device */
};

static npuQueue make_queue(npuContext context, npuQueueClass queue_class) {
  npuQueueInfo info = {.struct_size = sizeof info, .queue_class = queue_class};
  npuQueue queue;
  check(npuQueueCreate(context, &info, &queue));
  return queue;
}

/* Runs all blocks; with three different queues each waits for the block of the one before it. The device time at which the last block is back. */
static uint64_t run(const struct pipeline *p, npuQueue load, npuQueue work, npuQueue store) {
  npuTiming time = {.struct_size = sizeof time};
  uint64_t loaded, worked, stored = 0;
  for (uint64_t i = 0; i < kBlocks; i++) {
    npuOpsElementwiseInfo square = {.struct_size = sizeof square,
                                    .type = NPU_FLOAT32,
                                    .out_type = NPU_FLOAT32,
                                    .function = NPU_OPS_MUL,
                                    .rows = 1,
                                    .cols = kCols,
                                    .x = p->in[i],
                                    .b = p->in[i],
                                    .y = p->out[i]};
    check(npuQueueCopy(load, p->in[i], p->input + i * kBytes, kBytes, &loaded));
    if (work != load) check(npuQueueWaitQueue(work, load, loaded, NULL));
    check(npuOpsBinary(p->ops, work, &square, &worked));
    if (store != work) check(npuQueueWaitQueue(store, work, worked, NULL));
    check(npuQueueCopy(store, p->output + i * kBytes, p->out[i], kBytes, &stored));
  }
  check(npuQueueWait(store, stored, NPU_TIMEOUT_INFINITE));
  check(npuQueueGetTiming(store, stored, &time));
  return time.end_ps;
}

int main(void) {
  struct pipeline p;
  npuDevice device;
  void *input, *output;
  int wrong = 0;

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &p.context));
  check(npuOpsCreate(p.context, NULL, &p.ops));
  check(npuMemAlloc(p.context, NPU_MEM_HOST, kBlocks * kBytes, &p.input));
  check(npuMemAlloc(p.context, NPU_MEM_HOST, kBlocks * kBytes, &p.output));
  check(npuMemMap(p.context, p.input, kBlocks * kBytes, &input));
  check(npuMemMap(p.context, p.output, kBlocks * kBytes, &output));
  for (int i = 0; i < kBlocks; i++) {
    check(npuMemAlloc(p.context, NPU_MEM_DEVICE, kBytes, &p.in[i]));
    check(npuMemAlloc(p.context, NPU_MEM_DEVICE, kBytes, &p.out[i]));
  }
  for (int i = 0; i < kBlocks * kCols; i++) ((float *)input)[i] = (float)(i % 1000);

  npuQueue one = make_queue(p.context, NPU_QUEUE_CLASS_COMPUTE);
  const uint64_t serial_ps = run(&p, one, one, one);
  memset(output, 0, kBlocks * kBytes);
  const uint64_t overlapped_ps = run(&p, make_queue(p.context, NPU_QUEUE_CLASS_COPY),
                                     make_queue(p.context, NPU_QUEUE_CLASS_COMPUTE),
                                     make_queue(p.context, NPU_QUEUE_CLASS_COPY));
  for (int i = 0; i < kBlocks * kCols; i++) {
    const float x = ((float *)input)[i];
    wrong += ((float *)output)[i] != x * x;
  }
  printf("%d blocks: %.1f us of device time on one queue, %.1f us on three\n", kBlocks,
         (double)serial_ps / 1e6, (double)overlapped_ps / 1e6);
  wrong += overlapped_ps >= serial_ps;
  check(npuDeviceClose(device));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
