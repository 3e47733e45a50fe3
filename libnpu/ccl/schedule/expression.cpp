// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/expression.h"

#include <algorithm>

namespace npu::ccl {

uint32_t Expressions::intern(Formula formula) {
  const auto [it, is_new] = numbers_.try_emplace(formula, static_cast<uint32_t>(formulas_.size()));
  if (is_new) formulas_.push_back(std::move(formula));
  return it->second;
}

uint32_t Expressions::leaf(uint32_t rank) { return intern({Kind::kLeaf, rank, 0, 0, {}}); }

std::vector<uint32_t> Expressions::ranks_of(uint32_t formula) const {
  const Formula& f = formulas_[formula];
  return f.kind == Kind::kLeaf ? std::vector<uint32_t>{f.left} : f.ranks;
}

uint32_t Expressions::sum(uint32_t left, uint32_t right, int64_t shift) {
  if (order_ == Order::kCanonical || shift != 0) {
    return intern({Kind::kSum, left, right, shift, {}});
  }
  std::vector<uint32_t> ranks = ranks_of(left);
  const std::vector<uint32_t> more = ranks_of(right);
  ranks.insert(ranks.end(), more.begin(), more.end());
  std::sort(ranks.begin(), ranks.end());
  return intern({Kind::kBag, 0, 0, 0, std::move(ranks)});
}

Value Expressions::tree(std::span<const Value> values) {
  if (values.size() == 1) return values[0];
  const uint32_t left_count = left_size(static_cast<uint32_t>(values.size()));
  const Value left = tree(values.first(left_count));
  const Value right = tree(values.subspan(left_count));
  const auto shift = static_cast<int64_t>(right.origin - left.origin);
  return {sum(left.formula, right.formula, shift), left.origin};
}

uint32_t Expressions::rounded(uint32_t formula) {
  return formulas_[formula].kind == Kind::kSum ? intern({Kind::kRounded, formula, 0, 0, {}})
                                               : formula;
}

uint32_t Expressions::whole(uint32_t ranks) {
  std::vector<Value> leaves;
  for (uint32_t rank = 0; rank < ranks; rank++) leaves.push_back({leaf(rank), 0});
  return rounded(tree(leaves).formula);
}

std::string Expressions::text(uint32_t formula) const {
  const Formula& f = formulas_[formula];
  if (f.kind == Kind::kLeaf) return std::to_string(f.left);
  if (f.kind == Kind::kRounded) return "round" + text(f.left);
  if (f.kind == Kind::kSum) {
    const std::string shift = f.shift == 0 ? "" : "[" + std::to_string(f.shift) + "]";
    return "(" + text(f.left) + "+" + text(f.right) + shift + ")";
  }
  std::string result = "{";
  for (uint32_t rank : f.ranks) result += (result.size() > 1 ? "," : "") + std::to_string(rank);
  return result + "}";
}

}  // namespace npu::ccl
