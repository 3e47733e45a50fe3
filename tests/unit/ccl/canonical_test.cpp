// SPDX-License-Identifier: Apache-2.0
// The canonical tree, pinned: the rest of the tests only compare with it.
#include "libnpu/ccl/schedule/canonical.h"

#include <gtest/gtest.h>

#include "libnpu/ccl/schedule/expression.h"

namespace npu::ccl {
namespace {

std::string tree_of(uint32_t ranks) {
  Expressions expressions(Order::kCanonical);
  return expressions.text(expressions.whole(ranks));
}

TEST(Canonical, SplitsAtTheLargestPowerOfTwoBelowTheSize) {
  EXPECT_EQ(tree_of(1), "0");
  EXPECT_EQ(tree_of(2), "round(0+1)");
  EXPECT_EQ(tree_of(3), "round((0+1)+2)");
  EXPECT_EQ(tree_of(4), "round((0+1)+(2+3))");
  EXPECT_EQ(tree_of(7), "round(((0+1)+(2+3))+((4+5)+6))");
}

TEST(Canonical, FindsTheFewestSubtreesOfANode) {
  using Ranges = std::vector<RankRange>;
  EXPECT_EQ(subtrees_within({0, 16}, {4, 8}), (Ranges{{4, 8}}));
  EXPECT_EQ(subtrees_within({0, 6}, {0, 3}), (Ranges{{0, 2}, {2, 3}}));
  EXPECT_EQ(subtrees_within({0, 6}, {3, 6}), (Ranges{{3, 4}, {4, 6}}));
  EXPECT_EQ(subtrees_within({0, 5}, {0, 5}), (Ranges{{0, 5}}));
}

// Rule 6 of schedule.h: how an executor evaluates a reduction with few accumulators.
TEST(Canonical, IsWhatAStackOfAccumulatorsEvaluates) {
  for (uint32_t ranks = 1; ranks <= 40; ranks++) {
    Expressions expressions(Order::kCanonical);
    struct Partial {
      Value value;
      uint32_t covered;
    };
    std::vector<Partial> stack;
    const auto merge = [&] {
      const Partial right = stack.back();
      stack.pop_back();
      const Value both[] = {stack.back().value, right.value};
      stack.back() = {expressions.tree(both), stack.back().covered + right.covered};
    };
    for (uint32_t rank = 0; rank < ranks; rank++) {
      stack.push_back({{expressions.leaf(rank), 0}, 1});
      while (stack.size() > 1 && stack.back().covered == stack[stack.size() - 2].covered) merge();
    }
    while (stack.size() > 1) merge();
    EXPECT_EQ(expressions.rounded(stack[0].value.formula), expressions.whole(ranks)) << ranks;
  }
}

}  // namespace
}  // namespace npu::ccl
