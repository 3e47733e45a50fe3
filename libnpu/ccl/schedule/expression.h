// SPDX-License-Identifier: Apache-2.0
// Expressions: what an element is, as a formula over the ranks' inputs. Equal formulas have equal numbers, so comparing is comparing numbers.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "libnpu/ccl/schedule/canonical.h"
#include "libnpu/ccl/schedule/problem.h"

namespace npu::ccl {

// A formula for a run of elements: element i of the run is the formula over the inputs' elements origin + i.
struct Value {
  uint32_t formula = 0;
  uint64_t origin = 0;
  bool operator==(const Value&) const = default;
};

class Expressions {
 public:
  explicit Expressions(Order order) : order_(order) {}

  uint32_t leaf(uint32_t rank);
  // The canonical tree over |values| by index, without a rounding.
  Value tree(std::span<const Value> values);
  // Rounded to the data type; inputs and rounded values stay what they are.
  uint32_t rounded(uint32_t formula);
  // The canonical tree over all ranks, rounded once.
  uint32_t whole(uint32_t ranks);
  std::string text(uint32_t formula) const;

 private:
  enum class Kind : uint8_t { kLeaf, kSum, kRounded, kBag };
  struct Formula {
    Kind kind;
    uint32_t left;  // rank of a leaf
    uint32_t right;
    int64_t shift;  // of the right operand's origin against the left one's: 0 in every correct sum
    std::vector<uint32_t>
        ranks;  // of a bag, where the order means nothing: sorted, with repetitions
    auto key() const { return std::tie(kind, left, right, shift, ranks); }
    bool operator<(const Formula& other) const { return key() < other.key(); }
  };

  uint32_t intern(Formula formula);
  uint32_t sum(uint32_t left, uint32_t right, int64_t shift);
  std::vector<uint32_t> ranks_of(uint32_t formula) const;

  Order order_;
  std::vector<Formula> formulas_;
  std::map<Formula, uint32_t> numbers_;
};

}  // namespace npu::ccl
