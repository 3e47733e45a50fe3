// SPDX-License-Identifier: Apache-2.0
// The road of the kernel driver, by bare ioctls: the size in the number is that of the caller's struct, whatever it is.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "tests/uapi/parity/transport.h"
#include "uapi/npu_ioctl.h"
#include "uapi/npu_wire.h"

namespace npu::parity {
namespace {

class Mapped final : public Memory {
 public:
  Mapped(int fd, uint64_t offset, uint64_t bytes) : bytes_(bytes) {
    at_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (at_ == MAP_FAILED) throw std::runtime_error(std::string("mmap: ") + std::strerror(errno));
  }
  ~Mapped() override { munmap(at_, bytes_); }
  uint8_t* data() override { return static_cast<uint8_t*>(at_); }

 private:
  void* at_;
  uint64_t bytes_;
};

class IoctlTransport final : public Transport {
 public:
  explicit IoctlTransport(int fd) : fd_(fd) {}
  ~IoctlTransport() override { close(fd_); }

  int call(uint32_t nr, Bytes* args, const std::vector<ArrayArg>& arrays, int fd) override {
    for (const ArrayArg& array : arrays) put_address(args, array);
    npu_call_desc desc{};
    if (fd >= 0 && npu_call_describe(nr, &desc) != 0 && has_fd(*args, desc)) {
      std::memcpy(args->data() + desc.fd_offset, &fd, sizeof fd);
    }
    const unsigned long request = _IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE,
                                       DRM_COMMAND_BASE + nr, static_cast<unsigned>(args->size()));
    const int error = restarted(request, args->data());
    for (const ArrayArg& array : arrays) clear_address(args, array);
    return error;
  }

  int close_object(uint32_t handle) override {
    drm_gem_close args{};
    args.handle = handle;
    return restarted(DRM_IOCTL_GEM_CLOSE, &args);
  }

  std::unique_ptr<Memory> map(uint64_t token, uint64_t size_bytes) override {
    return std::make_unique<Mapped>(fd_, token, size_bytes);
  }

  void ring(uint64_t token, uint32_t slot, uint64_t value) override {
    if (doorbells_ == nullptr) doorbells_ = map(token, NPU_DOORBELL_PAGE_BYTES);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    reinterpret_cast<volatile uint64_t*>(doorbells_->data())[slot] = value;
  }

  Bytes read_event(int timeout_ms) override {
    if (pending_.empty()) {
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, timeout_ms) != 1) return {};
      pending_.resize(4096);
      const ssize_t got = read(fd_, pending_.data(), pending_.size());
      pending_.resize(got > 0 ? static_cast<size_t>(got) : 0);
    }
    npu_event header{};
    if (pending_.size() < sizeof header) return {};
    std::memcpy(&header, pending_.data(), sizeof header);
    if (header.length < sizeof header || header.length > pending_.size()) {
      throw std::runtime_error("an event with a wrong length");
    }
    const auto end = pending_.begin() + header.length;
    const Bytes event(pending_.begin(), end);
    pending_.erase(pending_.begin(), end);
    return event;
  }

  int descriptor() const override { return fd_; }

  void user_memory(uint64_t size_bytes, uint64_t* address, int* fd) override {
    void* at =
        mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("mmap");
    *address = reinterpret_cast<uintptr_t>(at);
    *fd = -1;
  }

 private:
  static constexpr size_t kPtr = offsetof(npu_array, ptr);

  int restarted(unsigned long request, void* args) const {
    int result = 0;
    do {
      result = ioctl(fd_, request, args);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
  }

  static void put_address(Bytes* args, const ArrayArg& array) {
    if (array.place == ArrayArg::Place::kAsItIs || !has_array(*args, array)) return;
    uint64_t ptr = array.memory->empty() ? 0 : reinterpret_cast<uintptr_t>(array.memory->data());
    if (array.place == ArrayArg::Place::kUnaligned) ptr += 4;
    if (array.place == ArrayArg::Place::kNowhere) ptr = 0x1000;
    std::memcpy(args->data() + array.offset + kPtr, &ptr, sizeof ptr);
  }
  static void clear_address(Bytes* args, const ArrayArg& array) {
    if (array.place == ArrayArg::Place::kAsItIs || !has_array(*args, array)) return;
    std::memset(args->data() + array.offset + kPtr, 0, sizeof(uint64_t));
  }

  int fd_;
  std::unique_ptr<Memory> doorbells_;
  Bytes pending_;
};

class IoctlRoad final : public Road {
 public:
  explicit IoctlRoad(std::string node) : node_(std::move(node)) {}
  std::unique_ptr<Transport> open() override {
    const int fd = ::open(node_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) throw std::runtime_error("opening " + node_ + ": " + std::strerror(errno));
    return std::make_unique<IoctlTransport>(fd);
  }

 private:
  std::string node_;
};

}  // namespace

std::unique_ptr<Road> ioctl_road(const std::string& node) {
  return std::make_unique<IoctlRoad>(node);
}

}  // namespace npu::parity
