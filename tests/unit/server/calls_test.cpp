// SPDX-License-Identifier: Apache-2.0
// Each call with good arguments, and with one thing wrong at a time.
#include <fcntl.h>
#include <sys/mman.h>

#include <fstream>

#include "tests/unit/server/server_fixture.h"
#include "uapi/npu_metrics.h"

namespace npu::model::test {
namespace {

class CallsTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    client_ = std::make_unique<RawClient>(open());
  }
  void TearDown() override {
    client_.reset();
    ServerTest::TearDown();
  }

  template <typename T, typename Change>
  int with(uint32_t call, const T& good, Change change, const Bytes& payload = {},
           const std::vector<int>& fds = {}) {
    T args = good;
    change(args);
    return client_->call(call, &args, payload, nullptr, fds);
  }

  std::unique_ptr<RawClient> client_;
};

TEST_F(CallsTest, HelloRefusesOtherVersionsAndTellsItsOwn) {
  RawClient fresh(raw_socket());
  npu_wire_hello args{};
  args.wire_version = NPU_WIRE_VERSION + 1;
  args.uapi_major = NPU_UAPI_MAJOR;
  args.device_index = ~0u;
  args.fd = -1;
  EXPECT_EQ(fresh.call(NPU_WIRE_HELLO, &args), EPROTO);
  EXPECT_EQ(args.wire_version, static_cast<uint32_t>(NPU_WIRE_VERSION));
  args = {};
  args.wire_version = NPU_WIRE_VERSION;
  args.uapi_major = NPU_UAPI_MAJOR + 1;
  args.fd = -1;
  EXPECT_EQ(fresh.call(NPU_WIRE_HELLO, &args), EPROTO);
  args = {};
  args.wire_version = NPU_WIRE_VERSION;
  args.uapi_major = NPU_UAPI_MAJOR;
  args.device_index = ~0u;
  args.fd = -1;
  ASSERT_EQ(fresh.call(NPU_WIRE_HELLO, &args), 0);
  EXPECT_EQ(args.device_count, 2u);
  EXPECT_EQ(fresh.hello(7), ENODEV);
  EXPECT_EQ(fresh.hello(1), 0);
}

TEST_F(CallsTest, DeviceInfoDescribesTheProfile) {
  const npu_dev_info info = client_->query<npu_dev_info>(NPU_QUERY_DEVICE).at(0);
  EXPECT_STREQ(info.name, "tiny");
  EXPECT_EQ(info.hbm_bytes, 256u << 20);
  EXPECT_EQ(info.clusters, 2u);
  EXPECT_EQ(info.tiles_per_cluster, 2u);
  EXPECT_EQ(info.l1_bytes, 1u << 20);
  EXPECT_EQ(info.platform, static_cast<uint32_t>(NPU_PLATFORM_MODEL));
  EXPECT_EQ(info.health, static_cast<uint32_t>(NPU_HEALTH_OK));
  RawClient other = open(1);
  const npu_dev_info second = other.query<npu_dev_info>(NPU_QUERY_DEVICE).at(0);
  EXPECT_EQ(second.index, 1u);
  EXPECT_NE(std::memcmp(info.uuid, second.uuid, sizeof(info.uuid)), 0);
}

TEST_F(CallsTest, QueriesCountWhatExistsAndWriteWhatFits) {
  npu_dev_query args{};
  args.type = NPU_QUERY_METRICS;
  ASSERT_EQ(client_->call(NPU_CALL_DEV_QUERY, &args), 0);
  EXPECT_EQ(args.out.count, static_cast<uint32_t>(NPU_METRIC_COUNT));
  args.out = {16, 3, 0};
  Bytes payload;
  ASSERT_EQ(client_->call(NPU_CALL_DEV_QUERY, &args, {}, &payload), 0);
  EXPECT_EQ(payload.size(), 48u);
  EXPECT_EQ(client_->query<npu_engine_info>(NPU_QUERY_ENGINES).size(), 2u);
  EXPECT_EQ(client_->query<npu_port_info>(NPU_QUERY_PORTS).size(), 3u);
  EXPECT_EQ(client_->query<npu_limits>(NPU_QUERY_LIMITS).at(0).bind_ops_max,
            static_cast<uint32_t>(NPU_MAX_BIND_OPS));
  args.type = NPU_QUERY_COUNT;
  args.out = {};
  EXPECT_EQ(client_->call(NPU_CALL_DEV_QUERY, &args), EINVAL);
  args.type = 0;
  args.flags = 1;
  EXPECT_EQ(client_->call(NPU_CALL_DEV_QUERY, &args), EINVAL);
  args.flags = 0;
  args.out = {NPU_MAX_STRIDE, 4096, 0};
  EXPECT_NE(client_->call(NPU_CALL_DEV_QUERY, &args), 0);
}

TEST_F(CallsTest, EveryMetricHasOneFlagAndMemoryFollowsAllocation) {
  const auto rows = client_->query<npu_metric>(NPU_QUERY_METRICS);
  ASSERT_EQ(rows.size(), static_cast<size_t>(NPU_METRIC_COUNT));
  for (const npu_metric& row : rows) {
    EXPECT_EQ(__builtin_popcount(row.flags), 1) << row.id;
    EXPECT_TRUE(row.flags == NPU_METRIC_FLAG_VALID || row.value == 0) << row.id;
  }
  EXPECT_EQ(metric(*client_, NPU_METRIC_MEMORY_USED), 0);
  const npu_bo_create bo = client_->bo_create(1 << 20, NPU_REGION_HBM);
  EXPECT_EQ(metric(*client_, NPU_METRIC_MEMORY_USED), 1 << 20);
  const npu_region_info hbm = client_->query<npu_region_info>(NPU_QUERY_REGIONS).at(1);
  EXPECT_EQ(hbm.free_bytes, hbm.size_bytes - (1 << 20));
  EXPECT_EQ(client_->bo_close(bo.handle), 0);
  EXPECT_EQ(metric(*client_, NPU_METRIC_MEMORY_USED), 0);
  EXPECT_GE(metric(*client_, NPU_METRIC_POWER), 5000);
}

TEST_F(CallsTest, ClientsAreListedWithTheirKernelIdentity) {
  client_->bo_create(1 << 20, NPU_REGION_HBM);
  RawClient second = open();
  second.vm_create();
  const auto rows = client_->query<npu_client_info>(NPU_QUERY_CLIENTS);
  ASSERT_EQ(rows.size(), 1u) << "one process, two connections";
  EXPECT_EQ(rows[0].pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(rows[0].uid, getuid());
  EXPECT_EQ(rows[0].vms, 1u);
  EXPECT_GE(rows[0].hbm_bytes, 1u << 20);
  EXPECT_NE(rows[0].comm[0], 0);
}

TEST_F(CallsTest, VmCreateAndDestroyCheckTheirFields) {
  const npu_vm_create good{};
  EXPECT_EQ(with(NPU_CALL_VM_CREATE, good, [](auto&) {}), 0);
  EXPECT_EQ(with(NPU_CALL_VM_CREATE, good, [](auto& a) { a.flags = 1; }), EINVAL);
  EXPECT_EQ(with(NPU_CALL_VM_CREATE, good, [](auto& a) { a.vm_id = 1; }), EINVAL);
  EXPECT_EQ(with(NPU_CALL_VM_CREATE, good, [](auto& a) { a.va_end = 4096; }), EINVAL);
  EXPECT_EQ(with(NPU_CALL_VM_CREATE, good, [](auto& a) { a.va_end = 1ull << 48; }), EINVAL);
  EXPECT_EQ(with(NPU_CALL_VM_CREATE, good, [](auto& a) { a.va_end = 1ull << 30; }), 0);
  npu_vm_destroy destroy{};
  EXPECT_EQ(client_->call(NPU_CALL_VM_DESTROY, &destroy), ENOENT);
  destroy.vm_id = 55;
  EXPECT_EQ(client_->call(NPU_CALL_VM_DESTROY, &destroy), ENOENT);
  destroy.pad = 1;
  EXPECT_EQ(client_->call(NPU_CALL_VM_DESTROY, &destroy), EINVAL);
}

TEST_F(CallsTest, VmBindIsAllOrNothingAndNamesTheOperationThatFailed) {
  const uint32_t vm = client_->vm_create();
  const npu_bo_create bo = client_->bo_create(1 << 20, NPU_REGION_HBM);
  std::vector<npu_bind_op> ops(3);
  for (size_t i = 0; i < ops.size(); ++i) {
    ops[i].bo_handle = bo.handle;
    ops[i].dva = 0x10000000 + i * 0x100000;
    ops[i].size_bytes = 1 << 20;
  }
  const auto refused = [&](auto change) {
    auto bad = ops;
    change(bad[1]);
    uint32_t failed = 0;
    const int err = client_->bind_all(vm, bad, &failed);
    EXPECT_EQ(failed, 1u);
    npu_vm_query query{};
    query.vm_id = vm;
    EXPECT_EQ(client_->call(NPU_CALL_VM_QUERY, &query), 0);
    EXPECT_EQ(query.mapped_bytes, 0u) << "something stayed mapped";
    return err;
  };
  EXPECT_EQ(refused([](auto& op) { op.kind = 2; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.flags = 4; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.flags = NPU_BIND_EXEC; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.bo_handle = 0; }), ENOENT);
  EXPECT_EQ(refused([](auto& op) { op.bo_handle = 999; }), ENOENT);
  EXPECT_EQ(refused([](auto& op) { op.pad = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.bo_offset = 0x10000; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.dva += 0x1000; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.dva = 0; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.dva = NPU_VA_USER_END; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.dva = ~0ull << 16; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.size_bytes = 0; }), EINVAL);
  EXPECT_EQ(refused([](auto& op) { op.size_bytes = ~0ull << 16; }), EINVAL);
  EXPECT_EQ(client_->bind_all(vm + 9, ops), ENOENT);
  EXPECT_EQ(client_->bind_all(vm, {}), EINVAL);
  ASSERT_EQ(client_->bind_all(vm, ops), 0);
  npu_vm_query query{};
  query.vm_id = vm;
  ASSERT_EQ(client_->call(NPU_CALL_VM_QUERY, &query), 0);
  EXPECT_EQ(query.mapped_bytes, 3u << 20);
  EXPECT_GT(query.table_bytes, 0u);
}

TEST_F(CallsTest, ABatchOf4096OperationsIsOneFrameAndOneMoreIsTooMany) {
  const uint32_t vm = client_->vm_create();
  const npu_bo_create bo = client_->bo_create(0x10000, NPU_REGION_HBM);
  std::vector<npu_bind_op> ops(NPU_MAX_BIND_OPS);
  for (size_t i = 0; i < ops.size(); ++i) {
    ops[i].bo_handle = bo.handle;
    ops[i].dva = 0x10000000 + i * 0x10000;
    ops[i].size_bytes = 0x10000;
  }
  ASSERT_EQ(client_->bind_all(vm, ops), 0);
  npu_vm_query query{};
  query.vm_id = vm;
  ASSERT_EQ(client_->call(NPU_CALL_VM_QUERY, &query), 0);
  EXPECT_EQ(query.mapped_bytes, NPU_MAX_BIND_OPS * 0x10000ull);
  ops.push_back(ops[0]);
  EXPECT_EQ(client_->bind_all(vm, ops), E2BIG);
  EXPECT_EQ(client_->unbind(vm, 0x10000000, NPU_MAX_BIND_OPS * 0x10000ull), 0);
  query = {};
  query.vm_id = vm;
  ASSERT_EQ(client_->call(NPU_CALL_VM_QUERY, &query), 0);
  EXPECT_EQ(query.mapped_bytes, 0u);
}

TEST_F(CallsTest, MappingsKeepAnObjectAliveAndRangesAreReplaced) {
  const uint32_t vm = client_->vm_create();
  const npu_bo_create a = client_->bo_create(4 << 20, NPU_REGION_HBM);
  const npu_bo_create b = client_->bo_create(1 << 20, NPU_REGION_HBM);
  ASSERT_EQ(client_->bind(vm, a.handle, 0x10000000, 4 << 20), 0);
  ASSERT_EQ(client_->bind(vm, b.handle, 0x10100000, 1 << 20), 0);
  EXPECT_EQ(client_->bo_close(a.handle), 0);
  EXPECT_EQ(client_->bo_close(a.handle), ENOENT);
  EXPECT_EQ(metric(*client_, NPU_METRIC_MEMORY_USED), 5 << 20);
  npu_vm_query query{};
  query.vm_id = vm;
  ASSERT_EQ(client_->call(NPU_CALL_VM_QUERY, &query), 0);
  EXPECT_EQ(query.mapped_bytes, 4u << 20);
  ASSERT_EQ(client_->unbind(vm, 0x10000000, 4 << 20), 0);
  EXPECT_EQ(metric(*client_, NPU_METRIC_MEMORY_USED), 1 << 20) << "b has its handle still";
  query = {};
  query.vm_id = vm;
  ASSERT_EQ(client_->call(NPU_CALL_VM_QUERY, &query), 0);
  EXPECT_EQ(query.mapped_bytes, 0u);
  EXPECT_EQ(query.table_bytes, 4096u) << "the root alone";
}

TEST_F(CallsTest, BoCreateChecksItsFields) {
  npu_bo_create good{};
  good.size_bytes = 100;
  good.region = NPU_REGION_HBM;
  EXPECT_EQ(client_->bo_create(100, NPU_REGION_HBM).size_bytes, 0x10000u);
  EXPECT_EQ(client_->bo_create(100, NPU_REGION_SYSTEM).size_bytes, 0x1000u);
  EXPECT_EQ(client_->bo_create(100, NPU_REGION_HBM, NPU_BO_HUGE).size_bytes, 0x200000u);
  EXPECT_EQ(client_->bo_create(100, NPU_REGION_HBM, NPU_BO_NO_MMAP).map_token, 0u);
  const auto refused = [&](auto change) { return with(NPU_CALL_BO_CREATE, good, change); };
  EXPECT_EQ(refused([](auto& a) { a.size_bytes = 0; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.size_bytes = ~0ull; }), ENOSPC);
  EXPECT_EQ(refused([](auto& a) { a.size_bytes = 1ull << 40; }), ENOSPC);
  EXPECT_EQ(refused([](auto& a) { a.size_bytes = 300 << 20; }), EDQUOT)
      << "more than the device has";
  EXPECT_EQ(refused([](auto& a) { a.region = 2; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.region_mask = 2; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.flags = 16; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.flags = NPU_BO_SYNC; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.caching = 3; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.vm_id = 42; }), ENOENT);
  EXPECT_EQ(refused([](auto& a) { a.align_log2 = 31; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.align_log2 = 5; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.handle = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.pad = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.map_token = 1; }), EINVAL);
}

TEST_F(CallsTest, AnObjectOfOneVmIsNotMappedIntoAnother) {
  const uint32_t mine = client_->vm_create();
  const uint32_t other = client_->vm_create();
  npu_bo_create args{};
  args.size_bytes = 0x10000;
  args.region = NPU_REGION_HBM;
  args.vm_id = mine;
  ASSERT_EQ(client_->call(NPU_CALL_BO_CREATE, &args), 0);
  EXPECT_EQ(client_->bind(other, args.handle, 0x10000000, 0x10000), EACCES);
  EXPECT_EQ(client_->bind(mine, args.handle, 0x10000000, 0x10000), 0);
}

TEST_F(CallsTest, BoInfoAndLabel) {
  const npu_bo_create bo = client_->bo_create(1 << 20, NPU_REGION_HBM, NPU_BO_CONTIGUOUS);
  npu_bo_info info{};
  info.handle = bo.handle;
  ASSERT_EQ(client_->call(NPU_CALL_BO_INFO, &info), 0);
  EXPECT_EQ(info.size_bytes, 1u << 20);
  EXPECT_EQ(info.flags, static_cast<uint32_t>(NPU_BO_CONTIGUOUS));
  EXPECT_EQ(info.page_bytes, NPU_PAGE_64K);
  EXPECT_EQ(info.map_token, bo.map_token);
  EXPECT_EQ(client_->call(NPU_CALL_BO_INFO, &info), EINVAL) << "outputs must be zero on entry";
  info = {};
  info.handle = 999;
  EXPECT_EQ(client_->call(NPU_CALL_BO_INFO, &info), ENOENT);
  npu_bo_set_label label{};
  label.handle = bo.handle;
  std::strcpy(label.label, "weights");
  EXPECT_EQ(client_->call(NPU_CALL_BO_SET_LABEL, &label), 0);
  label.label[20] = 'x';
  EXPECT_EQ(client_->call(NPU_CALL_BO_SET_LABEL, &label), EINVAL);
  label = {};
  label.handle = 999;
  EXPECT_EQ(client_->call(NPU_CALL_BO_SET_LABEL, &label), ENOENT);
}

TEST_F(CallsTest, UserMemoryMustBeASealedMemfd) {
  const int sealed = memfd_create("user", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  const int loose = memfd_create("user", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(sealed, 0x4000), 0);
  ASSERT_EQ(ftruncate(loose, 0x4000), 0);
  ASSERT_EQ(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  npu_bo_create_userptr good{};
  good.address = 0x1000;
  good.size_bytes = 0x2000;
  const auto attempt = [&](auto change, int fd) {
    return with(NPU_CALL_BO_CREATE_USERPTR, good, change, {},
                fd >= 0 ? std::vector<int>{fd} : std::vector<int>{});
  };
  EXPECT_EQ(attempt([](auto&) {}, sealed), 0);
  EXPECT_EQ(attempt([](auto&) {}, loose), EINVAL);
  EXPECT_EQ(attempt([](auto& a) { a.fd = -1; }, -1), EOPNOTSUPP);
  EXPECT_EQ(attempt([](auto& a) { a.fd = 1; }, sealed), EINVAL);
  EXPECT_EQ(attempt([](auto& a) { a.fd = -1; }, sealed), EINVAL) << "a file that nobody names";
  EXPECT_EQ(attempt([](auto& a) { a.address = 0x3000; }, sealed), EINVAL);
  EXPECT_EQ(attempt([](auto& a) { a.address = 0x800; }, sealed), EINVAL);
  EXPECT_EQ(attempt([](auto& a) { a.size_bytes = ~0xfffull; }, sealed), EINVAL);
  EXPECT_EQ(attempt([](auto& a) { a.flags = 2; }, sealed), EINVAL);
  const int plain = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(attempt([](auto& a) { a.flags = NPU_USERPTR_READONLY; }, plain), EINVAL);
  for (const int fd : {sealed, loose, plain}) close(fd);
}

TEST_F(CallsTest, TheDeviceReadsUserMemoryButDoesNotWriteWhatIsReadOnly) {
  const int file = memfd_create("user", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(file, 0x10000), 0);
  const SharedMap mine(file, 0, 0x10000);
  *mine.as<uint64_t>(0x1000) = 77;
  ASSERT_EQ(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), 0);
  npu_bo_create_userptr args{};
  args.address = 0x1000;
  args.size_bytes = 0x1000;
  npu_bo_create_userptr writable = args;
  EXPECT_EQ(client_->call(NPU_CALL_BO_CREATE_USERPTR, &writable, {}, nullptr, {file}), EACCES);
  args.flags = NPU_USERPTR_READONLY;
  ASSERT_EQ(client_->call(NPU_CALL_BO_CREATE_USERPTR, &args, {}, nullptr, {file}), 0);
  const uint32_t vm = client_->vm_create();
  const npu_bo_create out = client_->bo_create(0x10000, NPU_REGION_HBM);
  const SharedMap seen = client_->map(out.map_token);
  EXPECT_EQ(client_->bind(vm, args.handle, 0x10000000, 0x1000), EACCES);
  ASSERT_EQ(client_->bind(vm, args.handle, 0x10000000, 0x1000, 0, NPU_BIND_READONLY), 0);
  ASSERT_EQ(client_->bind(vm, out.handle, 0x20000000, 0x10000), 0);
  RawQueue queue(client_.get(), vm);
  ASSERT_EQ(queue.create(), 0);
  ASSERT_EQ(queue.wait(queue.submit(copy_command(0x20000000, 0x10000000, 64))), 0);
  EXPECT_EQ(*seen.as<uint64_t>(), 77u);
  queue.submit(fill_command(0x10000000, 64, 1));
  EXPECT_EQ(queue.wait(2), 0);
  EXPECT_EQ(queue.record(1).status, NPU_ST_VM_FAULT);
  EXPECT_EQ(*mine.as<uint64_t>(0x1000), 77u);
  close(file);
}

TEST_F(CallsTest, MapAnswersItsOwnTokensOnly) {
  const npu_bo_create bo = client_->bo_create(1 << 20, NPU_REGION_HBM);
  RawClient stranger = open();
  npu_wire_map args{};
  args.token = bo.map_token;
  args.fd = -1;
  EXPECT_EQ(stranger.call(NPU_WIRE_MAP, &args), ENOENT);
  const auto refused = [&](auto change) { return with(NPU_WIRE_MAP, args, change); };
  EXPECT_EQ(refused([](auto& a) { a.token = 0; }), ENOENT);
  EXPECT_EQ(refused([](auto& a) { a.token = ~0ull; }), ENOENT);
  EXPECT_EQ(refused([](auto& a) { a.offset = 8; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.size_bytes = 8; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.fd = 0; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.flags = 1; }), EINVAL);
  std::vector<int> fds;
  ASSERT_EQ(client_->call(NPU_WIRE_MAP, &args, {}, nullptr, {}, &fds), 0);
  EXPECT_EQ(args.size_bytes, 1u << 20);
  EXPECT_NE(ftruncate(fds.at(0), 0), 0) << "a client must not be able to shrink it";
  EXPECT_NE(fcntl(fds.at(0), F_ADD_SEALS, F_SEAL_WRITE), 0);
  close(fds[0]);
}

TEST_F(CallsTest, QueueCallsNeedAQueueOfThisFile) {
  RawQueue queue(client_.get(), client_->vm_create());
  ASSERT_EQ(queue.create(), 0);
  RawClient stranger = open();
  npu_queue_query query{};
  query.queue_id = queue.id;
  EXPECT_EQ(stranger.call(NPU_CALL_QUEUE_QUERY, &query), ENOENT);
  npu_queue_destroy destroy{queue.id, 0};
  EXPECT_EQ(stranger.call(NPU_CALL_QUEUE_DESTROY, &destroy), ENOENT);
  query.status = 1;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_QUERY, &query), EINVAL);
  npu_queue_set set{};
  set.queue_id = queue.id;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), EINVAL);
  set.what = 16;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), EINVAL);
  set.what = NPU_QUEUE_SET_RUN | NPU_QUEUE_SET_SUSPEND;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), EINVAL);
  set.what = NPU_QUEUE_SET_PRIORITY;
  set.priority = 3;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), EINVAL);
  set.priority = NPU_PRIO_LOW;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), 0);
  destroy.pad = 1;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_DESTROY, &destroy), EINVAL);
  destroy.pad = 0;
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_DESTROY, &destroy), 0);
  EXPECT_EQ(client_->call(NPU_CALL_QUEUE_DESTROY, &destroy), ENOENT);
}

TEST_F(CallsTest, CopySubmitChecksItsFields) {
  const npu_bo_create bo = client_->bo_create(1 << 20, NPU_REGION_HBM);
  npu_copy_op op{};
  op.kind = NPU_COPY_FILL;
  op.dst_handle = bo.handle;
  op.size_bytes = 64;
  npu_copy_submit good{};
  good.flags = NPU_COPY_WAIT;
  good.ops = client_->array_of(sizeof(op), 1);
  const auto args_refused = [&](auto change) {
    return with(NPU_CALL_COPY_SUBMIT, good, change, bytes_of(op));
  };
  EXPECT_EQ(args_refused([](auto&) {}), 0);
  EXPECT_EQ(args_refused([](auto& a) { a.flags = 0; }), EINVAL);
  EXPECT_EQ(args_refused([](auto& a) { a.flags = 3; }), EINVAL);
  EXPECT_EQ(args_refused([](auto& a) { a.pad = 1; }), EINVAL);
  EXPECT_EQ(args_refused([](auto& a) { a.ops.count = 0; }), EINVAL);
  EXPECT_EQ(args_refused([](auto& a) { a.ops.count = 2; }), EFAULT);
  EXPECT_EQ(args_refused([](auto& a) { a.ops.stride = 40; }), EINVAL);
  EXPECT_EQ(args_refused([](auto& a) { a.waits = {16, 1, 0}; }), EOPNOTSUPP);
  const auto op_refused = [&](auto change) {
    npu_copy_op bad = op;
    change(bad);
    npu_copy_submit args = good;
    return client_->call(NPU_CALL_COPY_SUBMIT, &args, bytes_of(bad));
  };
  EXPECT_EQ(op_refused([](auto& o) { o.kind = 2; }), EINVAL);
  EXPECT_EQ(op_refused([](auto& o) { o.flags = 1; }), EINVAL);
  EXPECT_EQ(op_refused([](auto& o) { o.src_handle = 1; }), EINVAL);
  EXPECT_EQ(op_refused([](auto& o) { o.dst_handle = 99; }), ENOENT);
  EXPECT_EQ(op_refused([](auto& o) { o.dst_offset = 1 << 20; }), EINVAL);
  EXPECT_EQ(op_refused([](auto& o) { o.dst_offset = ~7ull; }), EINVAL);
  EXPECT_EQ(op_refused([](auto& o) { o.size_bytes = 4; }), EINVAL);
  EXPECT_EQ(op_refused([](auto& o) { o.size_bytes = 0; }), EINVAL);
}

TEST_F(CallsTest, WhatThisModelLacksSaysSo) {
  npu_mr_create mr{};
  mr.vm_id = 1;
  mr.access = NPU_MR_REMOTE_READ;
  mr.dva = 0x10000;
  mr.size_bytes = 64;
  EXPECT_EQ(client_->call(NPU_CALL_MR_CREATE, &mr), EOPNOTSUPP);
  mr.access = 0;
  EXPECT_EQ(client_->call(NPU_CALL_MR_CREATE, &mr), EINVAL);
  npu_mr_destroy destroy{1, 0};
  EXPECT_EQ(client_->call(NPU_CALL_MR_DESTROY, &destroy), EOPNOTSUPP);
  const uint64_t features = client_->query<npu_dev_info>(NPU_QUERY_DEVICE).at(0).features[0];
  EXPECT_EQ(features & (NPU_FEATURE_PORTS | NPU_FEATURE_COPY_SYNC | NPU_FEATURE_USERPTR), 0u);
  npu_event_mask mask{};
  mask.mask = 16;
  EXPECT_EQ(client_->call(NPU_CALL_EVENT_MASK, &mask), EINVAL);
  mask.mask = NPU_EVENT_MASK_QUEUE_ERROR;
  EXPECT_EQ(client_->call(NPU_CALL_EVENT_MASK, &mask), 0);
  mask = {};
  EXPECT_EQ(client_->call(NPU_CALL_EVENT_MASK, &mask), 0);
  EXPECT_EQ(mask.previous, NPU_EVENT_MASK_QUEUE_ERROR);
}

TEST_F(CallsTest, ACallThatIsNotInoutAnswersWithoutAStruct) {
  npu_vm_destroy destroy{client_->vm_create(), 0};
  const auto answer =
      client_->wait_reply(client_->send_call(NPU_CALL_VM_DESTROY, bytes_of(destroy)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.error, 0);
  EXPECT_TRUE(answer->body.empty());
  EXPECT_EQ(answer->header.flags, static_cast<uint32_t>(NPU_FRAME_REPLY));
}

}  // namespace
}  // namespace npu::model::test
