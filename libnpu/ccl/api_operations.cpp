// SPDX-License-Identifier: Apache-2.0
// Public functions: the operations. Each fills in a request; perform() does what is common.
#include <npu/npu_ccl.h>
#include <npu/npu_graph.h>

#include <cinttypes>
#include <initializer_list>
#include <utility>

#include "libnpu/ccl/group.h"
#include "libnpu/ccl/guard.h"
#include "libnpu/ccl/handles.h"

namespace {

using namespace npu::ccl;

// One call as its function has it.
struct Call {
  Op op;
  npuDevPtr send = 0;
  npuDevPtr recv = 0;
  uint64_t count = 0;
  npuDataType type = NPU_FLOAT32;
  npuCclRedOp reduction = NPU_CCL_SUM;
  uint32_t root = 0;                 // of a message: the other rank
  const uint64_t* counts = nullptr;  // of a v-form
  bool has_counts = false;
  bool sends_message = false;
};

npuResult fill(const Call& call, const Communicator& communicator, Request* request) {
  const Settings& settings = communicator.settings();
  Problem& p = request->problem;
  if (!is_movable(call.type)) {
    return fail(NPU_ERROR_NOT_SUPPORTED, "type %d has no elements of whole bytes", call.type);
  }
  if (reduces(call.op) && !is_reducible(call.type)) {
    return fail(NPU_ERROR_NOT_SUPPORTED, "the device moves %s, and does not reduce it",
                kDataTypes[call.type].name);
  }
  if (call.root >= settings.ranks) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "rank %u: the communicator has %u", call.root,
                settings.ranks);
  }
  p.op = call.op;
  p.ranks = settings.ranks;
  p.count = call.count;
  p.root = call.root;
  if (request->is_message()) {
    p.root = call.sends_message ? settings.rank : call.root;
    p.peer = call.sends_message ? call.root : settings.rank;
  }
  if (call.has_counts) {
    if (call.counts == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "counts is NULL");
    const size_t rows = call.op == Op::kAllToAll ? settings.ranks : 1;
    p.counts.assign(call.counts, call.counts + rows * settings.ranks);
  }
  request->reduction.type = call.type;
  request->send = call.send;
  request->recv = call.recv;
  request->sends_message = call.sends_message;
  return reduces(call.op) ? communicator.resolve(call.reduction, request) : NPU_OK;
}

npuResult perform(npuCclComm comm, npuQueue queue, uint64_t* out_value, const Call& one) {
  return guarded([&]() -> npuResult {
    if (out_value != nullptr) *out_value = 0;
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    NPU_CCL_TRY(communicator->usable());
    uint32_t capturing = 0;
    NPU_CCL_TRY(passed_on(npuQueueIsCapturing(queue, &capturing)));
    Request request;
    request.is_captured = capturing != 0;
    request.problem.op = one.op;
    NPU_CCL_TRY(fill(one, *communicator, &request));
    const Settings& settings = communicator->settings();
    NPU_CCL_TRY(check_buffers(settings.context, settings.rank, &request));
    request.comm = comm;
    request.queue = queue;
    request.out_value = in_group() ? nullptr : out_value;
    return call(communicator, std::move(request));
  });
}

struct Question {
  npuCclOperation operation;
  uint64_t count;
  npuDataType type;
  npuCclRedOp op;
};

// |window|: 0: of none.
npuResult explain(npuCclComm comm, npuCclWindow window, const Question& question,
                  const char** out_name) {
  static_assert(static_cast<int>(Op::kAllToAll) == NPU_CCL_ALL_TO_ALL);
  static_assert(static_cast<int>(Op::kBarrier) == NPU_CCL_BARRIER);
  return guarded([&]() -> npuResult {
    if (out_name == nullptr || question.operation < 0 || question.operation > NPU_CCL_BARRIER) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "out_name is NULL, or %d is no operation",
                  question.operation);
    }
    *out_name = nullptr;
    CommunicatorPtr communicator;
    NPU_CCL_TRY(find_handle(comm, &communicator));
    WindowPtr found;
    if (window != 0) NPU_CCL_TRY(communicator->find_window(window, &found));
    Request request;
    request.problem.op = static_cast<Op>(question.operation);
    NPU_CCL_TRY(fill({.op = request.problem.op,
                      .count = question.count,
                      .type = question.type,
                      .reduction = question.op},
                     *communicator, &request));
    request.problem.in_windows =
        found != nullptr && found->is_mapped && request.problem.ranks > 1 && !request.scales_input;
    return communicator->explain(request, out_name);
  });
}

}  // namespace

npuResult npuCclCommGetAlgorithm(npuCclComm comm, npuCclOperation operation, uint64_t count,
                                 npuDataType type, npuCclRedOp op, const char** out_name) {
  return explain(comm, 0, {operation, count, type, op}, out_name);
}

npuResult npuCclCommWindowGetAlgorithm(npuCclComm comm, npuCclWindow window,
                                       npuCclOperation operation, uint64_t count, npuDataType type,
                                       npuCclRedOp op, const char** out_name) {
  if (window == 0) return fail(NPU_ERROR_NOT_FOUND, "0 is no window");
  return explain(comm, window, {operation, count, type, op}, out_name);
}

npuResult npuCclAllReduce(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                          uint64_t count, npuDataType type, npuCclRedOp op, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kAllReduce,
                  .send = send,
                  .recv = recv,
                  .count = count,
                  .type = type,
                  .reduction = op});
}

npuResult npuCclReduce(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                       uint64_t count, npuDataType type, npuCclRedOp op, uint32_t root,
                       uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kReduce,
                  .send = send,
                  .recv = recv,
                  .count = count,
                  .type = type,
                  .reduction = op,
                  .root = root});
}

npuResult npuCclBroadcast(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                          uint64_t count, npuDataType type, uint32_t root, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kBroadcast,
                  .send = send,
                  .recv = recv,
                  .count = count,
                  .type = type,
                  .root = root});
}

npuResult npuCclAllGather(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                          uint64_t count, npuDataType type, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kAllGather, .send = send, .recv = recv, .count = count, .type = type});
}

npuResult npuCclReduceScatter(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                              uint64_t count, npuDataType type, npuCclRedOp op,
                              uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kReduceScatter,
                  .send = send,
                  .recv = recv,
                  .count = count,
                  .type = type,
                  .reduction = op});
}

npuResult npuCclGather(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                       uint64_t count, npuDataType type, uint32_t root, uint64_t* out_value) {
  return perform(
      comm, queue, out_value,
      {.op = Op::kGather, .send = send, .recv = recv, .count = count, .type = type, .root = root});
}

npuResult npuCclScatter(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                        uint64_t count, npuDataType type, uint32_t root, uint64_t* out_value) {
  return perform(
      comm, queue, out_value,
      {.op = Op::kScatter, .send = send, .recv = recv, .count = count, .type = type, .root = root});
}

npuResult npuCclAllToAll(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                         uint64_t count, npuDataType type, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kAllToAll, .send = send, .recv = recv, .count = count, .type = type});
}

npuResult npuCclAllGatherV(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                           const uint64_t* counts, npuDataType type, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kAllGather,
                  .send = send,
                  .recv = recv,
                  .type = type,
                  .counts = counts,
                  .has_counts = true});
}

npuResult npuCclReduceScatterV(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                               const uint64_t* counts, npuDataType type, npuCclRedOp op,
                               uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kReduceScatter,
                  .send = send,
                  .recv = recv,
                  .type = type,
                  .reduction = op,
                  .counts = counts,
                  .has_counts = true});
}

npuResult npuCclAllToAllV(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                          const uint64_t* counts, npuDataType type, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kAllToAll,
                  .send = send,
                  .recv = recv,
                  .type = type,
                  .counts = counts,
                  .has_counts = true});
}

npuResult npuCclSend(npuCclComm comm, npuQueue queue, npuDevPtr send, uint64_t count,
                     npuDataType type, uint32_t peer, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kSendRecv,
                  .send = send,
                  .count = count,
                  .type = type,
                  .root = peer,
                  .sends_message = true});
}

npuResult npuCclRecv(npuCclComm comm, npuQueue queue, npuDevPtr recv, uint64_t count,
                     npuDataType type, uint32_t peer, uint64_t* out_value) {
  return perform(comm, queue, out_value,
                 {.op = Op::kSendRecv, .recv = recv, .count = count, .type = type, .root = peer});
}

npuResult npuCclBarrier(npuCclComm comm, npuQueue queue, uint64_t* out_value) {
  return perform(comm, queue, out_value, {.op = Op::kBarrier});
}
