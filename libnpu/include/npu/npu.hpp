/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C API with destructors, for C++17 and later. Header only: what a program compiles from it belongs to the program, so it adds nothing to the ABI.
 *
 * Ownership  Each object ends what it owns when it is destroyed, in the order that C++ gives: declare a Context before the Queue and the Memory in it. Objects move, they are not copied;
 *            get() lends the handle to functions of the C API, release() gives it away.
 * Errors     A function that fails throws npu::Error with code, cause and remedy; states that are no errors (NPU_NOT_READY, NPU_TIMEOUT) are returned. Destructors throw nothing.
 * Threads    As the functions of the C API that they call; one object must not be moved while another thread uses it.
 * Since      0.2
 */
#ifndef NPU_NPU_HPP
#define NPU_NPU_HPP

#include <npu/npu.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace npu {

/* A call that failed. what() is "function: cause remedy". */
class Error : public std::runtime_error {
 public:
  /* From the last error of this thread. */
  explicit Error(npuResult code) : std::runtime_error(describe(code)), code_(code) {}
  npuResult code() const noexcept { return code_; }

 private:
  static std::string describe(npuResult code) {
    npuErrorInfo info{};
    info.struct_size = sizeof info;
    if (npuErrorGetInfo(&info) == NPU_OK && info.code == code) {
      return std::string(info.function) + ": " + info.text + " " + info.remedy;
    }
    return std::string(npuResultGetName(code)) + ": " + npuResultGetText(code);
  }
  npuResult code_;
};

/* Throws when |result| is an error; returns states. */
inline npuResult check(npuResult result) {
  if (result < 0) throw Error(result);
  return result;
}

/* A handle and the function that ends it. */
template <typename T, npuResult (*kEnd)(T)>
class Handle {
 public:
  Handle() noexcept = default;
  explicit Handle(T handle) noexcept : handle_(handle) {}
  Handle(Handle &&other) noexcept : handle_(other.release()) {}
  Handle &operator=(Handle &&other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;
  ~Handle() { reset(); }

  T get() const noexcept { return handle_; }
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  T release() noexcept { return std::exchange(handle_, nullptr); }
  /* The result of a destroy function is not looked at: the owner may have ended the object before. */
  void reset(T handle = nullptr) noexcept {
    if (handle_ != nullptr) (void)kEnd(handle_);
    handle_ = handle;
  }

 private:
  T handle_ = nullptr;
};

/* npuInit for the time of its life. */
class Library {
 public:
  Library() { check(npuInit()); }
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;
  ~Library() { (void)npuShutdown(); }

  static unsigned device_count() {
    uint32_t count = 0;
    check(npuDeviceGetCount(&count));
    return count;
  }
};

class Device : public Handle<npuDevice, npuDeviceClose> {
 public:
  Device() noexcept = default;
  /* |selector| as npuDeviceOpen: nullptr, an index, a UUID. */
  static Device open(const char *selector = nullptr) {
    npuDevice handle = nullptr;
    check(npuDeviceOpen(selector, &handle));
    return Device(handle);
  }
  npuDeviceInfo info() const {
    npuDeviceInfo info{};
    info.struct_size = sizeof info;
    check(npuDeviceGetInfo(get(), &info));
    return info;
  }
  int64_t capability(const char *name) const {
    int64_t value = 0;
    check(npuDeviceGetCapability(get(), name, &value));
    return value;
  }

 private:
  using Handle::Handle;
};

class Context : public Handle<npuContext, npuContextDestroy> {
 public:
  Context() noexcept = default;
  explicit Context(const Device &device) {
    npuContext handle = nullptr;
    check(npuContextCreate(device.get(), &handle));
    reset(handle);
  }
};

/* An allocation of |count| elements of T, which are copied as bytes. */
template <typename T>
class Memory {
  static_assert(std::is_trivially_copyable<T>::value, "elements are copied as bytes");

 public:
  Memory() noexcept = default;
  Memory(const Context &context, size_t count, npuMemKind kind = NPU_MEM_DEVICE)
      : context_(context.get()), count_(count) {
    if (count > SIZE_MAX / sizeof(T)) throw std::length_error("npu::Memory: too many elements");
    check(npuMemAlloc(context_, kind, count * sizeof(T), &ptr_));
  }
  Memory(const Context &context, const std::vector<T> &values, npuMemKind kind = NPU_MEM_DEVICE)
      : Memory(context, values.size(), kind) {
    write(values.data(), values.size());
  }
  Memory(Memory &&other) noexcept { swap(other); }
  Memory &operator=(Memory &&other) noexcept {
    Memory(std::move(other)).swap(*this);
    return *this;
  }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() {
    if (ptr_ != 0) (void)npuMemFree(context_, ptr_);
  }

  npuDevPtr get() const noexcept { return ptr_; }
  size_t size() const noexcept { return count_; }
  uint64_t size_bytes() const noexcept { return count_ * sizeof(T); }
  npuDevPtr release() noexcept {
    count_ = 0;
    return std::exchange(ptr_, 0);
  }

  /* Copies by the host at once; wait for work on the memory first. */
  void write(const T *values, size_t count, size_t first = 0) {
    check_range(first, count);
    check(npuMemCopyToDevice(context_, ptr_ + first * sizeof(T), values, count * sizeof(T)));
  }
  void read(T *values, size_t count, size_t first = 0) const {
    check_range(first, count);
    check(npuMemCopyToHost(context_, values, ptr_ + first * sizeof(T), count * sizeof(T)));
  }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    read(values.data(), count_);
    return values;
  }
  /* The host's view, valid until the memory is freed. */
  T *map() const {
    void *host = nullptr;
    check(npuMemMap(context_, ptr_, size_bytes(), &host));
    return static_cast<T *>(host);
  }

 private:
  void check_range(size_t first, size_t count) const {
    if (first > count_ || count > count_ - first)
      throw std::out_of_range("npu::Memory: the range is not inside the allocation");
  }
  void swap(Memory &other) noexcept {
    std::swap(context_, other.context_);
    std::swap(ptr_, other.ptr_);
    std::swap(count_, other.count_);
  }

  npuContext context_ = nullptr;
  npuDevPtr ptr_ = 0;
  size_t count_ = 0;
};

/* Lives as long as its module. */
class Kernel {
 public:
  explicit Kernel(npuKernel handle) noexcept : handle_(handle) {}
  npuKernel get() const noexcept { return handle_; }
  npuKernelInfo info() const {
    npuKernelInfo info{};
    info.struct_size = sizeof info;
    check(npuKernelGetInfo(handle_, &info));
    return info;
  }

 private:
  npuKernel handle_;
};

class Module : public Handle<npuModule, npuModuleUnload> {
 public:
  Module() noexcept = default;
  Module(const Context &context, const std::string &path) {
    npuModule handle = nullptr;
    check(npuModuleLoad(context.get(), path.c_str(), &handle));
    reset(handle);
  }
  Module(const Context &context, const void *data, uint64_t size_bytes) {
    npuModule handle = nullptr;
    check(npuModuleLoadData(context.get(), data, size_bytes, &handle));
    reset(handle);
  }
  Kernel kernel(const char *name) const {
    npuKernel handle = nullptr;
    check(npuModuleGetKernel(get(), name, &handle));
    return Kernel(handle);
  }
};

/* Work-groups of a launch. */
struct Grid {
  uint32_t x = 1, y = 1, z = 1;
};

class Queue : public Handle<npuQueue, npuQueueDestroy> {
 public:
  Queue() noexcept = default;
  explicit Queue(const Context &context) : Queue(context, nullptr) {}
  Queue(const Context &context, const npuQueueInfo &info) : Queue(context, &info) {}

  /* |args|: the argument block as a struct laid out as npuKernelGetArg tells. Returns the value on the timeline, as all submissions do. */
  template <typename Args>
  uint64_t launch(const Kernel &kernel, Grid grid, const Args &args) {
    static_assert(std::is_trivially_copyable<Args>::value, "arguments are copied as bytes");
    npuLaunchInfo info{};
    info.struct_size = sizeof info;
    info.grid_x = grid.x;
    info.grid_y = grid.y;
    info.grid_z = grid.z;
    info.args = &args;
    info.args_bytes = sizeof args;
    uint64_t value = 0;
    check(npuQueueLaunch(get(), kernel.get(), &info, &value));
    return value;
  }
  uint64_t copy(npuDevPtr dst, npuDevPtr src, uint64_t size_bytes) {
    uint64_t value = 0;
    check(npuQueueCopy(get(), dst, src, size_bytes, &value));
    return value;
  }
  uint64_t fill(npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes, uint64_t size_bytes) {
    uint64_t value = 0;
    check(npuQueueFill(get(), dst, pattern, pattern_bytes, size_bytes, &value));
    return value;
  }
  /* Later commands start after |other| has completed |value|. */
  uint64_t wait_for(const Queue &other, uint64_t value) {
    uint64_t own = 0;
    check(npuQueueWaitQueue(get(), other.get(), value, &own));
    return own;
  }
  /* True: completed; false: not within the time. */
  bool wait(uint64_t value, int64_t timeout_ns = NPU_TIMEOUT_INFINITE) {
    return check(npuQueueWait(get(), value, timeout_ns)) == NPU_OK;
  }
  bool sync(int64_t timeout_ns = NPU_TIMEOUT_INFINITE) {
    return check(npuQueueSync(get(), timeout_ns)) == NPU_OK;
  }
  uint64_t completed() const {
    uint64_t value = 0;
    check(npuQueueGetCompleted(get(), &value));
    return value;
  }
  uint64_t submitted() const {
    uint64_t value = 0;
    check(npuQueueGetSubmitted(get(), &value));
    return value;
  }

 private:
  Queue(const Context &context, const npuQueueInfo *info) {
    npuQueue handle = nullptr;
    check(npuQueueCreate(context.get(), info, &handle));
    reset(handle);
  }
};

class Event : public Handle<npuEvent, npuEventDestroy> {
 public:
  Event() noexcept = default;
  explicit Event(const Context &context) {
    npuEvent handle = nullptr;
    check(npuEventCreate(context.get(), &handle));
    reset(handle);
  }
  void record(const Queue &queue) { check(npuEventRecord(get(), queue.get())); }
  bool passed() const { return check(npuEventQuery(get())) == NPU_OK; }
  bool wait(int64_t timeout_ns = NPU_TIMEOUT_INFINITE) const {
    return check(npuEventWait(get(), timeout_ns)) == NPU_OK;
  }
  /* Device time from |start| to here, in picoseconds. */
  uint64_t elapsed_ps_since(const Event &start) const {
    uint64_t elapsed_ps = 0;
    check(npuEventGetElapsed(start.get(), get(), &elapsed_ps));
    return elapsed_ps;
  }
};

}  // namespace npu

#endif
