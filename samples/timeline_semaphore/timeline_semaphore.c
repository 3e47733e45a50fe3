/* SPDX-License-Identifier: Apache-2.0 */
/* Host and device pass buffers to and fro by two timeline semaphores, with no wait for a queue. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>

enum { kSlots = 4, kItems = 64, kWords = 1024 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static npuSemaphore make_semaphore(npuContext context, npuDevPtr *out_address) {
  npuSemaphore semaphore;
  check(npuSemaphoreCreate(context, 0, &semaphore));
  check(npuSemaphoreGetAddress(semaphore, out_address));
  return semaphore;
}

int main(void) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr full_at, empty_at, device_ring, ring, result;
  void *words, *sums;
  uint64_t reached;
  int wrong = 0;

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  npuSemaphore full = make_semaphore(context, &full_at);   /* items that the host has written */
  npuSemaphore empty = make_semaphore(context, &empty_at); /* items that the device has taken */
  check(npuMemAlloc(context, NPU_MEM_HOST, kSlots * kWords * 4, &ring));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kSlots * kWords * 4, &device_ring));
  check(npuMemAlloc(context, NPU_MEM_HOST, kItems * kWords * 4, &result));
  check(npuMemMap(context, ring, kSlots * kWords * 4, &words));
  check(npuMemMap(context, result, kItems * kWords * 4, &sums));

  /* The consumer is submitted before there is anything to consume: the device waits, the host does not. */
  for (uint64_t item = 1; item <= kItems; item++) {
    const uint64_t slot = (item - 1) % kSlots * kWords * 4;
    check(npuQueueWaitSemaphore(queue, full_at, item, NULL));
    check(npuQueueCopy(queue, device_ring + slot, ring + slot, kWords * 4, NULL));
    check(npuQueueSignal(queue, empty_at, item, NULL)); /* the slot may be written again */
    check(npuQueueCopy(queue, result + (item - 1) * kWords * 4, device_ring + slot, kWords * 4,
                       NULL));
  }
  for (uint64_t item = 1; item <= kItems; item++) {
    if (item > kSlots) check(npuSemaphoreWait(empty, item - kSlots, NPU_TIMEOUT_INFINITE));
    uint32_t *slot = (uint32_t *)words + (item - 1) % kSlots * kWords;
    for (uint32_t i = 0; i < kWords; i++) slot[i] = (uint32_t)item * 100000u + i;
    check(npuSemaphoreSignal(full, item));
  }
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuSemaphoreQuery(empty, &reached));
  for (uint32_t i = 0; i < kItems * kWords; i++) {
    wrong += ((uint32_t *)sums)[i] != (i / kWords + 1) * 100000u + i % kWords;
  }
  printf("%d items through %d slots; the device took %llu\n", kItems, kSlots,
         (unsigned long long)reached);
  wrong += reached != kItems;
  check(npuDeviceClose(device));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
