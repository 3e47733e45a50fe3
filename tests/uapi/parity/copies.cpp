// SPDX-License-Identifier: Apache-2.0
// COPY_SUBMIT: what it moves, and what it refuses.
#include "tests/uapi/parity/operations.h"
#include "tests/uapi/parity/session.h"

namespace npu::parity {
namespace {

void submit(Session& s, const std::string& name, const std::vector<npu_copy_op>& ops,
            const std::vector<npu_sync>& waits = {}, const std::vector<npu_sync>& signals = {}) {
  npu_copy_submit args{};
  args.flags = signals.empty() ? NPU_COPY_WAIT : 0;
  std::vector<ArrayArg> arrays = {make_array(&args.ops, &args, ops),
                                  make_array(&args.waits, &args, waits),
                                  make_array(&args.signals, &args, signals)};
  s.logged(name, NPU_CALL_COPY_SUBMIT, &args, arrays);
}

void log_word(Session& s, const std::string& name, Memory& memory, uint64_t offset) {
  uint64_t word = 0;
  std::memcpy(&word, memory.data() + offset, sizeof word);
  s.log().add(name, number(word));
}

}  // namespace

void run_copies(Road* road, Log* log) {
  Session s(road, log);
  const npu_bo_create hbm = s.object(kHbmBytes, NPU_REGION_HBM);
  const npu_bo_create system = s.object(kSystemBytes, NPU_REGION_SYSTEM);
  const auto device = s.file().map(hbm.map_token, hbm.size_bytes);
  const auto host = s.file().map(system.map_token, system.size_bytes);
  const uint32_t h = hbm.handle;
  const uint32_t y = system.handle;
  submit(s, "copy.fill", {fill_op(y, 0, kSystemBytes, 0x0102030405060708)});
  log_word(s, "copy.fill.last_word", *host, kSystemBytes - 8);
  submit(s, "copy.to_device", {copy_op(y, 0, h, 0, kHbmBytes)});
  log_word(s, "copy.to_device.last_word", *device, kHbmBytes - 8);
  submit(s, "copy.odd_bytes", {copy_op(y, 1, h, 3, 5)});
  log_word(s, "copy.odd_bytes.word", *device, 0);
  submit(s, "copy.in_order", {fill_op(h, 0, 64, 7), copy_op(h, 0, y, 0, 64), fill_op(h, 0, 64, 9)});
  log_word(s, "copy.in_order.host", *host, 0);
  log_word(s, "copy.in_order.device", *device, 0);
  submit(s, "copy.inside_one_object", {copy_op(h, 0, h, NPU_PAGE_64K, 4096)});
  submit(s, "copy.overlapping", {copy_op(h, 0, h, 32, 64)});
  submit(s, "copy.beyond_source", {copy_op(y, kSystemBytes - 4, h, 0, 8)});
  submit(s, "copy.beyond_destination", {copy_op(y, 0, h, kHbmBytes - 4, 8)});
  submit(s, "copy.fill_unaligned", {fill_op(h, 4, 8, 0)});
  submit(s, "copy.second_is_bad", {fill_op(h, 0, 64, 0x55), copy_op(kUnknownId, 0, h, 0, 8)});
  log_word(s, "copy.second_is_bad.device", *device, 0);
  submit(s, "copy.no_such_syncobj.wait", {fill_op(h, 0, 64, 1)}, {{kUnknownId, 0, 0}});
  submit(s, "copy.no_such_syncobj.signal", {fill_op(h, 0, 64, 1)}, {}, {{kUnknownId, 0, 0}});
  submit(s, "copy.bad_syncobj_flags", {fill_op(h, 0, 64, 1)}, {{kUnknownId, 8, 0}});
  npu_copy_submit neither{};
  const ArrayArg ops = make_array(&neither.ops, &neither, std::vector{fill_op(h, 0, 64, 1)});
  s.logged("copy.neither_wait_nor_signal", NPU_CALL_COPY_SUBMIT, &neither, {ops});
}

}  // namespace npu::parity
