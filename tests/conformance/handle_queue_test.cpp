// SPDX-License-Identifier: Apache-2.0
// Batches, prepared launches, semaphores and graphs with NULL, stale, foreign and random handles, in every place where a handle stands.
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

using Calls = std::vector<std::pair<const char*, std::function<npuResult(void*)>>>;

template <typename T>
T as(void* handle) {
  return reinterpret_cast<T>(handle);
}

class HandleQueueTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    null_ = kernel("null");
    info_.struct_size = sizeof info_;
    info_.grid_x = info_.grid_y = info_.grid_z = 1;
    copy_.struct_size = sizeof copy_;
    timing_.struct_size = sizeof timing_;
    std::memset(&command_, 0, sizeof command_);
    command_.struct_size = sizeof command_;
    command_.kind = NPU_COMMAND_LAUNCH;
    command_.as.launch.info = &info_;
    ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph_));
    ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph_, &exec_));
    ASSERT_NPU(NPU_OK, npuLaunchPrepare(null_, &info_, &prepared_));
  }
  static void nothing(npuResult, void*) {}
  npuResult batch_with(void* handle) {
    npuCommand command = command_;
    command.as.launch.kernel = as<npuKernel>(handle);
    return npuSubmitBatch(queue_, 1, &command, &number_);
  }
  npuResult wait_with(void* handle) {
    const npuWaitItem items[2] = {{queue_, 0}, {as<npuQueue>(handle), 0}};
    return npuWaitMany(2, items, NPU_WAIT_ALL, 0, nullptr);
  }
  // |stale| was of the right kind, |foreign| lives and is of another.
  void check(const Calls& calls, void* stale, void* foreign) {
    std::mt19937_64 random(21);
    for (const auto& [name, call] : calls) {
      const bool destroys = std::string(name).find("Destroy") != std::string::npos;
      EXPECT_NPU(destroys ? NPU_OK : NPU_ERROR_INVALID_HANDLE, call(nullptr)) << name;
      EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call(stale)) << name;
      EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call(foreign)) << name;
      for (int i = 0; i < 50; i++) {
        const uint64_t noise = random();
        const uint64_t near = reinterpret_cast<uintptr_t>(stale) ^ (uint64_t{1} << (noise % 64));
        EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call(reinterpret_cast<void*>(noise))) << name;
        EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call(reinterpret_cast<void*>(near))) << name;
      }
    }
  }

  npuKernel null_ = nullptr;
  npuGraph graph_ = nullptr;
  npuGraphExec exec_ = nullptr;
  npuPreparedLaunch prepared_ = nullptr;
  npuLaunchInfo info_{};
  npuCopyInfo copy_{};
  npuTiming timing_{};
  npuCommand command_;
  uint64_t number_ = 0;
  uint32_t count_ = 0;
  int fd_ = -1;
};

TEST_F(HandleQueueTest, OfContextsQueuesAndKernels) {
  npuContext stale_context = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &stale_context));
  ASSERT_NPU(NPU_OK, npuContextDestroy(stale_context));
  npuGraph graph = nullptr;
  npuSemaphore semaphore = nullptr;
  check({{"npuGraphCreate", [&](void* h) { return npuGraphCreate(as<npuContext>(h), &graph); }},
         {"npuSemaphoreCreate",
          [&](void* h) { return npuSemaphoreCreate(as<npuContext>(h), 0, &semaphore); }},
         {"npuSemaphoreCreateShared",
          [&](void* h) { return npuSemaphoreCreateShared(as<npuContext>(h), 0, &semaphore); }},
         {"npuSemaphoreImportFd",
          [&](void* h) { return npuSemaphoreImportFd(as<npuContext>(h), 0, &semaphore); }}},
        stale_context, queue_);
  npuQueue stale = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueDestroy(stale));
  check(
      {{"npuSubmitBatch",
        [&](void* h) { return npuSubmitBatch(as<npuQueue>(h), 1, &command_, &number_); }},
       {"npuQueueLaunchPrepared",
        [&](void* h) { return npuQueueLaunchPrepared(as<npuQueue>(h), prepared_, &number_); }},
       {"npuQueueCallHost",
        [&](void* h) { return npuQueueCallHost(as<npuQueue>(h), nothing, nullptr, &number_); }},
       {"npuWaitMany", [&](void* h) { return wait_with(h); }},
       {"npuQueueGetFd", [&](void* h) { return npuQueueGetFd(as<npuQueue>(h), 0, &fd_); }},
       {"npuQueueBeginCapture", [&](void* h) { return npuQueueBeginCapture(as<npuQueue>(h)); }},
       {"npuQueueEndCapture", [&](void* h) { return npuQueueEndCapture(as<npuQueue>(h), &graph); }},
       {"npuQueueIsCapturing",
        [&](void* h) { return npuQueueIsCapturing(as<npuQueue>(h), &count_); }},
       {"npuGraphLaunch",
        [&](void* h) { return npuGraphLaunch(exec_, as<npuQueue>(h), &number_); }}},
      stale, context_);
  npuModule module = nullptr;
  npuKernel stale_kernel = nullptr;
  npuPreparedLaunch prepared = nullptr;
  ASSERT_NPU(NPU_OK, npuModuleLoad(context_, blob_path().c_str(), &module));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(module, "null", &stale_kernel));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module));
  check({{"npuSubmitBatch", [&](void* h) { return batch_with(h); }},
         {"npuLaunchPrepare",
          [&](void* h) { return npuLaunchPrepare(as<npuKernel>(h), &info_, &prepared); }},
         {"npuGraphAddKernel",
          [&](void* h) {
            return npuGraphAddKernel(graph_, 0, nullptr, as<npuKernel>(h), &info_, &count_);
          }}},
        stale_kernel, module_);
}

TEST_F(HandleQueueTest, OfPreparedLaunchesAndSemaphores) {
  npuPreparedLaunch stale = nullptr;
  ASSERT_NPU(NPU_OK, npuLaunchPrepare(null_, &info_, &stale));
  ASSERT_NPU(NPU_OK, npuPreparedLaunchDestroy(stale));
  check({{"npuPreparedLaunchSetArgs",
          [&](void* h) {
            return npuPreparedLaunchSetArgs(as<npuPreparedLaunch>(h), 0, &number_, 0);
          }},
         {"npuQueueLaunchPrepared",
          [&](void* h) {
            return npuQueueLaunchPrepared(queue_, as<npuPreparedLaunch>(h), &number_);
          }},
         {"npuPreparedLaunchDestroy",
          [](void* h) { return npuPreparedLaunchDestroy(as<npuPreparedLaunch>(h)); }}},
        stale, null_);
  npuSemaphore semaphore = nullptr;
  ASSERT_NPU(NPU_OK, npuSemaphoreCreate(context_, 0, &semaphore));
  ASSERT_NPU(NPU_OK, npuSemaphoreDestroy(semaphore));
  check({{"npuSemaphoreExportFd",
          [&](void* h) { return npuSemaphoreExportFd(as<npuSemaphore>(h), &fd_); }},
         {"npuSemaphoreGetAddress",
          [&](void* h) { return npuSemaphoreGetAddress(as<npuSemaphore>(h), &number_); }},
         {"npuSemaphoreSignal", [](void* h) { return npuSemaphoreSignal(as<npuSemaphore>(h), 1); }},
         {"npuSemaphoreWait", [](void* h) { return npuSemaphoreWait(as<npuSemaphore>(h), 0, 0); }},
         {"npuSemaphoreQuery",
          [&](void* h) { return npuSemaphoreQuery(as<npuSemaphore>(h), &number_); }},
         {"npuSemaphoreDestroy", [](void* h) { return npuSemaphoreDestroy(as<npuSemaphore>(h)); }}},
        semaphore, prepared_);
}

TEST_F(HandleQueueTest, OfGraphs) {
  npuGraph stale = nullptr;
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &stale));
  ASSERT_NPU(NPU_OK, npuGraphDestroy(stale));
  npuGraphExec exec = nullptr;
  const npuDevPtr at = alloc(64);
  check(
      {{"npuGraphAddKernel",
        [&](void* h) {
          return npuGraphAddKernel(as<npuGraph>(h), 0, nullptr, null_, &info_, &count_);
        }},
       {"npuGraphAddCopy",
        [&](void* h) { return npuGraphAddCopy(as<npuGraph>(h), 0, nullptr, &copy_, &count_); }},
       {"npuGraphAddFill",
        [&](void* h) {
          return npuGraphAddFill(as<npuGraph>(h), 0, nullptr, at, 0, 4, 4, &count_);
        }},
       {"npuGraphAddSignal",
        [&](void* h) { return npuGraphAddSignal(as<npuGraph>(h), 0, nullptr, at, 1, &count_); }},
       {"npuGraphAddWaitSemaphore",
        [&](void* h) {
          return npuGraphAddWaitSemaphore(as<npuGraph>(h), 0, nullptr, at, 1, &count_);
        }},
       {"npuGraphAddHostFunction",
        [&](void* h) {
          return npuGraphAddHostFunction(as<npuGraph>(h), 0, nullptr, nothing, nullptr, &count_);
        }},
       {"npuGraphAddChild",
        [&](void* h) { return npuGraphAddChild(as<npuGraph>(h), 0, nullptr, graph_, &count_); }},
       {"npuGraphAddChild.child",
        [&](void* h) { return npuGraphAddChild(graph_, 0, nullptr, as<npuGraph>(h), &count_); }},
       {"npuGraphGetNodeCount",
        [&](void* h) { return npuGraphGetNodeCount(as<npuGraph>(h), &count_); }},
       {"npuGraphInstantiate",
        [&](void* h) { return npuGraphInstantiate(as<npuGraph>(h), &exec); }},
       {"npuGraphDump",
        [&](void* h) { return npuGraphDump(as<npuGraph>(h), NPU_GRAPH_JSON, &number_, nullptr); }},
       {"npuGraphDestroy", [](void* h) { return npuGraphDestroy(as<npuGraph>(h)); }}},
      stale, exec_);
}

TEST_F(HandleQueueTest, OfExecutableGraphs) {
  npuGraphExec stale = nullptr;
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph_, &stale));
  ASSERT_NPU(NPU_OK, npuGraphExecDestroy(stale));
  npuCommand command = command_;
  command.as.launch.kernel = null_;
  check(
      {{"npuGraphExecSetKernelArgs",
        [&](void* h) { return npuGraphExecSetKernelArgs(as<npuGraphExec>(h), 1, 0, &number_, 0); }},
       {"npuGraphExecUpdateNode",
        [&](void* h) { return npuGraphExecUpdateNode(as<npuGraphExec>(h), 1, &command); }},
       {"npuGraphLaunch",
        [&](void* h) { return npuGraphLaunch(as<npuGraphExec>(h), queue_, &number_); }},
       {"npuGraphExecGetNodeTiming",
        [&](void* h) { return npuGraphExecGetNodeTiming(as<npuGraphExec>(h), 1, &timing_); }},
       {"npuGraphExecGetFault",
        [&](void* h) { return npuGraphExecGetFault(as<npuGraphExec>(h), &count_, nullptr); }},
       {"npuGraphExecDestroy", [](void* h) { return npuGraphExecDestroy(as<npuGraphExec>(h)); }}},
      stale, graph_);
}

TEST_F(HandleQueueTest, TheEndOfTheContextMakesAllStale) {
  npuSemaphore semaphore = nullptr;
  ASSERT_NPU(NPU_OK, npuSemaphoreCreate(context_, 0, &semaphore));
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, npuGraphLaunch(exec_, queue_, nullptr));
  ASSERT_NPU(NPU_OK, npuContextDestroy(context_));
  context_ = nullptr;
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuSemaphoreSignal(semaphore, 1));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuGraphGetNodeCount(graph_, &count_));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuGraphExecGetFault(exec_, &count_, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuPreparedLaunchDestroy(prepared_));
}

}  // namespace
}  // namespace npu::conformance
