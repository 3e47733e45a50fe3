// SPDX-License-Identifier: Apache-2.0
// Two devices, or one that is opened twice: memory of one in the hands of the other, or, where the road maps none, copied by the host.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr uint64_t kBytes = 4 * NPU_MEM_GRANULE_BYTES;
constexpr uint64_t kWords = kBytes / 4;

// Models map always; the kernel road does where the kernel was built with CONFIG_PCI_P2PDMA, for the machine under test has both devices at one switch.
bool expects_mappings() {
  const char* road = std::getenv("NPU_DEVICE");
  if (road == nullptr || std::string(road).rfind("accel", 0) != 0) return true;
  std::ifstream symbols("/proc/kallsyms");
  for (std::string line; std::getline(symbols, line);) {
    if (line.find(" pci_p2pdma_distance_many") != std::string::npos) return true;
  }
  return false;
}

class PeerTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    uint32_t count = 0;
    ASSERT_NPU(NPU_OK, npuDeviceGetCount(&count));
    ASSERT_NPU(NPU_OK, npuDeviceOpen(count > 1 ? "1" : "0", &other_device_));
    ASSERT_NPU(NPU_OK, npuContextCreate(other_device_, &other_));
    ASSERT_NPU(NPU_OK, npuQueueCreate(other_, nullptr, &other_queue_));
    mapped_ = count == 1 || expects_mappings();
  }
  void TearDown() override {
    EXPECT_NPU(NPU_OK, npuDeviceClose(other_device_));
    DeviceTest::TearDown();
  }
  // |from|'s memory with |first|, |first| + 1, ...; and what lies at an address.
  npuDevPtr numbers(npuContext from, uint32_t first) {
    std::vector<uint32_t> words(kWords);
    std::iota(words.begin(), words.end(), first);
    npuDevPtr at = 0;
    EXPECT_NPU(NPU_OK, npuMemAlloc(from, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kBytes, &at));
    EXPECT_NPU(NPU_OK, npuMemCopyToDevice(from, at, words.data(), kBytes));
    return at;
  }
  static bool holds(npuContext context, npuDevPtr at, uint32_t first) {
    std::vector<uint32_t> words(kWords);
    EXPECT_NPU(NPU_OK, npuMemCopyToHost(context, words.data(), at, kBytes));
    return std::all_of(words.begin(), words.end(), [&](uint32_t word) { return word == first++; });
  }
  // A queue of |context| reads and writes memory of |peer|.
  static void copy_both_ways(npuContext context, npuQueue queue, npuContext peer, npuDevPtr here,
                             npuDevPtr there) {
    npuDevPtr mapped = 0;
    ASSERT_NPU(NPU_OK, npuContextEnablePeer(context, peer));
    ASSERT_NPU(NPU_OK, npuMemMapPeer(context, peer, there, 0, &mapped));
    ASSERT_NPU(NPU_OK, npuQueueCopy(queue, here, mapped, kBytes, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueFill(queue, mapped, 0x5a5a5a5a, 4, 8, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
    uint32_t seen[3] = {};
    ASSERT_NPU(NPU_OK, npuMemCopyToHost(peer, seen, there, sizeof seen));
    EXPECT_EQ(seen[0], 0x5a5a5a5au);
    EXPECT_EQ(seen[1], 0x5a5a5a5au);
    ASSERT_NPU(NPU_OK, npuMemFree(context, mapped));
  }

  // What a road without mappings says, in the place of what |there| would show.
  void expect_refusal(npuDevPtr there) {
    EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuContextEnablePeer(context_, other_));
    int fd = -1;
    npuDevPtr here = 0;
    ASSERT_NPU(NPU_OK, npuMemExportFd(other_, there, &fd, nullptr));
    EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuMemImportFd(context_, fd, 0, 0, 0, &here));
    close(fd);
  }

  npuDevice other_device_ = nullptr;
  npuContext other_ = nullptr;
  npuQueue other_queue_ = nullptr;
  bool mapped_ = false;
};

TEST_F(PeerTest, BothSayHowTheyReachEachOther) {
  const npuDevice devices[] = {device_, other_device_};
  for (int i = 0; i < 2; i++) {
    npuPeerAccess access = NPU_PEER_NONE;
    ASSERT_NPU(NPU_OK, npuDeviceCanAccessPeer(devices[i], devices[1 - i], &access));
    EXPECT_EQ(access, mapped_ ? NPU_PEER_MAPPED : NPU_PEER_COPY);
    ASSERT_NPU(NPU_OK, npuDeviceCanAccessPeer(devices[i], devices[i], &access));
    EXPECT_EQ(access, NPU_PEER_MAPPED);
  }
}

TEST_F(PeerTest, TheHostCopiesBetweenThem) {
  const npuDevPtr here = numbers(context_, 7), there = numbers(other_, 0);
  ASSERT_NPU(NPU_OK, npuMemCopyPeer(other_, there, context_, here, kBytes));
  EXPECT_TRUE(holds(other_, there, 7));
}

TEST_F(PeerTest, QueuesOfBothReachTheOther) {
  const npuDevPtr here = numbers(context_, 100), there = numbers(other_, 200);
  if (!mapped_) return expect_refusal(there);
  copy_both_ways(context_, queue_, other_, here, there);
  EXPECT_TRUE(holds(context_, here, 200));
  const npuDevPtr second = numbers(context_, 300);
  copy_both_ways(other_, other_queue_, context_, there, second);
  EXPECT_TRUE(holds(other_, there, 300));
}

TEST_F(PeerTest, KernelsReachTheOtherAndTheHostSeesIt) {
  const npuDevPtr there = numbers(other_, 0);
  if (!mapped_) return expect_refusal(there);
  npuDevPtr mapped = 0;
  ASSERT_NPU(NPU_OK, npuContextEnablePeer(context_, other_));
  ASSERT_NPU(NPU_OK, npuMemMapPeer(context_, other_, there, 0, &mapped));
  poke(queue_, mapped + 8, 1.25f);
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  float seen = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(other_, &seen, there + 8, 4));
  EXPECT_EQ(seen, 1.25f);
  EXPECT_EQ(number_at(mapped + 8), 1.25f);
  npuMemInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuMemQuery(context_, mapped, &info));
  EXPECT_NE(info.flags & NPU_MEM_IS_IMPORTED, 0u);
}

// Copies by the host and by a queue, plain and strided, with mapped memory of the peer as either end.
TEST_F(PeerTest, EveryKindOfCopyTakesMappedMemory) {
  const npuDevPtr there = numbers(other_, 5000), here = numbers(context_, 6000);
  if (!mapped_) return expect_refusal(there);
  npuDevPtr mapped = 0;
  ASSERT_NPU(NPU_OK, npuContextEnablePeer(context_, other_));
  ASSERT_NPU(NPU_OK, npuMemMapPeer(context_, other_, there, 0, &mapped));
  EXPECT_TRUE(holds(context_, mapped, 5000));
  const npuDevPtr third = numbers(other_, 0);
  ASSERT_NPU(NPU_OK, npuMemCopyPeer(other_, third, context_, mapped, kBytes));
  EXPECT_TRUE(holds(other_, third, 5000));
  ASSERT_NPU(NPU_OK, npuMemCopyPeer(context_, mapped, context_, here, kBytes));
  EXPECT_TRUE(holds(other_, there, 6000));
  std::vector<uint32_t> words(kWords);
  std::iota(words.begin(), words.end(), 7000);
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, mapped, words.data(), kBytes));
  EXPECT_TRUE(holds(other_, there, 7000));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, here, mapped, kBytes, nullptr));
  const uint32_t pattern = 0x77777777;
  // Two rows of 8 bytes, the second one 64 bytes behind the first.
  npuCopyInfo rows{};
  rows.struct_size = sizeof rows;
  rows.src = here + 256;
  rows.dst = mapped;
  rows.width_bytes = 8;
  rows.height = 2;
  rows.depth = 1;
  rows.src_pitch_bytes = rows.dst_pitch_bytes = 64;
  ASSERT_NPU(NPU_OK, npuQueueCopyStrided(queue_, &rows, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  npuMemCopyInfo by_host{};
  by_host.struct_size = sizeof by_host;
  by_host.src = mapped + 256;
  by_host.dst = mapped + 128;
  by_host.width_bytes = rows.width_bytes;
  by_host.height = rows.height;
  by_host.depth = rows.depth;
  by_host.src_pitch_bytes = by_host.dst_pitch_bytes = 64;
  ASSERT_NPU(NPU_OK, npuMemCopyStrided(context_, &by_host));
  ASSERT_NPU(NPU_OK, npuMemFill(context_, mapped + 512, &pattern, 4, 8));
  for (const size_t at : {0, 1, 16, 17, 32, 33, 48, 49}) {
    words[at] = static_cast<uint32_t>(7000 + 64 + at % 32);
  }
  words[128] = words[129] = pattern;
  std::vector<uint32_t> seen(kWords);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(other_, seen.data(), there, kBytes));
  EXPECT_EQ(seen, words);
}

TEST_F(PeerTest, AMappingOutlivesThePeersContext) {
  const npuDevPtr there = numbers(other_, 11), here = numbers(context_, 0);
  if (!mapped_) return expect_refusal(there);
  npuDevPtr mapped = 0;
  ASSERT_NPU(NPU_OK, npuContextEnablePeer(context_, other_));
  ASSERT_NPU(NPU_OK, npuMemMapPeer(context_, other_, there, NPU_MEM_READONLY, &mapped));
  ASSERT_NPU(NPU_OK, npuContextDestroy(other_));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, here, mapped, kBytes, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_TRUE(holds(context_, here, 11));
}

}  // namespace
}  // namespace npu::conformance
