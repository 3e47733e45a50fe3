/* SPDX-License-Identifier: Apache-2.0 */
/* Temporaries of a pool, taken and given back in the order of a queue: no waiting, no call to the driver. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>

enum { kSteps = 200, kWords = 64 << 10 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

int main(void) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuMemPool pool;
  npuDevPtr results;
  npuMemPoolInfo info = {.struct_size = sizeof info, .kind = NPU_MEM_DEVICE, .max_bytes = 8 << 20};
  npuMemPoolStats stats = {.struct_size = sizeof stats};
  static uint64_t found[kSteps];

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuMemPoolCreate(context, &info, &pool));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof found, &results));

  /* Together the temporaries are 100 MiB; the pool never has more than 8. */
  for (uint64_t step = 0; step < kSteps; step++) {
    npuDevPtr scratch;
    check(npuMemAllocAsync(pool, queue, kWords * 8, &scratch));
    check(npuQueueFill(queue, scratch, step * step, 8, kWords * 8, NULL));
    check(npuQueueCopy(queue, results + step * 8, scratch + (kWords - 1) * 8, 8, NULL));
    check(npuMemFreeAsync(scratch, queue)); /* the copy above may not even have begun */
  }
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, found, results, sizeof found));
  check(npuMemPoolGetStats(pool, &stats));

  int wrong = 0;
  for (uint64_t step = 0; step < kSteps; step++) wrong += found[step] != step * step;
  printf("%llu allocations, %llu reused what the queue had freed, at most %llu KiB reserved\n",
         (unsigned long long)stats.allocation_count, (unsigned long long)stats.reuse_count,
         (unsigned long long)stats.reserved_high_bytes >> 10);
  if (stats.used_bytes != 0 || stats.reserved_high_bytes > info.max_bytes) wrong++;
  check(npuMemPoolTrim(pool, 0));
  check(npuMemPoolDestroy(pool));
  check(npuDeviceClose(device));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
