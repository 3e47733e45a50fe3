/* SPDX-License-Identifier: Apache-2.0 */
/* Adds two vectors with a kernel of our own: vector_add.s, assembled and signed by the build. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef VECTOR_ADD_BLOB
#define VECTOR_ADD_BLOB "vector_add.nfw"
#endif

enum { kCount = 1000003, kBlock = 16384 }; /* kBlock: as in vector_add.s */

/* The argument block, as vector_add.s declares it. */
struct arguments {
  npuDevPtr a, b, c;
  uint64_t n;
};

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

/* Runs the kernel on the vectors at a and b; the sum comes back in |sum|. */
static void add_on_npu(npuContext context, const char *blob, const float *a, const float *b,
                       float *sum) {
  const uint64_t bytes = kCount * sizeof(float);
  struct arguments args = {.n = kCount};
  npuQueue queue;
  npuModule module;
  npuKernel kernel;
  uint64_t done;
  npuTiming time = {.struct_size = sizeof time};
  npuLaunchInfo launch = {.struct_size = sizeof launch,
                          .grid_x = (kCount + kBlock - 1) / kBlock,
                          .grid_y = 1,
                          .grid_z = 1,
                          .args = &args,
                          .args_bytes = sizeof args};

  check(npuQueueCreate(context, NULL, &queue));
  check(npuModuleLoad(context, blob,
                      &module)); /* the device checks signature and instructions here */
  check(npuModuleGetKernel(module, "vector_add", &kernel));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, bytes, &args.a));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, bytes, &args.b));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, bytes, &args.c));
  check(npuMemCopyToDevice(context, args.a, a, bytes));
  check(npuMemCopyToDevice(context, args.b, b, bytes));
  check(npuQueueLaunch(queue, kernel, &launch, &done));
  check(npuQueueWait(queue, done, NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, sum, args.c, bytes));
  check(npuQueueGetTiming(queue, done, &time));
  printf("%d sums in %u work-groups, %.2f us of device time\n", kCount, launch.grid_x,
         (double)(time.end_ps - time.start_ps) / 1e6);
}

int main(int argc, char **argv) {
  float *a = malloc(kCount * sizeof *a), *b = malloc(kCount * sizeof *b),
        *sum = malloc(kCount * sizeof *sum);
  int wrong = 0;
  npuDevice device;
  npuContext context;

  if (a == NULL || b == NULL || sum == NULL) return 1;
  for (int i = 0; i < kCount; i++) {
    a[i] = (float)i * 0.5f;
    b[i] = 1.0f / (float)(i + 1);
  }
  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  add_on_npu(context, argc > 1 ? argv[1] : VECTOR_ADD_BLOB, a, b, sum);
  check(npuDeviceClose(device));
  for (int i = 0; i < kCount; i++) {
    if (sum[i] == a[i] + b[i]) continue; /* one fp32 addition: the same bits on both sides */
    if (wrong++ < 3) fprintf(stderr, "c[%d] = %.9g, expected %.9g\n", i, sum[i], a[i] + b[i]);
  }
  free(a);
  free(b);
  free(sum);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
