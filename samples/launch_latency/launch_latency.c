/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch costs the host, in five ways to make it. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef NPU_OPS_BLOB_FILE
#define NPU_OPS_BLOB_FILE "npu_ops.nfw"
#endif

enum { kLaunches = 512, kRounds = 20 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static double now_us(void) {
  struct timespec time;
  timespec_get(&time, TIME_UTC);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static npuQueue queue;
static npuKernel kernel;
static npuPreparedLaunch prepared;
static npuGraphExec exec;
static npuCommand batch[kLaunches];
static npuLaunchInfo info = {.struct_size = sizeof info, .grid_x = 1, .grid_y = 1, .grid_z = 1};

/* Each makes kLaunches launches; the last one's value. */
static uint64_t by_launch(void) {
  uint64_t value = 0;
  for (int i = 0; i < kLaunches; i++) check(npuQueueLaunch(queue, kernel, &info, &value));
  return value;
}
static uint64_t by_prepared(void) {
  uint64_t value = 0;
  for (int i = 0; i < kLaunches; i++) check(npuQueueLaunchPrepared(queue, prepared, &value));
  return value;
}
static uint64_t by_batch(void) {
  uint64_t value;
  check(npuSubmitBatch(queue, kLaunches, batch, &value));
  return value;
}
static uint64_t by_graph(void) {
  uint64_t value;
  check(npuGraphLaunch(exec, queue, &value));
  return value;
}
static uint64_t by_turns(void) {
  uint64_t value = 0;
  for (int i = 0; i < kLaunches; i++) {
    check(npuQueueLaunch(queue, kernel, &info, &value));
    check(npuQueueWait(queue, value, NPU_TIMEOUT_INFINITE));
  }
  return value;
}

static void measure(const char *what, uint64_t (*submit)(void)) {
  double call_us = 0, all_us = 0;
  for (int round = 0; round < kRounds; round++) {
    const double begin_us = now_us();
    const uint64_t last = submit();
    call_us += now_us() - begin_us;
    check(npuQueueWait(queue, last, NPU_TIMEOUT_INFINITE));
    all_us += now_us() - begin_us;
  }
  printf("%-28s %8.3f us a launch to submit, %8.3f us until it has ended\n", what,
         call_us / kRounds / kLaunches, all_us / kRounds / kLaunches);
}

int main(void) {
  npuDevice device;
  npuContext context;
  npuModule module;
  npuGraph graph;
  uint64_t completed, expected = 0;

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuModuleLoad(context, NPU_OPS_BLOB_FILE, &module));
  check(npuModuleGetKernel(module, "null", &kernel));
  check(npuLaunchPrepare(kernel, &info, &prepared));
  check(npuGraphCreate(context, &graph));
  for (int i = 0; i < kLaunches; i++) {
    batch[i].struct_size = sizeof batch[i];
    batch[i].kind = NPU_COMMAND_LAUNCH;
    batch[i].as.launch.kernel = kernel;
    batch[i].as.launch.info = &info;
    check(npuGraphAddKernel(graph, 0, NULL, kernel, &info, NULL));
  }
  check(npuGraphInstantiate(graph, &exec));

  measure("npuQueueLaunch", by_launch);
  measure("npuQueueLaunchPrepared", by_prepared);
  measure("npuSubmitBatch", by_batch);
  measure("npuGraphLaunch", by_graph);
  measure("npuQueueLaunch, npuQueueWait", by_turns);
  expected = (uint64_t)kRounds * (4 * kLaunches + 1); /* a graph is one command */
  check(npuQueueGetCompleted(queue, &completed));
  check(npuDeviceClose(device));
  puts(completed == expected ? "PASSED" : "FAILED");
  return completed != expected;
}
