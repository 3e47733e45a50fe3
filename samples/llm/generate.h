// SPDX-License-Identifier: Apache-2.0
//
// generate(): from a prompt to text, with any Transformer; also measures the two phases.
#ifndef SAMPLES_LLM_GENERATE_H_
#define SAMPLES_LLM_GENERATE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "samples/llm/sampler.h"
#include "samples/llm/tokenizer.h"
#include "samples/llm/transformer.h"

namespace npu::llm {

enum class StopReason {
  kCount,    // as many tokens as asked for
  kEnd,      // the model ended its text
  kContext,  // no position left
};

struct Generation {
  std::vector<int32_t> tokens;  // begin token, prompt, generated ones; an ending token is left out
  uint32_t prompt_tokens = 0;   // how many of them were given, including the begin token
  std::string text;             // prompt and continuation, without the space of the encoding
  StopReason stop = StopReason::kCount;
  int64_t prefill_ns = 0;  // host time until the prompt's logits were there
  int64_t decode_ns = 0;   // host time of all later forward passes and choices
  uint32_t decode_steps = 0;

  uint32_t generated() const { return static_cast<uint32_t>(tokens.size()) - prompt_tokens; }
};

/// Receives text as it is made; a piece may end inside a UTF-8 character.
using TextSink = std::function<void(std::string_view)>;

/// Encodes `prompt` (empty: the model begins on its own), evaluates it in one prefill, then
/// generates up to `count` tokens. `sink` may be empty.
Result<Generation> generate(Transformer& model, const Tokenizer& tokenizer, Sampler& sampler,
                            std::string_view prompt, uint32_t count, const TextSink& sink);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_GENERATE_H_
