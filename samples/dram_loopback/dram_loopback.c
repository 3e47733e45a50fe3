/* SPDX-License-Identifier: Apache-2.0 */
/* Data movement alone, no kernel: host to HBM, HBM to HBM in one piece and strided, fill, pinned host memory, and back. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kRows = 512, kCols = 1024, kWords = kRows * kCols, kBytes = kWords * 4 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

/* Waits for |value| and prints how fast the device moved |bytes|. */
static void report(npuQueue queue, uint64_t value, const char *what, double bytes) {
  npuTiming time = {.struct_size = sizeof time};
  check(npuQueueWait(queue, value, NPU_TIMEOUT_INFINITE));
  check(npuQueueGetTiming(queue, value, &time));
  double ps = (double)(time.end_ps - time.start_ps);
  printf("%-28s %8.2f us of device time, %7.1f GB/s\n", what, ps / 1e6, bytes / ps * 1e3);
}

/* The left half of each row at |src| to the right half of the same row at |dst|. */
static void copy_halves(npuQueue queue, npuDevPtr dst, npuDevPtr src) {
  uint64_t done;
  npuCopyInfo halves = {.struct_size = sizeof halves,
                        .dst = dst + kCols / 2 * 4,
                        .src = src,
                        .width_bytes = kCols / 2 * 4,
                        .height = kRows,
                        .depth = 1,
                        .dst_pitch_bytes = kCols * 4,
                        .src_pitch_bytes = kCols * 4};
  check(npuQueueCopyStrided(queue, &halves, &done));
  report(queue, done, "copy of half rows", kBytes / 2);
}

int main(void) {
  uint32_t *sent = malloc(kBytes), *back = malloc(kBytes);
  uint32_t state = 12345, wrong = 0;
  uint64_t done;
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr first, second, pinned;
  void *pinned_host;

  if (sent == NULL || back == NULL) return 1;
  for (int i = 0; i < kWords; i++) sent[i] = state = state * 1664525u + 1013904223u;
  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kBytes, &first));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kBytes, &second));
  check(npuMemAlloc(context, NPU_MEM_HOST, kBytes, &pinned));
  check(npuMemMap(context, pinned, kBytes, &pinned_host));

  /* host -> first -> second -> pinned host memory: the device moves all but the first hop */
  check(npuMemCopyToDevice(context, first, sent, kBytes));
  check(npuQueueCopy(queue, second, first, kBytes, &done));
  report(queue, done, "copy HBM to HBM", kBytes);
  check(npuQueueCopy(queue, pinned, second, kBytes, &done));
  report(queue, done, "copy HBM to host", kBytes);
  wrong += memcmp(pinned_host, sent, kBytes) != 0;

  /* a filled buffer whose right half is overwritten */
  check(npuQueueFill(queue, second, 0xabababab, 4, kBytes, &done));
  report(queue, done, "fill", kBytes);
  copy_halves(queue, second, first);
  check(npuMemCopyToHost(context, back, second, kBytes));
  for (int i = 0; i < kWords; i++) {
    int column = i % kCols;
    wrong += back[i] != (column < kCols / 2 ? 0xabababab : sent[i - kCols / 2]);
  }
  check(npuDeviceClose(device));
  free(sent);
  free(back);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
