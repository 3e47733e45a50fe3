// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: the text that overrides the choice of algorithms. What parses must lead to a choice or to an error with a cause; what does not must say where.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libnpu/ccl/schedule/choose.h"

namespace {

using namespace npu::ccl;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_printable(std::string_view text) {
  for (char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return true;
}

void choose_everything(const Override& wishes) {
  const CostModel model(Machine{}, {});
  for (uint32_t i = 0; i < kOpCount; i++) {
    Problem problem;
    problem.op = static_cast<Op>(i);
    problem.ranks = 6;
    for (uint64_t count : {1u, 20000u}) {
      problem.count = problem.op == Op::kBarrier ? 0 : count;
      const Choice choice = choose(problem, {4, 4}, model, wishes);
      require(choice.algorithm.has_value() == choice.error.empty());
      if (!choice.algorithm) continue;
      require(refuse(problem, *choice.algorithm).empty());
      require(wishes.of(problem.op, *choice.algorithm, size_bytes(problem, {4, 4})) !=
              Override::Word::kForbidden);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string error;
  const auto wishes = Override::parse(text, error);
  require(wishes.has_value() == error.empty());
  require(is_printable(error));
  if (wishes) {
    choose_everything(*wishes);
  } else {
    require(error.find(';') != std::string::npos || error.find("as in") != std::string::npos);
  }
  return 0;
}
