// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/choose.h"

#include <algorithm>

namespace npu::ccl {

Choice choose(const Problem& problem, ElementSizes sizes, const CostModel& model,
              const Override& wishes) {
  Choice choice;
  choice.error = problem.refuse();
  if (!choice.error.empty()) return choice;
  const uint64_t bytes = size_bytes(problem, sizes);
  bool any_wanted = false;
  for (Algorithm algorithm : algorithms_of(problem.op)) {
    Candidate candidate{algorithm, 0, refuse(problem, algorithm)};
    const Override::Word word = wishes.of(problem.op, algorithm, bytes);
    if (candidate.refusal.empty()) {
      candidate.seconds = model.seconds(problem, algorithm, sizes);
      if (word == Override::Word::kForbidden) candidate.refusal = "forbidden by the override";
      any_wanted = any_wanted || word == Override::Word::kWanted;
    }
    choice.candidates.push_back(candidate);
  }
  const Candidate* best = nullptr;
  for (Candidate& candidate : choice.candidates) {
    if (any_wanted && candidate.refusal.empty() &&
        wishes.of(problem.op, candidate.algorithm, bytes) != Override::Word::kWanted) {
      candidate.refusal = "the override wants another one";
    }
    if (!candidate.refusal.empty()) continue;
    if (best == nullptr || candidate.seconds < best->seconds) best = &candidate;
  }
  if (best != nullptr) {
    choice.algorithm = best->algorithm;
  } else {
    choice.error = std::string("the override forbids every algorithm that ") + name_of(problem.op) +
                   " has here; allow one";
  }
  return choice;
}

}  // namespace npu::ccl
