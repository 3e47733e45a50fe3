// SPDX-License-Identifier: Apache-2.0
// The process around the library: fork handlers, CPU count, files.
#include "libnpu/src/backend/process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "libnpu/src/backend/unique_fd.h"

namespace npu {
namespace {

// A fixed table of atomics: the child of a fork may read it whatever the parent's threads were doing.
constexpr size_t kMaxWatched = 1024;
std::atomic<int> g_watched[kMaxWatched];  // descriptor + 1; 0: free

}  // namespace

int watch_forks(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  return pthread_atfork(before, in_parent, in_child);
}

void keep_from_children(int fd) {
  for (std::atomic<int>& slot : g_watched) {
    int free_mark = 0;
    if (slot.compare_exchange_strong(free_mark, fd + 1)) return;
  }
}

void forget_descriptor(int fd) {
  for (std::atomic<int>& slot : g_watched) {
    int mark = fd + 1;
    if (slot.compare_exchange_strong(mark, 0)) return;
  }
}

void close_descriptors_in_child() {
  for (std::atomic<int>& slot : g_watched) {
    const int mark = slot.exchange(0);
    if (mark != 0) close(mark - 1);
  }
}

SignalBlock::SignalBlock() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalBlock::~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

uint64_t process_id() { return static_cast<uint64_t>(getpid()); }

uint64_t thread_id() {
  thread_local uint64_t id = 0;
  thread_local uint64_t of_process = 0;
  // In the child of a fork the only thread has another number than its image in the parent.
  if (id == 0 || of_process != process_id()) {
    of_process = process_id();
    id = static_cast<uint64_t>(gettid());
  }
  return id;
}

uint32_t usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint32_t>(std::max(1, CPU_COUNT(&set)));
}

int read_file(const char* path, uint64_t limit_bytes, std::vector<std::byte>* out) {
  const UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (static_cast<uint64_t>(status.st_size) > limit_bytes) return EFBIG;
  out->clear();
  size_t used = 0;
  for (;;) {
    // One byte more than wanted tells a file that grows, or that has no size, from one that ends.
    const uint64_t room =
        std::max<uint64_t>(static_cast<uint64_t>(status.st_size) + 1, used + 4096);
    out->resize(std::min(room, limit_bytes + 1));
    const ssize_t got = read(file.get(), out->data() + used, out->size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > limit_bytes) return EFBIG;
  }
  out->resize(used);
  return 0;
}

std::string library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&library_folder), &info) == 0 ||
      info.dli_fname == nullptr) {
    return {};
  }
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace npu
