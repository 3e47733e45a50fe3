/* SPDX-License-Identifier: Apache-2.0 */
/* The host works in the middle of a queue: it looks at what the device has made and decides with what it goes on. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>

enum { kRounds = 10, kWords = 256 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

struct round {
  uint32_t *words; /* pinned memory: the device wrote it before the call, and reads it after it */
  int number;
  uint32_t seen;
};

/* Called once, in a thread of the context. With an error the queue never came so far: only clean up. */
static void double_all(npuResult status, void *user_data) {
  struct round *round = user_data;
  if (status != NPU_OK) return;
  round->seen = round->words[0];
  for (int i = 0; i < kWords; i++) round->words[i] *= 2;
}

int main(void) {
  static struct round rounds[kRounds];
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr pinned, hbm;
  void *words;
  uint32_t expected = 1;
  int wrong = 0;

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuMemAlloc(context, NPU_MEM_HOST, kWords * 4, &pinned));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kWords * 4, &hbm));
  check(npuMemMap(context, pinned, kWords * 4, &words));

  /* All of it is submitted at once; this thread does not wait in between. */
  check(npuQueueFill(queue, hbm, 1, 4, kWords * 4, NULL));
  for (int i = 0; i < kRounds; i++) {
    rounds[i] = (struct round){.words = words, .number = i};
    check(npuQueueCopy(queue, pinned, hbm, kWords * 4, NULL));
    check(npuQueueCallHost(queue, double_all, &rounds[i], NULL));
    check(npuQueueCopy(queue, hbm, pinned, kWords * 4, NULL));
  }
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));

  for (int i = 0; i < kRounds; i++, expected *= 2) wrong += rounds[i].seen != expected;
  check(npuMemCopyToHost(context, words, hbm, kWords * 4));
  for (int i = 0; i < kWords; i++) wrong += ((uint32_t *)words)[i] != expected;
  printf("%d calls of the host in one queue; 1 has become %u\n", kRounds, ((uint32_t *)words)[0]);
  check(npuDeviceClose(device));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
