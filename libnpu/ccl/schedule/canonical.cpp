// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/canonical.h"

#include <algorithm>

#include "libnpu/ccl/schedule/builder.h"

namespace npu::ccl {
namespace {

void collect(RankRange tree, RankRange part, std::vector<RankRange>& found) {
  if (tree.end <= part.first || tree.first >= part.end) return;
  if (tree.first >= part.first && tree.end <= part.end) {
    found.push_back(tree);
    return;
  }
  collect({tree.first, tree.middle()}, part, found);
  collect({tree.middle(), tree.end}, part, found);
}

// True if the tree over the index of |known| is the tree over its ranks.
bool is_one_reduction(RankRange whole, std::span<const Subtree> known) {
  if (known.size() == 1) return known[0].ranks == whole;
  const uint32_t left = left_size(static_cast<uint32_t>(known.size()));
  if (known[left].ranks.first != whole.middle()) return false;
  return is_one_reduction({whole.first, whole.middle()}, known.first(left)) &&
         is_one_reduction({whole.middle(), whole.end}, known.subspan(left));
}

Place reduce_child(Builder& out, RankRange whole, std::span<const Subtree> known, uint64_t count) {
  if (known.size() == 1) return known[0].place;
  const Place to = out.partial(count);
  reduce_subtrees(out, whole, known, to, count);
  return to;
}

}  // namespace

std::vector<RankRange> subtrees_within(RankRange whole, RankRange part) {
  std::vector<RankRange> found;
  collect(whole, part, found);
  return found;
}

void reduce_subtrees(Builder& out, RankRange whole, std::span<const Subtree> known, Place to,
                     uint64_t count) {
  std::vector<Place> operands;
  if (is_one_reduction(whole, known)) {
    for (const Subtree& subtree : known) operands.push_back(subtree.place);
  } else {
    const auto middle = std::find_if(known.begin(), known.end(), [&](const Subtree& s) {
      return s.ranks.first >= whole.middle();
    });
    const size_t left = static_cast<size_t>(middle - known.begin());
    operands.push_back(reduce_child(out, {whole.first, whole.middle()}, known.first(left), count));
    operands.push_back(reduce_child(out, {whole.middle(), whole.end}, known.subspan(left), count));
  }
  out.reduce(operands, to, count);
}

}  // namespace npu::ccl
