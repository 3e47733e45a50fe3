/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes, one piece of device memory, one semaphore: the producer exports both, the consumer imports them; their queues take turns. */
#define _GNU_SOURCE
#include <npu/npu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kWords = 256 << 10 };
static const uint64_t kBytes = kWords * 4ull;

static void check(npuResult result) {
  npuErrorInfo why = {.struct_size = sizeof why};
  if (result == NPU_OK) return;
  npuErrorGetInfo(&why);
  fprintf(stderr, "%s: %s\n%s\n", why.function, why.text, why.remedy);
  puts(result == NPU_ERROR_NO_DEVICE ? "SKIPPED" : "FAILED");
  exit(result == NPU_ERROR_NO_DEVICE ? 77 : 1);
}

/* Descriptors of memory and semaphore over a socket, with the id of the memory. */
static int send_shared(int socket, const int fds[2], uint64_t id) {
  char control[CMSG_SPACE(2 * sizeof(int))] = {0};
  struct iovec piece = {&id, sizeof id};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
  memcpy(CMSG_DATA(rights), fds, 2 * sizeof(int));
  return sendmsg(socket, &message, 0) == sizeof id ? 0 : -1;
}

static int receive_shared(int socket, int fds[2], uint64_t *id) {
  char control[CMSG_SPACE(2 * sizeof(int))] = {0};
  struct iovec piece = {id, sizeof *id};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof *id) return -1;
  const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  if (rights == NULL || rights->cmsg_len != CMSG_LEN(2 * sizeof(int))) return -1;
  memcpy(fds, CMSG_DATA(rights), 2 * sizeof(int));
  return 0;
}

static void open_queue(npuDevice *device, npuContext *context, npuQueue *queue) {
  check(npuInit());
  check(npuDeviceOpen(NULL, device));
  check(npuContextCreate(*device, context));
  check(npuQueueCreate(*context, NULL, queue));
}

/* Once the producer's queue has raised the semaphore to 1, copies its words over the second half, and raises it to 2. */
static int consume(int socket) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuSemaphore turn;
  npuDevPtr shared, turn_dva;
  uint64_t id = 0;
  int fds[2];
  npuMemInfo info = {.struct_size = sizeof info};
  if (receive_shared(socket, fds, &id) != 0) return 1; /* the producer has said why */
  open_queue(&device, &context, &queue);
  check(npuMemImportFd(context, fds[0], 0, kBytes, 0, &shared));
  check(npuSemaphoreImportFd(context, fds[1], &turn));
  close(fds[0]); /* the imports stay */
  close(fds[1]);
  check(npuMemQuery(context, shared, &info));
  check(npuSemaphoreGetAddress(turn, &turn_dva));
  check(npuQueueWaitSemaphore(queue, turn_dva, 1, NULL));
  check(npuQueueCopy(queue, shared + kBytes / 2, shared, kBytes / 2, NULL));
  check(npuQueueSignal(queue, turn_dva, 2, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuDeviceClose(device));
  return info.shared_id == id ? 0 : 1;
}

static int produce(int socket, pid_t consumer) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuSemaphore turn;
  npuDevPtr shared, turn_dva;
  uint64_t id;
  int fds[2], status = 0, wrong = 0;
  open_queue(&device, &context, &queue);
  check(npuMemAlloc(context, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kBytes, &shared));
  check(npuMemExportFd(context, shared, &fds[0], &id));
  check(npuSemaphoreCreateShared(context, 0, &turn));
  check(npuSemaphoreExportFd(turn, &fds[1]));
  if (send_shared(socket, fds, id) != 0) return 1;
  close(fds[0]);
  close(fds[1]);
  check(npuSemaphoreGetAddress(turn, &turn_dva));
  check(npuQueueFill(queue, shared, 0xc0ffee, 4, kBytes / 2, NULL));
  check(npuQueueSignal(queue, turn_dva, 1, NULL)); /* the consumer's queue goes on */
  if (npuSemaphoreWait(turn, 2, 60000000000) != NPU_OK) return 1;
  uint32_t *host = malloc(kBytes);
  if (host == NULL) return 1;
  check(npuMemCopyToHost(context, host, shared, kBytes));
  for (int i = 0; i < kWords; i++) wrong += host[i] != 0xc0ffee;
  printf("%llu KiB shared by two processes as memory %llx\n", (unsigned long long)kBytes >> 10,
         (unsigned long long)id);
  check(npuDeviceClose(device));
  free(host);
  waitpid(consumer, &status, 0);
  return wrong != 0 || status != 0;
}

int main(void) {
  int pair[2];
  const char *road = getenv("NPU_DEVICE");
  if (road != NULL && strncmp(road, "inproc", 6) == 0) {
    puts("SKIPPED: no other process sees a model that runs inside this one");
    return 77;
  }
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
  const pid_t consumer = fork(); /* before npuInit: each has a library of its own */
  if (consumer < 0) return 1;
  if (consumer == 0) {
    close(pair[0]);
    _exit(consume(pair[1]));
  }
  close(pair[1]);
  const int wrong = produce(pair[0], consumer);
  puts(wrong ? "FAILED" : "PASSED");
  return wrong;
}
