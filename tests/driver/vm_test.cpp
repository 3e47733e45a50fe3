// SPDX-License-Identifier: Apache-2.0
// Address spaces of the driver: VM_BIND against a model that knows what each 4 KiB page must be, what the device reads through them,
// and page tables that a memory error has hit.
#include <chrono>
#include <cstddef>
#include <cstring>
#include <random>
#include <thread>

#include "tests/driver/guest.h"
#include "uapi/npu_status.h"

namespace npu::driver_test {
namespace {

constexpr uint64_t kPage = NPU_PAGE_4K;
constexpr uint64_t kSpan = 48ull << 20;
constexpr uint64_t kBase = 0x40000000ull - (16ull << 20);  // tables on both sides of a boundary
constexpr uint32_t kPages = kSpan / kPage;
constexpr uint64_t kTargetDva = 0x220000;  // where the queue copies to; beside its ring
constexpr uint32_t kReadonly = 1u << 31;
constexpr uint32_t kObjects = 6;  // three in system memory, three in HBM

// Random operations on six objects, and what the pages show afterwards.
class Model {
 public:
  Model(File* file, uint32_t seed, uint64_t max_pages) : file_(*file), random_(seed) {
    printf("seed %u\n", seed);
    for (uint32_t i = 0; i < kObjects; ++i) {
      const uint64_t bytes = i == 0 ? 8ull << 20 : page_of(i) * (1 + below(max_pages));
      objects_.push_back(
          file_.object(bytes, i >= kObjects / 2 ? NPU_REGION_HBM : NPU_REGION_SYSTEM));
    }
  }

  uint32_t below(uint64_t end) { return static_cast<uint32_t>(random_() % end); }
  const npu_bo_create& object(uint32_t i) const { return objects_[i]; }

  std::vector<npu_bind_op> random_ops(uint32_t count) {
    std::vector<npu_bind_op> ops;
    for (uint32_t i = 0; i < count; ++i)
      ops.push_back(below(3) == 0 ? random_unmap() : random_map());
    return ops;
  }

  void apply(const std::vector<npu_bind_op>& ops) {
    for (const npu_bind_op& op : ops) {
      for (uint64_t at = 0; at < op.size_bytes; at += kPage) {
        pages_[(op.dva + at - kBase) / kPage] = op.kind == NPU_BIND_MAP ? shown(op, at) : 0;
      }
    }
  }

  uint64_t mapped_bytes() const {
    uint64_t bytes = 0;
    for (const uint32_t page : pages_) bytes += page == 0 ? 0 : kPage;
    return bytes;
  }
  uint32_t page(uint64_t index) const { return pages_[index]; }

  // Writes into each page of each object what page() says of it.
  void mark_objects() {
    for (uint32_t i = 0; i < kObjects; ++i) {
      const auto memory = file_.map(objects_[i]);
      for (uint64_t at = 0; at < objects_[i].size_bytes; at += kPage) {
        const uint64_t word = mark(i, at);
        std::memcpy(memory->data() + at, &word, sizeof word);
      }
    }
  }

 private:
  static uint64_t page_of(uint32_t i) { return i >= kObjects / 2 ? NPU_PAGE_64K : kPage; }
  static uint32_t mark(uint32_t object, uint64_t offset) {
    return static_cast<uint32_t>(1 + (object << 24) + offset / kPage);
  }
  uint32_t shown(const npu_bind_op& op, uint64_t at) const {
    uint32_t object = 0;
    while (objects_[object].handle != op.bo_handle) ++object;
    return mark(object, op.bo_offset + at) | (op.flags & NPU_BIND_READONLY ? kReadonly : 0);
  }

  npu_bind_op random_unmap() {
    const uint64_t bytes = kPage * (1 + below(below(4) != 0 ? 40 : 4000));
    return unmap_op(kBase + kPage * below((kSpan - bytes) / kPage + 1), bytes);
  }
  npu_bind_op random_map() {
    const uint32_t i = below(kObjects);
    const uint64_t size = objects_[i].size_bytes;
    uint64_t page = page_of(i);
    const uint64_t offset = below(2) != 0 ? 0 : page * below(size / page);
    const uint64_t bytes =
        below(3) == 0 ? size - offset : page * (1 + below((size - offset) / page));
    if (page == NPU_PAGE_64K && below(3) == 0) page = NPU_PAGE_2M;  // large pages where they fit
    const uint64_t dva = kBase + page * below((kSpan - bytes) / page + 1);
    return map_op(objects_[i].handle, offset, dva, bytes, below(3) == 0 ? NPU_BIND_READONLY : 0);
  }

  File& file_;
  std::mt19937 random_;
  std::vector<npu_bo_create> objects_;
  std::vector<uint32_t> pages_ = std::vector<uint32_t>(kPages);
};

class Vm : public GuestTest {};

TEST_F(Vm, IdsAreNotUsedAgainAndTheFileHasALimit) {
  File file;
  std::vector<uint32_t> ids;
  npu_vm_create args{};
  while (file.silent(NPU_CALL_VM_CREATE, &args) == 0) {
    ids.push_back(args.vm_id);
    args = {};
    ASSERT_LE(ids.size(), 1000u);
  }
  args = {};
  EXPECT_EQ(file.silent(NPU_CALL_VM_CREATE, &args), EDQUOT);
  for (const uint32_t id : ids) EXPECT_EQ(file.destroy_vm(id), 0);
  EXPECT_EQ(file.destroy_vm(ids[0]), ENOENT);
  EXPECT_GT(file.vm(), ids.back());
}

TEST_F(Vm, AnObjectOfADeadAddressSpaceFitsNoLaterOne) {
  File file;
  const uint32_t first = file.vm();
  const npu_bo_create bound = file.object(NPU_PAGE_64K, NPU_REGION_SYSTEM, 0, first);
  EXPECT_EQ(file.bind(first, bound.handle, kBase, kPage), 0);
  EXPECT_EQ(file.destroy_vm(first), 0);
  // The allocator likes to give the same memory again.
  for (int i = 0; i < 64; ++i) {
    const uint32_t later = file.vm();
    ASSERT_EQ(file.bind(later, bound.handle, kBase, kPage), EACCES);
    ASSERT_EQ(file.destroy_vm(later), 0);
  }
}

TEST_F(Vm, AllOperationsOrNone) {
  File file;
  Model model(&file, 1, 200);
  const uint32_t vm = file.vm();
  npu_vm_query query{};
  for (int round = 0; round < 600 && !HasFailure(); ++round) {
    std::vector<npu_bind_op> ops = model.random_ops(1 + model.below(24));
    uint32_t failed = 0;
    if (model.below(8) == 0) {
      const uint32_t bad = model.below(ops.size());
      ops[bad].pad = 1;
      EXPECT_EQ(file.bind_all(vm, ops, &failed), EINVAL);
      EXPECT_EQ(failed, bad);
    } else {
      EXPECT_EQ(file.bind_all(vm, ops, &failed), 0);
      EXPECT_EQ(failed, ~0u);
      model.apply(ops);
    }
    ASSERT_EQ(file.query_vm(vm, &query), 0);
    EXPECT_EQ(query.mapped_bytes, model.mapped_bytes()) << "round " << round;
  }
  EXPECT_EQ(file.bind_all(vm, {unmap_op(NPU_VA_MIN, NPU_VA_USER_END - NPU_VA_MIN)}), 0);
  ASSERT_EQ(file.query_vm(vm, &query), 0);
  EXPECT_EQ(query.mapped_bytes, 0u);
  EXPECT_EQ(query.table_bytes, kPage);  // the root
}

// A queue of the device that reads and writes words of the address space.
class Probe {
 public:
  Probe(File* file, uint32_t vm)
      : file_(*file), vm_(vm), target_(file->object(kPage, NPU_REGION_SYSTEM)) {
    EXPECT_EQ(file_.bind(vm_, target_.handle, kTargetDva, kPage), 0);
    memory_ = file_.map(target_);
    start();
  }
  // False: it faulted, and a new queue was made.
  bool copy(uint64_t from, uint64_t to) {
    npu_cmd_copy command{};
    command.op = NPU_CMD_COPY;
    command.src_dva = from;
    command.dst_dva = to;
    command.width_bytes = 8;
    command.height = 1;
    command.depth = 1;
    file_.submit(&queue_, &command);
    const int err = file_.wait_completed(queue_, queue_.submitted);
    if (err == 0 && state() == NPU_QUEUE_STATE_READY) return true;
    // The control page has it first, and the driver learns of it by an interrupt.
    npu_queue_query query{};
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
      EXPECT_EQ(file_.query_queue(queue_.id, &query), 0);
    } while (query.state == NPU_QUEUE_STATE_READY && std::chrono::steady_clock::now() < end);
    EXPECT_NE(query.state, static_cast<uint32_t>(NPU_QUEUE_STATE_READY));
    status_ = query.status;
    EXPECT_EQ(file_.destroy_queue(queue_.id), 0);
    start();
    return false;
  }
  bool read(uint64_t dva) { return copy(dva, kTargetDva); }
  bool write(uint64_t dva) { return copy(kTargetDva, dva); }
  uint64_t value() const {
    uint64_t word = 0;
    std::memcpy(&word, memory_->data(), sizeof word);
    return word;
  }
  int status() const { return status_; }

 private:
  void start() { queue_ = file_.queue(vm_, 0x100000 * ++started_); }
  uint32_t state() const {
    uint32_t word = 0;
    std::memcpy(&word, queue_.ctrl->data() + offsetof(npu_queue_ctrl, state), sizeof word);
    return word;
  }

  File& file_;
  uint32_t vm_;
  npu_bo_create target_;
  std::unique_ptr<Memory> memory_;
  QueueParts queue_;
  uint64_t started_ = 0;
  int status_ = 0;
};

TEST_F(Vm, TheDeviceSeesWhatTheModelSays) {
  File file;
  Model model(&file, 2, 60);
  model.mark_objects();
  const uint32_t vm = file.vm();
  Probe probe(&file, vm);
  uint64_t faults = 0;
  for (int round = 0; round < 60 && !HasFailure(); ++round) {
    const std::vector<npu_bind_op> ops = model.random_ops(1 + model.below(8));
    ASSERT_EQ(file.bind_all(vm, ops), 0);
    model.apply(ops);
    for (int look = 0; look < 8; ++look) {
      // The edges of what was just changed, and anywhere.
      const npu_bind_op& op = ops[model.below(ops.size())];
      uint64_t at = (op.dva - kBase) / kPage + (model.below(2) != 0 ? op.size_bytes / kPage : 0);
      at = look % 3 == 0 ? model.below(kPages) : (at - model.below(2)) % kPages;
      const uint32_t shown = model.page(at);
      if (shown == 0 && model.below(16) != 0) continue;  // faults take long
      const bool good = probe.read(kBase + at * kPage);
      ASSERT_EQ(good, shown != 0) << "page " << at;
      if (good) {
        EXPECT_EQ(probe.value(), shown & ~kReadonly);
      }
      if (good && (shown & kReadonly) != 0 && model.below(8) == 0) {
        EXPECT_FALSE(probe.write(kBase + at * kPage + 16));
      } else if (good) {
        continue;
      }
      std::vector<npu_fault> seen;
      ASSERT_EQ(file.vm_faults(vm, &seen), 0);
      ASSERT_FALSE(seen.empty());
      EXPECT_EQ(seen[0].dva / kPage, kBase / kPage + at);
      EXPECT_EQ(seen[0].reason,
                static_cast<uint32_t>(shown != 0 ? NPU_FAULT_PERMISSION : NPU_FAULT_NOT_PRESENT));
      ++faults;
    }
  }
  npu_vm_query query{};
  EXPECT_EQ(file.query_vm(vm, &query), 0);
  EXPECT_EQ(query.faults_total, faults);
}

// Offset of the root table of the only address space that a user has.
uint64_t root_table() {
  const std::string clients = read_file(debugfs("clients"));
  const size_t at = clients.find(" root 0x");
  EXPECT_NE(at, std::string::npos) << clients;
  return at == std::string::npos ? 0 : std::stoull(clients.substr(at + 6), nullptr, 16);
}

class Ras : public GuestTest {};

TEST_F(Ras, ADamagedPageTableIsWrittenAgain) {
  File file;
  const uint32_t vm = file.vm();
  const npu_bo_create object = file.object(NPU_PAGE_64K, NPU_REGION_SYSTEM);
  const auto memory = file.map(object);
  const uint64_t word = 0x1122334455667788;
  std::memcpy(memory->data(), &word, sizeof word);
  ASSERT_EQ(file.bind(vm, object.handle, kBase, object.size_bytes), 0);
  Probe probe(&file, vm);
  ASSERT_TRUE(probe.read(kBase));
  const uint64_t mended = debug_number("table_lines_mended");
  const uint64_t retired = debug_number("retired_pages");
  // The entry of the root through which everything below 512 GiB goes, while it is walked all the time.
  inject("ecc-dbe " + std::to_string(root_table()));
  ASSERT_TRUE(becomes([&] { return debug_number("table_lines_mended") == mended + 1; }));
  EXPECT_EQ(debug_number("retired_pages"), retired + 1);
  // A changed mapping flushes what was translated, so this is a walk from the root.
  ASSERT_EQ(file.bind(vm, object.handle, kBase + (1ull << 30), object.size_bytes), 0);
  ASSERT_EQ(file.unbind(vm, kBase, object.size_bytes), 0);
  EXPECT_TRUE(probe.read(kBase + (1ull << 30))) << probe.status();
  EXPECT_EQ(probe.value(), word);
  EXPECT_FALSE(probe.read(kBase));
  EXPECT_EQ(probe.status(), NPU_ST_VM_FAULT);
  // The page goes when the last table has left it, at the latest when a reset has made all of them void.
  const uint64_t epoch = file.epoch();
  ASSERT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
  EXPECT_EQ(file.epoch(), epoch + 1);
  may_lose_hbm(NPU_PAGE_64K);
}

TEST_F(Ras, PagesThatGoBadAreTakenOutOfUse) {
  File file;
  const npu_region_info hbm = file.hbm();
  const uint64_t retired = debug_number("retired_pages");
  // The top is where objects come from: one page that is free, and three of an object.
  const uint64_t end = hbm.size_bytes;
  inject("ecc-dbe " + std::to_string(end - 64));
  expect_free_hbm(&file, hbm.free_bytes - NPU_PAGE_64K);
  inject("ecc-dbe " + std::to_string(end - 64));  // once is enough
  const npu_bo_create object = file.object(1 << 20, NPU_REGION_HBM);
  for (uint64_t i = 2; i < 34; ++i) inject("ecc-dbe " + std::to_string(end - i * NPU_PAGE_64K));
  ASSERT_TRUE(becomes([&] { return debug_number("retired_pages") == retired + 33; }));
  EXPECT_EQ(file.close_object(object.handle), 0);
  expect_free_hbm(&file, hbm.free_bytes - 33 * NPU_PAGE_64K);
  // What is left is clean.
  const npu_bo_create rest = file.object(8 << 20, NPU_REGION_HBM);
  const auto memory = file.map(rest);
  for (uint64_t at = 0; at < rest.size_bytes; at += kPage) ASSERT_EQ(memory->data()[at], 0);
  EXPECT_EQ(file.close_object(rest.handle), 0);
  may_lose_hbm(33 * NPU_PAGE_64K);
}

TEST_F(Ras, APoisonedSourceFailsItsCopyAndNoOther) {
  File file;
  const npu_bo_create object = file.object(4 << 20, NPU_REGION_HBM, NPU_BO_CONTIGUOUS);
  const npu_bo_create other = file.object(4 << 20, NPU_REGION_HBM);
  const uint64_t before = debug_number("retired_pages");
  // The whole range where it can lie; the other object may be hit too, so it is written anew.
  const uint64_t end = file.hbm().size_bytes;
  for (uint64_t at = end - (16 << 20) + 64; at < end; at += 1 << 20)
    inject("ecc-dbe " + std::to_string(at));
  ASSERT_TRUE(becomes([&] { return debug_number("retired_pages") > before; }));
  EXPECT_EQ(file.copy({copy_op(object.handle, 0, other.handle, 0, 4 << 20)}, NPU_COPY_WAIT), EIO);
  EXPECT_EQ(file.copy({fill_op(object.handle, 0, 4 << 20, 7)}, NPU_COPY_WAIT), 0);  // mends it
  EXPECT_EQ(file.copy({copy_op(object.handle, 0, other.handle, 0, 4 << 20)}, NPU_COPY_WAIT), 0);
  may_lose_hbm((debug_number("retired_pages") - before) * NPU_PAGE_64K);
}

}  // namespace
}  // namespace npu::driver_test
