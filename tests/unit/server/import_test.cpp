// SPDX-License-Identifier: Apache-2.0
// Objects between connections: who may name one by its file, how long it lives, who pays.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "tests/unit/server/server_fixture.h"

namespace npu::model::test {
namespace {

constexpr uint64_t kBytes = 4 << 20;

class ImportTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    maker_ = std::make_unique<RawClient>(open());
    taker_ = std::make_unique<RawClient>(open());
  }
  void TearDown() override {
    taker_.reset();
    maker_.reset();
    ServerTest::TearDown();
  }
  // The file of an object, as MAP hands it out.
  static int file_of(RawClient& client, uint64_t token) {
    npu_wire_map args{};
    args.token = token;
    args.fd = -1;
    std::vector<int> fds;
    EXPECT_EQ(client.call(NPU_WIRE_MAP, &args, {}, nullptr, {}, &fds), 0);
    return fds.empty() ? -1 : fds[0];
  }
  static int import(RawClient& client, int fd, npu_bo_info* out, uint32_t flags = 0) {
    npu_bo_create_userptr args{};
    args.size_bytes = 0x10000;
    args.flags = flags;
    const int err = client.call(NPU_CALL_BO_CREATE_USERPTR, &args, {}, nullptr, {fd});
    if (err != 0) return err;
    *out = {};
    out->handle = args.handle;
    return client.call(NPU_CALL_BO_INFO, out);
  }
  static uint64_t free_hbm(RawClient& client) {
    for (const npu_region_info& row : client.query<npu_region_info>(NPU_QUERY_REGIONS)) {
      if (row.region == NPU_REGION_HBM) return row.free_bytes;
    }
    return 0;
  }

  std::unique_ptr<RawClient> maker_;
  std::unique_ptr<RawClient> taker_;
};

TEST_F(ImportTest, TheFileOfAnObjectNamesTheObject) {
  const npu_bo_create bo = maker_->bo_create(kBytes, NPU_REGION_HBM);
  const int file = file_of(*maker_, bo.map_token);
  npu_bo_info info{};
  ASSERT_EQ(import(*taker_, file, &info), 0);
  EXPECT_EQ(info.region, static_cast<uint32_t>(NPU_REGION_HBM));
  EXPECT_EQ(info.size_bytes, kBytes);
  EXPECT_NE(info.map_token, 0u);
  const SharedMap there = taker_->map(info.map_token);
  const SharedMap here = maker_->map(bo.map_token);
  *here.as<uint64_t>(64) = 4711;
  EXPECT_EQ(*there.as<uint64_t>(64), 4711u);
  close(file);
}

TEST_F(ImportTest, AnObjectOfOneVmAndAControlBlockStayPrivate) {
  const uint32_t vm = maker_->vm_create();
  npu_bo_create own{};
  own.size_bytes = kBytes;
  own.region = NPU_REGION_HBM;
  own.vm_id = vm;
  ASSERT_EQ(maker_->call(NPU_CALL_BO_CREATE, &own), 0);
  npu_bo_create sync{};
  sync.size_bytes = kBytes;
  sync.region = NPU_REGION_SYSTEM;
  sync.flags = NPU_BO_SYNC;
  ASSERT_EQ(maker_->call(NPU_CALL_BO_CREATE, &sync), 0);
  for (const uint64_t token : {own.map_token, sync.map_token}) {
    const int file = file_of(*maker_, token);
    npu_bo_info info{};
    // The bytes are host memory to whoever has the file; the object is not his.
    ASSERT_EQ(import(*taker_, file, &info), 0);
    EXPECT_EQ(info.region, static_cast<uint32_t>(NPU_REGION_SYSTEM));
    EXPECT_EQ(info.map_token, 0u);
    close(file);
  }
}

TEST_F(ImportTest, TheMemoryLivesUntilItsLastHolderAndMappingGo) {
  const uint64_t before = free_hbm(*taker_);
  const npu_bo_create bo = maker_->bo_create(kBytes, NPU_REGION_HBM);
  const int file = file_of(*maker_, bo.map_token);
  npu_bo_info info{};
  ASSERT_EQ(import(*taker_, file, &info), 0);
  maker_->close();
  const uint32_t vm = taker_->vm_create();
  ASSERT_EQ(taker_->bind(vm, info.handle, 0x10000000, kBytes), 0);
  npu_wire_bo_close close_args{info.handle, 0};
  ASSERT_EQ(taker_->call(NPU_WIRE_BO_CLOSE, &close_args), 0);
  EXPECT_LE(free_hbm(*taker_) + kBytes, before);
  npu_vm_destroy destroy{vm, 0};
  ASSERT_EQ(taker_->call(NPU_CALL_VM_DESTROY, &destroy), 0);
  // The maker's end is noticed by and by.
  uint64_t now = 0;
  for (int i = 0; i < 2000 && (now = free_hbm(*taker_)) < before; i++) usleep(1000);
  EXPECT_GE(now, before);
  // Its name is gone with it.
  ASSERT_EQ(import(*taker_, file, &info), 0);
  EXPECT_EQ(info.region, static_cast<uint32_t>(NPU_REGION_SYSTEM));
  ::close(file);
}

TEST_F(ImportTest, AnImportIsReadOnlyWhenItSaysSo) {
  const npu_bo_create bo = maker_->bo_create(kBytes, NPU_REGION_HBM);
  const int file = file_of(*maker_, bo.map_token);
  npu_bo_info info{};
  ASSERT_EQ(import(*taker_, file, &info, NPU_USERPTR_READONLY), 0);
  const uint32_t vm = taker_->vm_create();
  EXPECT_EQ(taker_->bind(vm, info.handle, 0x10000000, kBytes), EACCES);
  EXPECT_EQ(taker_->bind(vm, info.handle, 0x10000000, kBytes, 0, NPU_BIND_READONLY), 0);
  close(file);
}

// Whoever imports is charged for it, as often as he does: nobody collects memory in the name of the dead.
TEST_F(ImportTest, EachImportCountsAgainstTheConnectionAndIsRefunded) {
  const auto held = [&]() -> uint64_t {
    uint64_t most = 0;
    for (const npu_client_info& row : taker_->query<npu_client_info>(NPU_QUERY_CLIENTS)) {
      most = std::max<uint64_t>(most, row.hbm_bytes);
    }
    return most;
  };
  const npu_bo_create bo = maker_->bo_create(64 << 20, NPU_REGION_HBM);
  const int file = file_of(*maker_, bo.map_token);
  std::vector<uint32_t> handles;
  npu_bo_info info{};
  // The object lives on in its first import; a file that nobody holds any more is one like others.
  ASSERT_EQ(import(*taker_, file, &info), 0);
  handles.push_back(info.handle);
  maker_->close();
  // 256 MiB of HBM: a connection may hold all of it, and an import counts in full.
  int err = 0;
  while ((err = import(*taker_, file, &info)) == 0 && info.region == NPU_REGION_HBM &&
         handles.size() < 100) {
    handles.push_back(info.handle);
  }
  EXPECT_EQ(err, EDQUOT);
  EXPECT_GE(handles.size(), 3u);
  EXPECT_LE(handles.size(), 4u);
  EXPECT_GE(held(), handles.size() * (64ull << 20));
  for (const uint32_t handle : handles) {
    npu_wire_bo_close args{handle, 0};
    ASSERT_EQ(taker_->call(NPU_WIRE_BO_CLOSE, &args), 0);
  }
  for (int i = 0; i < 5000 && held() != 0; i++) usleep(1000);  // the maker may still be ending
  EXPECT_EQ(held(), 0u);
  close(file);
}

}  // namespace
}  // namespace npu::model::test
