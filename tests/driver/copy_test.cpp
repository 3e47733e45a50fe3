// SPDX-License-Identifier: Apache-2.0
// COPY_SUBMIT with syncobjs and memory of the process: what only the kernel's road has.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/driver/guest.h"
#include "uapi/npu_ioctl.h"

namespace npu::driver_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

npu_sync binary(uint32_t handle) { return {handle, 0, 0}; }
npu_sync point(uint32_t handle, uint64_t value) { return {handle, NPU_SYNC_TIMELINE, value}; }

class Copy : public GuestTest {
 protected:
  File file_;
};

TEST_F(Copy, MovesEveryByteAndNoOther) {
  const npu_bo_create from = file_.object(kMiB, NPU_REGION_SYSTEM);
  const npu_bo_create hbm = file_.object(kMiB, NPU_REGION_HBM);
  const npu_bo_create to = file_.object(kMiB, NPU_REGION_SYSTEM, NPU_BO_SYNC);
  const auto source = file_.map(from), device = file_.map(hbm), target = file_.map(to);
  for (uint64_t i = 0; i < kMiB; i += 997) {
    ASSERT_EQ(source->data()[i] | device->data()[i] | target->data()[i], 0) << "not cleared";
  }
  fill_random(source->data(), kMiB, 1);
  ASSERT_EQ(file_.copy({copy_op(from.handle, 3, hbm.handle, 70001, 900000),
                        copy_op(hbm.handle, 70001, to.handle, 17, 900000)},
                       NPU_COPY_WAIT),
            0);
  EXPECT_EQ(std::memcmp(source->data() + 3, device->data() + 70001, 900000), 0);
  EXPECT_EQ(std::memcmp(source->data() + 3, target->data() + 17, 900000), 0);
  EXPECT_EQ(target->data()[16], 0);
  EXPECT_EQ(target->data()[17 + 900000], 0);
}

TEST_F(Copy, FencesOrderWhatDependsOnThem) {
  constexpr uint64_t kBytes = 32 * kMiB;
  const npu_bo_create a = file_.object(kBytes, NPU_REGION_SYSTEM);
  const npu_bo_create b = file_.object(kBytes, NPU_REGION_HBM);
  const npu_bo_create c = file_.object(kBytes, NPU_REGION_SYSTEM);
  const auto from = file_.map(a), to = file_.map(c);
  fill_random(from->data(), kBytes, 2);
  const npu_sync done = binary(make_syncobj(&file_));
  const uint32_t timeline = make_syncobj(&file_);
  const npu_copy_op first = copy_op(a.handle, 0, b.handle, 0, kBytes);
  const npu_copy_op second = copy_op(b.handle, 0, c.handle, 0, kBytes);
  EXPECT_EQ(file_.copy({second}, 0, {done}, {point(timeline, 5)}), EINVAL);  // nobody submitted it
  ASSERT_EQ(file_.copy({first}, 0, {}, {done, point(timeline, 5)}), 0);
  ASSERT_EQ(file_.copy({second}, 0, {done, point(timeline, 5)}, {point(timeline, 9)}), 0);
  EXPECT_EQ(file_.copy({second}, 0, {}, {binary(4711)}), ENOENT);
  EXPECT_EQ(wait_syncobj(&file_, done.handle), 0);
  EXPECT_EQ(wait_point(&file_, timeline, 9), 0);
  EXPECT_EQ(std::memcmp(from->data(), to->data(), kBytes), 0);
}

TEST_F(Copy, ManyUnderWayOutliveTheirHandles) {
  const npu_bo_create a = file_.object(8 * kMiB, NPU_REGION_SYSTEM);
  const npu_bo_create b = file_.object(8 * kMiB, NPU_REGION_HBM);
  const npu_sync last = binary(make_syncobj(&file_));
  for (uint64_t i = 0; i < 300; ++i) {
    const uint32_t to = i % 2 != 0 ? a.handle : b.handle;
    ASSERT_EQ(file_.copy({fill_op(to, (i % 8) * kMiB, kMiB, i)}, 0, {}, {last}), 0);
  }
  EXPECT_EQ(file_.close_object(a.handle), 0);
  EXPECT_EQ(file_.close_object(b.handle), 0);
  EXPECT_EQ(wait_syncobj(&file_, last.handle), 0);
}

TEST_F(Copy, AnInterruptedCallHappensOnce) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  std::atomic<bool> stop{false};
  const pthread_t caller = pthread_self();
  std::thread storm([&] {
    while (!stop) {
      pthread_kill(caller, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  const npu_bo_create a = file_.object(kMiB, NPU_REGION_SYSTEM);
  const npu_bo_create b = file_.object(kMiB, NPU_REGION_HBM);
  const npu_bo_create spare = file_.object(kMiB, NPU_REGION_HBM);
  const auto host = file_.map(a), device = file_.map(b);
  std::memset(host->data(), 0xa5, kMiB);
  std::memset(device->data(), 0x5b, kMiB);
  // A swap: one that happened twice is none.
  for (int i = 0; i < 41; ++i) {
    ASSERT_EQ(file_.copy({copy_op(a.handle, 0, spare.handle, 0, kMiB),
                          copy_op(b.handle, 0, a.handle, 0, kMiB),
                          copy_op(spare.handle, 0, b.handle, 0, kMiB)},
                         NPU_COPY_WAIT),
              0);
  }
  stop = true;
  storm.join();
  EXPECT_EQ(host->data()[kMiB - 1], 0x5b);
  EXPECT_EQ(device->data()[kMiB - 1], 0xa5);
}

TEST_F(Copy, AKilledOwnerOfCopiesLeavesNothing) {
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      File own;
      const npu_bo_create a = own.object(16 * kMiB, NPU_REGION_SYSTEM);
      const npu_bo_create b = own.object(16 * kMiB, NPU_REGION_HBM);
      for (;;) own.copy({copy_op(a.handle, 0, b.handle, 0, 16 * kMiB)}, NPU_COPY_WAIT);
    }
    EXPECT_TRUE(becomes([] { return debug_number("bos") >= 2; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(30 * i));
    kill(child, SIGKILL);
    const int64_t begin = now_ms();
    waitpid(child, nullptr, 0);
    EXPECT_LT(now_ms() - begin, kWaitMs);
  }
}

class Userptr : public GuestTest {
 protected:
  int wrap(const void* at, uint64_t bytes, uint32_t flags, npu_bo_create_userptr* out,
           int32_t fd = -1) {
    *out = {};
    out->address = reinterpret_cast<uintptr_t>(at);
    out->size_bytes = bytes;
    out->flags = flags;
    out->fd = fd;
    return file_.silent(NPU_CALL_BO_CREATE_USERPTR, out);
  }
  uint8_t* anonymous(uint64_t bytes, int protection) {
    void* at = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(at, MAP_FAILED);
    return static_cast<uint8_t*>(at);
  }
  File file_;
};

TEST_F(Userptr, TheDeviceReadsAndWritesMemoryOfTheProcess) {
  uint8_t* own = anonymous(4 * kMiB, PROT_READ | PROT_WRITE);
  fill_random(own, 4 * kMiB, 3);
  npu_bo_create_userptr object{};
  ASSERT_EQ(wrap(own, 4 * kMiB, 0, &object), 0);
  const npu_bo_create hbm = file_.object(4 * kMiB, NPU_REGION_HBM);
  const auto device = file_.map(hbm);
  ASSERT_EQ(file_.copy({copy_op(object.handle, 0, hbm.handle, 0, 4 * kMiB)}, NPU_COPY_WAIT), 0);
  EXPECT_EQ(std::memcmp(own, device->data(), 4 * kMiB), 0);
  device->data()[100] = 77;
  ASSERT_EQ(file_.copy({copy_op(hbm.handle, 100, object.handle, 100, 8000)}, NPU_COPY_WAIT), 0);
  EXPECT_EQ(own[100], 77);
  drm_prime_handle exported{};
  exported.handle = object.handle;
  EXPECT_EQ(drm(&file_, DRM_IOCTL_PRIME_HANDLE_TO_FD, &exported), EOPNOTSUPP);
  munmap(own, 4 * kMiB);  // the object keeps the pages
  EXPECT_EQ(file_.copy({fill_op(object.handle, 0, 4096, 1)}, NPU_COPY_WAIT), 0);
}

TEST_F(Userptr, OnlyMemoryThatTheProcessMayUse) {
  uint8_t* readonly = anonymous(8192, PROT_READ);
  npu_bo_create_userptr object{};
  EXPECT_EQ(wrap(readonly, 8192, 0, &object), EFAULT);
  ASSERT_EQ(wrap(readonly, 8192, NPU_USERPTR_READONLY, &object), 0);
  EXPECT_EQ(file_.copy({fill_op(object.handle, 0, 8, 0)}, NPU_COPY_WAIT), EACCES);
  const npu_bo_create hbm = file_.object(NPU_PAGE_64K, NPU_REGION_HBM);
  const auto device = file_.map(hbm);
  EXPECT_EQ(wrap(reinterpret_cast<void*>(4096), 4096, 0, &object), EFAULT);
  EXPECT_EQ(wrap(device->data(), 4096, 0, &object), EFAULT);  // memory of a device
  EXPECT_EQ(wrap(reinterpret_cast<void*>(~uintptr_t{0} - 8191), 4096, 0, &object), EFAULT);
  EXPECT_EQ(wrap(readonly, 4096, 0, &object, 0), EOPNOTSUPP);
  munmap(readonly, 8192);
}

TEST_F(Userptr, PinnedMemoryCountsAgainstTheLimitOfTheProcess) {
  uint8_t* own = anonymous(2 * kMiB, PROT_READ | PROT_WRITE);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{kMiB, kMiB};
    npu_bo_create_userptr object{};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setuid(1000) != 0) _exit(3);
    if (wrap(own, 2 * kMiB, 0, &object) != EDQUOT) _exit(1);
    _exit(wrap(own, kMiB, 0, &object) == 0 ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  munmap(own, 2 * kMiB);
}

}  // namespace
}  // namespace npu::driver_test
