/* SPDX-License-Identifier: Apache-2.0 */
/* A server that forks a worker for each request. The parent only asks what there is; each worker opens the device for itself. */
#define _GNU_SOURCE
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kWorkers = 4, kWords = 4096 };

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

/* Answers request |number|: the sum of as many words as the device was told to write. */
static int work(int pipe_end, uint32_t number) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr ptr;
  static uint32_t words[kWords];
  uint64_t sum = 0;

  /* The parent's library ended with the fork: until npuInit every call says so. */
  if (npuDeviceOpen(NULL, &device) != NPU_ERROR_FORKED) return 1;
  check(npuInit());
  check(npuDeviceOpen(NULL, &device));
  check(npuContextCreate(device, &context));
  check(npuQueueCreate(context, NULL, &queue));
  check(npuMemAlloc(context, NPU_MEM_DEVICE, sizeof words, &ptr));
  check(npuQueueFill(queue, ptr, number, 4, sizeof words, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuMemCopyToHost(context, words, ptr, sizeof words));
  for (int i = 0; i < kWords; i++) sum += words[i];
  check(npuDeviceClose(device));
  check(npuShutdown());
  return write(pipe_end, &sum, sizeof sum) == sizeof sum ? 0 : 1;
}

int main(void) {
  pid_t children[kWorkers];
  int answers[kWorkers];
  uint32_t devices = 0;
  int wrong = 0;

  check(npuInit());
  check(npuDeviceGetCount(&devices)); /* starts no thread and no model: fork is safe afterwards */
  if (devices == 0) {
    puts("SKIPPED");
    return 77;
  }
  for (uint32_t i = 0; i < kWorkers; i++) {
    int ends[2];
    if (pipe(ends) != 0) return 1;
    children[i] = fork();
    if (children[i] < 0) return 1;
    if (children[i] == 0) {
      close(ends[0]);
      _exit(work(ends[1], i + 1));
    }
    close(ends[1]);
    answers[i] = ends[0];
  }
  for (uint32_t i = 0; i < kWorkers; i++) {
    uint64_t sum = 0;
    int status = 0;
    if (read(answers[i], &sum, sizeof sum) != sizeof sum) wrong++;
    if (sum != (uint64_t)kWords * (i + 1)) wrong++;
    waitpid(children[i], &status, 0);
    if (status != 0) wrong++;
    close(answers[i]);
  }
  check(npuShutdown());
  printf("%d workers answered\n", kWorkers);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong != 0;
}
