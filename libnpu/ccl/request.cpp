// SPDX-License-Identifier: Apache-2.0
// Checks of buffers, and records.
#include "libnpu/ccl/request.h"

#include <cinttypes>

namespace npu::ccl {
namespace {

constexpr const char* kReductions[] = {"sum",     "product", "minimum",
                                       "maximum", "average", "pre-multiplied sum"};
constexpr uint32_t kPreMulSum = 5;

struct Range {
  const char* name;
  npuDevPtr begin;
  uint64_t bytes;
  npuDevPtr end() const { return begin + bytes; }
};

// Pieces that lie side by side count as one range.
npuResult check_range(npuContext context, const Range& range, uint64_t align) {
  if (range.bytes == 0) return NPU_OK;
  if (range.begin % align != 0) {
    return fail(NPU_ERROR_UNALIGNED, "%s is no multiple of the element's %" PRIu64 " bytes",
                range.name, align);
  }
  if (range.begin > UINT64_MAX - range.bytes) {
    return fail(NPU_ERROR_OVERFLOW, "%s would end beyond 2^64", range.name);
  }
  for (npuDevPtr at = range.begin; at < range.end();) {
    npuMemInfo info{};
    info.struct_size = sizeof(info);
    NPU_CCL_TRY(passed_on(npuMemQuery(context, at, &info)));
    if (info.kind == NPU_MEM_UNKNOWN) {
      return fail(NPU_ERROR_INVALID_ADDRESS,
                  "%s needs %" PRIu64 " bytes from 0x%" PRIx64
                  ", which are not all allocated in the communicator's context",
                  range.name, range.bytes, range.begin);
    }
    at = info.base + info.size_bytes;
  }
  return NPU_OK;
}

// Where the smaller buffer would lie in the larger one, in elements, seen from the smaller one's name.
bool is_own_place(const Problem& p, uint32_t rank, uint64_t element_bytes, npuDevPtr send,
                  npuDevPtr recv) {
  const uint64_t offset = p.block(rank).offset * element_bytes;
  switch (p.op) {
    case Op::kAllGather:
    case Op::kGather:
      return send == recv + offset;
    case Op::kReduceScatter:
    case Op::kScatter:
      return recv == send + offset;
    default:
      return send == recv;
  }
}

}  // namespace

npuResult check_buffers(npuContext context, uint32_t rank, Request* request) {
  Problem& p = request->problem;
  const std::string cause = p.refuse();
  if (!cause.empty()) return fail(NPU_ERROR_INVALID_ARGUMENT, "%s", cause.c_str());
  const uint64_t element = bytes_of(request->reduction.type);
  if (request->is_message()) {
    const Range range{request->sends_message ? "send" : "recv",
                      request->sends_message ? request->send : request->recv, p.count * element};
    return check_range(context, range, element);
  }
  const Range send{"send", request->send, p.input_count(rank) * element};
  const Range recv{"recv", request->recv, p.output_count(rank) * element};
  NPU_CCL_TRY(check_range(context, send, element));
  NPU_CCL_TRY(check_range(context, recv, element));
  if (send.bytes == 0 || recv.bytes == 0) return NPU_OK;
  p.in_place = p.op != Op::kAllToAll && is_own_place(p, rank, element, send.begin, recv.begin);
  if (!p.in_place && send.begin < recv.end() && recv.begin < send.end()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "send and recv overlap, and not as %s in place has them", name_of(p.op));
  }
  return NPU_OK;
}

Record record_of(const Request& request, uint64_t sequence) {
  const Problem& p = request.problem;
  uint64_t counts = p.counts.size();
  for (uint64_t count : p.counts) counts = (counts ^ count) * 0x100000001b3;
  Record record{sequence,
                p.count,
                counts,
                static_cast<uint32_t>(p.op),
                static_cast<uint32_t>(request.reduction.type),
                0,
                p.root};
  if (reduces(p.op)) {
    record.reduction = request.scales_input ? kPreMulSum : static_cast<uint32_t>(request.called);
  }
  return record;
}

std::string describe(const Record& record) {
  if (record.op >= kOpCount || record.type >= std::size(kDataTypes) ||
      record.reduction >= std::size(kReductions)) {
    return "something unknown";
  }
  const Op op = static_cast<Op>(record.op);
  std::string text = name_of(op);
  if (op == Op::kBarrier) return text;
  text += record.counts != 0 ? " with counts" : " of " + std::to_string(record.count);
  text += std::string(" ") + kDataTypes[record.type].name;
  if (reduces(op)) text += std::string(", ") + kReductions[record.reduction];
  return text + ", root " + std::to_string(record.root);
}

std::string describe(const Called& called) {
  const Placed& placed = called.placed;
  std::string text = describe(called.record);
  const auto add = [&](const char* name, uint32_t window, uint64_t offset) {
    if (window == 0) return;
    text += std::string(", ") + name + " at byte " + std::to_string(offset) + " of window " +
            std::to_string(window);
  };
  add("send", placed.send_window, placed.send_offset);
  add("recv", placed.recv_window, placed.recv_offset);
  return text;
}

}  // namespace npu::ccl
