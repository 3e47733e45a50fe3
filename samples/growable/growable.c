/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor that grows in place: addresses are reserved once, memory is mapped when it is needed. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>

enum { kBlocks = 16 };
static const uint64_t kBlockBytes = 4 * NPU_MEM_GRANULE_BYTES;

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
  npuDevPtr cache, copy;
  npuMemStats stats = {.struct_size = sizeof stats};

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));

  /* Room for a terabyte; it costs nothing. */
  check(npuMemReserve(context, 1ull << 40, 0, &cache));
  for (uint64_t block = 0; block < kBlocks; block++) {
    npuMemHandle memory;
    check(npuMemCreate(context, NPU_MEM_DEVICE, kBlockBytes, &memory));
    check(npuMemMapAt(context, cache + block * kBlockBytes, memory, 0, kBlockBytes, 0));
    check(npuMemDestroy(memory)); /* the mapping keeps it */
    /* What was there keeps its address: no copy, no stale pointers in argument blocks. */
    check(npuQueueFill(queue, cache + block * kBlockBytes, 0x0101010101010101 * (block + 1), 8,
                       kBlockBytes, NULL));
  }

  /* One copy over all the pieces. */
  const uint64_t bytes = kBlocks * kBlockBytes;
  unsigned char *host = malloc(bytes);
  check(npuMemAlloc(context, NPU_MEM_DEVICE, bytes, &copy));
  check(npuQueueCopy(queue, copy, cache, bytes, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  if (host == NULL) return 1;
  check(npuMemCopyToHost(context, host, copy, bytes));
  int wrong = 0;
  for (uint64_t i = 0; i < bytes; i++) wrong += host[i] != i / kBlockBytes + 1;

  check(npuMemFree(context, copy));
  check(npuMemUnmapAt(context, cache, bytes));
  check(npuMemReleaseReservation(context, cache));
  check(npuMemGetStats(context, &stats));
  const npuMemUsage *held = &stats.device[NPU_MEM_USE_HANDLES];
  printf("%d blocks of %llu KiB side by side, at most %llu KiB held, at the end %llu\n", kBlocks,
         (unsigned long long)kBlockBytes >> 10, (unsigned long long)held->peak_bytes >> 10,
         (unsigned long long)held->bytes);
  if (held->bytes != 0 || held->peak_bytes != bytes) wrong++;
  check(npuDeviceClose(device));
  free(host);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
