// SPDX-License-Identifier: Apache-2.0
// Records of what was called: compared with those of the other ranks before anything is submitted, so that ranks that disagree never mix their data. Whoever comes second sees the first one's record.
#include <npu/npu_memory.h>

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {
bool agree(const Record& a, const Record& b) {
  return a.count == b.count && a.counts == b.counts && a.op == b.op && a.type == b.type &&
         a.reduction == b.reduction && a.root == b.root;
}

npuResult Communicator::mismatch(uint32_t culprit, uint32_t rank, const Record& theirs,
                                 const Record& mine) {
  const std::string text = "operation " + std::to_string(mine.sequence) + ": rank " +
                           std::to_string(rank) + " has called " + describe(theirs) + "; rank " +
                           std::to_string(settings_.rank) + " has called " + describe(mine);
  fail_with({NPU_CCL_MISMATCH, culprit, text}, true);
  return ccl::fail(NPU_ERROR_INVALID_ARGUMENT, "%s", text.c_str());
}

// What |rank| has called as its operation |sequence|, if that is known.
bool Communicator::find_collective(uint32_t rank, uint64_t sequence, Record* out) const {
  const Board& board = *transport_.memory.rank(rank).board;
  return read_record(&board.collectives[sequence % kRecordedCollectives], sequence, out);
}

npuResult Communicator::record(const Request& request) {
  const Record mine = record_of(request, ++collectives_);
  const size_t place = mine.sequence % kRecordedCollectives;
  write_record(&transport_.memory.own().board->collectives[place], mine);
  uint32_t others = 0;
  bool is_odd_elsewhere = false;
  std::optional<std::pair<uint32_t, Record>> odd;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    Record theirs;
    if (rank == settings_.rank) continue;
    transport_.network.tell(rank, MessageKind::kCollective, mine);
    if (!find_collective(rank, mine.sequence, &theirs) || agree(mine, theirs)) continue;
    if (transport_.network.is_remote(rank)) {
      is_odd_elsewhere = true;
      continue;
    }
    others++;
    if (!odd) odd = {rank, theirs};
  }
  if (is_odd_elsewhere) suspect(mine.sequence);
  if (!odd) return NPU_OK;
  // Most of the others against this one: this one is named.
  const bool is_me = others > 1 && others * 2 > settings_.ranks;
  return mismatch(is_me ? settings_.rank : odd->first, odd->first, odd->second, mine);
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
  transport_.network.tell(other, sends ? MessageKind::kSend : MessageKind::kReceive, mine);
  Record found;
  const Record* const counterpart =
      &(sends ? theirs.receives : theirs.sends)[settings_.rank][place];
  if (!read_record(counterpart, mine.sequence, &found) || agree(mine, found)) return NPU_OK;
  return mismatch(other, other, found, mine);
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
