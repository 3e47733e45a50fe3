// SPDX-License-Identifier: Apache-2.0
// A stand-in for an accel node, preloaded into a program: opening NPU_STAND_IN_NODE connects to the device server at NPU_STAND_IN_SOCKET instead, and ioctl, mmap and
// close of that descriptor are answered there. So the library's kernel road runs where no driver is. What it cannot show is the driver.
//
// Doorbells are plain memory here, and nobody hears a store: a thread looks at the page of each open file.
#include <dlfcn.h>
#include <fcntl.h>
#include <libdrm/drm.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "libnpu/src/backend/connection.h"
#include "uapi/npu_ioctl.h"

namespace {

using npu::Connection;
using npu::UniqueFd;

constexpr auto kLookPeriod = std::chrono::microseconds(50);
constexpr int kPageShift = 12;
constexpr uint32_t kRoundsToBlindRing = 16;
constexpr uint64_t kDoorbellBytes = NPU_DOORBELL_PAGE_BYTES + sizeof(npu_doorbell_aux);

template <typename F>
F real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

class File {
 public:
  explicit File(UniqueFd socket) : owner_(getpid()), connection_(std::move(socket)) {}
  ~File() {
    // In a forked child there is no thread.
    stop_.store(true);
    if (pump_.joinable() && owner_ == getpid()) {
      pump_.join();
    } else if (pump_.joinable()) {
      pump_.detach();
    }
  }

  int start() {
    npu_wire_hello hello{};
    hello.wire_version = NPU_WIRE_VERSION;
    hello.uapi_major = NPU_UAPI_MAJOR;
    hello.fd = -1;
    if (const int error = connection_.ask(NPU_WIRE_HELLO, &hello); error != 0) return error;
    wake_ = UniqueFd(hello.fd);
    void* page =
        map(nullptr, kDoorbellBytes, PROT_READ | PROT_WRITE, MAP_SHARED, hello.doorbell_token);
    if (page == MAP_FAILED) return errno;
    pump_ = std::thread([this, page] { pump(static_cast<uint64_t*>(page)); });
    return 0;
  }

  int call(uint32_t nr, void* args) {
    if (nr == NPU_CALL_WAIT) return wait(static_cast<npu_wait*>(args));
    const int error = connection_.ask(nr, args);
    if (error != 0) return error;
    // A kernel's tokens are offsets of whole pages.
    if (nr == NPU_CALL_BO_CREATE) static_cast<npu_bo_create*>(args)->map_token <<= kPageShift;
    if (nr == NPU_CALL_BO_INFO) static_cast<npu_bo_info*>(args)->map_token <<= kPageShift;
    if (nr == NPU_CALL_QUEUE_CREATE) {
      auto* queue = static_cast<npu_queue_create*>(args);
      queue->doorbell_token <<= kPageShift;
      std::lock_guard lock(look_mutex_);
      seen_[queue->doorbell_slot % NPU_DOORBELL_SLOTS] = 0;  // a new queue counts from 0
    }
    return 0;
  }
  int close_object(uint32_t handle) {
    npu_wire_bo_close args{handle, 0};
    return connection_.ask(NPU_WIRE_BO_CLOSE, &args);
  }
  // PRIME: an object leaves as its memfd, and comes back only as an object. Unlike a kernel, each import has a handle of its own.
  int export_object(drm_prime_handle* args) {
    npu_bo_info info{};
    info.handle = args->handle;
    if (const int error = connection_.ask(NPU_CALL_BO_INFO, &info); error != 0) return error;
    npu_wire_map map{};
    map.token = info.map_token;
    map.fd = -1;
    if (const int error = connection_.ask(NPU_WIRE_MAP, &map); error != 0) return error;
    args->fd = map.fd;
    return 0;
  }
  int import_object(drm_prime_handle* args) {
    struct stat status {};
    if (fstat(args->fd, &status) != 0) return EBADF;
    npu_bo_create_userptr object{};
    object.size_bytes = static_cast<uint64_t>(status.st_size) & ~(NPU_PAGE_4K - 1);
    object.fd = args->fd;
    if (connection_.ask(NPU_CALL_BO_CREATE_USERPTR, &object) != 0) return EINVAL;
    npu_bo_info info{};
    info.handle = object.handle;
    int error = connection_.ask(NPU_CALL_BO_INFO, &info);
    if (error == 0 && info.map_token == 0) error = EINVAL;
    if (error != 0) {
      close_object(object.handle);
      return error;
    }
    args->handle = object.handle;
    return 0;
  }
  void* map(void* at, size_t bytes, int prot, int flags, uint64_t token) {
    npu_wire_map args{};
    args.token = token;
    args.fd = -1;
    if (const int error = connection_.ask(NPU_WIRE_MAP, &args); error != 0) {
      errno = error;
      return MAP_FAILED;
    }
    const UniqueFd file(args.fd);
    static const auto real_mmap = real<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
    return real_mmap(at, bytes, prot, flags, file.get(), static_cast<off_t>(args.offset));
  }

 private:
  // The connection answers one call at a time, so a long wait becomes many short looks.
  int wait(npu_wait* args) {
    const npu_wait asked = *args;
    for (;;) {
      *args = asked;
      args->deadline_ns = 1;
      const int error = connection_.ask(NPU_CALL_WAIT, args);
      args->deadline_ns = asked.deadline_ns;
      if (error != ETIME || now_ns() >= asked.deadline_ns) return error;
      std::this_thread::sleep_for(kLookPeriod);
    }
  }

  void pump(uint64_t* page) {
    auto* aux = reinterpret_cast<npu_doorbell_aux*>(page + NPU_DOORBELL_PAGE_BYTES / 8);
    for (uint32_t round = 1; !stop_.load(); round++) {
      // A bus carries every write; here one that does not change the word cannot be seen, so the device is told now and then without being asked.
      look(page, aux, round % kRoundsToBlindRing == 0);
      std::this_thread::sleep_for(kLookPeriod);
    }
  }

  void look(const uint64_t* page, npu_doorbell_aux* aux, bool rings_blindly) {
    std::lock_guard lock(look_mutex_);
    for (uint32_t slot = 0; slot < NPU_DOORBELL_SLOTS; slot++) {
      const uint64_t value = __atomic_load_n(page + slot, __ATOMIC_ACQUIRE);
      if (value == seen_[slot] && !(rings_blindly && value != 0)) continue;
      seen_[slot] = value;
      __atomic_fetch_or(&aux->pending[slot / 64], 1ull << slot % 64, __ATOMIC_RELEASE);
      __atomic_thread_fence(__ATOMIC_SEQ_CST);
      const uint64_t one = 1;
      if (write(wake_.get(), &one, sizeof one) != sizeof one) stop_.store(true);
    }
  }

  const pid_t owner_;
  Connection connection_;
  UniqueFd wake_;
  std::atomic<bool> stop_{false};
  std::mutex look_mutex_;
  uint64_t seen_[NPU_DOORBELL_SLOTS] = {};  // by look_mutex_
  std::thread pump_;
};

// Never destroyed: descriptors are closed until the last moment of the process.
std::mutex& g_mutex = *new std::mutex;
std::map<int, std::shared_ptr<File>>& g_files = *new std::map<int, std::shared_ptr<File>>;

std::shared_ptr<File> find(int fd) {
  std::lock_guard lock(g_mutex);
  const auto found = g_files.find(fd);
  return found == g_files.end() ? nullptr : found->second;
}

int open_node() {
  UniqueFd socket;
  int error = npu::connect_unix(std::getenv("NPU_STAND_IN_SOCKET"), &socket);
  std::shared_ptr<File> file;
  if (error == 0) {
    file = std::make_shared<File>(std::move(socket));
    error = file->start();
  }
  if (error != 0) {
    errno = error;
    return -1;
  }
  static const auto real_open = real<int (*)(const char*, int, ...)>("open");
  const int fd = real_open("/dev/null", O_RDWR | O_CLOEXEC);
  std::lock_guard lock(g_mutex);
  g_files[fd] = std::move(file);
  return fd;
}

// As the kernel does: what fits is copied, the whole length is told.
void put_text(const char* text, char* out, __kernel_size_t* length) {
  if (out != nullptr) std::memcpy(out, text, std::min<size_t>(std::strlen(text), *length));
  *length = std::strlen(text);
}

int answer(File& file, unsigned long request, void* args) {
  const uint32_t nr = _IOC_NR(request);
  if (request == DRM_IOCTL_VERSION) {
    auto* version = static_cast<drm_version*>(args);
    put_text(NPU_DRIVER_NAME, version->name, &version->name_len);
    put_text("0", version->date, &version->date_len);
    put_text("stand-in", version->desc, &version->desc_len);
    return 0;
  }
  if (request == DRM_IOCTL_GEM_CLOSE) {
    return file.close_object(static_cast<drm_gem_close*>(args)->handle);
  }
  if (request == DRM_IOCTL_PRIME_HANDLE_TO_FD) {
    return file.export_object(static_cast<drm_prime_handle*>(args));
  }
  if (request == DRM_IOCTL_PRIME_FD_TO_HANDLE) {
    return file.import_object(static_cast<drm_prime_handle*>(args));
  }
  if (nr < DRM_COMMAND_BASE || nr - DRM_COMMAND_BASE >= NPU_CALL_COUNT) return EINVAL;
  return file.call(nr - DRM_COMMAND_BASE, args);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  const char* node = std::getenv("NPU_STAND_IN_NODE");
  if (node != nullptr && std::strcmp(path, node) == 0) return open_node();
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  static const auto real_open = real<int (*)(const char*, int, ...)>("open");
  return real_open(path, flags, mode);
}

int close(int fd) {
  std::shared_ptr<File> file;
  {
    std::lock_guard lock(g_mutex);
    const auto found = g_files.find(fd);
    if (found != g_files.end()) {
      file = std::move(found->second);
      g_files.erase(found);
    }
  }
  static const auto real_close = real<int (*)(int)>("close");
  return real_close(fd);
}

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void* args = va_arg(rest, void*);
  va_end(rest);
  const std::shared_ptr<File> file = find(fd);
  if (file == nullptr) {
    static const auto real_ioctl = real<int (*)(int, unsigned long, ...)>("ioctl");
    return real_ioctl(fd, request, args);
  }
  errno = answer(*file, request, args);
  return errno == 0 ? 0 : -1;
}

void* mmap(void* at, size_t bytes, int prot, int flags, int fd, off_t offset) {
  const std::shared_ptr<File> file = fd >= 0 ? find(fd) : nullptr;
  if (file != nullptr)
    return file->map(at, bytes, prot, flags, static_cast<uint64_t>(offset) >> kPageShift);
  static const auto real_mmap = real<void* (*)(void*, size_t, int, int, int, off_t)>("mmap");
  return real_mmap(at, bytes, prot, flags, fd, offset);
}
}
