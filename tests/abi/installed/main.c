// SPDX-License-Identifier: Apache-2.0
// A user's program: one copy on the device.
#include <npu/npu.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  char in[4096], out[4096];
  npuDevice device = NULL;
  npuContext context = NULL;
  npuQueue queue = NULL;
  npuDevPtr from = 0, to = 0;
  npuResult result = npuInit();

  memset(in, 0x5a, sizeof in);
  memset(out, 0, sizeof out);
  if (result == NPU_OK) result = npuDeviceOpen(NULL, &device);
  if (result == NPU_OK) result = npuContextCreate(device, &context);
  if (result == NPU_OK) result = npuQueueCreate(context, NULL, &queue);
  if (result == NPU_OK) result = npuMemAlloc(context, NPU_MEM_DEVICE, sizeof in, &from);
  if (result == NPU_OK) result = npuMemAlloc(context, NPU_MEM_DEVICE, sizeof in, &to);
  if (result == NPU_OK) result = npuMemCopyToDevice(context, from, in, sizeof in);
  if (result == NPU_OK) result = npuQueueCopy(queue, to, from, sizeof in, NULL);
  if (result == NPU_OK) result = npuQueueSync(queue, NPU_TIMEOUT_INFINITE);
  if (result == NPU_OK) result = npuMemCopyToHost(context, out, to, sizeof out);
  if (result != NPU_OK || memcmp(in, out, sizeof in) != 0) {
    npuErrorInfo info = {.struct_size = sizeof info};
    npuErrorGetInfo(&info);
    fprintf(stderr, "%s: %s: %s\n", npuResultGetName(result), info.function, info.text);
    return 1;
  }
  printf("copied %d bytes\n", (int)sizeof in);
  return npuShutdown() == NPU_OK ? 0 : 1;
}
