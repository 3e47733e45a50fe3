/* SPDX-License-Identifier: Apache-2.0 */
/* The sum of all ranks' vectors: mpirun -np 4 ./all_reduce, or srun --mpi=pmix. Started by itself it is the only rank. */
#include <npu/npu.h>
#include <npu/npu_ccl.h>
#include <stdio.h>
#include <stdlib.h>

enum { kCount = 1 << 16 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static void check_ccl(npuResult result) {
  if (result == NPU_OK) return;
  fprintf(stderr, "%s\n", npuCclGetErrorText());
  puts("FAILED");
  exit(1);
}

/* Which rank this is, and the id by which the ranks find each other. */
static npuCclWorld find_world(void) {
  npuCclWorld world = {.struct_size = sizeof world};
  const npuResult result = npuCclGetWorld(0, &world);
  if (result != NPU_ERROR_NOT_FOUND) {
    check_ccl(result);
    return world;
  }
  world.ranks = 1;
  check_ccl(npuCclGetId(&world.id));
  return world;
}

int main(void) {
  static float values[kCount];
  const npuCclWorld world = find_world();
  char name[16];
  uint32_t devices = 0;
  int wrong = 0;
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr ptr;
  npuCclComm comm;

  check(npuInit());
  check(npuDeviceGetCount(&devices));
  if (devices == 0) {
    puts("SKIPPED");
    return 77;
  }
  snprintf(name, sizeof name, "%u", world.local_rank % devices);
  check(npuDeviceOpen(name, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof values, &ptr));
  for (int i = 0; i < kCount; i++) values[i] = (float)(i % 100 + (int)world.rank);
  check(npuMemCopyToDevice(context, ptr, values, sizeof values));

  check_ccl(npuCclCommCreate(&world.id, world.ranks, world.rank, context, NULL, &comm));
  check_ccl(npuCclAllReduce(comm, queue, ptr, ptr, kCount, NPU_FLOAT32, NPU_CCL_SUM, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check_ccl(npuCclCommDestroy(comm));

  check(npuMemCopyToHost(context, values, ptr, sizeof values));
  for (uint32_t i = 0; i < kCount; i++) {
    const uint32_t sum = world.ranks * (i % 100) + world.ranks * (world.ranks - 1) / 2;
    wrong += values[i] != (float)sum;
  }
  check(npuDeviceClose(device));
  check(npuShutdown());
  printf("rank %u of %u: %d of %d sums are wrong\n", world.rank, world.ranks, wrong, kCount);
  puts(wrong == 0 ? "PASSED" : "FAILED");
  return wrong == 0 ? 0 : 1;
}
