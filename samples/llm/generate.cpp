// SPDX-License-Identifier: Apache-2.0
//
// The generation loop.
#include "samples/llm/generate.h"

#include <chrono>

namespace npu::llm {
namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Appends a token to the record and hands its text on.
void emit(const Tokenizer& tokenizer, int32_t token, const TextSink& sink, Generation& out) {
  const std::string_view piece = tokenizer.decode(out.tokens.back(), token);
  out.tokens.push_back(token);
  out.text += piece;
  if (sink && !piece.empty()) sink(piece);
}

}  // namespace

Result<Generation> generate(Transformer& model, const Tokenizer& tokenizer, Sampler& sampler,
                            std::string_view prompt, uint32_t count, const TextSink& sink) {
  if (tokenizer.vocabulary() != model.config().vocabulary) {
    return Error{ErrorCode::kMismatch,
                 "the tokenizer has " + std::to_string(tokenizer.vocabulary()) +
                     " tokens, the model " + std::to_string(model.config().vocabulary) +
                     "; use the tokenizer that belongs to the model"};
  }
  Result<std::vector<int32_t>> encoded = tokenizer.encode(prompt, /*begin=*/true, /*end=*/false);
  if (!encoded.ok()) return encoded.error();
  Generation out;
  out.prompt_tokens = static_cast<uint32_t>(encoded->size());

  int64_t start_ns = now_ns();
  Result<std::span<const float>> logits = model.prefill(*encoded, 0);
  if (!logits.ok()) return logits.error();
  out.prefill_ns = now_ns() - start_ns;
  out.tokens.push_back(encoded->front());
  for (size_t i = 1; i < encoded->size(); ++i) emit(tokenizer, (*encoded)[i], sink, out);

  start_ns = now_ns();
  while (out.generated() < count) {
    Result<int32_t> next = sampler.sample(*logits);
    if (!next.ok()) return next.error();
    if (*next == kBeginToken || *next == kEndToken) {
      out.stop = StopReason::kEnd;
      break;
    }
    emit(tokenizer, *next, sink, out);
    if (out.generated() == count) break;
    if (model.cached() == model.config().context) {
      out.stop = StopReason::kContext;
      break;
    }
    logits = model.forward(*next, model.cached());
    if (!logits.ok()) return logits.error();
    ++out.decode_steps;
  }
  out.decode_ns = now_ns() - start_ns;
  return out;
}

}  // namespace npu::llm
