// SPDX-License-Identifier: Apache-2.0
// The allow-list of npu-modeld, by libseccomp.
#include "firmware-model/server/sandbox.h"

#ifdef NPU_HAS_SECCOMP
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstring>
#endif

namespace npu::model::server {

#ifdef NPU_HAS_SECCOMP
namespace {

// Memory, threads, time, sockets that exist, eventfds and memfds: no new sockets, no programs, no files to write.
constexpr int kAllowed[] = {
    SCMP_SYS(accept4),
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clone),
    SCMP_SYS(clone3),
    SCMP_SYS(close),
    SCMP_SYS(dup),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(ftruncate),
    SCMP_SYS(futex),
    SCMP_SYS(getcpu),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getsockopt),
    SCMP_SYS(gettid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getuid),
    SCMP_SYS(lseek),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(newfstatat),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(recvmsg),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(socketpair),
    SCMP_SYS(sysinfo),
    SCMP_SYS(tgkill),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(write),
    SCMP_SYS(writev),
};

int add_rules(scmp_filter_ctx filter) {
  int err = 0;
  for (const int call : kAllowed) {
    if (err == 0) err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
  }
  // Memory is never made executable.
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    if (err != 0) break;
    err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  }
  // Files are only read: the names of clients in /proc.
  constexpr uint64_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;
  if (err == 0) {
    err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                           SCMP_A2(SCMP_CMP_MASKED_EQ, kWriting, O_RDONLY));
  }
  // Threads get names; nothing else of prctl.
  if (err == 0) {
    err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                           SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
  }
  // The command thread leaves the CPU of the client that has woken it: of itself only.
  if (err == 0) {
    err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sched_setaffinity), 1,
                           SCMP_A0(SCMP_CMP_EQ, 0));
  }
  return err;
}

}  // namespace

bool sandbox_available() { return true; }

bool enter_sandbox(std::string* error) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int err = filter == nullptr ? -ENOMEM : add_rules(filter);
  // Sets no_new_privs too.
  if (err == 0) err = seccomp_load(filter);
  seccomp_release(filter);
  if (err == 0) return true;
  *error = std::string("the kernel refuses the sandbox: ") + std::strerror(-err) +
           "; start with --sandbox=off";
  return false;
}

#else

bool sandbox_available() { return false; }

bool enter_sandbox(std::string* error) {
  *error =
      "this build has no sandbox; install libseccomp-dev and build again, or start with "
      "--sandbox=off";
  return false;
}

#endif

}  // namespace npu::model::server
