// SPDX-License-Identifier: Apache-2.0
//
// Argument checks common to all forward passes.
#include "samples/llm/transformer.h"

#include <string>

namespace npu::llm {

Failure Transformer::check_step(std::span<const int32_t> tokens, uint32_t position) const {
  if (tokens.empty()) {
    return Error{ErrorCode::kOutOfRange, "no token to evaluate; give at least the begin token"};
  }
  if (position > cached()) {
    return Error{ErrorCode::kOutOfRange, "position " + std::to_string(position) +
                                             " leaves a gap after the " + std::to_string(cached()) +
                                             " cached positions; evaluate those between first"};
  }
  if (tokens.size() > config().context - position) {
    return Error{ErrorCode::kOutOfRange,
                 std::to_string(tokens.size()) + " tokens at position " + std::to_string(position) +
                     " exceed the model's context of " + std::to_string(config().context) +
                     " positions; shorten the prompt or generate fewer tokens"};
  }
  for (int32_t token : tokens) {
    if (token >= 0 && static_cast<uint32_t>(token) < config().vocabulary) continue;
    return Error{ErrorCode::kOutOfRange, "token " + std::to_string(token) +
                                             " is not in the vocabulary of " +
                                             std::to_string(config().vocabulary) +
                                             "; use the tokenizer that belongs to the model"};
  }
  return {};
}

}  // namespace npu::llm
