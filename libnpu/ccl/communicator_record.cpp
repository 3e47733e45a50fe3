// SPDX-License-Identifier: Apache-2.0
// Records of what was called: compared with those of the other ranks before anything is submitted, so that ranks that disagree never mix their data. Whoever comes second sees the first one's record.
#include <npu/npu_memory.h>

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {
bool agree(const Record& a, const Record& b) {
  return a.count == b.count && a.counts == b.counts && a.op == b.op && a.type == b.type &&
         a.reduction == b.reduction && a.root == b.root;
}

bool agree(const Called& a, const Called& b) {
  return agree(a.record, b.record) && a.placed == b.placed;
}

npuResult Communicator::mismatch(Failure failure) {
  const npuResult result = ccl::fail(NPU_ERROR_INVALID_ARGUMENT, "%s", failure.text.c_str());
  fail_with(std::move(failure), true);
  return result;
}

// What |rank| has called as its operation |sequence|, if that is known.
bool Communicator::find_collective(uint32_t rank, uint64_t sequence, Called* out) const {
  return read_called(*transport_.memory.rank(rank).board, sequence, out);
}

npuResult Communicator::record(const Request& request, Record* out) {
  const Called called{record_of(request, ++collectives_), request.placed};
  const Record& mine = *out = called.record;
  write_called(transport_.memory.own().board, called);
  bool is_odd_here = false, is_odd_elsewhere = false;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    Called theirs;
    if (rank == settings_.rank) continue;
    transport_.network.tell(rank, RecordKind::kCollective, mine);
    if (!find_collective(rank, mine.sequence, &theirs) || agree(called, theirs)) continue;
    (transport_.network.is_remote(rank) ? is_odd_elsewhere : is_odd_here) = true;
  }
  // Between hosts the records of more ranks may be on their way, and data is held back meanwhile.
  if (is_odd_elsewhere) suspect(mine.sequence);
  if (!is_odd_here) return NPU_OK;
  std::optional<Failure> failure = odd_one(mine.sequence);
  return failure ? mismatch(std::move(*failure)) : NPU_OK;
}

npuResult Communicator::record_message(const Request& request) {
  const Problem& p = request.problem;
  const bool sends = p.root == settings_.rank;
  const uint32_t other = sends ? p.peer : p.root;
  Board& own = *transport_.memory.own().board;
  const Board& theirs = *transport_.memory.rank(other).board;
  const Record mine = record_of(request, ++(sends ? sends_ : receives_)[other]);
  const size_t place = mine.sequence % kRecordedMessages;
  write_record(&(sends ? own.sends : own.receives)[other][place], mine);
  transport_.network.tell(other, sends ? RecordKind::kSend : RecordKind::kReceive, mine);
  Record found;
  const Record* const counterpart =
      &(sends ? theirs.receives : theirs.sends)[settings_.rank][place];
  if (!read_record(counterpart, mine.sequence, &found) || agree(mine, found)) return NPU_OK;
  return mismatch(odd_message(sends ? settings_.rank : other, sends ? mine : found,
                              sends ? other : settings_.rank, sends ? found : mine));
}

// Room for one operation; operations of a communicator run one after the other.
npuResult Communicator::workspace(uint64_t bytes, npuDevPtr* out) {
  if (bytes > workspace_bytes_) {
    npuDevPtr larger = 0;
    NPU_CCL_TRY(passed_on(npuMemAlloc(settings_.context, NPU_MEM_DEVICE, bytes, &larger)));
    if (workspace_dva_ != 0) npuMemFree(settings_.context, workspace_dva_);
    workspace_dva_ = larger;
    workspace_bytes_ = bytes;
  }
  *out = workspace_dva_;
  return NPU_OK;
}

}  // namespace npu::ccl
