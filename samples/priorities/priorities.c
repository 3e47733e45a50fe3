/* SPDX-License-Identifier: Apache-2.0 */
/* A large job of low priority runs; small urgent ones overtake it, and its result is the same. */
#include <npu/npu.h>
#include <npu/npu_ops.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kCols = 1 << 22, kJobs = 8, kUrgent = 20, kSmall = 1024 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static npuQueue make_queue(npuContext context, npuQueuePriority priority) {
  npuQueueInfo info = {.struct_size = sizeof info, .priority = priority};
  npuQueue queue;
  check(npuQueueCreate(context, &info, &queue));
  return queue;
}

/* y = x + value for |cols| numbers. */
static uint64_t add(npuOps ops, npuQueue queue, npuDevPtr x, npuDevPtr y, uint32_t cols,
                    float value) {
  npuOpsElementwiseInfo info = {.struct_size = sizeof info,
                                .function = NPU_OPS_ADD,
                                .spread = NPU_OPS_SCALAR,
                                .rows = 1,
                                .cols = cols,
                                .value = value,
                                .x = x,
                                .y = y};
  uint64_t done;
  check(npuOpsBinary(ops, queue, &info, &done));
  return done;
}

static double now_ms(void) {
  struct timespec time;
  timespec_get(&time, TIME_UTC);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(void) {
  npuDevice device;
  npuContext context;
  npuOps ops;
  npuDevPtr large, small;
  uint64_t last = 0, completed;
  int overtook = 0, wrong = 0;
  float *found = malloc(kCols * sizeof *found);
  float number;

  if (found == NULL) return 1;
  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuOpsCreate(context, NULL, &ops));
  npuQueue background = make_queue(context, NPU_PRIORITY_LOW);
  npuQueue urgent = make_queue(context, NPU_PRIORITY_NORMAL); /* HIGH is for root */
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kCols * sizeof(float), &large));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kSmall * sizeof(float), &small));

  const double begin_ms = now_ms();
  for (int i = 0; i < kJobs; i++) last = add(ops, background, large, large, kCols, 1.0f);
  for (int i = 0; i < kUrgent; i++) {
    const uint64_t done = add(ops, urgent, small, small, kSmall, 1.0f);
    check(npuQueueWait(urgent, done, NPU_TIMEOUT_INFINITE));
    check(npuQueueGetCompleted(background, &completed));
    overtook += completed < last;
  }
  const double urgent_ms = (now_ms() - begin_ms) / kUrgent;
  check(npuQueueWait(background, last, NPU_TIMEOUT_INFINITE));
  printf(
      "%d urgent jobs of %.2f ms each, %d of them while %d large ones of %.1f ms waited or ran\n",
      kUrgent, urgent_ms, overtook, kJobs, (now_ms() - begin_ms) / kJobs);

  check(npuMemCopyToHost(context, &number, small, sizeof number));
  check(npuMemCopyToHost(context, found, large, kCols * sizeof *found));
  wrong += number != kUrgent;
  for (int i = 0; i < kCols; i++) wrong += found[i] != kJobs;
  check(npuDeviceClose(device));
  free(found);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
