// SPDX-License-Identifier: Apache-2.0
// HBM of one device in the address space of another: bytes in both directions, and what the importer sees when the exporter is reset or leaves.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/driver/guest.h"
#include "uapi/npu_queue.h"
#include "uapi/npu_status.h"

namespace npu::driver_test {
namespace {

constexpr char kPeerNode[] = "/dev/accel/accel1";
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kPeerDva = 0x10000000;
constexpr uint64_t kOwnDva = 0x20000000;
constexpr uint32_t kNobody = 65534;

// Whether this kernel was built with CONFIG_PCI_P2PDMA.
bool kernel_has_peers() {
  std::ifstream symbols("/proc/kallsyms");
  for (std::string line; std::getline(symbols, line);) {
    if (line.find(" pci_p2pdma_distance_many") != std::string::npos) return true;
  }
  return false;
}

parity::Road* peer_road() {
  static const std::unique_ptr<parity::Road> road = parity::ioctl_road(kPeerNode);
  return road.get();
}

void submit_copy(File* own, QueueParts* queue, uint64_t src, uint64_t dst, uint64_t bytes = kMiB) {
  npu_cmd_copy command{};
  command.op = NPU_CMD_COPY;
  command.src_dva = src;
  command.dst_dva = dst;
  command.width_bytes = bytes;
  command.height = command.depth = 1;
  own->submit(queue, &command);
}

// One device that reads and writes (own), one whose memory it is (peer).
struct Pair {
  File own, peer;
  uint32_t vm = 0, import = 0;
  npu_bo_create here{}, there{};
  int fd = -1;
  std::unique_ptr<Memory> here_view, there_view;
  QueueParts queue;

  Pair(parity::Road* own_road, parity::Road* peer_road) : own(own_road), peer(peer_road) {}
  ~Pair() {
    if (fd >= 0) close(fd);
  }
  void make() {
    vm = own.vm();
    queue = own.queue(vm);
    here = own.object(kMiB, NPU_REGION_HBM);
    there = peer.object(kMiB, NPU_REGION_HBM);
    here_view = own.map(here);
    there_view = peer.map(there);
    ASSERT_EQ(to_fd(&peer, there.handle, &fd), 0);
    ASSERT_EQ(to_handle(&own, fd, &import), 0);
    ASSERT_EQ(own.bind(vm, import, kPeerDva, kMiB), 0);
    ASSERT_EQ(own.bind(vm, here.handle, kOwnDva, kMiB), 0);
  }
  void submit(uint64_t src, uint64_t dst) { submit_copy(&own, &queue, src, dst); }
  int copy(uint64_t src, uint64_t dst) {
    submit(src, dst);
    return own.wait_completed(queue, queue.submitted);
  }
  bool same() const { return std::memcmp(here_view->data(), there_view->data(), kMiB) == 0; }
  bool dies_of_a_fault() {
    npu_queue_query death{};
    becomes([&] {
      return own.query_queue(queue.id, &death) == 0 && NPU_QUEUE_STATE_IS_DEAD(death.state);
    });
    return death.state == NPU_QUEUE_STATE_FAULTED && death.status == NPU_ST_VM_FAULT;
  }
  // The exporter's memory has gone: a queue that touches it dies of a fault, all else lives.
  void expect_lost() {
    uint32_t state = 0;
    ASSERT_EQ(own.bo_state(import, &state), 0);
    EXPECT_EQ(state, uint32_t{NPU_BO_LOST});
    npu_vm_query query{};
    ASSERT_EQ(own.query_vm(vm, &query), 0);
    EXPECT_EQ(query.state, uint32_t{NPU_VM_READY});
    EXPECT_EQ(own.bind(vm, import, kPeerDva + kMiB, kMiB), ECANCELED);
    npu_queue_query death{};
    ASSERT_EQ(own.query_queue(queue.id, &death), 0);
    if (!NPU_QUEUE_STATE_IS_DEAD(death.state)) submit(kOwnDva, kPeerDva);
    EXPECT_TRUE(dies_of_a_fault());
    std::vector<npu_fault> faults;
    ASSERT_EQ(own.vm_faults(vm, &faults), 0);
    ASSERT_FALSE(faults.empty());
    EXPECT_EQ(faults[0].reason, uint32_t{NPU_FAULT_NOT_PRESENT});
    EXPECT_EQ(own.destroy_queue(queue.id), 0);
    EXPECT_EQ(own.unbind(vm, kPeerDva, kMiB), 0);
    queue = own.queue(vm);
    own.submit_nop(&queue);
    EXPECT_EQ(own.wait_completed(queue, 1), 0);
  }
};

class Peer : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (pci_address_of(kPeerNode).empty()) GTEST_SKIP() << "needs a second device";
    if (!kernel_has_peers()) GTEST_SKIP() << "this kernel was built without CONFIG_PCI_P2PDMA";
    peer_sysfs_ = "/sys/bus/pci/devices/" + pci_address_of(kPeerNode) + "/";
  }
  std::string peer_sysfs_;
};

class NoPeer : public GuestTest {};

TEST_F(NoPeer, WithoutTheKernelsLeaveNothingIsImported) {
  if (pci_address_of(kPeerNode).empty()) GTEST_SKIP() << "needs a second device";
  if (kernel_has_peers()) GTEST_SKIP() << "this kernel has CONFIG_PCI_P2PDMA";
  File own, peer(peer_road());
  int fd = -1;
  ASSERT_EQ(to_fd(&peer, peer.object(kMiB, NPU_REGION_HBM).handle, &fd), 0);
  uint32_t handle = 0;
  EXPECT_EQ(to_handle(&own, fd, &handle), EOPNOTSUPP);
  close(fd);
}

TEST_F(Peer, CopiesReachItInBothDirectionsFromBothSides) {
  for (const bool swapped : {false, true}) {
    Pair pair(swapped ? peer_road() : File::road(), swapped ? File::road() : peer_road());
    pair.make();
    fill_random(pair.there_view->data(), kMiB, 1);
    ASSERT_EQ(pair.copy(kPeerDva, kOwnDva), 0);
    EXPECT_TRUE(pair.same());
    fill_random(pair.here_view->data(), kMiB, 2);
    EXPECT_FALSE(pair.same());
    ASSERT_EQ(pair.copy(kOwnDva, kPeerDva), 0);
    EXPECT_TRUE(pair.same());
    npu_bo_info info{};
    info.handle = pair.import;
    ASSERT_EQ(pair.own.silent(NPU_CALL_BO_INFO, &info), 0);
    EXPECT_EQ(info.region, uint32_t{NPU_REGION_HBM});
    EXPECT_EQ(info.state, uint32_t{NPU_BO_READY});
    EXPECT_EQ(info.map_token, 0u);
  }
}

TEST_F(Peer, ScatteredMemoryKeepsItsOrder) {
  File own, peer(peer_road());
  const uint32_t vm = own.vm();
  // Every second piece is given back: what comes next is made of holes.
  std::vector<npu_bo_create> pieces;
  for (int i = 0; i < 64; ++i) pieces.push_back(peer.object(NPU_PAGE_64K, NPU_REGION_HBM));
  for (size_t i = 0; i < pieces.size(); i += 2) {
    EXPECT_EQ(peer.close_object(pieces[i].handle), 0);
  }
  const npu_bo_create there = peer.object(8 * kMiB, NPU_REGION_HBM);
  const npu_bo_create here = own.object(8 * kMiB, NPU_REGION_HBM);
  const auto there_view = peer.map(there), here_view = own.map(here);
  fill_random(there_view->data(), 8 * kMiB, 3);
  int fd = -1;
  uint32_t import = 0;
  ASSERT_EQ(to_fd(&peer, there.handle, &fd), 0);
  ASSERT_EQ(to_handle(&own, fd, &import), 0);
  close(fd);
  ASSERT_EQ(own.bind(vm, import, kPeerDva, 8 * kMiB), 0);
  ASSERT_EQ(own.bind(vm, here.handle, kOwnDva, 8 * kMiB), 0);
  QueueParts queue = own.queue(vm);
  submit_copy(&own, &queue, kPeerDva, kOwnDva, 8 * kMiB);
  ASSERT_EQ(own.wait_completed(queue, 1), 0);
  EXPECT_EQ(std::memcmp(there_view->data(), here_view->data(), 8 * kMiB), 0);
}

TEST_F(Peer, TheImporterKeepsTheMemoryThatItsMakerHasClosed) {
  File witness(peer_road());
  const uint64_t free_bytes = witness.hbm().free_bytes;
  File own;
  uint32_t import = 0;
  {
    File peer(peer_road());
    const npu_bo_create there = peer.object(kMiB, NPU_REGION_HBM);
    const auto view = peer.map(there);
    std::memset(view->data(), 0x5d, kMiB);
    int fd = -1;
    ASSERT_EQ(to_fd(&peer, there.handle, &fd), 0);
    ASSERT_EQ(to_handle(&own, fd, &import), 0);
    close(fd);
  }
  const uint32_t vm = own.vm();
  const npu_bo_create here = own.object(kMiB, NPU_REGION_HBM);
  const auto view = own.map(here);
  ASSERT_EQ(own.bind(vm, import, kPeerDva, kMiB), 0);
  ASSERT_EQ(own.bind(vm, here.handle, kOwnDva, kMiB), 0);
  QueueParts queue = own.queue(vm);
  submit_copy(&own, &queue, kPeerDva, kOwnDva);
  ASSERT_EQ(own.wait_completed(queue, 1), 0);
  EXPECT_EQ(view->data()[kMiB - 1], 0x5d);
  EXPECT_LE(witness.hbm().free_bytes, free_bytes - kMiB);
  EXPECT_EQ(own.unbind(vm, kPeerDva, kMiB), 0);
  EXPECT_EQ(own.close_object(import), 0);
  expect_free_hbm(&witness, free_bytes);
}

TEST_F(Peer, AReadOnlyBindIsNotWritten) {
  Pair pair(File::road(), peer_road());
  pair.make();
  std::memset(pair.there_view->data(), 0x17, kMiB);
  ASSERT_EQ(pair.own.unbind(pair.vm, kPeerDva, kMiB), 0);
  ASSERT_EQ(pair.own.bind(pair.vm, pair.import, kPeerDva, kMiB, NPU_BIND_READONLY), 0);
  EXPECT_EQ(pair.copy(kPeerDva, kOwnDva), 0);
  EXPECT_TRUE(pair.same());
  std::memset(pair.here_view->data(), 0x18, kMiB);
  pair.submit(kOwnDva, kPeerDva);
  EXPECT_TRUE(pair.dies_of_a_fault());
  EXPECT_EQ(pair.there_view->data()[0], 0x17);
}

TEST_F(Peer, CopiesOfTheDriverReachItFromBothSides) {
  for (const bool swapped : {false, true}) {
    Pair pair(swapped ? peer_road() : File::road(), swapped ? File::road() : peer_road());
    pair.make();
    fill_random(pair.there_view->data(), kMiB, 7);
    constexpr uint64_t kBegin = 70001, kBytes = 900000;
    ASSERT_EQ(pair.own.copy({fill_op(pair.import, 0, 4096, 0x1919191919191919),
                             copy_op(pair.import, kBegin, pair.here.handle, 3, kBytes),
                             copy_op(pair.here.handle, 3, pair.import, 4096, 4096),
                             copy_op(pair.import, kBegin, pair.import, 8192, 4096)},
                            NPU_COPY_WAIT),
              0);
    const uint8_t *here = pair.here_view->data(), *there = pair.there_view->data();
    EXPECT_EQ(there[0], 0x19);
    EXPECT_EQ(there[4095], 0x19);
    EXPECT_EQ(std::memcmp(here + 3, there + kBegin, kBytes), 0);
    EXPECT_EQ(here[3 + kBytes], 0);
    EXPECT_EQ(std::memcmp(there + 4096, there + kBegin, 4096), 0);
    EXPECT_EQ(std::memcmp(there + 8192, there + kBegin, 4096), 0);
  }
}

// The memory has one order of copies, whichever device makes them.
TEST_F(Peer, CopiesOfBothDevicesTakeTurns) {
  Pair pair(File::road(), peer_road());
  pair.make();
  for (uint64_t round = 1; round <= 40; ++round) {
    const uint64_t pattern = round * 0x0101010101010101;
    const uint32_t far = make_syncobj(&pair.peer);
    ASSERT_EQ(pair.peer.copy({fill_op(pair.there.handle, 0, kMiB, pattern)}, 0, {}, {{far, 0, 0}}),
              0);
    ASSERT_EQ(pair.own.copy({copy_op(pair.import, 0, pair.here.handle, 0, kMiB)}, NPU_COPY_WAIT),
              0);
    ASSERT_EQ(pair.here_view->data()[kMiB - 1], round);
  }
}

// Reads an import by the driver's own queue until that fails, with a file of its own.
class Copier {
 public:
  explicit Copier(int fd) {
    EXPECT_EQ(to_handle(&own_, fd, &import_), 0);
    here_ = own_.object(kMiB, NPU_REGION_SYSTEM).handle;
    const std::vector<npu_copy_op> ops(4, copy_op(import_, 0, here_, 0, kMiB));
    EXPECT_EQ(own_.copy(ops, NPU_COPY_WAIT), 0);
    thread_ = std::thread([this, ops] {
      while ((err_ = own_.copy(ops, NPU_COPY_WAIT)) == 0) ++rounds_;
    });
  }
  ~Copier() { end(); }
  // The errno that ended it.
  int end() {
    if (thread_.joinable()) thread_.join();
    return err_;
  }
  bool has_begun() const { return rounds_ > 0; }

 private:
  File own_;
  uint32_t import_ = 0, here_ = 0;
  int err_ = 0;
  std::atomic<int> rounds_{0};
  std::thread thread_;
};

TEST_F(Peer, CopiesOfTheDriverEndWithTheImporter) {
  Pair pair(File::road(), peer_road());
  pair.make();
  Copier copier(pair.fd);
  EXPECT_TRUE(becomes([&] { return copier.has_begun(); }));
  ASSERT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
  // What is copied again after the reset succeeds: only one that was under way ends.
  ASSERT_EQ(write_file(peer_sysfs_ + "npu/reset", "1"), 0);
  EXPECT_EQ(copier.end(), ECANCELED);
}

// Opens files as another user while it lives, who is in the group of the nodes: those of devices that came back have none here, where no udev runs.
class AsNobody {
 public:
  AsNobody() {
    is_good_ = true;
    for (const auto& node : std::filesystem::directory_iterator("/dev/accel")) {
      const char* path = node.path().c_str();
      is_good_ = is_good_ && chown(path, 0, kNobody) == 0 && chmod(path, 0660) == 0;
    }
    is_good_ = is_good_ && setegid(kNobody) == 0 && seteuid(kNobody) == 0;
  }
  ~AsNobody() {
    if (seteuid(0) != 0 || setegid(0) != 0) abort();  // all that follows would run as the wrong one
  }
  bool is_good() const { return is_good_; }

 private:
  bool is_good_ = false;
};

// Memory that only an import holds: made on the peer, handed over, and closed there. 0 or the errno.
int hold_by_import(File* own, File* peer, uint64_t bytes) {
  npu_bo_create args{};
  args.size_bytes = bytes;
  args.region = NPU_REGION_HBM;
  if (const int err = peer->silent(NPU_CALL_BO_CREATE, &args); err != 0) return err;
  int fd = -1;
  uint32_t import = 0;
  int err = to_fd(peer, args.handle, &fd);
  if (err == 0) err = to_handle(own, fd, &import);
  close(fd);
  EXPECT_EQ(peer->close_object(args.handle), 0);
  return err;
}

TEST_F(Peer, WhatImportsHoldCountsAgainstTheirMakersQuota) {
  File witness(peer_road());
  const npu_region_info before = witness.hbm();
  const uint64_t piece = before.size_bytes / 32;
  Pair neighbour(File::road(), peer_road());
  neighbour.make();
  const uint64_t free_bytes = witness.hbm().free_bytes;
  {
    std::optional<File> own, peer;
    {
      const AsNobody nobody;
      ASSERT_TRUE(nobody.is_good());
      own.emplace();
      peer.emplace(peer_road());
    }
    uint64_t held = 0;
    int err = 0;
    while (held < before.size_bytes && (err = hold_by_import(&*own, &*peer, piece)) == 0) {
      held += piece;
    }
    EXPECT_EQ(err, EDQUOT);
    EXPECT_GT(held, 0u);
    EXPECT_LE(held, before.size_bytes / 2);
    EXPECT_LE(witness.hbm().free_bytes, free_bytes - held);
    // A new file does not help: the sum is the user's.
    {
      const AsNobody nobody;
      ASSERT_TRUE(nobody.is_good());
      peer.emplace(peer_road());
    }
    EXPECT_EQ(hold_by_import(&*own, &*peer, piece), EDQUOT);
    // The neighbour has its memory, makes more, and copies in both directions.
    fill_random(neighbour.there_view->data(), kMiB, 5);
    ASSERT_EQ(neighbour.copy(kPeerDva, kOwnDva), 0);
    EXPECT_TRUE(neighbour.same());
    fill_random(neighbour.here_view->data(), kMiB, 6);
    ASSERT_EQ(neighbour.copy(kOwnDva, kPeerDva), 0);
    EXPECT_TRUE(neighbour.same());
    File another, its_peer(peer_road());
    EXPECT_EQ(hold_by_import(&another, &its_peer, piece), 0);
    // Letting go of the imports is what gives the quota back.
    own.reset();
    EXPECT_TRUE(becomes([&] {
      File again;
      return hold_by_import(&again, &*peer, piece) == 0;
    }));
  }
  expect_free_hbm(&witness, free_bytes);
}

// The descriptor is the right: who was not given it cannot take it.
TEST_F(Peer, AnotherUserCannotTakeTheDescriptor) {
  Pair pair(File::road(), peer_road());
  pair.make();
  const std::string path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(pair.fd);
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(1);
    _exit(open(path.c_str(), O_RDWR) < 0 && errno == EACCES ? 0 : 2);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Peer, AResetOfTheExporterIsAFaultOfTheImporter) {
  for (const char* how : {"npu/reset", "reset"}) {
    Pair pair(File::road(), peer_road());
    pair.make();
    for (int i = 0; i < 40; ++i) pair.submit(kOwnDva, kPeerDva);
    ASSERT_EQ(write_file(peer_sysfs_ + how, "1"), 0) << how;
    pair.expect_lost();
    uint32_t handle = 0;
    EXPECT_EQ(to_handle(&pair.own, pair.fd, &handle), 0);  // the file has it already
    EXPECT_EQ(handle, pair.import);
    File second;
    EXPECT_EQ(to_handle(&second, pair.fd, &handle), ECANCELED);
    Pair again(File::road(), peer_road());
    again.make();
    fill_random(again.here_view->data(), kMiB, 4);
    EXPECT_EQ(again.copy(kOwnDva, kPeerDva), 0);
    EXPECT_TRUE(again.same());
  }
}

TEST_F(Peer, AResetOfTheImporterLeavesTheMemoryAlone) {
  Pair pair(File::road(), peer_road());
  pair.make();
  std::memset(pair.there_view->data(), 0x3e, kMiB);
  ASSERT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
  npu_vm_query query{};
  ASSERT_EQ(pair.own.query_vm(pair.vm, &query), 0);
  EXPECT_EQ(query.state, uint32_t{NPU_VM_LOST});
  uint32_t state = 0;
  ASSERT_EQ(pair.own.bo_state(pair.import, &state), 0);
  EXPECT_EQ(state, uint32_t{NPU_BO_READY});
  EXPECT_EQ(pair.there_view->data()[77], 0x3e);
  // The import goes on in a new address space.
  const uint32_t vm = pair.own.vm();
  EXPECT_EQ(pair.own.bind(vm, pair.import, kPeerDva, kMiB), 0);
}

TEST_F(Peer, BothAreResetAtTheSameTime) {
  for (int round = 0; round < 5; ++round) {
    Pair one(File::road(), peer_road()), other(peer_road(), File::road());
    one.make();
    other.make();
    std::thread first([] { write_file(sysfs("npu/reset"), "1"); });
    write_file(peer_sysfs_ + "npu/reset", "1");
    first.join();
    npu_vm_query query{};
    ASSERT_EQ(one.own.query_vm(one.vm, &query), 0);
    EXPECT_EQ(query.state, uint32_t{NPU_VM_LOST});
    uint32_t state = 0;
    ASSERT_EQ(one.own.bo_state(one.import, &state), 0);
    EXPECT_EQ(state, uint32_t{NPU_BO_LOST});
    ASSERT_EQ(other.own.bo_state(other.import, &state), 0);
    EXPECT_EQ(state, uint32_t{NPU_BO_LOST});
  }
}

TEST_F(Peer, AnExporterThatIsUnpluggedIsAFaultOfTheImporter) {
  {
    std::optional<Pair> pair;
    pair.emplace(File::road(), peer_road());
    pair->make();
    for (int i = 0; i < 40; ++i) pair->submit(kOwnDva, kPeerDva);
    ASSERT_EQ(write_file(peer_sysfs_ + "remove", "1"), 0);
    pair->expect_lost();
    pair->there_view->data()[0] = 1;  // memory that stands in
  }
  ASSERT_TRUE(bring_back(kPeerNode, peer_sysfs_));
  Pair again(File::road(), peer_road());
  again.make();
  EXPECT_EQ(again.copy(kOwnDva, kPeerDva), 0);
}

TEST_F(Peer, CopiesOfTheDriverEndWithTheExporter) {
  for (const char* how : {"npu/reset", "reset", "remove"}) {
    SCOPED_TRACE(how);
    {
      std::optional<Pair> pair;
      pair.emplace(File::road(), peer_road());
      pair->make();
      const uint64_t epoch = pair->own.epoch();
      std::vector<std::unique_ptr<Copier>> copiers;
      for (int i = 0; i < 3; ++i) copiers.push_back(std::make_unique<Copier>(pair->fd));
      EXPECT_TRUE(becomes([&] {
        return std::all_of(copiers.begin(), copiers.end(),
                           [](auto& one) { return one->has_begun(); });
      }));
      // Nobody waits for these: their fence ends all the same.
      const uint32_t last = make_syncobj(&pair->own);
      for (int i = 0; i < 60; ++i) {
        ASSERT_EQ(pair->own.copy({copy_op(pair->here.handle, 0, pair->import, 0, kMiB)}, 0, {},
                                 {{last, 0, 0}}),
                  0);
      }
      ASSERT_EQ(write_file(peer_sysfs_ + how, "1"), 0);
      for (auto& one : copiers) EXPECT_EQ(one->end(), ECANCELED);
      EXPECT_EQ(wait_syncobj(&pair->own, last), 0);
      EXPECT_EQ(pair->own.copy({fill_op(pair->import, 0, 4096, 1)}, NPU_COPY_WAIT), ECANCELED);
      EXPECT_EQ(
          pair->own.copy({fill_op(pair->here.handle, 0, kMiB, 0x2b2b2b2b2b2b2b2b)}, NPU_COPY_WAIT),
          0);
      EXPECT_EQ(pair->here_view->data()[kMiB - 1], 0x2b);
      EXPECT_EQ(pair->own.epoch(), epoch) << "the importer was reset";
      pair->expect_lost();
    }
    ASSERT_TRUE(bring_back(kPeerNode, peer_sysfs_));
    expect_works();
  }
}

}  // namespace
}  // namespace npu::driver_test
