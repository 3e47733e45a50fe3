/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that prints, and an assertion in it that fails: kernel_printf.s, assembled and signed by the build. */
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef KERNEL_PRINTF_BLOB
#define KERNEL_PRINTF_BLOB "kernel_printf.nfw"
#endif

enum { kGroups = 5, kFirst = 3 };

/* The argument block, as kernel_printf.s declares it. */
struct arguments {
  npuDevPtr out;
  int32_t n;
  uint32_t pad;
};

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

struct seen {
  int messages, wrong, asserts;
};

/* Called during npuQueueWait, once for each message. */
static void take(const npuPrintMessage *message, void *user_data) {
  struct seen *seen = user_data;
  char expected[96];
  const int g = (int)message->group, n = kFirst + g;
  printf("%s: %s\n", message->kernel, message->text);
  if (message->flags & NPU_PRINT_IS_ASSERT) {
    seen->asserts++;
    return;
  }
  snprintf(expected, sizeof expected, "work-group %d of %d: 1 + ... + %d = %d", g, kGroups, n,
           n * (n + 1) / 2);
  /* In order of work-groups, however many threads run the model. */
  if (g != seen->messages++ || strcmp(message->text, expected) != 0) seen->wrong++;
}

static uint64_t launch(npuQueue queue, npuKernel kernel, npuDevPtr out, int32_t n) {
  const struct arguments args = {.out = out, .n = n};
  const npuLaunchInfo info = {.struct_size = sizeof info,
                              .grid_x = kGroups,
                              .grid_y = 1,
                              .grid_z = 1,
                              .args = &args,
                              .args_bytes = sizeof args};
  uint64_t value;
  check(npuQueueLaunch(queue, kernel, &info, &value));
  return value;
}

int main(int argc, char **argv) {
  struct seen seen = {0, 0, 0};
  int32_t sums[kGroups];
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuModule module;
  npuKernel kernel;
  npuDevPtr out;
  npuFault fault = {.struct_size = sizeof fault};
  uint32_t count = 1;

  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuContextSetPrint(context, take, &seen));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuModuleLoad(context, argc > 1 ? argv[1] : KERNEL_PRINTF_BLOB, &module));
  check(npuModuleGetKernel(module, "triangle", &kernel));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof sums, &out));

  check(npuQueueWait(queue, launch(queue, kernel, out, kFirst), NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, sums, out, sizeof sums));
  for (int g = 0; g < kGroups; g++) {
    if (sums[g] != (kFirst + g) * (kFirst + g + 1) / 2) seen.wrong++;
  }

  /* Nothing to add: the assertion of the kernel ends the launch. */
  if (npuQueueWait(queue, launch(queue, kernel, out, 0), NPU_TIMEOUT_INFINITE) !=
      NPU_ERROR_KERNEL_ASSERT) {
    seen.wrong++;
  }
  check(npuQueueGetFaults(queue, &count, &fault));
  printf("%s in kernel '%s', line %u: %s\n", npuResultGetName(fault.code), fault.kernel,
         fault.source_line, fault.message);
  if (strcmp(fault.message, "n + g = 0, there is nothing to add") != 0) seen.wrong++;
  check(npuDeviceClose(device));
  if (seen.messages != kGroups || seen.asserts != 1 || seen.wrong != 0) {
    puts("FAILED");
    return 1;
  }
  puts("PASSED");
  return 0;
}
