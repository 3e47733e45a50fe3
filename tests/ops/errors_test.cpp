// SPDX-License-Identifier: Apache-2.0
// Wrong input to libnpuops: handles, blobs, indices. Checks of info structs are in tests/unit/kernels/plan_test.cpp.
#include <npu/npu_ops_train.h>

#include <cstdlib>
#include <cstring>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

using Errors = Session;

TEST_F(Errors, HandlesThatAreNotOnesAreRefused) {
  auto g = blank<npuOpsGemmInfo>();
  uint64_t value = 99;
  EXPECT_EQ(npuOpsGemm(nullptr, queue_, &g, &value), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(value, 0u);
  EXPECT_EQ(
      npuOpsGemm(reinterpret_cast<npuOps>(uintptr_t{0x1234567890abcdef}), queue_, &g, nullptr),
      NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuOpsGemm(ops_, nullptr, &g, nullptr), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuOpsGemm(ops_, queue_, nullptr, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  npuOps other = nullptr;
  NPU_ASSERT_OK(npuOpsCreate(context_, nullptr, &other));
  NPU_ASSERT_OK(npuOpsDestroy(other));
  EXPECT_EQ(npuOpsDestroy(other), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuOpsGemm(other, queue_, &g, nullptr), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuOpsDestroy(nullptr), NPU_OK);
  EXPECT_STRNE(npuOpsGetErrorText(), "");
}

TEST_F(Errors, TheTextIsOfTheLastFailingCallWhoeverFoundTheMistake) {
  auto g = blank<npuOpsGemmInfo>();
  EXPECT_EQ(npuOpsGemm(nullptr, queue_, &g, nullptr), NPU_ERROR_INVALID_HANDLE);
  EXPECT_NE(std::strstr(npuOpsGetErrorText(), "npuOpsCreate"), nullptr);
  EXPECT_EQ(npuOpsGemm(ops_, nullptr, &g, nullptr), NPU_ERROR_INVALID_HANDLE);
  EXPECT_STREQ(npuOpsGetErrorText(), "npuQueueLaunch: queue is NULL");
  npuOps ops = nullptr;
  EXPECT_EQ(npuOpsCreate(context_, "/does/not/exist.nfw", &ops), NPU_ERROR_FILE);
  EXPECT_NE(std::strstr(npuOpsGetErrorText(), "/does/not/exist.nfw"), nullptr);
}

TEST_F(Errors, ABlobOfOtherKernelsIsRefused) {
  npuOps ops = nullptr;
  EXPECT_EQ(npuOpsCreate(context_, NPU_TEST_OTHER_BLOB, &ops), NPU_ERROR_NOT_FOUND);
  EXPECT_EQ(ops, nullptr);
  EXPECT_NE(std::strstr(npuOpsGetErrorText(), "holds other kernels"), nullptr)
      << npuOpsGetErrorText();
}

TEST_F(Errors, AHandleThatOutlivesItsContextIsHarmless) {
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuOps ops = nullptr;
  NPU_ASSERT_OK(npuContextCreate(device_, &context));
  NPU_ASSERT_OK(npuQueueCreate(context, nullptr, &queue));
  NPU_ASSERT_OK(npuOpsCreate(context, nullptr, &ops));
  NPU_ASSERT_OK(npuContextDestroy(context));
  auto g = blank<npuOpsGemmInfo>();
  EXPECT_EQ(npuOpsGemm(ops, queue, &g, nullptr), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuOpsGemm(ops, queue_, &g, nullptr), NPU_ERROR_INVALID_HANDLE);
  NPU_EXPECT_OK(npuOpsDestroy(ops));
}

TEST_F(Errors, ABlobThatIsNotThereIsAFileError) {
  npuOps ops = reinterpret_cast<npuOps>(uintptr_t{1});
  EXPECT_EQ(npuOpsCreate(context_, "/does/not/exist.nfw", &ops), NPU_ERROR_FILE);
  EXPECT_EQ(ops, nullptr);
  EXPECT_EQ(npuOpsCreate(context_, nullptr, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuOpsCreate(nullptr, nullptr, &ops), NPU_ERROR_INVALID_HANDLE);
}

TEST_F(Errors, AnIndexOutsideTheTableStopsTheQueueAndIsReported) {
  auto r = blank<npuOpsRowsInfo>();
  r.count = 1, r.cols = 8, r.table_rows = 4;
  r.x = alloc(4 * 8 * 4), r.y = alloc(8 * 4), r.indices = put_i32({4});
  NPU_ASSERT_OK(npuOpsGather(ops_, queue_, &r, nullptr));
  EXPECT_EQ(npuQueueSync(queue_, 60'000'000'000), NPU_ERROR_KERNEL_BOUNDS);
  npuFault fault{};
  fault.struct_size = sizeof(fault);
  uint32_t count = 1;
  NPU_ASSERT_OK(npuQueueGetFaults(queue_, &count, &fault));
  ASSERT_EQ(count, 1u);
  EXPECT_STREQ(fault.kernel, "gather_f32_f32");
  NPU_ASSERT_OK(npuQueueReset(queue_, 60'000'000'000));
  npuDevPtr good = put_i32({3});
  r.indices = good;
  NPU_ASSERT_OK(npuOpsGather(ops_, queue_, &r, nullptr));
  finish();
}

TEST_F(Errors, AnAddressOfNobodyFaultsTheQueueNotTheProcess) {
  auto g = blank<npuOpsGemmInfo>();
  g.m = g.n = g.k = 16, g.alpha = 1;
  g.a = g.b = uint64_t{1} << 46;
  g.d = alloc(16 * 16 * 4);
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
  EXPECT_EQ(npuQueueSync(queue_, 60'000'000'000), NPU_ERROR_VM_FAULT);
}

TEST(Check, AReservedMemberHasItsOwnError) {
  auto s = blank<npuOpsSoftmaxInfo>();
  s.reserved = 1;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_SOFTMAX, &s), NPU_ERROR_RESERVED_NOT_ZERO);
  auto n = blank<npuOpsNormInfo>();
  n.reserved = 1;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_RMS_NORM, &n), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(npuOpsCheck(NPU_OPS_LAYER_NORM, &n), NPU_ERROR_RESERVED_NOT_ZERO);
  auto t = blank<npuOpsAttentionInfo>();
  t.reserved = 1;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_ATTENTION, &t), NPU_ERROR_RESERVED_NOT_ZERO);
}

TEST(Check, PackedBytesAreRefusedWhereThePackingIs) {
  auto g = blank<npuOpsGemmPackInfo>();
  g.n = g.k = 16, g.b = g.packed = 64;
  const auto both = [&] {
    uint64_t bytes = 99;
    const npuResult result = npuOpsGemmGetPackedBytes(&g, &bytes);
    EXPECT_EQ(result, npuOpsCheck(NPU_OPS_GEMM_PACK_B, &g)) << npuOpsGetErrorText();
    EXPECT_EQ(bytes, result == NPU_OK ? 1024u : 0u);
    return result;
  };
  EXPECT_EQ(both(), NPU_OK);
  g.form = NPU_OPS_PACKED;
  EXPECT_EQ(both(), NPU_ERROR_INVALID_ARGUMENT);
  g.form = NPU_OPS_PLAIN;
  g.n = g.k = INT32_MAX;
  EXPECT_EQ(both(), NPU_ERROR_OVERFLOW);
  EXPECT_NE(std::strstr(npuOpsGetErrorText(), "16 k"), nullptr) << npuOpsGetErrorText();
}

TEST(Check, NeedsNoDevice) {
  npuOpsGemmInfo g = blank<npuOpsGemmInfo>();
  g.m = g.n = g.k = 4, g.alpha = 1;
  g.a = g.b = g.d = 64;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM, &g), NPU_OK);
  g.type = NPU_INT64;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_GEMM, &g), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(npuOpsCheck(-1, &g), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuOpsCheck(14, &g), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuOpsCheck(NPU_OPS_TENSOR_KIND_END, &g), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuOpsCheck(NPU_OPS_TRAIN_KIND_END, &g), NPU_ERROR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace npu::test
