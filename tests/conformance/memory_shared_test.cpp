// SPDX-License-Identifier: Apache-2.0
// Memory from elsewhere: exported and imported by descriptor, of peers, of the process; and what a context may hold.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kGranule = NPU_MEM_GRANULE_BYTES;
constexpr uint64_t kMiB = 1 << 20;

// A memfd of |size| bytes; sealed as the API asks, unless told otherwise.
int make_memfd(uint64_t size, bool sealed = true) {
  const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
  if (sealed) {
    EXPECT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  }
  return fd;
}

class MemSharedTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &other_device_));
    ASSERT_NPU(NPU_OK, npuContextCreate(other_device_, &other_));
    ASSERT_NPU(NPU_OK, npuQueueCreate(other_, nullptr, &other_queue_));
  }
  void TearDown() override {
    EXPECT_NPU(NPU_OK, npuDeviceClose(other_device_));
    DeviceTest::TearDown();
  }
  npuMemInfo query(npuContext context, npuDevPtr ptr) {
    npuMemInfo info{};
    info.struct_size = sizeof info;
    EXPECT_NPU(NPU_OK, npuMemQuery(context, ptr, &info));
    return info;
  }
  npuMemStats stats() {
    npuMemStats out{};
    out.struct_size = sizeof out;
    EXPECT_NPU(NPU_OK, npuMemGetStats(context_, &out));
    return out;
  }
  int export_fd(npuContext context, npuDevPtr ptr, uint64_t* id = nullptr) {
    int fd = -1;
    EXPECT_NPU(NPU_OK, npuMemExportFd(context, ptr, &fd, id));
    return fd;
  }

  // Another open file of the same device: a connection, as another process has it.
  npuDevice other_device_ = nullptr;
  npuContext other_ = nullptr;
  npuQueue other_queue_ = nullptr;
};

TEST_F(MemSharedTest, AnExportIsTheSameMemoryInAnotherConnection) {
  for (const npuMemKind kind : {NPU_MEM_DEVICE, NPU_MEM_HOST}) {
    const npuDevPtr ptr = alloc(3 * kGranule, kind | NPU_MEM_EXPORTABLE);
    uint64_t id = 0;
    const int fd = export_fd(context_, ptr, &id);
    EXPECT_NE(id, 0u);
    npuDevPtr there = 0;
    ASSERT_NPU(NPU_OK, npuMemImportFd(other_, fd, 0, 0, 0, &there));
    EXPECT_EQ(close(fd), 0);
    npuMemInfo info = query(other_, there);
    EXPECT_EQ(info.kind, kind);
    EXPECT_EQ(info.shared_id, id);
    EXPECT_EQ(info.size_bytes, 3 * kGranule);
    EXPECT_NE(info.flags & NPU_MEM_IS_IMPORTED, 0u);
    EXPECT_EQ(query(context_, ptr).shared_id, id);
    // Written by one device queue, read by the other's; and by the host on both sides.
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 0x11223344, 4, 3 * kGranule, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    npuDevPtr copy = 0;
    ASSERT_NPU(NPU_OK, npuMemAlloc(other_, NPU_MEM_DEVICE, 3 * kGranule, &copy));
    ASSERT_NPU(NPU_OK, npuQueueCopy(other_queue_, copy, there, 3 * kGranule, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(other_queue_, kLongNs));
    std::vector<uint32_t> out(3 * kGranule / 4);
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(other_, out.data(), copy, 3 * kGranule));
    EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](uint32_t w) { return w == 0x11223344; }));
    const uint32_t mark = 77;
    ASSERT_NPU(NPU_OK, npuMemCopyToDevice(other_, there + 8, &mark, 4));
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), ptr, 16));
    EXPECT_EQ(out[2], 77u);
    ASSERT_NPU(NPU_OK, npuMemFree(other_, there));
    ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  }
}

TEST_F(MemSharedTest, TheImportOutlivesTheExporterAndCountsAsLongAsItLives) {
  const npuDevPtr ptr = alloc(16 * kMiB, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  const std::vector<uint8_t> in(16 * kMiB, 0x3c);
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, ptr, in.data(), in.size()));
  const int fd = export_fd(context_, ptr);
  npuDevPtr there = 0;
  ASSERT_NPU(NPU_OK, npuMemImportFd(other_, fd, 0, 0, 0, &there));
  close(fd);
  const uint64_t before = free_bytes();
  ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  EXPECT_LT(free_bytes(), before + 16 * kMiB);
  npuDevPtr copy = 0;
  ASSERT_NPU(NPU_OK, npuMemAlloc(other_, NPU_MEM_DEVICE, kMiB, &copy));
  ASSERT_NPU(NPU_OK, npuQueueCopy(other_queue_, copy, there + 15 * kMiB, kMiB, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(other_queue_, kLongNs));
  std::vector<uint8_t> out(kMiB);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(other_, out.data(), copy, out.size()));
  EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](uint8_t b) { return b == 0x3c; }));
  ASSERT_NPU(NPU_OK, npuMemFree(other_, there));
  // The server gives it back when it has seen the end of the queue's copy.
  const auto is_back = [&] { return free_bytes() + kMiB * 3 >= before + 16 * kMiB; };
  for (int i = 0; i < 5000 && !is_back(); i++) usleep(1000);
  EXPECT_TRUE(is_back()) << free_bytes() << " of " << before + 16 * kMiB;
}

TEST_F(MemSharedTest, SharedIdsTellMemoriesApartAndTheSameOneAgain) {
  const npuDevPtr one = alloc(kGranule, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  const npuDevPtr two = alloc(kGranule, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  uint64_t first = 0;
  uint64_t again = 0;
  uint64_t second = 0;
  const int a = export_fd(context_, one, &first);
  const int b = export_fd(context_, one, &again);
  const int c = export_fd(context_, two, &second);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, second);
  npuDevPtr x = 0;
  npuDevPtr y = 0;
  ASSERT_NPU(NPU_OK, npuMemImportFd(other_, a, 0, 0, 0, &x));
  ASSERT_NPU(NPU_OK, npuMemImportFd(other_, b, 0, 0, 0, &y));
  EXPECT_NE(x, y);
  EXPECT_EQ(query(other_, x).shared_id, query(other_, y).shared_id);
  // Freed and made again: another memory.
  close(a);
  close(b);
  ASSERT_NPU(NPU_OK, npuMemFree(other_, x));
  ASSERT_NPU(NPU_OK, npuMemFree(other_, y));
  ASSERT_NPU(NPU_OK, npuMemFree(context_, one));
  const npuDevPtr three = alloc(kGranule, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  uint64_t third = 0;
  const int d = export_fd(context_, three, &third);
  EXPECT_NE(third, first);
  close(c);
  close(d);
}

TEST_F(MemSharedTest, ItsOwnExportMayBeImportedToo) {
  const npuDevPtr ptr = alloc(2 * kGranule, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  const int fd = export_fd(context_, ptr);
  npuDevPtr twice = 0;
  ASSERT_NPU(NPU_OK, npuMemImportFd(context_, fd, kGranule, kGranule, NPU_MEM_READONLY, &twice));
  close(fd);
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuQueueFill(queue_, twice, 0, 4, 4, nullptr));
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuMemCopyToDevice(context_, twice, "abc", 4));
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, ptr + kGranule, "abc", 4));
  char seen[4] = {};
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, seen, twice, 4));
  EXPECT_STREQ(seen, "abc");
  ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, seen, twice, 4));
  EXPECT_STREQ(seen, "abc");
  const PokeArgs poke{twice, 1.0f, 0};
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &poke, sizeof poke));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_OK, npuMemFree(context_, twice));
}

TEST_F(MemSharedTest, WrongExportsAreRefused) {
  int fd = 5;
  uint64_t id = 5;
  const npuDevPtr plain = alloc(1000);
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuMemExportFd(context_, plain, &fd, &id));
  EXPECT_EQ(fd, -1);
  EXPECT_EQ(id, 0u);
  const npuDevPtr ptr = alloc(kGranule, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemExportFd(context_, ptr + 4096, &fd, &id));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemExportFd(other_, ptr, &fd, &id));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemExportFd(context_, ptr, nullptr, &id));
  ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemExportFd(context_, ptr, &fd, &id));
}

TEST_F(MemSharedTest, WrongImportsAreRefusedAndLeaveNothing) {
  const npuDevPtr hbm = alloc(2 * kGranule, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE);
  const int descriptors = open_descriptors();
  npuDevPtr ptr = 1;
  const auto import = [&](int fd, uint64_t offset, uint64_t size, uint32_t flags = 0) {
    return npuMemImportFd(context_, fd, offset, size, flags, &ptr);
  };
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(-1, 0, 0));
  EXPECT_EQ(ptr, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(100'000, 0, 0));
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(null, 0, kPage));
  close(null);
  const int executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(executable, 0, kPage, NPU_MEM_READONLY));
  close(executable);
  const int loose = make_memfd(4 * kPage, false);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(loose, 0, 0));
  close(loose);
  const int fd = make_memfd(4 * kPage);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(fd, 0, 5 * kPage));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(fd, ~uint64_t{0xfff}, 2 * kPage));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(fd, 4 * kPage, 0));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, import(fd, 100, kPage));
  EXPECT_NPU(NPU_ERROR_UNALIGNED, import(fd, 0, 100));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(fd, 0, kPage, 2));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemImportFd(context_, fd, 0, 0, 0, nullptr));
  close(fd);
  const int device = export_fd(context_, hbm);
  EXPECT_NPU(NPU_ERROR_UNALIGNED, import(device, kPage, kGranule));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, import(device, kGranule, 2 * kGranule));
  close(device);
  EXPECT_EQ(open_descriptors(), descriptors);
  const npuMemStats now = stats();
  EXPECT_EQ(now.host[NPU_MEM_USE_IMPORTS].bytes, 0u);
  EXPECT_EQ(now.device[NPU_MEM_USE_IMPORTS].bytes, 0u);
}

TEST_F(MemSharedTest, AMemfdIsSharedWithTheDevice) {
  const int fd = make_memfd(16 * kPage);
  auto* host =
      static_cast<uint32_t*>(mmap(nullptr, 16 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(host, MAP_FAILED);
  std::iota(host, host + 16 * kPage / 4, 0u);
  npuDevPtr ptr = 0;
  ASSERT_NPU(NPU_OK, npuMemImportFd(context_, fd, 4 * kPage, 8 * kPage, 0, &ptr));
  const npuDevPtr copy = alloc(8 * kPage);
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, copy, ptr, 8 * kPage, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr + 8, 0xabcdef01, 4, 4, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(host[4 * kPage / 4 + 2], 0xabcdef01u);
  uint32_t seen[2] = {};
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, seen, copy + kPage, 8));
  EXPECT_EQ(seen[0], 5 * kPage / 4);
  EXPECT_EQ(query(context_, ptr).kind, NPU_MEM_HOST);
  EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);  // the caller's descriptor was left alone
  ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  const int reading = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuMemImportFd(context_, reading, 0, 0, 0, &ptr));
  ASSERT_NPU(NPU_OK, npuMemImportFd(context_, reading, 0, 0, NPU_MEM_READONLY, &ptr));
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, seen, ptr + 4, 4));
  EXPECT_EQ(seen[0], 1u);
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuMemCopyToDevice(context_, ptr, seen, 4));
  close(reading);
  close(fd);
  munmap(host, 16 * kPage);
}

TEST_F(MemSharedTest, PeersMapEachOthersMemory) {
  npuPeerAccess access = NPU_PEER_NONE;
  ASSERT_NPU(NPU_OK, npuDeviceCanAccessPeer(device_, other_device_, &access));
  EXPECT_EQ(access, NPU_PEER_MAPPED);
  npuDevPtr there = 0;
  ASSERT_NPU(NPU_OK, npuMemAlloc(other_, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kGranule, &there));
  npuDevPtr here = 1;
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuMemMapPeer(context_, other_, there, 0, &here));
  EXPECT_EQ(here, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuContextEnablePeer(context_, context_));
  ASSERT_NPU(NPU_OK, npuContextEnablePeer(context_, other_));
  ASSERT_NPU(NPU_OK, npuContextEnablePeer(context_, other_));
  ASSERT_NPU(NPU_OK, npuMemMapPeer(context_, other_, there, 0, &here));
  const PokeArgs poke{here + 4, 2.5f, 0};
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &poke, sizeof poke));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  float seen = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(other_, &seen, there + 4, 4));
  EXPECT_EQ(seen, 2.5f);
  npuDevPtr plain = 0;
  ASSERT_NPU(NPU_OK, npuMemAlloc(other_, NPU_MEM_DEVICE, kGranule, &plain));
  npuDevPtr none = 0;
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuMemMapPeer(context_, other_, plain, 0, &none));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemMapPeer(context_, other_, there + 4, 0, &none));
  ASSERT_NPU(NPU_OK, npuContextDestroy(other_));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuMemMapPeer(context_, other_, there, 0, &none));
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &seen, here + 4, 4));
  EXPECT_EQ(seen, 2.5f);
}

TEST_F(MemSharedTest, ARegisteredMappingOfAMemfdIsTheProcessesOwnMemory) {
  const int fd = make_memfd(8 * kPage);
  auto* host =
      static_cast<uint8_t*>(mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(host, MAP_FAILED);
  // In the middle of pages.
  uint8_t* range = host + kPage + 100;
  npuDevPtr dva = 0;
  ASSERT_NPU(NPU_OK, npuMemRegisterHost(context_, range, 3 * kPage, 0, &dva));
  EXPECT_EQ(dva % kPage, 100u);
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, dva + 1, 0x77, 1, 3 * kPage - 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(range[0], 0);
  EXPECT_EQ(range[1], 0x77);
  EXPECT_EQ(range[3 * kPage - 1], 0x77);
  EXPECT_EQ(range[3 * kPage], 0);
  npuMemInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuMemQueryHost(context_, range + 5, &info));
  EXPECT_EQ(info.kind, NPU_MEM_HOST);
  EXPECT_EQ(info.base, dva);
  EXPECT_EQ(info.host, range);
  EXPECT_NE(info.flags & NPU_MEM_IS_REGISTERED, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemUnregisterHost(context_, range + 1));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueFill(queue_, dva, 0, 1, 3 * kPage + 1, nullptr));
  npuDevPtr second = 0;
  EXPECT_NPU(NPU_ERROR_BUSY, npuMemRegisterHost(context_, range + 100, 8, 0, &second));
  EXPECT_NPU(NPU_OK, npuMemRegisterHost(context_, range - 50, 50, 0, &second));
  EXPECT_NPU(NPU_OK, npuMemUnregisterHost(context_, range - 50));
  EXPECT_NPU(NPU_OK, npuMemUnregisterHost(context_, range));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemUnregisterHost(context_, range));
  EXPECT_NPU(NPU_OK, npuMemUnregisterHost(context_, nullptr));
  ASSERT_NPU(NPU_OK, npuMemQueryHost(context_, range, &info));
  EXPECT_EQ(info.kind, NPU_MEM_UNKNOWN);
  munmap(host, 8 * kPage);
  close(fd);
}

TEST_F(MemSharedTest, TheDeviceReadsRegisteredMemoryOfAnyKind) {
  std::vector<uint8_t> heap(100'000);
  std::iota(heap.begin(), heap.end(), uint8_t{3});
  char path[] = "/tmp/npu-registered-XXXXXX";
  const int file = mkstemp(path);
  ASSERT_EQ(write(file, heap.data(), heap.size()), static_cast<ssize_t>(heap.size()));
  void* mapped = mmap(nullptr, heap.size(), PROT_READ, MAP_PRIVATE, file, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  for (void* host : {static_cast<void*>(heap.data() + 1),
                     static_cast<void*>(static_cast<uint8_t*>(mapped) + 1)}) {
    npuDevPtr dva = 0;
    ASSERT_NPU(NPU_OK, npuMemRegisterHost(context_, host, 90'000, NPU_MEM_READONLY, &dva));
    const npuDevPtr copy = alloc(90'000);
    ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, copy, dva, 90'000, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    std::vector<uint8_t> out(90'000);
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, out.data(), copy, out.size()));
    EXPECT_TRUE(std::equal(out.begin(), out.end(), heap.begin() + 1));
    EXPECT_NPU(NPU_ERROR_PERMISSION, npuQueueFill(queue_, dva, 0, 1, 1, nullptr));
    EXPECT_NPU(NPU_ERROR_PERMISSION, npuMemCopyToDevice(context_, dva, "x", 1));
    EXPECT_NPU(NPU_OK, npuMemUnregisterHost(context_, host));
  }
  munmap(mapped, heap.size());
  close(file);
  unlink(path);
}

TEST_F(MemSharedTest, WritingIntoOrdinaryPagesWorksOrIsRefusedWithAReason) {
  std::vector<uint8_t> heap(50'000, 1);
  npuDevPtr dva = 0;
  const npuResult result = npuMemRegisterHost(context_, heap.data(), heap.size(), 0, &dva);
  if (result == NPU_OK) {
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, dva, 2, 1, heap.size(), nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
    EXPECT_TRUE(std::all_of(heap.begin(), heap.end(), [](uint8_t b) { return b == 2; }));
    EXPECT_NPU(NPU_OK, npuMemUnregisterHost(context_, heap.data()));
  } else {
    ASSERT_NPU(NPU_ERROR_NOT_SUPPORTED, result);
    EXPECT_NE(std::string(last_error().text).find("memfd"), std::string::npos);
    EXPECT_NE(std::string(last_error().remedy).find("NPU_MEM_READONLY"), std::string::npos);
    EXPECT_EQ(stats().host[NPU_MEM_USE_REGISTERED].bytes, 0u);
  }
}

TEST_F(MemSharedTest, WrongRegistrationsAreRefused) {
  npuDevPtr dva = 1;
  int local = 0;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemRegisterHost(context_, nullptr, 8, 1, &dva));
  EXPECT_EQ(dva, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemRegisterHost(context_, &local, 0, 1, &dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemRegisterHost(context_, &local, 4, 2, &dva));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemRegisterHost(context_, &local, 4, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_OVERFLOW, npuMemRegisterHost(context_, &local, ~uint64_t{0}, 1, &dva));
  // Reserved, but nothing is there.
  void* hole = mmap(nullptr, 4 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemRegisterHost(context_, hole, 100, 1, &dva));
  munmap(hole, 4 * kPage);
}

TEST_F(MemSharedTest, LimitsOfAContextHold) {
  uint64_t value = 0;
  uint64_t used = 0;
  ASSERT_NPU(NPU_OK, npuContextGetLimit(context_, NPU_LIMIT_DEVICE_BYTES, &value, &used));
  EXPECT_EQ(value, NPU_LIMIT_NONE);
  ASSERT_NPU(NPU_OK, npuContextSetLimit(context_, NPU_LIMIT_DEVICE_BYTES, used + 12 * kMiB));
  npuDevPtr ptr = 0;
  EXPECT_NPU(NPU_ERROR_QUOTA, npuMemAlloc(context_, NPU_MEM_DEVICE, 13 * kMiB, &ptr));
  EXPECT_NPU(NPU_OK, npuMemAlloc(context_, NPU_MEM_DEVICE, 10 * kMiB, &ptr));
  npuMemHandle handle = nullptr;
  EXPECT_NPU(NPU_ERROR_QUOTA, npuMemCreate(context_, NPU_MEM_DEVICE, 4 * kMiB, &handle));
  EXPECT_NPU(NPU_OK, npuMemCreate(context_, NPU_MEM_DEVICE, kMiB, &handle));
  const int fd = make_memfd(4 * kMiB);
  ASSERT_NPU(NPU_OK, npuContextGetLimit(context_, NPU_LIMIT_HOST_BYTES, &value, &used));
  ASSERT_NPU(NPU_OK, npuContextSetLimit(context_, NPU_LIMIT_HOST_BYTES, used + kMiB));
  EXPECT_NPU(NPU_ERROR_QUOTA, npuMemImportFd(context_, fd, 0, 0, 0, &ptr));
  ASSERT_NPU(NPU_OK, npuContextSetLimit(context_, NPU_LIMIT_HOST_BYTES, NPU_LIMIT_NONE));
  EXPECT_NPU(NPU_OK, npuMemImportFd(context_, fd, 0, 0, 0, &ptr));
  close(fd);
  ASSERT_NPU(NPU_OK, npuContextGetLimit(context_, NPU_LIMIT_QUEUES, &value, &used));
  EXPECT_EQ(used, 1u);
  ASSERT_NPU(NPU_OK, npuContextSetLimit(context_, NPU_LIMIT_QUEUES, 2));
  npuQueue second = make_queue();
  npuQueue third = nullptr;
  EXPECT_NPU(NPU_ERROR_QUOTA, npuQueueCreate(context_, nullptr, &third));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(second));
  EXPECT_NPU(NPU_OK, npuQueueCreate(context_, nullptr, &third));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuContextSetLimit(context_, 3, 1));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuContextGetLimit(context_, -1, &value, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuContextGetLimit(context_, 0, nullptr, &used));
}

TEST_F(MemSharedTest, StatisticsTellWhatMemoryIsHeldFor) {
  const npuMemStats before = stats();
  EXPECT_GT(before.host[NPU_MEM_USE_QUEUES].bytes, 0u);
  npuMemHandle handle = nullptr;
  ASSERT_NPU(NPU_OK, npuMemCreate(context_, NPU_MEM_DEVICE, 2 * kGranule, &handle));
  const npuDevPtr ptr = alloc(9 * kMiB, NPU_MEM_HOST);
  npuMemStats now = stats();
  EXPECT_EQ(now.device[NPU_MEM_USE_HANDLES].bytes, 2 * kGranule);
  EXPECT_EQ(now.device[NPU_MEM_USE_HANDLES].objects, 1u);
  EXPECT_EQ(now.host[NPU_MEM_USE_ALLOCATIONS].bytes,
            before.host[NPU_MEM_USE_ALLOCATIONS].bytes + 9 * kMiB);
  EXPECT_EQ(now.device_bytes, before.device_bytes + 2 * kGranule);
  ASSERT_NPU(NPU_OK, npuMemDestroy(handle));
  ASSERT_NPU(NPU_OK, npuMemFree(context_, ptr));
  now = stats();
  EXPECT_EQ(now.device[NPU_MEM_USE_HANDLES].bytes, 0u);
  EXPECT_EQ(now.device[NPU_MEM_USE_HANDLES].peak_bytes, 2 * kGranule);
  EXPECT_EQ(now.host_bytes, before.host_bytes);
  EXPECT_EQ(now.host_peak_bytes, before.host_bytes + 9 * kMiB);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuMemGetStats(context_, nullptr));
}

}  // namespace
}  // namespace npu::conformance
