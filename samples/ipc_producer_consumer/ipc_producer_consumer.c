/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes, one piece of device memory: the producer exports it, the consumer imports it and works on it. */
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

/* A descriptor over a socket, with the id of the memory. */
static int send_memory(int socket, int fd, uint64_t id) {
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec piece = {&id, sizeof id};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  return sendmsg(socket, &message, 0) == sizeof id ? 0 : -1;
}

static int receive_memory(int socket, uint64_t *id) {
  int fd = -1;
  char control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec piece = {id, sizeof *id};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof *id) return -1;
  if (CMSG_FIRSTHDR(&message) != NULL) memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static void open_queue(npuDevice *device, npuContext *context, npuQueue *queue) {
  check(npuInit());
  check(npuDeviceOpen(NULL, device));
  check(npuContextCreate(*device, context));
  check(npuQueueCreate(*context, NULL, queue));
}

/* Sees the producer's words, writes its own over the second half, and says so. */
static int consume(int socket) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr shared;
  uint64_t id = 0;
  npuMemInfo info = {.struct_size = sizeof info};
  const int fd = receive_memory(socket, &id);
  if (fd < 0) return 1; /* the producer has said why */
  open_queue(&device, &context, &queue);
  check(npuMemImportFd(context, fd, 0, kBytes, 0, &shared));
  close(fd); /* the import stays */
  check(npuMemQuery(context, shared, &info));
  check(npuQueueCopy(queue, shared + kBytes / 2, shared, kBytes / 2, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE));
  check(npuDeviceClose(device));
  return info.shared_id == id && write(socket, "d", 1) == 1 ? 0 : 1;
}

static int produce(int socket, pid_t consumer) {
  npuDevice device;
  npuContext context;
  npuQueue queue;
  npuDevPtr shared;
  uint64_t id;
  char done = 0;
  int fd, status = 0, wrong = 0;
  open_queue(&device, &context, &queue);
  check(npuMemAlloc(context, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kBytes, &shared));
  check(npuQueueFill(queue, shared, 0xc0ffee, 4, kBytes / 2, NULL));
  check(npuQueueSync(queue, NPU_TIMEOUT_INFINITE)); /* order between processes is ours to keep */
  check(npuMemExportFd(context, shared, &fd, &id));
  if (send_memory(socket, fd, id) != 0) return 1;
  close(fd);
  if (read(socket, &done, 1) != 1) wrong++;
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
