// SPDX-License-Identifier: Apache-2.0
// The history of scratchpad bytes, page by page.
#include "firmware-model/tile/shadow.h"

#include <algorithm>

namespace npu::model {

template <uint32_t kReaders>
void Shadow<kReaders>::restart(uint64_t bytes) {
  const uint64_t pages = (bytes + kPageBytes - 1) / kPageBytes;
  if (pages_.size() != pages || pieces_ > kKeptPieces) pages_ = std::vector<Page>(pages);
  pieces_ = 0;
  ++run_;
}

template <uint32_t kReaders>
typename Shadow<kReaders>::Page& Shadow<kReaders>::page_of(uint64_t offset) {
  Page& page = pages_[offset / kPageBytes];
  if (page.run != run_) {
    page.pieces.assign(1, Piece{});
    page.run = run_;
  }
  return page;
}

template <uint32_t kReaders>
size_t Shadow<kReaders>::split(Page& page, uint32_t at) {
  std::vector<Piece>& pieces = page.pieces;
  if (at == 0) return 0;
  if (at == kPageBytes) return pieces.size();
  const auto above =
      std::upper_bound(pieces.begin(), pieces.end(), at,
                       [](uint32_t place, const Piece& piece) { return place < piece.begin; });
  const auto i = static_cast<size_t>(above - pieces.begin());
  if (pieces[i - 1].begin == at) return i - 1;
  Piece rest = pieces[i - 1];
  rest.begin = static_cast<uint16_t>(at);
  pieces.insert(above, rest);
  ++pieces_;
  return i;
}

// Whether |mine| and what was done to the piece before stand in an order.
template <uint32_t kReaders>
bool Shadow<kReaders>::meets(const Piece& piece, const Touch& mine, bool writes,
                             const Clocks& knows, Conflict* conflict) const {
  const auto races = [&](const Touch& other) {
    return other.step != 0 && other.unit != mine.unit && knows.at(other.unit) < other.step;
  };
  if (races(piece.writer)) {
    conflict->kind = Conflict::kRace;
    conflict->other = piece.writer;
    conflict->other_writes = true;
    return true;
  }
  if (!writes) {
    if (piece.writer.step != 0) return false;
    conflict->kind = Conflict::kUnwritten;
    return true;
  }
  for (const Touch& reader : piece.readers) {
    if (!races(reader)) continue;
    conflict->kind = Conflict::kRace;
    conflict->other = reader;
    conflict->other_writes = false;
    return true;
  }
  return false;
}

// fn(page, first, last) for the pieces of each page that lie in [begin, end); true: a conflict in piece |first|.
template <uint32_t kReaders>
template <typename Fn>
bool Shadow<kReaders>::for_pages(uint64_t begin, uint64_t end, Conflict* conflict, const Fn& fn) {
  while (begin < end) {
    const uint64_t page_begin = begin / kPageBytes * kPageBytes;
    const uint64_t part_end = std::min<uint64_t>(end, page_begin + kPageBytes);
    Page& page = page_of(begin);
    size_t first = split(page, static_cast<uint32_t>(begin - page_begin));
    const size_t last = split(page, static_cast<uint32_t>(part_end - page_begin));
    if (pieces_ > kMaxPieces) {
      conflict->kind = Conflict::kTooFine;
      return false;
    }
    if (fn(page, &first, last)) {
      const bool is_last = first + 1 == page.pieces.size();
      conflict->begin = page_begin + page.pieces[first].begin;
      conflict->end = page_begin + (is_last ? kPageBytes : page.pieces[first + 1].begin);
      return false;
    }
    begin = part_end;
  }
  return true;
}

template <uint32_t kReaders>
bool Shadow<kReaders>::read(uint64_t begin, uint64_t end, const Touch& mine, uint32_t reader,
                            const Clocks& knows, Conflict* conflict) {
  return for_pages(begin, end, conflict, [&](Page& page, size_t* first, size_t last) {
    for (; *first < last; ++*first) {
      Piece& piece = page.pieces[*first];
      if (meets(piece, mine, false, knows, conflict)) return true;
      piece.readers[reader] = mine;
    }
    return false;
  });
}

template <uint32_t kReaders>
bool Shadow<kReaders>::write(uint64_t begin, uint64_t end, const Touch& mine, const Clocks& knows,
                             Conflict* conflict) {
  return for_pages(begin, end, conflict, [&](Page& page, size_t* first, size_t last) {
    const size_t whole = *first;
    for (; *first < last; ++*first) {
      if (meets(page.pieces[*first], mine, true, knows, conflict)) return true;
    }
    Piece& piece = page.pieces[whole];
    piece.writer = mine;
    piece.readers.fill(Touch{});
    page.pieces.erase(page.pieces.begin() + static_cast<ptrdiff_t>(whole) + 1,
                      page.pieces.begin() + static_cast<ptrdiff_t>(last));
    return false;
  });
}

template class Shadow<NPU_ENGINE_COUNT>;
template class Shadow<NPU_GROUP_MAX_TILES>;

}  // namespace npu::model
