// SPDX-License-Identifier: Apache-2.0
// The validator: a valid struct of every call is accepted; changing one field of it gives the errno that field deserves.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "uapi/npu_validate.h"

namespace {

npu_limits Limits() {
  npu_limits lim{};
  lim.va_end = NPU_VA_USER_END;
  lim.bo_bytes_max = 1ull << 36;
  lim.bind_ops_max = 128;
  lim.wait_conditions_max = 64;
  lim.copy_ops_max = 32;
  lim.copy_syncs_max = 8;
  lim.perf_counters_max = 16;
  lim.ring_log2_min = 7;
  lim.ring_log2_max = 15;
  lim.timeout_ms_default = 10000;
  lim.timeout_ms_max = 60000;
  return lim;
}

template <typename T>
npu_array ArrayOf(unsigned count) {
  return {sizeof(T), count, 0x1000};
}

// What is accepted, and one-field changes with the errno each gives (0: still fine).
template <typename T>
struct Case {
  const char* field;
  int want;
  std::function<void(T&)> change;
};

template <typename T>
using Check = int (*)(const T*, const npu_limits*);

template <typename T>
void RunCases(Check<T> check, const T& good, const std::vector<Case<T>>& cases) {
  const npu_limits lim = Limits();
  EXPECT_EQ(check(&good, &lim), 0) << "the valid struct";
  for (const Case<T>& one : cases) {
    T changed = good;
    one.change(changed);
    EXPECT_EQ(check(&changed, &lim), one.want) << one.field;
  }
}

// Case of one assignment.
#define SET(type, member, value, want)                             \
  Case<type> {                                                     \
#member " = " #value, want, [](type & a) { a.member = value; } \
  }

// The five ways in which an array can be wrong; `limit` elements are the most.
template <typename T>
std::vector<Case<T>> ArrayCases(npu_array T::*array, unsigned limit, bool may_be_empty) {
  return {
      {"stride not a multiple of 8", -EINVAL, [=](T& a) { (a.*array).stride += 4; }},
      {"stride too short", -EINVAL, [=](T& a) { (a.*array).stride = 0; }},
      {"stride longer: a newer caller", 0, [=](T& a) { (a.*array).stride += 8; }},
      {"stride too long", -EINVAL, [=](T& a) { (a.*array).stride = NPU_MAX_STRIDE + 8; }},
      {"ptr misaligned", -EINVAL, [=](T& a) { (a.*array).ptr += 4; }},
      {"as many as allowed", 0, [=](T& a) { (a.*array).count = limit; }},
      {"one too many", -E2BIG, [=](T& a) { (a.*array).count = limit + 1; }},
      {"count = ~0", -E2BIG, [=](T& a) { (a.*array).count = ~0u; }},
      {"empty with a pointer", -EINVAL, [=](T& a) { (a.*array).count = 0; }},
      {"empty", may_be_empty ? 0 : -EINVAL, [=](T& a) { a.*array = npu_array{}; }},
  };
}

template <typename T>
std::vector<Case<T>> operator+(std::vector<Case<T>> a, const std::vector<Case<T>>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Validate, DevQuery) {
  using T = npu_dev_query;
  const T good{NPU_QUERY_METRICS, 0, ArrayOf<npu_metric>(40)};
  RunCases<T>(
      npu_validate_dev_query, good,
      ArrayCases<T>(&T::out, NPU_MAX_QUERY_ELEMS, true) +
          std::vector<Case<T>>{SET(T, type, NPU_QUERY_COUNT, -EINVAL), SET(T, type, ~0u, -EINVAL),
                               SET(T, flags, 1, -EINVAL), SET(T, type, NPU_QUERY_DEVICE, -E2BIG)});
}

TEST(Validate, VmCreate) {
  using T = npu_vm_create;
  RunCases<T>(
      npu_validate_vm_create, {0, 0, 0},
      {SET(T, flags, 1, -EINVAL), SET(T, vm_id, 1, -EINVAL), SET(T, va_end, NPU_PAGE_2M, 0),
       SET(T, va_end, NPU_VA_USER_END, 0), SET(T, va_end, NPU_PAGE_2M + 4096, -EINVAL),
       SET(T, va_end, NPU_VA_USER_END + NPU_PAGE_2M, -EINVAL), SET(T, va_end, ~0ull, -EINVAL)});
}

TEST(Validate, VmDestroy) {
  using T = npu_vm_destroy;
  RunCases<T>(npu_validate_vm_destroy, {1, 0},
              {SET(T, vm_id, 0, -ENOENT), SET(T, pad, 1, -EINVAL)});
}

TEST(Validate, VmBind) {
  using T = npu_vm_bind;
  const T good{1, 0, ArrayOf<npu_bind_op>(2), 0, 0};
  RunCases<T>(npu_validate_vm_bind, good,
              ArrayCases<T>(&T::ops, 128, false) +
                  std::vector<Case<T>>{SET(T, vm_id, 0, -ENOENT), SET(T, flags, 1, -EINVAL),
                                       SET(T, failed_index, 1, -EINVAL), SET(T, pad, 1, -EINVAL)});
}

TEST(Validate, BindMap) {
  using T = npu_bind_op;
  const T good{NPU_BIND_MAP, NPU_BIND_READONLY, 1, 0, 0x10000, 0x100000, 0x20000};
  RunCases<T>(npu_validate_bind_op, good,
              {SET(T, kind, NPU_BIND_KIND_COUNT, -EINVAL),
               SET(T, flags, 4, -EINVAL),
               SET(T, flags, NPU_BIND_EXEC, -EINVAL),
               SET(T, flags, NPU_BIND_EXEC | NPU_BIND_READONLY, 0),
               SET(T, flags, 0, 0),
               SET(T, bo_handle, 0, -ENOENT),
               SET(T, pad, 1, -EINVAL),
               SET(T, bo_offset, 0x10800, -EINVAL),
               SET(T, bo_offset, ~0xfffull, -EINVAL),
               SET(T, bo_offset, 1ull << 36, -EINVAL),
               SET(T, dva, 0x100800, -EINVAL),
               SET(T, dva, 0, -EINVAL),
               SET(T, dva, NPU_VA_MIN - 4096, -EINVAL),
               SET(T, dva, NPU_VA_MIN, 0),
               SET(T, dva, NPU_VA_USER_END, -EINVAL),
               SET(T, dva, NPU_VA_USER_END - 0x20000, 0),
               SET(T, dva, NPU_VA_USER_END - 0x1f000, -EINVAL),
               SET(T, dva, ~0xfffull, -EINVAL),
               SET(T, size_bytes, 0, -EINVAL),
               SET(T, size_bytes, 0x20800, -EINVAL),
               SET(T, size_bytes, ~0xfffull, -EINVAL)});
}

TEST(Validate, BindUnmap) {
  using T = npu_bind_op;
  const T good{NPU_BIND_UNMAP, 0, 0, 0, 0, 0x100000, 0x20000};
  RunCases<T>(npu_validate_bind_op, good,
              {SET(T, flags, NPU_BIND_READONLY, -EINVAL), SET(T, bo_handle, 1, -EINVAL),
               SET(T, bo_offset, 4096, -EINVAL), SET(T, size_bytes, 0, -EINVAL)});
}

TEST(Validate, BindFitsItsObjectAndTheRegionsPages) {
  const npu_bind_op good{NPU_BIND_MAP, 0, 1, 0, 0x10000, 0x100000, 0x20000};
  EXPECT_EQ(npu_validate_bind_bo(&good, NPU_REGION_HBM, 0x30000), 0);
  EXPECT_EQ(npu_validate_bind_bo(&good, NPU_REGION_HBM, 0x2ffff), -EINVAL);
  EXPECT_EQ(npu_validate_bind_bo(&good, NPU_REGION_HBM, 0x8000), -EINVAL);
  for (__u64 npu_bind_op::*member :
       {&npu_bind_op::dva, &npu_bind_op::size_bytes, &npu_bind_op::bo_offset}) {
    npu_bind_op op = good;
    op.*member += 0x1000;
    EXPECT_EQ(npu_validate_bind_bo(&op, NPU_REGION_HBM, 0x100000), -EINVAL);
    EXPECT_EQ(npu_validate_bind_bo(&op, NPU_REGION_SYSTEM, 0x100000), 0);
  }
}

TEST(Validate, VmQuery) {
  using T = npu_vm_query;
  const T good{1, 0, 0, 0, 0, ArrayOf<npu_fault>(4)};
  RunCases<T>(
      npu_validate_vm_query, good,
      ArrayCases<T>(&T::faults, NPU_MAX_FAULTS, true) +
          std::vector<Case<T>>{SET(T, vm_id, 0, -ENOENT), SET(T, state, 1, -EINVAL),
                               SET(T, mapped_bytes, 1, -EINVAL), SET(T, table_bytes, 1, -EINVAL),
                               SET(T, faults_total, 1, -EINVAL)});
}

TEST(Validate, BoCreateHbm) {
  using T = npu_bo_create;
  const T good{1 << 20, NPU_REGION_HBM, 0, NPU_BO_CONTIGUOUS, NPU_CACHING_WC, 0, 21, 0, 0, 0};
  RunCases<T>(npu_validate_bo_create, good,
              {SET(T, size_bytes, 0, -EINVAL),
               SET(T, size_bytes, 1, 0),
               SET(T, size_bytes, 1ull << 36, 0),
               SET(T, size_bytes, (1ull << 36) + 1, -ENOSPC),
               SET(T, size_bytes, ~0ull, -ENOSPC),
               SET(T, region, NPU_REGION_COUNT, -EINVAL),
               SET(T, region_mask, 1, 0),
               SET(T, flags, 0x10, -EINVAL),
               SET(T, flags, NPU_BO_SYNC, -EINVAL),
               SET(T, flags, NPU_BO_HUGE | NPU_BO_NO_MMAP, 0),
               SET(T, caching, NPU_CACHING_WB, -EINVAL),
               SET(T, caching, NPU_CACHING_COUNT, -EINVAL),
               SET(T, vm_id, 7, 0),
               SET(T, align_log2, 12, -EINVAL),
               SET(T, align_log2, 0, 0),
               SET(T, align_log2, 30, 0),
               SET(T, align_log2, 31, -EINVAL),
               SET(T, handle, 1, -EINVAL),
               SET(T, pad, 1, -EINVAL),
               SET(T, map_token, 1, -EINVAL)});
}

TEST(Validate, BoCreateSystem) {
  using T = npu_bo_create;
  const T good{1 << 20, NPU_REGION_SYSTEM, 0, NPU_BO_SYNC, NPU_CACHING_WB, 0, 0, 0, 0, 0};
  RunCases<T>(
      npu_validate_bo_create, good,
      {SET(T, flags, NPU_BO_CONTIGUOUS, -EINVAL), SET(T, flags, NPU_BO_HUGE, -EINVAL),
       SET(T, flags, NPU_BO_SYNC | NPU_BO_NO_MMAP, -EINVAL), SET(T, flags, NPU_BO_NO_MMAP, 0),
       SET(T, align_log2, 16, -EINVAL), SET(T, caching, NPU_CACHING_WC, 0)});
}

TEST(Validate, BoCreateUserptr) {
  using T = npu_bo_create_userptr;
  const T good{0x7f0000000000, 0x3000, 0, -1, 0, 0};
  RunCases<T>(
      npu_validate_bo_create_userptr, good,
      {SET(T, address, 0x7f0000000800, -EINVAL), SET(T, address, ~0xfffull, -EINVAL),
       SET(T, size_bytes, 0, -EINVAL), SET(T, size_bytes, 0x3001, -EINVAL),
       SET(T, size_bytes, ~0xfffull, -EINVAL), SET(T, size_bytes, (1ull << 36) + 4096, -ENOSPC),
       SET(T, flags, NPU_USERPTR_READONLY, 0), SET(T, flags, 2, -EINVAL), SET(T, fd, 0, 0),
       SET(T, fd, -2, -EINVAL), SET(T, handle, 1, -EINVAL), SET(T, pad, 1, -EINVAL)});
}

TEST(Validate, BoInfo) {
  using T = npu_bo_info;
  RunCases<T>(npu_validate_bo_info, {1, 0, 0, 0, 0, 0, 0},
              {SET(T, handle, 0, -ENOENT), SET(T, flags, 1, -EINVAL), SET(T, region, 1, -EINVAL),
               SET(T, state, 1, -EINVAL), SET(T, size_bytes, 1, -EINVAL),
               SET(T, page_bytes, 1, -EINVAL), SET(T, map_token, 1, -EINVAL)});
}

TEST(Validate, BoSetLabel) {
  using T = npu_bo_set_label;
  RunCases<T>(npu_validate_bo_set_label, {1, 0, "weights, layer 3"},
              {SET(T, handle, 0, -ENOENT),
               SET(T, pad, 1, -EINVAL),
               SET(T, label[0], '\0', -EINVAL),
               SET(T, label[3], '\n', -EINVAL),
               SET(T, label[3], '\x7f', -EINVAL),
               SET(T, label[3], '\xc3', 0),
               SET(T, label[NPU_LABEL_BYTES - 1], 'x', -EINVAL),
               {"no NUL", -EINVAL, [](T& a) { std::memset(a.label, 'x', sizeof(a.label)); }},
               {"empty", 0, [](T& a) { std::memset(a.label, 0, sizeof(a.label)); }}});
}

npu_queue_create GoodQueue() {
  npu_queue_create q{};
  q.vm_id = 1;
  q.queue_class = NPU_QUEUE_COMPUTE;
  q.priority = NPU_PRIO_NORMAL;
  q.ring_dva = 0x100000;
  q.ctrl_dva = 0x200000;
  q.ctrl_offset = 0x1000;
  q.ctrl_handle = 2;
  q.ring_log2 = 10;  // ring: 0x10000 bytes, control block: 0x11000
  q.timeout_ms = 5000;
  return q;
}

TEST(Validate, QueueCreate) {
  using T = npu_queue_create;
  RunCases<T>(npu_validate_queue_create, GoodQueue(),
              {SET(T, vm_id, 0, -ENOENT),
               SET(T, queue_class, NPU_QUEUE_COPY, 0),
               SET(T, queue_class, NPU_QUEUE_NET, -EINVAL),
               SET(T, queue_class, NPU_QUEUE_CLASS_COUNT, -EINVAL),
               SET(T, engine_mask, 3, 0),
               SET(T, flags, NPU_QUEUE_FLAG_SUSPENDED, 0),
               SET(T, flags, NPU_QUEUE_FLAGS_ALL, 0),
               SET(T, flags, NPU_QUEUE_FLAGS_ALL + 1, -EINVAL),
               SET(T, priority, NPU_PRIO_COUNT, -EINVAL),
               SET(T, ring_dva, 0x100800, -EINVAL),
               SET(T, ring_dva, 0, -EINVAL),
               SET(T, ring_dva, ~0xfffull, -EINVAL),
               SET(T, ring_dva, NPU_VA_USER_END - 0xf000, -EINVAL),
               SET(T, ring_dva, NPU_VA_USER_END - 0x10000, 0),
               SET(T, ctrl_dva, 0x200040, -EINVAL),
               SET(T, ctrl_dva, NPU_VA_USER_END - 0x10000, -EINVAL),
               SET(T, ctrl_dva, NPU_VA_USER_END - 0x11000, 0),
               SET(T, ctrl_dva, 0x10f000, -EINVAL),
               SET(T, ctrl_dva, 0x110000, 0),
               SET(T, ctrl_dva, 0xf0000, -EINVAL),
               SET(T, ctrl_dva, 0xef000, 0),
               SET(T, ctrl_offset, 0x1040, -EINVAL),
               SET(T, ctrl_offset, ~0xfffull, -EINVAL),
               SET(T, ctrl_handle, 0, -ENOENT),
               SET(T, ring_log2, 6, -EINVAL),
               SET(T, ring_log2, 7, 0),
               SET(T, ring_log2, 16, -EINVAL),
               SET(T, ring_log2, 64, -EINVAL),
               SET(T, ring_log2, ~0u, -EINVAL),
               SET(T, timeout_ms, 0, 0),
               SET(T, timeout_ms, 60001, -EINVAL),
               SET(T, queue_id, 1, -EINVAL),
               SET(T, doorbell_slot, 1, -EINVAL),
               SET(T, pad, 1, -EINVAL),
               SET(T, doorbell_token, 1, -EINVAL),
               SET(T, params, ArrayOf<npu_queue_net>(1), -EINVAL)});
}

TEST(Validate, QueueCreateNetNeedsItsParameters) {
  using T = npu_queue_create;
  T good = GoodQueue();
  good.queue_class = NPU_QUEUE_NET;
  good.params = ArrayOf<npu_queue_net>(1);
  RunCases<T>(npu_validate_queue_create, good,
              {SET(T, params, npu_array{}, -EINVAL), SET(T, params.count, 2, -EINVAL),
               SET(T, params.stride, 24, -EINVAL), SET(T, params.ptr, 4, -EINVAL)});
  RunCases<npu_queue_net>(
      npu_validate_queue_net, {1, {}, 0, 4096},
      {SET(npu_queue_net, port_mask, 0, -EINVAL), SET(npu_queue_net, remote_queue, 1, -EINVAL),
       SET(npu_queue_net, mtu_bytes, 255, -EINVAL), SET(npu_queue_net, mtu_bytes, 65537, -EINVAL)});
}

TEST(Validate, LimitsNeverWidenWhatTheFormatAllows) {
  npu_limits lim = Limits();
  lim.ring_log2_min = 0;
  lim.ring_log2_max = 63;
  npu_queue_create q = GoodQueue();
  q.ring_log2 = NPU_RING_LOG2_MAX + 1;
  EXPECT_EQ(npu_validate_queue_create(&q, &lim), -EINVAL);
  q.ring_log2 = NPU_RING_LOG2_MIN - 1;
  EXPECT_EQ(npu_validate_queue_create(&q, &lim), -EINVAL);
}

TEST(Validate, QueueDestroy) {
  using T = npu_queue_destroy;
  RunCases<T>(npu_validate_queue_destroy, {1, 0},
              {SET(T, queue_id, 0, -ENOENT), SET(T, pad, 1, -EINVAL)});
}

TEST(Validate, QueueQuery) {
  using T = npu_queue_query;
  T good{};
  good.queue_id = 1;
  RunCases<T>(
      npu_validate_queue_query, good,
      {SET(T, queue_id, 0, -ENOENT), SET(T, state, 1, -EINVAL), SET(T, status, -1, -EINVAL),
       SET(T, flags, 1, -EINVAL), SET(T, epoch, 1, -EINVAL), SET(T, fetched, 1, -EINVAL),
       SET(T, completed, 1, -EINVAL), SET(T, progress, 1, -EINVAL), SET(T, busy_ns, 1, -EINVAL),
       SET(T, fault.dva, 1, -EINVAL), SET(T, fault.pad[5], 1, -EINVAL)});
}

TEST(Validate, QueueSet) {
  using T = npu_queue_set;
  const T good{1, NPU_QUEUE_SET_PRIORITY | NPU_QUEUE_SET_TIMEOUT, NPU_PRIO_HIGH, 100};
  RunCases<T>(
      npu_validate_queue_set, good,
      {SET(T, queue_id, 0, -ENOENT), SET(T, what, 0, -EINVAL), SET(T, what, 0x13, -EINVAL),
       SET(T, what, NPU_QUEUE_SET_PRIORITY, -EINVAL), SET(T, what, NPU_QUEUE_SET_TIMEOUT, -EINVAL),
       SET(T, what, NPU_QUEUE_SET_ALL, -EINVAL), SET(T, priority, NPU_PRIO_COUNT, -EINVAL),
       SET(T, timeout_ms, 60001, -EINVAL), SET(T, timeout_ms, 0, 0)});
}

TEST(Validate, MemoryCondition) {
  using T = npu_cond;
  const T good{NPU_COND_GE, 1, 2, 0, 64, 100, ~0ull};
  RunCases<T>(npu_validate_cond, good,
              {SET(T, op, NPU_COND_OP_COUNT, -EINVAL), SET(T, op, NPU_COND_NE, 0),
               SET(T, bo_handle, 0, -ENOENT), SET(T, queue_id, 0, 0), SET(T, pad, 1, -EINVAL),
               SET(T, offset, 65, -EINVAL), SET(T, offset, (1ull << 36) - 8, 0),
               SET(T, offset, 1ull << 36, -EINVAL), SET(T, offset, ~7ull, -EINVAL),
               SET(T, mask, 0, -EINVAL), SET(T, mask, 0xf, -EINVAL), SET(T, mask, 0xff, 0),
               SET(T, value, ~0ull, 0)});
}

TEST(Validate, QueueCondition) {
  using T = npu_cond;
  RunCases<T>(npu_validate_cond, {NPU_COND_QUEUE_IDLE, 0, 2, 0, 0, 0, 0},
              {SET(T, bo_handle, 1, -EINVAL), SET(T, queue_id, 0, -ENOENT),
               SET(T, offset, 8, -EINVAL), SET(T, value, 1, -EINVAL), SET(T, mask, 1, -EINVAL)});
}

TEST(Validate, Wait) {
  using T = npu_wait;
  const T good{ArrayOf<npu_cond>(2), NPU_WAIT_FLAG_ALL, 0, 12345, 0, 0};
  RunCases<T>(npu_validate_wait, good,
              ArrayCases<T>(&T::conds, 64, false) +
                  std::vector<Case<T>>{SET(T, flags, 2, -EINVAL), SET(T, flags, 0, 0),
                                       SET(T, first_index, 1, -EINVAL), SET(T, deadline_ns, 0, 0),
                                       SET(T, deadline_ns, NPU_FOREVER, 0),
                                       SET(T, deadline_ns, -1, -EINVAL), SET(T, status, 1, -EINVAL),
                                       SET(T, pad, 1, -EINVAL)});
}

TEST(Validate, NotifyAdd) {
  using T = npu_notify;
  const T good{NPU_NOTIFY_ADD, 5, 77, {NPU_COND_GE, 1, 0, 0, 0, 1, ~0ull}};
  RunCases<T>(npu_validate_notify, good,
              {SET(T, flags, NPU_NOTIFY_ADD | NPU_NOTIFY_ONESHOT, 0), SET(T, flags, 0, -EINVAL),
               SET(T, flags, NPU_NOTIFY_ADD | NPU_NOTIFY_REMOVE, -EINVAL),
               SET(T, flags, NPU_NOTIFY_ADD | 8, -EINVAL), SET(T, fd, -1, -EINVAL),
               SET(T, fd, 0, 0), SET(T, cookie, 0, -EINVAL), SET(T, cond.mask, 0, -EINVAL),
               SET(T, cond.bo_handle, 0, -ENOENT)});
}

TEST(Validate, NotifyRemove) {
  using T = npu_notify;
  RunCases<T>(npu_validate_notify, {NPU_NOTIFY_REMOVE, -1, 77, {}},
              {SET(T, flags, NPU_NOTIFY_REMOVE | NPU_NOTIFY_ONESHOT, -EINVAL),
               SET(T, fd, 5, -EINVAL), SET(T, cookie, 0, -EINVAL), SET(T, cond.op, 1, -EINVAL),
               SET(T, cond.bo_handle, 1, -EINVAL), SET(T, cond.queue_id, 1, -EINVAL),
               SET(T, cond.pad, 1, -EINVAL), SET(T, cond.offset, 8, -EINVAL),
               SET(T, cond.value, 1, -EINVAL), SET(T, cond.mask, 1, -EINVAL)});
}

TEST(Validate, CopySubmit) {
  using T = npu_copy_submit;
  const T good{0, 0, ArrayOf<npu_copy_op>(2), ArrayOf<npu_sync>(1), ArrayOf<npu_sync>(1)};
  RunCases<T>(npu_validate_copy_submit, good,
              ArrayCases<T>(&T::ops, 32, false) + ArrayCases<T>(&T::waits, 8, true) +
                  ArrayCases<T>(&T::signals, 8, false) +
                  std::vector<Case<T>>{SET(T, flags, NPU_COPY_WAIT, -EINVAL),
                                       SET(T, flags, 2, -EINVAL), SET(T, pad, 1, -EINVAL)});
  const T waiting{NPU_COPY_WAIT, 0, ArrayOf<npu_copy_op>(2), {}, {}};
  RunCases<T>(npu_validate_copy_submit, waiting, {SET(T, flags, 0, -EINVAL)});
}

TEST(Validate, CopyOp) {
  using T = npu_copy_op;
  RunCases<T>(npu_validate_copy_op, {NPU_COPY_COPY, 0, 1, 2, 3, 5, 100, 0},
              {SET(T, kind, NPU_COPY_KIND_COUNT, -EINVAL), SET(T, flags, 1, -EINVAL),
               SET(T, src_handle, 0, -ENOENT), SET(T, dst_handle, 0, -ENOENT),
               SET(T, src_offset, ~0ull - 10, -EINVAL), SET(T, dst_offset, ~0ull - 10, -EINVAL),
               SET(T, size_bytes, 0, -EINVAL), SET(T, size_bytes, ~0ull, -EINVAL),
               SET(T, pattern, 1, -EINVAL), SET(T, src_handle, 2, -EINVAL)});
  RunCases<T>(npu_validate_copy_op, {NPU_COPY_COPY, 0, 1, 1, 0, 100, 100, 0},
              {SET(T, dst_offset, 99, -EINVAL), SET(T, size_bytes, 101, -EINVAL)});
}

TEST(Validate, FillOp) {
  using T = npu_copy_op;
  RunCases<T>(npu_validate_copy_op, {NPU_COPY_FILL, 0, 0, 2, 0, 8, 64, 0xabcd},
              {SET(T, src_handle, 1, -EINVAL), SET(T, src_offset, 8, -EINVAL),
               SET(T, dst_offset, 4, -EINVAL), SET(T, size_bytes, 60, -EINVAL),
               SET(T, dst_handle, 0, -ENOENT)});
}

TEST(Validate, Sync) {
  using T = npu_sync;
  RunCases<T>(npu_validate_sync, {1, NPU_SYNC_TIMELINE, 5},
              {SET(T, handle, 0, -ENOENT), SET(T, flags, 0, -EINVAL), SET(T, flags, 3, -EINVAL),
               SET(T, value, 0, -EINVAL)});
  RunCases<T>(npu_validate_sync, {1, 0, 0}, {SET(T, value, 1, -EINVAL)});
}

TEST(Validate, MrCreate) {
  using T = npu_mr_create;
  RunCases<T>(npu_validate_mr_create, {1, NPU_MR_REMOTE_READ, 0x100040, 0x80, 0, 0, 0},
              {SET(T, vm_id, 0, -ENOENT), SET(T, access, 0, -EINVAL), SET(T, access, 0x10, -EINVAL),
               SET(T, dva, 0x100020, -EINVAL), SET(T, dva, 0, -EINVAL),
               SET(T, dva, ~63ull, -EINVAL), SET(T, size_bytes, 0, -EINVAL),
               SET(T, size_bytes, 0x81, -EINVAL), SET(T, size_bytes, ~63ull, -EINVAL),
               SET(T, mr_id, 1, -EINVAL), SET(T, pad, 1, -EINVAL), SET(T, remote_key, 1, -EINVAL)});
}

TEST(Validate, MrDestroy) {
  using T = npu_mr_destroy;
  RunCases<T>(npu_validate_mr_destroy, {1, 0},
              {SET(T, mr_id, 0, -ENOENT), SET(T, pad, 1, -EINVAL)});
}

TEST(Validate, PerfOpen) {
  using T = npu_perf_open;
  const T good{0, -1, 1000000, ArrayOf<npu_perf_counter>(3), 0, 0};
  RunCases<T>(
      npu_validate_perf_open, good,
      ArrayCases<T>(&T::counters, 16, false) +
          std::vector<Case<T>>{SET(T, flags, 1, -EINVAL), SET(T, fd, 0, -EINVAL),
                               SET(T, period_ns, 99999, -EINVAL), SET(T, period_ns, ~0ull, -EINVAL),
                               SET(T, record_bytes, 1, -EINVAL), SET(T, pad, 1, -EINVAL)});
  RunCases<npu_perf_counter>(
      npu_validate_perf_counter, {NPU_METRIC_POWER, 0},
      {SET(npu_perf_counter, metric_id, 0xff, -EINVAL), SET(npu_perf_counter, flags, 1, -EINVAL)});
}

TEST(Validate, EventMask) {
  using T = npu_event_mask;
  RunCases<T>(npu_validate_event_mask, {NPU_EVENT_MASK_ALL, 0},
              {SET(T, mask, 0, 0), SET(T, mask, 0x10, -EINVAL), SET(T, previous, 1, -EINVAL)});
}

TEST(Validate, CallByNumberReachesItsValidator) {
  const npu_limits lim = Limits();
  npu_vm_destroy destroy{0, 0};
  EXPECT_EQ(npu_validate_call(NPU_CALL_VM_DESTROY, &destroy, &lim), -ENOENT);
  npu_event_mask mask{0x10, 0};
  EXPECT_EQ(npu_validate_call(NPU_CALL_EVENT_MASK, &mask, &lim), -EINVAL);
  EXPECT_EQ(npu_validate_call(NPU_CALL_COUNT, &mask, &lim), -ENOTTY);
  EXPECT_EQ(npu_validate_call(~0u, &mask, &lim), -ENOTTY);
}

TEST(Validate, RandomBytesNeverPassAFlagOrRangeThatIsForbidden) {
  const uint64_t seed = 4711;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  const npu_limits lim = Limits();
  for (int round = 0; round < 200000; ++round) {
    npu_bind_op op{};
    op.kind = static_cast<__u32>(rng() % 3);
    op.flags = static_cast<__u32>(rng() % 5);
    op.bo_handle = static_cast<__u32>(rng() % 3);
    op.bo_offset = (rng() >> (rng() % 64)) & ~(rng() % 8 ? 0xfffull : 0ull);
    op.dva = (rng() >> (rng() % 64)) & ~(rng() % 8 ? 0xfffull : 0ull);
    op.size_bytes = (rng() >> (rng() % 64)) & ~(rng() % 8 ? 0xfffull : 0ull);
    if (npu_validate_bind_op(&op, &lim) != 0) continue;
    ASSERT_LE(op.dva, lim.va_end);
    ASSERT_LE(op.size_bytes, lim.va_end - op.dva);
    ASSERT_GE(op.dva, NPU_VA_MIN);
    ASSERT_EQ((op.dva | op.size_bytes | op.bo_offset) % 4096, 0u);
    ASSERT_LT(op.kind, 2u);
  }
}

}  // namespace
