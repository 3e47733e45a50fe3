// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target: a vocabulary size and a tokenizer file; what loads must encode any text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "samples/llm/tokenizer.h"

namespace {

using namespace npu::llm;

void require(bool condition) {
  if (!condition) std::abort();
}

// The text is cut from the file itself, so that its pieces occur in it.
void encode_and_decode(const Tokenizer& tokenizer, const std::string& text) {
  Result<std::vector<int32_t>> tokens = tokenizer.encode(text, true, true);
  if (!tokens.ok()) return;
  require(tokens->front() == kBeginToken && tokens->back() == kEndToken);
  int32_t previous = kBeginToken;
  for (int32_t token : *tokens) {
    require(token >= 0 && static_cast<uint32_t>(token) < tokenizer.vocabulary());
    is_printable(tokenizer.decode(previous, token));
    previous = token;
  }
}

}  // namespace

// Input: two bytes of vocabulary size (little-endian), then the tokenizer file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const uint32_t vocabulary = data[0] | uint32_t{data[1]} << 8;
  const auto bytes = std::as_bytes(std::span(data + 2, size - 2));
  Result<Tokenizer> tokenizer = Tokenizer::parse(bytes, vocabulary);
  if (!tokenizer.ok()) {
    require(tokenizer.error().message.find_first_of(";,") != std::string::npos);
    return 0;
  }
  const std::string whole(reinterpret_cast<const char*>(data), size);
  encode_and_decode(*tokenizer, "");
  encode_and_decode(*tokenizer, whole);
  encode_and_decode(*tokenizer, whole.substr(size / 2));
  return 0;
}
