/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that reads a wild address: what the record says, what happens to the queue, and the way back. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ERROR_RECOVERY_BLOB
#define ERROR_RECOVERY_BLOB "error_recovery.nfw"
#endif

enum { kCount = 256 };
static const npuDevPtr kWild = 0x123456789000;

/* The argument block, as error_recovery.s declares it. */
struct arguments {
  npuDevPtr x, y;
};

static int wrong;

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

static void expect(npuResult expected, npuResult result) {
  printf("  %s\n", npuResultGetName(result));
  if (result != expected) wrong++;
}

static npuResult launch(npuQueue queue, npuKernel kernel, npuDevPtr x, npuDevPtr y,
                        uint64_t *value) {
  const struct arguments args = {x, y};
  const npuLaunchInfo info = {.struct_size = sizeof info,
                              .grid_x = 1,
                              .grid_y = 1,
                              .grid_z = 1,
                              .args = &args,
                              .args_bytes = sizeof args};
  return npuQueueLaunch(queue, kernel, &info, value);
}

/* The queue's one fault must be the read of the wild address, at the ld of the kernel. */
static void show_fault(npuQueue queue, uint64_t value) {
  npuFault fault = {.struct_size = sizeof fault};
  uint32_t count = 1;
  const char *name;
  check(npuQueueGetFaults(queue, &count, &fault));
  name = strrchr(fault.source_file, '/');
  name = name != NULL ? name + 1 : fault.source_file;
  printf("  record: %s of 0x%llx by kernel '%s' at %s:%u, command %llu\n",
         npuResultGetName(fault.code), (unsigned long long)fault.address, fault.kernel, name,
         fault.source_line, (unsigned long long)fault.value);
  if (count != 1 || fault.code != NPU_ERROR_VM_FAULT || fault.address != kWild ||
      fault.value != value || strcmp(fault.kernel, "twice") != 0 || fault.source_line != 14) {
    wrong++;
  }
}

/* y must be x + x. */
static void show_result(npuContext context, npuDevPtr y, const float *x) {
  const uint32_t zero = 0;
  float got[kCount];
  check(npuMemCopyToHost(context, got, y, sizeof got));
  for (int i = 0; i < kCount; i++) wrong += got[i] != x[i] + x[i];
  printf("  %d numbers are right\n", kCount);
  check(npuMemFill(context, y, &zero, sizeof zero, sizeof got));
}

static void recover(npuContext context, npuKernel kernel, npuDevPtr x, npuDevPtr y,
                    const float *numbers) {
  const npuQueueInfo goes_on = {.struct_size = sizeof goes_on,
                                .error_policy = NPU_ON_ERROR_CONTINUE};
  npuQueue queue;
  uint64_t bad, good;

  puts("A queue stops at its first error:");
  check(npuQueueCreate(context, NULL, &queue));
  check(launch(queue, kernel, kWild, y, &bad));
  expect(NPU_ERROR_VM_FAULT, npuQueueWait(queue, bad, NPU_TIMEOUT_INFINITE));
  show_fault(queue, bad);
  expect(NPU_ERROR_QUEUE_DEAD, launch(queue, kernel, x, y, &good));
  puts("until it is reset; memory and modules stay:");
  check(npuQueueReset(queue, NPU_TIMEOUT_INFINITE));
  check(launch(queue, kernel, x, y, &good));
  expect(NPU_OK, npuQueueWait(queue, good, NPU_TIMEOUT_INFINITE));
  show_result(context, y, numbers);
  check(npuQueueDestroy(queue));

  puts("A queue that goes on skips the bad command only:");
  check(npuQueueCreate(context, &goes_on, &queue));
  check(launch(queue, kernel, kWild, y, &bad));
  check(launch(queue, kernel, x, y, &good));
  expect(NPU_OK, npuQueueWait(queue, good, NPU_TIMEOUT_INFINITE));
  expect(NPU_ERROR_VM_FAULT, npuQueueWait(queue, bad, NPU_TIMEOUT_INFINITE));
  show_fault(queue, bad);
  show_result(context, y, numbers);
  check(npuQueueDestroy(queue));
}

int main(int argc, char **argv) {
  float numbers[kCount];
  npuDevice device;
  npuContext context;
  npuModule module;
  npuKernel kernel;
  npuDevPtr x, y;

  for (int i = 0; i < kCount; i++) numbers[i] = 0.25f * (float)i;
  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuModuleLoad(context, argc > 1 ? argv[1] : ERROR_RECOVERY_BLOB, &module));
  check(npuModuleGetKernel(module, "twice", &kernel));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof numbers, &x));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof numbers, &y));
  check(npuMemCopyToDevice(context, x, numbers, sizeof numbers));
  recover(context, kernel, x, y, numbers);
  check(npuDeviceClose(device));
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
