// SPDX-License-Identifier: Apache-2.0
// Every function that takes a handle, with NULL, stale, foreign and random ones.
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

struct Call {
  const char* name;
  std::function<npuResult(void* handle)> call;
};

template <typename T>
T as(void* handle) {
  return reinterpret_cast<T>(handle);
}

class HandleTest : public DeviceTest {
 protected:
  // Calls whose first handle is put in; the other arguments are good.
  std::vector<Call> calls_of_device() {
    return {
        {"npuDeviceGetInfo",
         [&](void* h) { return npuDeviceGetInfo(as<npuDevice>(h), &device_info_); }},
        {"npuContextCreate",
         [&](void* h) { return npuContextCreate(as<npuDevice>(h), &context_out_); }},
        {"npuDeviceClose", [](void* h) { return npuDeviceClose(as<npuDevice>(h)); }},
    };
  }
  std::vector<Call> calls_of_context() {
    return {
        {"npuMemAlloc",
         [&](void* h) { return npuMemAlloc(as<npuContext>(h), NPU_MEM_DEVICE, 64, &ptr_out_); }},
        {"npuMemFree", [&](void* h) { return npuMemFree(as<npuContext>(h), 4096); }},
        {"npuMemMap", [&](void* h) { return npuMemMap(as<npuContext>(h), 4096, 1, &host_out_); }},
        {"npuMemQuery", [&](void* h) { return npuMemQuery(as<npuContext>(h), 4096, &mem_info_); }},
        {"npuMemGetInfo",
         [&](void* h) { return npuMemGetInfo(as<npuContext>(h), &number_, &number_); }},
        {"npuMemCopyToDevice",
         [&](void* h) { return npuMemCopyToDevice(as<npuContext>(h), 4096, &number_, 8); }},
        {"npuMemCopyToHost",
         [&](void* h) { return npuMemCopyToHost(as<npuContext>(h), &number_, 4096, 8); }},
        {"npuModuleLoad",
         [&](void* h) {
           return npuModuleLoad(as<npuContext>(h), blob_path().c_str(), &module_out_);
         }},
        {"npuModuleLoadData",
         [&](void* h) { return npuModuleLoadData(as<npuContext>(h), "x", 1, &module_out_); }},
        {"npuQueueCreate",
         [&](void* h) { return npuQueueCreate(as<npuContext>(h), nullptr, &queue_out_); }},
        {"npuEventCreate", [&](void* h) { return npuEventCreate(as<npuContext>(h), &event_out_); }},
        {"npuContextDestroy", [](void* h) { return npuContextDestroy(as<npuContext>(h)); }},
    };
  }
  std::vector<Call> calls_of_queue() {
    return {
        {"npuQueueLaunch",
         [&](void* h) {
           return npuQueueLaunch(as<npuQueue>(h), kernel_, &launch_info_, &number_);
         }},
        {"npuQueueCopy",
         [&](void* h) { return npuQueueCopy(as<npuQueue>(h), 4096, 8192, 8, &number_); }},
        {"npuQueueCopyStrided",
         [&](void* h) { return npuQueueCopyStrided(as<npuQueue>(h), &copy_info_, &number_); }},
        {"npuQueueFill",
         [&](void* h) { return npuQueueFill(as<npuQueue>(h), 4096, 0, 1, 8, &number_); }},
        {"npuQueueWaitQueue",
         [&](void* h) { return npuQueueWaitQueue(as<npuQueue>(h), queue_, 0, &number_); }},
        {"npuQueueWaitQueue.other",
         [&](void* h) { return npuQueueWaitQueue(queue_, as<npuQueue>(h), 0, &number_); }},
        {"npuQueueSignal",
         [&](void* h) { return npuQueueSignal(as<npuQueue>(h), 4096, 0, &number_); }},
        {"npuQueueWaitSemaphore",
         [&](void* h) { return npuQueueWaitSemaphore(as<npuQueue>(h), 4096, 0, &number_); }},
        {"npuQueueGetCompleted",
         [&](void* h) { return npuQueueGetCompleted(as<npuQueue>(h), &number_); }},
        {"npuQueueGetSubmitted",
         [&](void* h) { return npuQueueGetSubmitted(as<npuQueue>(h), &number_); }},
        {"npuQueueWait", [](void* h) { return npuQueueWait(as<npuQueue>(h), 0, 0); }},
        {"npuQueueSync", [](void* h) { return npuQueueSync(as<npuQueue>(h), 0); }},
        {"npuQueueGetTiming",
         [&](void* h) { return npuQueueGetTiming(as<npuQueue>(h), 1, &timing_); }},
        {"npuQueueGetFaults",
         [&](void* h) { return npuQueueGetFaults(as<npuQueue>(h), &count_, nullptr); }},
        {"npuQueueReset", [](void* h) { return npuQueueReset(as<npuQueue>(h), 0); }},
        {"npuEventRecord.queue", [&](void* h) { return npuEventRecord(event_, as<npuQueue>(h)); }},
        {"npuQueueWaitEvent", [&](void* h) { return npuQueueWaitEvent(as<npuQueue>(h), event_); }},
        {"npuQueueDestroy", [](void* h) { return npuQueueDestroy(as<npuQueue>(h)); }},
    };
  }
  std::vector<Call> calls_of_event() {
    return {
        {"npuEventRecord", [&](void* h) { return npuEventRecord(as<npuEvent>(h), queue_); }},
        {"npuEventQuery", [](void* h) { return npuEventQuery(as<npuEvent>(h)); }},
        {"npuEventWait", [](void* h) { return npuEventWait(as<npuEvent>(h), 0); }},
        {"npuQueueWaitEvent", [&](void* h) { return npuQueueWaitEvent(queue_, as<npuEvent>(h)); }},
        {"npuEventGetElapsed",
         [&](void* h) { return npuEventGetElapsed(as<npuEvent>(h), event_, &number_); }},
        {"npuEventGetElapsed.end",
         [&](void* h) { return npuEventGetElapsed(event_, as<npuEvent>(h), &number_); }},
        {"npuEventDestroy", [](void* h) { return npuEventDestroy(as<npuEvent>(h)); }},
    };
  }
  std::vector<Call> calls_of_module() {
    return {
        {"npuModuleGetKernel",
         [&](void* h) { return npuModuleGetKernel(as<npuModule>(h), "null", &kernel_out_); }},
        {"npuModuleGetKernelCount",
         [&](void* h) { return npuModuleGetKernelCount(as<npuModule>(h), &count_); }},
        {"npuModuleGetKernelAt",
         [&](void* h) { return npuModuleGetKernelAt(as<npuModule>(h), 0, &kernel_out_); }},
        {"npuModuleUnload", [](void* h) { return npuModuleUnload(as<npuModule>(h)); }},
    };
  }
  std::vector<Call> calls_of_kernel() {
    return {
        {"npuKernelGetInfo",
         [&](void* h) { return npuKernelGetInfo(as<npuKernel>(h), &kernel_info_); }},
        {"npuKernelGetArg",
         [&](void* h) { return npuKernelGetArg(as<npuKernel>(h), 0, &arg_info_); }},
        {"npuQueueLaunch",
         [&](void* h) {
           return npuQueueLaunch(queue_, as<npuKernel>(h), &launch_info_, &number_);
         }},
    };
  }

  void SetUp() override {
    DeviceTest::SetUp();
    kernel_ = kernel("null");
    ASSERT_NPU(NPU_OK, npuEventCreate(context_, &event_));
    launch_info_.struct_size = sizeof launch_info_;
    launch_info_.grid_x = launch_info_.grid_y = launch_info_.grid_z = 1;
    copy_info_.struct_size = sizeof copy_info_;
    device_info_.struct_size = sizeof device_info_;
    mem_info_.struct_size = sizeof mem_info_;
    timing_.struct_size = sizeof timing_;
    kernel_info_.struct_size = sizeof kernel_info_;
    arg_info_.struct_size = sizeof arg_info_;
  }

  static bool is_destroy(const std::string& name) {
    return name.find("Destroy") != std::string::npos || name.find("Close") != std::string::npos ||
           name.find("Unload") != std::string::npos;
  }

  // |stale|: a handle of the right kind that was destroyed; |foreign|: a live one of another kind.
  void check(const std::vector<Call>& calls, void* stale, void* foreign) {
    std::mt19937_64 random(20);
    for (const Call& call : calls) {
      EXPECT_NPU(is_destroy(call.name) ? NPU_OK : NPU_ERROR_INVALID_HANDLE, call.call(nullptr))
          << call.name;
      EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call.call(stale)) << call.name;
      EXPECT_STREQ(last_error().function,
                   std::string(call.name).substr(0, std::string(call.name).find('.')).c_str());
      EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call.call(foreign)) << call.name;
      for (int i = 0; i < 50; i++) {
        const uint64_t noise = random();
        const uint64_t near = reinterpret_cast<uintptr_t>(stale) ^ (uint64_t{1} << (noise % 64));
        EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call.call(reinterpret_cast<void*>(noise)))
            << call.name << " " << noise;
        EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, call.call(reinterpret_cast<void*>(near)))
            << call.name << " " << near;
      }
    }
  }

  npuKernel kernel_ = nullptr;
  npuEvent event_ = nullptr;
  npuLaunchInfo launch_info_{};
  npuCopyInfo copy_info_{};
  npuDeviceInfo device_info_{};
  npuMemInfo mem_info_{};
  npuTiming timing_{};
  npuKernelInfo kernel_info_{};
  npuArgInfo arg_info_{};
  npuContext context_out_ = nullptr;
  npuQueue queue_out_ = nullptr;
  npuEvent event_out_ = nullptr;
  npuModule module_out_ = nullptr;
  npuKernel kernel_out_ = nullptr;
  npuDevPtr ptr_out_ = 0;
  void* host_out_ = nullptr;
  uint64_t number_ = 0;
  uint32_t count_ = 0;
};

TEST_F(HandleTest, OfDevices) {
  npuDevice stale = nullptr;
  ASSERT_NPU(NPU_OK, npuDeviceOpen(nullptr, &stale));
  ASSERT_NPU(NPU_OK, npuDeviceClose(stale));
  check(calls_of_device(), stale, context_);
}

TEST_F(HandleTest, OfContexts) {
  npuContext stale = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &stale));
  ASSERT_NPU(NPU_OK, npuContextDestroy(stale));
  check(calls_of_context(), stale, device_);
}

TEST_F(HandleTest, OfQueues) {
  npuQueue stale = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueDestroy(stale));
  check(calls_of_queue(), stale, event_);
}

TEST_F(HandleTest, OfEvents) {
  npuEvent stale = nullptr;
  ASSERT_NPU(NPU_OK, npuEventCreate(context_, &stale));
  ASSERT_NPU(NPU_OK, npuEventDestroy(stale));
  check(calls_of_event(), stale, queue_);
}

TEST_F(HandleTest, OfModulesAndKernels) {
  npuModule stale = nullptr;
  npuKernel stale_kernel = nullptr;
  ASSERT_NPU(NPU_OK, npuModuleLoad(context_, blob_path().c_str(), &stale));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(stale, "null", &stale_kernel));
  ASSERT_NPU(NPU_OK, npuModuleUnload(stale));
  check(calls_of_module(), stale, kernel_);
  check(calls_of_kernel(), stale_kernel, module_);
}

TEST_F(HandleTest, DestroyingTheContextMakesAllInItStale) {
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuEvent event = nullptr;
  npuModule module = nullptr;
  npuKernel kernel = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &context));
  ASSERT_NPU(NPU_OK, npuQueueCreate(context, nullptr, &queue));
  ASSERT_NPU(NPU_OK, npuEventCreate(context, &event));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue));
  ASSERT_NPU(NPU_OK, npuModuleLoad(context, blob_path().c_str(), &module));
  ASSERT_NPU(NPU_OK, npuModuleGetKernelAt(module, 0, &kernel));
  ASSERT_NPU(NPU_OK, npuContextDestroy(context));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuQueueSync(queue, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuEventQuery(event));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuModuleUnload(module));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuKernelGetInfo(kernel, &kernel_info_));
}

TEST_F(HandleTest, OutputsAreWrittenOnFailure) {
  queue_out_ = queue_;
  EXPECT_EQ(npuQueueCreate(nullptr, nullptr, &queue_out_), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(queue_out_, nullptr);
  ptr_out_ = 5;
  EXPECT_EQ(npuMemAlloc(context_, NPU_MEM_DEVICE, 0, &ptr_out_), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(ptr_out_, 0u);
  number_ = 5;
  EXPECT_EQ(npuQueueFill(queue_, 0, 0, 3, 8, &number_), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(number_, 0u);
}

// All HBM is free at the end of the test.
TEST_F(HandleTest, AModuleThatIsLoadedWhileItsContextEndsLeavesNothing) {
  for (int round = 0; round < 100; round++) {
    npuContext context = nullptr;
    ASSERT_NPU(NPU_OK, npuContextCreate(device_, &context));
    std::atomic<bool> started{false};
    std::thread loader([&] {
      npuModule module = nullptr;
      started = true;
      const npuResult result = npuModuleLoad(context, blob_path().c_str(), &module);
      EXPECT_TRUE(result == NPU_OK || result == NPU_ERROR_INVALID_HANDLE) << explain(result);
    });
    while (!started) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(round * 10));
    EXPECT_NPU(NPU_OK, npuContextDestroy(context));
    loader.join();
  }
}

}  // namespace
}  // namespace npu::conformance
