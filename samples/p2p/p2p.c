/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one device used by another: copied, and mapped. With one device: two contexts of it. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>

enum { kWords = 64 << 10 };
static const uint64_t kBytes = kWords * 4ull;

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static int count_wrong(npuContext context, npuDevPtr ptr, uint32_t expected) {
  static uint32_t host[kWords];
  int wrong = 0;
  check(npuMemCopyToHost(context, host, ptr, kBytes));
  for (int i = 0; i < kWords; i++) wrong += host[i] != expected;
  return wrong;
}

int main(void) {
  npuDevice devices[2];
  npuContext contexts[2];
  npuQueue queue;
  npuDevPtr near, far, mapped;
  npuPeerAccess access;
  uint32_t count = 0;
  int wrong = 0;

  check(npuInit());
  check(npuDeviceGetCount(&count));
  check(npuDeviceOpen("0", &devices[0]));
  check(npuDeviceOpen(count > 1 ? "1" : "0", &devices[1]));
  for (int i = 0; i < 2; i++) check(npuContextCreate(devices[i], &contexts[i]));
  check(npuQueueCreate(contexts[0], NULL, &queue));
  check(npuMemAlloc(contexts[0], NPU_MEM_DEVICE, kBytes, &near));
  check(npuMemAlloc(contexts[1], NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kBytes, &far));

  /* A copy by the host works between any two. */
  const uint32_t one = 1;
  check(npuMemFill(contexts[0], near, &one, 4, kBytes));
  check(npuMemCopyPeer(contexts[1], far, contexts[0], near, kBytes));
  wrong += count_wrong(contexts[1], far, 1);

  /* Where the road can, the first device's queue reaches the second one's memory. */
  check(npuDeviceCanAccessPeer(devices[0], devices[1], &access));
  if (access == NPU_PEER_MAPPED) {
    check(npuContextEnablePeer(contexts[0], contexts[1]));
    check(npuMemMapPeer(contexts[0], contexts[1], far, 0, &mapped));
    check(npuQueueFill(queue, mapped, 2, 4, kBytes, NULL));
    check(npuQueueCopy(queue, near, mapped, kBytes, NULL));
    check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
    wrong += count_wrong(contexts[1], far, 2) + count_wrong(contexts[0], near, 2);
  }
  printf("%u device(s), peers reach each other by %s\n", count,
         access == NPU_PEER_MAPPED ? "copies and mappings" : "copies");
  for (int i = 0; i < 2; i++) check(npuDeviceClose(devices[i]));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
