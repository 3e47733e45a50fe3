// SPDX-License-Identifier: Apache-2.0
// Override: which algorithms a user allows. The text comes from an environment variable and is hostile.
//
//   override := clause { ';' clause }            at most one clause per operation, and one for all others
//   clause   := [ operation ':' ] item { ',' item }
//   item     := [ '^' ] algorithm [ '@' size '-' [ size ] ]        from the first size up to, not including, the second one
//   size     := digits [ 'K' | 'M' | 'G' ]                         powers of 1024
//
// "ring;allreduce:^tree,direct@0-64K": rings where an operation has one; for all-reduce never a tree, and direct below 64 KiB. Names without '^' that match the
// size and are offered are the only candidates; if none is, every algorithm is one that no '^' forbids.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libnpu/ccl/schedule/algorithm.h"

namespace npu::ccl {

class Override {
 public:
  static constexpr size_t kTextMax = 4096;

  // Nothing, with the cause, the place and what may stand there in |error|.
  static std::optional<Override> parse(std::string_view text, std::string& error);

  enum class Word : uint8_t { kSilent, kWanted, kForbidden };
  // What the text says of |algorithm| for |op| at |bytes|. "Forbidden" wins over "wanted".
  Word of(Op op, Algorithm algorithm, uint64_t bytes) const;

 private:
  struct Item {
    Algorithm algorithm;
    bool forbids = false;
    uint64_t from = 0;
    uint64_t below = UINT64_MAX;
  };
  struct Clause {
    std::optional<Op> op;
    std::vector<Item> items;
  };
  class Parser;

  std::vector<Clause> clauses_;
};

}  // namespace npu::ccl
