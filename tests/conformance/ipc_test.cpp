// SPDX-License-Identifier: Apache-2.0
// Memory between processes: descriptors over a socket, and the death of either side.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr uint64_t kBytes = 16 << 20;

struct Message {
  uint64_t shared_id = 0;
  uint64_t size_bytes = 0;
};

bool send_memory(int socket, int fd, const Message& message) {
  iovec piece{const_cast<Message*>(&message), sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  return sendmsg(socket, &header, 0) == sizeof message;
}

int receive_memory(int socket, Message* out) {
  iovec piece{out, sizeof *out};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  if (recvmsg(socket, &header, MSG_CMSG_CLOEXEC) != sizeof *out) return -1;
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return fd;
}

// The producer: memory with a pattern, handed out; then it waits for a byte, or its death.
int produce(int socket) {
  npuDevice device = nullptr;
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuDevPtr ptr = 0;
  Message message;
  int fd = -1;
  if (npuInit() != NPU_OK || npuDeviceOpen(nullptr, &device) != NPU_OK ||
      npuContextCreate(device, &context) != NPU_OK ||
      npuQueueCreate(context, nullptr, &queue) != NPU_OK) {
    return 10;
  }
  if (npuMemAlloc(context, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kBytes, &ptr) != NPU_OK ||
      npuQueueFill(queue, ptr, 0x600df00d, 4, kBytes, nullptr) != NPU_OK ||
      npuQueueSync(queue, kLongNs) != NPU_OK ||
      npuMemExportFd(context, ptr, &fd, &message.shared_id) != NPU_OK) {
    return 11;
  }
  message.size_bytes = kBytes;
  if (!send_memory(socket, fd, message)) return 12;
  close(fd);
  uint32_t answer = 0;
  if (read(socket, &answer, sizeof answer) != sizeof answer) return 13;
  uint32_t word = 0;
  if (npuMemCopyToHost(context, &word, ptr + 64, 4) != NPU_OK) return 14;
  return word == answer ? 0 : 15;
}

class IpcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets_), 0);
    child_ = fork();
    if (child_ == 0) _exit(produce(sockets_[1]));
    close(sockets_[1]);
    ASSERT_NPU(NPU_OK, npuInit());
    ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &device_));
    ASSERT_NPU(NPU_OK, npuContextCreate(device_, &context_));
    ASSERT_NPU(NPU_OK, npuQueueCreate(context_, nullptr, &queue_));
    fd_ = receive_memory(sockets_[0], &message_);
    ASSERT_GE(fd_, 0);
  }
  void TearDown() override {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    if (fd_ >= 0) close(fd_);
    close(sockets_[0]);
    EXPECT_NPU(NPU_OK, npuDeviceClose(device_));
    EXPECT_NPU(NPU_OK, npuShutdown());
  }
  int end_of_child() {
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  void check_pattern(npuDevPtr ptr) {
    npuDevPtr copy = 0;
    ASSERT_NPU(NPU_OK, npuMemAlloc(context_, NPU_MEM_DEVICE, kBytes, &copy));
    ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, copy, ptr, kBytes, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    std::vector<uint32_t> out(kBytes / 4);
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), copy, kBytes));
    EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](uint32_t w) { return w == 0x600df00d; }));
    ASSERT_NPU(NPU_OK, npuMemFree(context_, copy));
  }
  uint64_t free_bytes() {
    uint64_t free = 0;
    uint64_t total = 0;
    EXPECT_NPU(NPU_OK, npuMemGetInfo(context_, &free, &total));
    return free;
  }

  int sockets_[2] = {-1, -1};
  pid_t child_ = -1;
  int fd_ = -1;
  Message message_;
  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuQueue queue_ = nullptr;
};

TEST_F(IpcTest, BothProcessesUseTheSameMemory) {
  npuDevPtr ptr = 0;
  ASSERT_NPU(NPU_OK, npuMemImportFd(context_, fd_, 0, message_.size_bytes, 0, &ptr));
  npuMemInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuMemQuery(context_, ptr, &info));
  EXPECT_EQ(info.kind, NPU_MEM_DEVICE);
  EXPECT_EQ(info.shared_id, message_.shared_id);
  check_pattern(ptr);
  const uint32_t answer = 0xfeedbeef;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr + 64, answer, 4, 4, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_EQ(write(sockets_[0], &answer, sizeof answer), static_cast<ssize_t>(sizeof answer));
  EXPECT_EQ(end_of_child(), 0);
}

TEST_F(IpcTest, TheImportStaysValidWhenTheExporterIsKilledAndGoesBackAfterwards) {
  const uint64_t before = free_bytes();
  npuDevPtr ptr = 0;
  ASSERT_NPU(NPU_OK, npuMemImportFd(context_, fd_, 0, 0, 0, &ptr));
  close(fd_);
  fd_ = -1;
  ASSERT_EQ(kill(child_, SIGKILL), 0);
  EXPECT_EQ(end_of_child(), 128 + SIGKILL);
  check_pattern(ptr);
  ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  // The killed process is noticed by and by; then all that it held is free.
  uint64_t now = 0;
  for (int i = 0; i < 2000 && (now = free_bytes()) < before + kBytes / 2; i++) usleep(1000);
  EXPECT_GE(now, before + kBytes / 2);
}

TEST_F(IpcTest, TheDescriptorKeepsTheBytesWhenEveryHolderIsGone) {
  ASSERT_EQ(kill(child_, SIGKILL), 0);
  EXPECT_EQ(end_of_child(), 128 + SIGKILL);
  // On the socket road the bare file outlives the object; what it gives then is host memory. A dma-buf keeps the object.
  npuMemInfo info{};
  info.struct_size = sizeof info;
  for (int i = 0; i < 300; i++) {
    npuDevPtr ptr = 0;
    ASSERT_NPU(NPU_OK, npuMemImportFd(context_, fd_, 0, 0, 0, &ptr));
    ASSERT_NPU(NPU_OK, npuMemQuery(context_, ptr, &info));
    check_pattern(ptr);
    ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
    if (info.kind == NPU_MEM_HOST || road_name() == "kmd") break;
    usleep(1000);
  }
  if (road_name() != "kmd") {
    EXPECT_EQ(info.kind, NPU_MEM_HOST);
  }
}

}  // namespace
}  // namespace npu::conformance
