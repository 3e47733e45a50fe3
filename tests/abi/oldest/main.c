// SPDX-License-Identifier: Apache-2.0
// A program of release 0.1: built against the headers of then, run with the library of now. Every struct of then goes in or out once, with bytes behind it
// that the library must leave alone.
#include <npu/npu.h>
#include <stdio.h>
#include <string.h>

#define GUARD 0xa5

// A struct of release 0.1 and what lies behind it in this program's memory.
#define GUARDED(type)         \
  struct {                    \
    type it;                  \
    unsigned char behind[64]; \
  }
#define PREPARE(g)                                                          \
  (memset(&(g), 0, sizeof(g)), memset((g).behind, GUARD, sizeof(g).behind), \
   (g).it.struct_size = sizeof(g).it)

static int failures;

static void expect(npuResult result, const char *what) {
  if (result == NPU_OK) return;
  npuErrorInfo info = {.struct_size = sizeof info};
  npuErrorGetInfo(&info);
  fprintf(stderr, "%s: %s: %s\n", what, npuResultGetName(result), info.text);
  failures++;
}

static void expect_guard(const unsigned char *behind, const char *what) {
  for (int i = 0; i < 64; i++) {
    if (behind[i] == GUARD) continue;
    fprintf(stderr, "%s: the library wrote behind the struct\n", what);
    failures++;
    return;
  }
}

static void ask(npuDevice device, npuContext context, npuQueue queue, npuDevPtr ptr) {
  GUARDED(npuVersions) versions;
  GUARDED(npuDeviceInfo) device_info;
  GUARDED(npuMemInfo) memory_info;
  GUARDED(npuErrorInfo) error_info;
  GUARDED(npuTiming) timing;
  GUARDED(npuFault) fault;
  uint64_t value = 0;
  uint32_t count = 1;
  PREPARE(versions);
  expect(npuGetVersions(&versions.it), "npuGetVersions");
  expect_guard(versions.behind, "npuVersions");
  PREPARE(device_info);
  expect(npuDeviceGetInfo(device, &device_info.it), "npuDeviceGetInfo");
  expect_guard(device_info.behind, "npuDeviceInfo");
  PREPARE(memory_info);
  expect(npuMemQuery(context, ptr, &memory_info.it), "npuMemQuery");
  expect_guard(memory_info.behind, "npuMemInfo");
  PREPARE(error_info);
  expect(npuErrorGetInfo(&error_info.it), "npuErrorGetInfo");
  expect_guard(error_info.behind, "npuErrorInfo");
  expect(npuQueueFill(queue, ptr, 7, 1, 4096, &value), "npuQueueFill");
  expect(npuQueueWait(queue, value, NPU_TIMEOUT_INFINITE), "npuQueueWait");
  PREPARE(timing);
  expect(npuQueueGetTiming(queue, value, &timing.it), "npuQueueGetTiming");
  expect_guard(timing.behind, "npuTiming");
  PREPARE(fault);
  expect(npuQueueGetFaults(queue, &count, &fault.it), "npuQueueGetFaults");
  expect_guard(fault.behind, "npuFault");
}

int main(void) {
  static unsigned char out[4096];
  npuDevice device = NULL;
  npuContext context = NULL;
  npuQueue queue = NULL;
  npuEvent event = NULL;
  npuDevPtr from = 0, to = 0;
  const npuQueueInfo queue_info = {.struct_size = sizeof queue_info, .ring_entries = 64};
  npuCopyInfo copy = {.struct_size = sizeof copy,
                      .width_bytes = 64,
                      .height = 64,
                      .depth = 1,
                      .dst_pitch_bytes = 64,
                      .src_pitch_bytes = 64};

  expect(npuInit(), "npuInit");
  expect(npuDeviceOpen(NULL, &device), "npuDeviceOpen");
  expect(npuContextCreate(device, &context), "npuContextCreate");
  expect(npuQueueCreate(context, &queue_info, &queue), "npuQueueCreate");
  expect(npuEventCreate(context, &event), "npuEventCreate");
  expect(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof out, &from), "npuMemAlloc");
  expect(npuMemAlloc(context, NPU_MEM_HOST, sizeof out, &to), "npuMemAlloc");
  ask(device, context, queue, from);
  copy.dst = to;
  copy.src = from;
  expect(npuQueueCopyStrided(queue, &copy, NULL), "npuQueueCopyStrided");
  expect(npuEventRecord(event, queue), "npuEventRecord");
  expect(npuEventWait(event, NPU_TIMEOUT_INFINITE), "npuEventWait");
  expect(npuMemCopyToHost(context, out, to, sizeof out), "npuMemCopyToHost");
  for (size_t i = 0; i < sizeof out; i++) failures += out[i] != 7;
  expect(npuShutdown(), "npuShutdown");
  if (failures == 0) printf("a program of 0.1 runs\n");
  return failures != 0;
}
