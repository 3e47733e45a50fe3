// SPDX-License-Identifier: Apache-2.0
// Memory that leaves and comes in as a dma-buf, by DRM's own calls: what descriptors and handles promise, and drivers other than ours at the other end.
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "tests/driver/guest.h"
#include "uapi/npu_ioctl.h"

namespace npu::driver_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint32_t kRegions[] = {NPU_REGION_SYSTEM, NPU_REGION_HBM};

// A descriptor that goes with its scope.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&&) = delete;
  ~Fd() { reset(); }
  int get() const { return fd_; }
  int* out() { return &fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// What mmap of a dma-buf shows; null: it was refused.
class View {
 public:
  View(int fd, uint64_t bytes, int protection = PROT_READ | PROT_WRITE, uint64_t offset = 0)
      : at_(mmap(nullptr, bytes, protection, MAP_SHARED, fd, static_cast<off_t>(offset))),
        bytes_(bytes) {}
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() {
    if (at_ != MAP_FAILED) munmap(at_, bytes_);
  }
  uint8_t* data() const { return at_ == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at_); }

 private:
  void* at_;
  uint64_t bytes_;
};

uint64_t inode(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

uint64_t size_of(File* file, uint32_t handle) {
  npu_bo_info info{};
  info.handle = handle;
  return file->silent(NPU_CALL_BO_INFO, &info) == 0 ? info.size_bytes : 0;
}

int bracket(int fd, uint64_t flags) {
  dma_buf_sync sync{flags};
  return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) == 0 ? 0 : errno;
}

// Memory of the process as the kernel's own exporter of it gives it away; none where the kernel has none.
Fd udmabuf(uint64_t bytes, uint8_t** out_view) {
  const Fd driver(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
  const Fd memory(memfd_create("npu", MFD_ALLOW_SEALING | MFD_CLOEXEC));
  if (driver.get() < 0 || ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    return Fd();
  }
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (at == MAP_FAILED) return Fd();
  *out_view = static_cast<uint8_t*>(at);
  udmabuf_create create{};
  create.memfd = static_cast<uint32_t>(memory.get());
  create.flags = UDMABUF_FLAGS_CLOEXEC;
  create.size = bytes;
  return Fd(ioctl(driver.get(), UDMABUF_CREATE, &create));
}

Fd from_heap(uint64_t bytes) {
  const Fd heap(open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC));
  dma_heap_allocation_data args{};
  args.len = bytes;
  args.fd_flags = O_RDWR | O_CLOEXEC;
  if (heap.get() < 0 || ioctl(heap.get(), DMA_HEAP_IOCTL_ALLOC, &args) != 0) return Fd();
  return Fd(static_cast<int>(args.fd));
}

// Another DRM driver, whose device is memory of the kernel: exporter and importer.
class Vgem {
 public:
  Vgem() {
    for (int i = 0; i < 16 && fd_ < 0; ++i) {
      fd_ = open(("/dev/dri/card" + std::to_string(i)).c_str(), O_RDWR | O_CLOEXEC);
      char name[8] = {};
      drm_version version{};
      version.name = name;
      version.name_len = sizeof name - 1;
      if (fd_ >= 0 &&
          (ioctl(fd_, DRM_IOCTL_VERSION, &version) != 0 || std::string(name) != "vgem")) {
        close(fd_);
        fd_ = -1;
      }
    }
  }
  Vgem(const Vgem&) = delete;
  Vgem& operator=(const Vgem&) = delete;
  ~Vgem() {
    if (fd_ >= 0) close(fd_);
  }
  bool is_there() const { return fd_ >= 0; }
  uint32_t make(uint64_t bytes) {
    drm_mode_create_dumb args{};
    args.width = static_cast<uint32_t>(bytes / 4096);
    args.height = 1024;
    args.bpp = 32;
    return ioctl(fd_, DRM_IOCTL_MODE_CREATE_DUMB, &args) == 0 ? args.handle : 0;
  }
  Fd give(uint32_t handle) {
    drm_prime_handle args{};
    args.handle = handle;
    args.flags = DRM_CLOEXEC | DRM_RDWR;
    return Fd(ioctl(fd_, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args) == 0 ? args.fd : -1);
  }
  // 0 or the errno.
  int take(int fd, uint32_t* handle) {
    drm_prime_handle args{};
    args.fd = fd;
    const int err = ioctl(fd_, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args) == 0 ? 0 : errno;
    *handle = args.handle;
    return err;
  }
  std::unique_ptr<View> map(uint32_t handle, uint64_t bytes) {
    drm_mode_map_dumb args{};
    args.handle = handle;
    EXPECT_EQ(ioctl(fd_, DRM_IOCTL_MODE_MAP_DUMB, &args), 0);
    return std::make_unique<View>(fd_, bytes, PROT_READ | PROT_WRITE, args.offset);
  }

 private:
  int fd_ = -1;
};

class Prime : public GuestTest {
 protected:
  Fd give(const npu_bo_create& object, uint32_t flags = DRM_CLOEXEC | DRM_RDWR) {
    Fd fd;
    EXPECT_EQ(to_fd(&file_, object.handle, fd.out(), flags), 0);
    return fd;
  }
  // The device reads all of foreign memory, and writes a page of it.
  void expect_shared(uint32_t handle, uint8_t* own, uint64_t bytes) {
    fill_random(own, bytes, 4);
    const npu_bo_create hbm = file_.object(bytes, NPU_REGION_HBM);
    const auto device = file_.map(hbm);
    EXPECT_EQ(size_of(&file_, handle), bytes);
    EXPECT_EQ(file_.copy({copy_op(handle, 0, hbm.handle, 0, bytes)}, NPU_COPY_WAIT), 0);
    EXPECT_EQ(std::memcmp(own, device->data(), bytes), 0);
    EXPECT_EQ(file_.copy({fill_op(handle, 4096, 4096, 0x4242424242424242)}, NPU_COPY_WAIT), 0);
    EXPECT_EQ(own[8191], 0x42);
    EXPECT_EQ(own[8192], device->data()[8192]);
  }
  File file_;
};

TEST_F(Prime, AnotherFileSharesTheMemory) {
  for (const uint32_t region : kRegions) {
    const npu_bo_create object = file_.object(kMiB, region);
    const auto memory = file_.map(object);
    memory->data()[7] = 9;
    const Fd fd = give(object);
    uint32_t handle = 0;
    ASSERT_EQ(to_handle(&file_, fd.get(), &handle), 0);
    EXPECT_EQ(handle, object.handle);
    File second;
    ASSERT_EQ(to_handle(&second, fd.get(), &handle), 0);
    EXPECT_EQ(second.copy({fill_op(handle, 4096, 4096, 0x0101010101010101)}, NPU_COPY_WAIT), 0);
    EXPECT_EQ(memory->data()[5000], 1);
    pollfd idle{fd.get(), POLLOUT, 0};
    EXPECT_EQ(poll(&idle, 1, kWaitMs), 1);
    const View mapped(fd.get(), kMiB, PROT_READ);
    ASSERT_NE(mapped.data(), nullptr);
    EXPECT_EQ(mapped.data()[7], 9);
  }
}

TEST_F(Prime, AnObjectOfOneAddressSpaceIsNotShared) {
  const npu_bo_create object = file_.object(4096, NPU_REGION_SYSTEM, 0, file_.vm());
  int fd = -1;
  EXPECT_EQ(to_fd(&file_, object.handle, &fd), EPERM);
}

// One object is one dma-buf, and one handle in each file, however often it goes back and forth.
TEST_F(Prime, AnObjectComesBackAsItself) {
  for (const uint32_t region : kRegions) {
    const npu_bo_create object = file_.object(3 * NPU_PAGE_64K, region);
    const auto memory = file_.map(object);
    memory->data()[5] = 77;
    const Fd fd = give(object), again = give(object);
    EXPECT_EQ(inode(fd.get()), inode(again.get()));
    EXPECT_EQ(lseek(fd.get(), 0, SEEK_END), static_cast<off_t>(3 * NPU_PAGE_64K));
    File second;
    uint32_t first_handle = 0, handle = 0;
    ASSERT_EQ(to_handle(&second, fd.get(), &first_handle), 0);
    ASSERT_EQ(to_handle(&second, again.get(), &handle), 0);
    EXPECT_EQ(handle, first_handle);
    EXPECT_EQ(size_of(&second, handle), 3 * NPU_PAGE_64K);
    Fd from_second;
    ASSERT_EQ(to_fd(&second, handle, from_second.out()), 0);
    EXPECT_EQ(inode(from_second.get()), inode(fd.get()));
    // One close, whatever the number of imports.
    EXPECT_EQ(second.close_object(handle), 0);
    EXPECT_EQ(size_of(&second, handle), 0u);
    EXPECT_NE(second.close_object(handle), 0);
    // The maker closes it too: the descriptors alone keep it, and it comes back with its bytes.
    EXPECT_EQ(file_.close_object(object.handle), 0);
    ASSERT_EQ(to_handle(&file_, again.get(), &handle), 0);
    const View view(fd.get(), NPU_PAGE_64K);
    ASSERT_NE(view.data(), nullptr);
    EXPECT_EQ(view.data()[5], 77);
    EXPECT_EQ(file_.copy({fill_op(handle, 0, 4096, 0)}, NPU_COPY_WAIT), 0);
    EXPECT_EQ(view.data()[5], 0);
  }
}

TEST_F(Prime, MemoryOutlivesTheFileThatMadeIt) {
  for (const uint32_t region : kRegions) {
    std::optional<File> maker(std::in_place);
    Fd fd;
    ASSERT_EQ(to_fd(&*maker, maker->object(kMiB, region).handle, fd.out()), 0);
    maker.reset();
    uint32_t handle = 0;
    ASSERT_EQ(to_handle(&file_, fd.get(), &handle), 0);
    fd.reset();
    EXPECT_EQ(file_.copy({fill_op(handle, 0, kMiB, 1)}, NPU_COPY_WAIT), 0);
    EXPECT_EQ(file_.close_object(handle), 0);
  }
}

TEST_F(Prime, WhatIsNoDmaBufIsRefused) {
  const Fd event(eventfd(0, EFD_CLOEXEC)), plain(memfd_create("npu", MFD_CLOEXEC));
  const int closed = dup(event.get());
  close(closed);
  uint32_t handle = 0;
  EXPECT_EQ(to_handle(&file_, -1, &handle), EBADF);
  EXPECT_EQ(to_handle(&file_, closed, &handle), EBADF);
  EXPECT_EQ(to_handle(&file_, event.get(), &handle), EINVAL);
  EXPECT_EQ(to_handle(&file_, plain.get(), &handle), EINVAL);
  EXPECT_EQ(to_handle(&file_, file_.descriptor(), &handle), EINVAL);
  int fd = -1;
  EXPECT_EQ(to_fd(&file_, 0, &fd), ENOENT);
  EXPECT_EQ(to_fd(&file_, 4711, &fd), ENOENT);
  const npu_bo_create object = file_.object(kMiB, NPU_REGION_HBM);
  EXPECT_EQ(to_fd(&file_, object.handle, &fd, 1u << 20), EINVAL);
  EXPECT_EQ(file_.close_object(object.handle), 0);
  EXPECT_EQ(to_fd(&file_, object.handle, &fd), ENOENT);
  EXPECT_EQ(fd, -1);
}

TEST_F(Prime, TheFlagsAreThoseOfTheDescriptor) {
  for (const uint32_t region : kRegions) {
    const npu_bo_create object = file_.object(kMiB, region);
    const Fd plain = give(object, 0), good = give(object);
    EXPECT_EQ(fcntl(plain.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(fcntl(good.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    // The first export of an object decides what its dma-buf may be opened for: here only to read.
    const View read(plain.get(), kMiB, PROT_READ);
    EXPECT_NE(read.data(), nullptr);
    EXPECT_EQ(View(plain.get(), kMiB).data(), nullptr);
    const npu_bo_create another = file_.object(kMiB, region);
    const Fd writable = give(another);
    EXPECT_NE(View(writable.get(), kMiB).data(), nullptr);
    EXPECT_EQ(View(writable.get(), kMiB, PROT_READ, kMiB).data(), nullptr) << "behind the end";
    EXPECT_EQ(View(writable.get(), 2 * kMiB, PROT_READ).data(), nullptr) << "over the end";
  }
}

// What the host does between the brackets, and the fences in which others see our copies.
TEST_F(Prime, OthersSeeTheFencesOfCopies) {
  for (const uint32_t region : kRegions) {
    const npu_bo_create object = file_.object(4 * kMiB, region);
    const Fd fd = give(object);
    const View view(fd.get(), 4 * kMiB);
    ASSERT_NE(view.data(), nullptr);
    const uint32_t last = make_syncobj(&file_);
    for (uint64_t i = 1; i <= 20; ++i) {
      ASSERT_EQ(file_.copy({fill_op(object.handle, 0, 4 * kMiB, i * 0x0101010101010101)}, 0, {},
                           {{last, 0, 0}}),
                0);
    }
    dma_buf_export_sync_file fence{};
    fence.flags = DMA_BUF_SYNC_READ;
    ASSERT_EQ(ioctl(fd.get(), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &fence), 0);
    const Fd written(fence.fd);
    pollfd end{written.get(), POLLIN, 0};
    ASSERT_EQ(poll(&end, 1, kWaitMs), 1);
    EXPECT_EQ(view.data()[4 * kMiB - 1], 20);
    ASSERT_EQ(file_.copy({fill_op(object.handle, 0, 4 * kMiB, 0)}, 0, {}, {{last, 0, 0}}), 0);
    EXPECT_EQ(bracket(fd.get(), DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW), 0);
    EXPECT_EQ(view.data()[4 * kMiB - 1], 0);
    EXPECT_EQ(bracket(fd.get(), DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW), 0);
    EXPECT_EQ(bracket(fd.get(), ~0ull), EINVAL);
    EXPECT_EQ(wait_syncobj(&file_, last), 0);
  }
}

TEST_F(Prime, MemoryOfTheProcessByUdmabuf) {
  constexpr uint64_t kBytes = 67 * 4096;
  uint8_t* own = nullptr;
  Fd buffer = udmabuf(kBytes, &own);
  if (buffer.get() < 0) GTEST_SKIP() << "this kernel has no udmabuf";
  uint32_t handle = 0, again = 0;
  ASSERT_EQ(to_handle(&file_, buffer.get(), &handle), 0);
  ASSERT_EQ(to_handle(&file_, buffer.get(), &again), 0);
  EXPECT_EQ(again, handle);
  // What is given away again is the original.
  Fd back;
  ASSERT_EQ(to_fd(&file_, handle, back.out()), 0);
  EXPECT_EQ(inode(back.get()), inode(buffer.get()));
  npu_bo_info info{};
  info.handle = handle;
  ASSERT_EQ(file_.silent(NPU_CALL_BO_INFO, &info), 0);
  EXPECT_EQ(info.region, uint32_t{NPU_REGION_SYSTEM});
  EXPECT_EQ(info.map_token, 0u) << "its own driver maps it";
  buffer.reset();
  back.reset();
  expect_shared(handle, own, kBytes);
  munmap(own, kBytes);
  EXPECT_EQ(file_.close_object(handle), 0);
}

TEST_F(Prime, MemoryOfAHeap) {
  Fd buffer = from_heap(3 * kMiB);
  if (buffer.get() < 0) GTEST_SKIP() << "this kernel has no heap of dma-bufs";
  const View view(buffer.get(), 3 * kMiB);
  ASSERT_NE(view.data(), nullptr);
  uint32_t handle = 0;
  ASSERT_EQ(to_handle(&file_, buffer.get(), &handle), 0);
  buffer.reset();
  expect_shared(handle, view.data(), 3 * kMiB);
  EXPECT_EQ(file_.close_object(handle), 0);
}

TEST_F(Prime, AnotherDrmDriverGivesMemory) {
  std::optional<Vgem> vgem(std::in_place);
  if (!vgem->is_there()) GTEST_SKIP() << "this kernel has no vgem";
  const uint32_t theirs = vgem->make(kMiB);
  ASSERT_NE(theirs, 0u);
  Fd buffer = vgem->give(theirs);
  ASSERT_GE(buffer.get(), 0);
  const auto view = vgem->map(theirs, kMiB);
  ASSERT_NE(view->data(), nullptr);
  uint32_t handle = 0;
  ASSERT_EQ(to_handle(&file_, buffer.get(), &handle), 0);
  // Its maker goes first.
  buffer.reset();
  vgem.reset();
  expect_shared(handle, view->data(), kMiB);
  EXPECT_EQ(file_.close_object(handle), 0);
}

TEST_F(Prime, AnotherDrmDriverTakesSystemMemoryAndNoHbm) {
  Vgem vgem;
  if (!vgem.is_there()) GTEST_SKIP() << "this kernel has no vgem";
  const npu_bo_create object = file_.object(kMiB, NPU_REGION_SYSTEM);
  const auto memory = file_.map(object);
  fill_random(memory->data(), kMiB, 6);
  uint32_t handle = 0;
  {
    const Fd fd = give(object);
    ASSERT_EQ(vgem.take(fd.get(), &handle), 0);
    const Fd hbm = give(file_.object(kMiB, NPU_REGION_HBM));
    uint32_t none = 0;
    EXPECT_EQ(vgem.take(hbm.get(), &none), EOPNOTSUPP);
  }
  // Ours goes first. What the other driver gives away is our dma-buf: its holders alone keep the memory.
  EXPECT_EQ(file_.close_object(object.handle), 0);
  const Fd back = vgem.give(handle);
  const View view(back.get(), kMiB);
  ASSERT_NE(view.data(), nullptr);
  EXPECT_EQ(std::memcmp(view.data(), memory->data(), kMiB), 0);
  uint32_t ours = 0;
  ASSERT_EQ(to_handle(&file_, back.get(), &ours), 0);
  EXPECT_EQ(file_.copy({fill_op(ours, 0, 4096, 0x3535353535353535)}, NPU_COPY_WAIT), 0);
  EXPECT_EQ(view.data()[4095], 0x35);
  EXPECT_EQ(file_.close_object(ours), 0);
}

class PrimeUnplug : public GuestTest {};

// What other drivers hold of the system memory of a device that is taken out.
TEST_F(PrimeUnplug, AnotherDriverKeepsMemoryOfADeviceThatHasGone) {
  if (!Vgem().is_there()) GTEST_SKIP() << "this kernel has no vgem";
  const std::string folder = sysfs("");
  {
    Vgem vgem;
    File own;
    const npu_bo_create object = own.object(kMiB, NPU_REGION_SYSTEM);
    std::memset(own.map(object)->data(), 0x6c, kMiB);
    uint8_t* foreign = nullptr;
    const Fd buffer = udmabuf(kMiB, &foreign);
    uint32_t handle = 0, import = 0;
    Fd fd;
    ASSERT_EQ(to_fd(&own, object.handle, fd.out()), 0);
    ASSERT_EQ(vgem.take(fd.get(), &handle), 0);
    if (buffer.get() >= 0) {
      ASSERT_EQ(to_handle(&own, buffer.get(), &import), 0);
    }
    ASSERT_EQ(write_file(sysfs("remove"), "1"), 0);
    uint32_t none = 0;
    EXPECT_EQ(to_handle(&own, fd.get(), &none), ENODEV);
    fd.reset();
    const Fd back = vgem.give(handle);
    const View view(back.get(), kMiB, PROT_READ);
    EXPECT_NE(view.data(), nullptr);
    if (view.data() != nullptr) {
      EXPECT_EQ(view.data()[kMiB - 1], 0x6c);
    }
    if (foreign != nullptr) munmap(foreign, kMiB);
  }
  ASSERT_TRUE(bring_back(own_node(), folder));
  expect_works();
}

}  // namespace
}  // namespace npu::driver_test
