// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/world.h"

#include <chrono>

namespace npu::test {

std::string why() {
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  return std::string(npuCclGetErrorText()) + " | " + info.text;
}

npuCclCommInfo make_info(uint64_t chunk_bytes, uint32_t op_timeout_ms) {
  npuCclCommInfo info{};
  info.struct_size = sizeof(info);
  info.chunk_bytes = chunk_bytes;
  info.op_timeout_ms = op_timeout_ms;
  return info;
}

npuResult make_arena(RankEnd* end, uint64_t bytes) {
  end->arena_bytes = bytes;
  return npuMemAlloc(end->context, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, bytes, &end->arena);
}

void World::register_windows(uint64_t bytes) {
  for (RankEnd& end : ends_) CCL_ASSERT_OK(make_arena(&end, bytes));
  CCL_ASSERT_OK(group([&](uint32_t r) {
    return npuCclCommWindowRegister(ends_[r].comm, ends_[r].arena, bytes, 0, &ends_[r].window);
  }));
}

// Memory that work was using when it was freed goes with the next call that looks for such memory.
static bool gives_back_imports(npuContext context) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    npuDevPtr any = 0;
    npuMemStats stats{};
    stats.struct_size = sizeof(stats);
    CCL_EXPECT_OK(npuMemAlloc(context, NPU_MEM_DEVICE, 256, &any));
    CCL_EXPECT_OK(npuMemFree(context, any));
    CCL_EXPECT_OK(npuMemGetStats(context, &stats));
    if (stats.device[NPU_MEM_USE_IMPORTS].objects + stats.host[NPU_MEM_USE_IMPORTS].objects == 0) {
      return true;
    }
    std::this_thread::yield();
  }
  return false;
}

World::World(uint32_t ranks, const npuCclCommInfo& info) : ends_(ranks) {
  CCL_EXPECT_OK(npuInit());
  uint32_t count = 0;
  CCL_EXPECT_OK(npuDeviceGetCount(&count));
  devices_.resize(count);
  for (uint32_t i = 0; i < count; i++) {
    CCL_EXPECT_OK(npuDeviceOpen(std::to_string(i).c_str(), &devices_[i]));
  }
  npuCclId id;
  CCL_EXPECT_OK(npuCclGetId(&id));
  CCL_EXPECT_OK(npuCclGroupStart());
  for (uint32_t r = 0; r < ranks; r++) {
    CCL_EXPECT_OK(npuContextCreate(devices_[r % count], &ends_[r].context));
    CCL_EXPECT_OK(npuQueueCreate(ends_[r].context, nullptr, &ends_[r].queue));
    CCL_EXPECT_OK(npuCclCommCreate(&id, ranks, r, ends_[r].context, &info, &ends_[r].comm));
  }
  CCL_EXPECT_OK(npuCclGroupEnd());
}

World::~World() {
  for (RankEnd& end : ends_) npuCclCommDestroy(end.comm);
  for (RankEnd& end : ends_) {
    npuQueueDestroy(end.queue);
    npuMemFree(end.context, end.arena);
    EXPECT_TRUE(gives_back_imports(end.context));
    uint64_t limit = 0, queues = 0;
    CCL_EXPECT_OK(npuContextGetLimit(end.context, NPU_LIMIT_QUEUES, &limit, &queues));
    EXPECT_LE(queues, 1u);  // that libnpu loads modules with
    CCL_EXPECT_OK(npuContextDestroy(end.context));
  }
  for (npuDevice device : devices_) CCL_EXPECT_OK(npuDeviceClose(device));
  CCL_EXPECT_OK(npuShutdown());
}

npuResult World::group(const std::function<npuResult(uint32_t rank)>& body) {
  npuResult first = npuCclGroupStart();
  for (uint32_t rank = 0; rank < size(); rank++) {
    const npuResult result = body(rank);
    if (first == NPU_OK) first = result;
  }
  const npuResult result = npuCclGroupEnd();
  return first != NPU_OK ? first : result;
}

void World::threads(const std::function<void(uint32_t rank)>& body) {
  std::vector<std::thread> all;
  for (uint32_t rank = 0; rank < size(); rank++) all.emplace_back(body, rank);
  for (std::thread& thread : all) thread.join();
}

void World::sync() {
  for (uint32_t rank = 0; rank < size(); rank++) {
    CCL_EXPECT_OK(npuQueueSync(ends_[rank].queue, kLongNs))
        << "rank " << rank << ": " << failure(rank).text;
  }
}

npuDevPtr World::alloc(uint32_t rank, uint64_t bytes) {
  npuDevPtr at = 0;
  CCL_EXPECT_OK(npuMemAlloc(ends_[rank].context, NPU_MEM_DEVICE, bytes + 4, &at));
  return at;
}

npuDevPtr World::put(uint32_t rank, const std::vector<uint8_t>& bytes) {
  const npuDevPtr at = alloc(rank, bytes.size());
  CCL_EXPECT_OK(npuMemCopyToDevice(ends_[rank].context, at, bytes.data(), bytes.size()));
  return at;
}

std::vector<uint8_t> World::get(uint32_t rank, npuDevPtr at, uint64_t bytes) {
  std::vector<uint8_t> out(bytes);
  CCL_EXPECT_OK(npuMemCopyToHost(ends_[rank].context, out.data(), at, bytes));
  return out;
}

void World::free(uint32_t rank, npuDevPtr at) {
  CCL_EXPECT_OK(npuMemFree(ends_[rank].context, at));
}

npuCclFailure World::failure(uint32_t rank) {
  npuCclFailure failure{};
  failure.struct_size = sizeof(failure);
  CCL_EXPECT_OK(npuCclCommGetError(ends_[rank].comm, &failure));
  return failure;
}

bool World::wait_failed(uint32_t rank, int64_t timeout_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  npuCclState state = NPU_CCL_INIT;
  while (std::chrono::steady_clock::now() < end) {
    CCL_EXPECT_OK(npuCclCommGetState(ends_[rank].comm, &state));
    if (state == NPU_CCL_FAILED) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace npu::test
