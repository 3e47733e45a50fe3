// SPDX-License-Identifier: Apache-2.0
// The choice of an algorithm, and its reasons.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/cost.h"
#include "libnpu/ccl/schedule/override.h"

namespace npu::ccl {

struct Candidate {
  Algorithm algorithm;
  double seconds = 0;   // predicted, where it is offered
  std::string refusal;  // why it is out; empty: it was weighed
};

struct Choice {
  std::optional<Algorithm> algorithm;  // nothing: |error| says why
  std::string error;
  std::vector<Candidate> candidates;  // all that the operation has
};

// The cheapest algorithm that the problem and the override allow; the first in the order of the enumeration among equals. Pure: all ranks come to the same answer.
Choice choose(const Problem& problem, ElementSizes sizes, const CostModel& model,
              const Override& wishes);

}  // namespace npu::ccl
