/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows what its device does: it collects the activities itself and prints their sums, one line a kernel or transfer.
 *
 *   known            three products, one of them twice in a graph, a fill and a copy
 *   known hang       the same, then "waiting PID" and a wait that never ends
 */
#include <npu/npu.h>
#include <npu/npu_ops.h>
#include <npu/npu_prof.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kSize = 64, kRecords = 512, kNames = 32 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "known: %d: %s %s\n", result, why.text, npuOpsGetErrorText());
  exit(77 * (result == NPU_ERROR_NO_DEVICE) + (result != NPU_ERROR_NO_DEVICE));
}

typedef struct Sum {
  char name[64];
  int is_kernel;
  unsigned long long calls, ps, macs, bytes;
} Sum;

static Sum *sum_of(Sum *sums, const npuProfActivity *record) {
  int i = 0;
  while (sums[i].name[0] != '\0' && strcmp(sums[i].name, record->name) != 0) i++;
  if (i == kNames - 1) exit(1);
  strcpy(sums[i].name, record->name);
  return &sums[i];
}

static void print_sums(void) {
  static npuProfActivity records[kRecords];
  static Sum sums[kNames];
  uint32_t count = kRecords;
  uint64_t dropped = 0;
  records[0].struct_size = sizeof records[0];
  check(npuProfRead(&count, records, &dropped));
  for (uint32_t i = 0; i < count; i++) {
    const npuProfActivity *r = &records[i];
    int is_kernel = r->grid_x != 0;
    if (r->kind == NPU_PROF_GRAPH || r->kind == NPU_PROF_SYNC) continue;
    Sum *sum = sum_of(sums, r);
    sum->is_kernel = is_kernel;
    sum->calls++;
    sum->ps += r->end_ps - r->start_ps;
    sum->macs += r->mac_ops;
    sum->bytes += is_kernel ? r->hbm_read_bytes + r->hbm_write_bytes : r->bytes;
  }
  for (const Sum *s = sums; s->name[0] != '\0'; s++)
    printf("%s|%d|%llu|%llu|%llu|%llu\n", s->name, s->is_kernel, s->calls, s->ps, s->macs,
           s->bytes);
  printf("dropped|%llu\n", (unsigned long long)dropped);
}

static void multiply(npuOps ops, npuQueue queue, npuDevPtr at) {
  npuOpsGemmInfo gemm = {.struct_size = sizeof gemm,
                         .m = kSize,
                         .n = kSize,
                         .k = kSize,
                         .a = at,
                         .b = at,
                         .d = at + 4 * kSize * kSize,
                         .alpha = 1.0f};
  check(npuOpsGemm(ops, queue, &gemm, NULL));
}

static void hang(npuContext context, npuQueue queue) {
  npuSemaphore never;
  npuDevPtr word;
  check(npuSemaphoreCreate(context, 0, &never));
  check(npuSemaphoreGetAddress(never, &word));
  check(npuQueueWaitSemaphore(queue, word, 1, NULL));
  printf("waiting %d\n", (int)getpid());
  fflush(stdout);
  npuQueueSync(queue, NPU_TIMEOUT_INFINITE);
}

int main(int argc, char **argv) {
  npuProfInfo info = {.struct_size = sizeof info, .kinds = NPU_PROF_ALL & ~(1u << NPU_PROF_CALL)};
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuOps ops;
  npuGraph graph;
  npuGraphExec exec;
  npuDevPtr at;
  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuProfStart(&info));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuOpsCreate(context, NULL, &ops));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, 8 * kSize * kSize, &at));
  check(npuQueueFill(queue, at, 0, 4, 4 * kSize * kSize, NULL));
  multiply(ops, queue, at);
  check(npuQueueCopy(queue, at + 4 * kSize * kSize, at, 1024, NULL));
  check(npuQueueBeginCapture(queue));
  multiply(ops, queue, at);
  multiply(ops, queue, at);
  check(npuQueueEndCapture(queue, &graph));
  check(npuGraphInstantiate(graph, &exec));
  check(npuGraphLaunch(exec, queue, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuProfFlush(NPU_TIMEOUT_INFINITE));
  print_sums();
  if (argc > 1 && strcmp(argv[1], "hang") == 0) hang(context, queue);
  check(npuOpsDestroy(ops));
  check(npuDeviceClose(device));
  return argc > 1 ? atoi(argv[1]) : 0;
}
