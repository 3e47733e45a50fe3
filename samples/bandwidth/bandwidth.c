/* SPDX-License-Identifier: Apache-2.0 */
/* How fast bytes move: host to device, device to host, device to device; by the host's clock and the device's. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kRounds = 8 };
static const uint64_t kBytes = 16 << 20;

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void report(const char *what, double seconds) {
  printf("%-24s %8.2f GB/s\n", what, 1e-9 * (double)(kBytes * kRounds) / seconds);
}

int main(void) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr a, b, pinned;
  npuTiming time = {.struct_size = sizeof time};
  uint64_t value = 0;
  uint64_t device_ps = 0;
  unsigned char *in = malloc(kBytes), *out = malloc(kBytes);
  if (in == NULL || out == NULL) return 1;
  for (uint64_t i = 0; i < kBytes; i++) in[i] = (unsigned char)(i * 131 + (i >> 9));
  memset(out, 0, kBytes);

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kBytes, &a));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, kBytes, &b));
  check(npuMemAlloc(context, NPU_MEM_HOST, kBytes, &pinned));
  check(npuMemCopyToDevice(context, b, in,
                           kBytes)); /* pages of the model come with the first touch */
  check(npuMemCopyToDevice(context, pinned, in, kBytes));

  double start = now_s();
  for (int i = 0; i < kRounds; i++) check(npuMemCopyToDevice(context, a, in, kBytes));
  report("host to device", now_s() - start);

  start = now_s();
  for (int i = 0; i < kRounds; i++) {
    check(npuQueueCopy(queue, b, a, kBytes, &value));
    check(npuQueueWait(queue, value, NPU_TIMEOUT_INFINITE));
    check(npuQueueGetTiming(queue, value, &time));
    device_ps += time.end_ps - time.start_ps;
  }
  report("device to device", now_s() - start);
  report("  by the device's clock", 1e-12 * (double)device_ps);

  start = now_s();
  for (int i = 0; i < kRounds; i++) check(npuQueueCopy(queue, pinned, b, kBytes, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  report("device to pinned host", now_s() - start);

  start = now_s();
  for (int i = 0; i < kRounds; i++) check(npuMemCopyToHost(context, out, pinned, kBytes));
  report("pinned host to host", now_s() - start);

  const int wrong = memcmp(in, out, kBytes) != 0;
  check(npuDeviceClose(device));
  free(in);
  free(out);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong;
}
