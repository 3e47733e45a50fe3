// SPDX-License-Identifier: Apache-2.0
// Who touched which bytes of a scratchpad last: for the checks of order and of bytes that nobody has written.
//
// Byte-exact: a page is a list of pieces that have one history. A write makes one piece of what it covers, so that the usual tile is one piece however large it is.
//
// Thread safety: belongs to one Checker, hence to one thread at a time.
#ifndef NPU_MODEL_TILE_SHADOW_H_
#define NPU_MODEL_TILE_SHADOW_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "firmware-model/tile/order.h"

namespace npu::model {

// One operand of one operation. |step| 0: none.
struct Touch {
  uint32_t step = 0;  // of the unit
  uint16_t pc = 0;
  uint8_t unit = 0;
  uint8_t slot = 0;  // enum OperandSlot
};

// What an access met.
struct Conflict {
  enum Kind : uint8_t {
    kNone,
    kRace,
    kUnwritten,  // read, and nobody in this work-group has written it
    kTooFine,    // more pieces than there is room for
  };
  Kind kind = kNone;
  bool other_writes = false;
  Touch other;
  uint64_t begin = 0;  // the first bytes concerned
  uint64_t end = 0;
};

// |kReaders|: units that may read it, each has a place of its own.
template <uint32_t kReaders>
class Shadow {
 public:
  // Forgets all, for a scratchpad of |bytes|.
  void restart(uint64_t bytes);
  // One access to bytes [begin, end) by |mine|, which knows what |knows| tells and reads as |reader|. False: *conflict tells why; the shadow is of no use then.
  bool read(uint64_t begin, uint64_t end, const Touch& mine, uint32_t reader, const Clocks& knows,
            Conflict* conflict);
  bool write(uint64_t begin, uint64_t end, const Touch& mine, const Clocks& knows,
             Conflict* conflict);

 private:
  static constexpr uint32_t kPageBytes = 4096;
  static constexpr uint64_t kMaxPieces = uint64_t{1} << 20;
  static constexpr uint64_t kKeptPieces = kMaxPieces / 16;

  struct Piece {
    Touch writer;
    std::array<Touch, kReaders> readers;
    uint16_t begin = 0;  // in the page; ends where the next one begins
  };
  struct Page {
    std::vector<Piece> pieces;
    uint64_t run = 0;  // that the pieces belong to
  };

  Page& page_of(uint64_t offset);
  // The number of the piece that begins at |at|, which is made when there is none.
  size_t split(Page& page, uint32_t at);
  bool meets(const Piece& piece, const Touch& mine, bool writes, const Clocks& knows,
             Conflict* conflict) const;
  template <typename Fn>
  bool for_pages(uint64_t begin, uint64_t end, Conflict* conflict, const Fn& fn);

  std::vector<Page> pages_;
  uint64_t run_ = 0;
  uint64_t pieces_ = 0;  // that were split off in this run
};

extern template class Shadow<NPU_ENGINE_COUNT>;
extern template class Shadow<NPU_GROUP_MAX_TILES>;

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_SHADOW_H_
