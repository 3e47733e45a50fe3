// SPDX-License-Identifier: Apache-2.0
//
// Tokenizer: text to token numbers and back, for vocabularies in llama2.c's tokenizer layout.
#ifndef SAMPLES_LLM_TOKENIZER_H_
#define SAMPLES_LLM_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "samples/llm/result.h"

namespace npu::llm {

inline constexpr int32_t kBeginToken = 1;  // <s>, also what separates training texts
inline constexpr int32_t kEndToken = 2;    // </s>

/// Byte-pair encoding with scores. Immutable after loading, hence safe to share between threads.
class Tokenizer {
 public:
  /// Reads a tokenizer file. The layout does not hold the number of tokens, so the model's is
  /// needed; a file with fewer or more is refused.
  static Result<Tokenizer> load(const std::string& path, uint32_t vocabulary);
  static Result<Tokenizer> parse(std::span<const std::byte> bytes, uint32_t vocabulary);

  /// Tokens of `text`, after kBeginToken if `begin` and before kEndToken if `end`. A text that is
  /// not empty gets one space in front, as in training. Characters without a token become bytes.
  Result<std::vector<int32_t>> encode(std::string_view text, bool begin, bool end) const;

  /// Bytes that `token` stands for when it follows `previous`: the space after kBeginToken is
  /// dropped, "<0x0A>" is one byte. Lives as long as the tokenizer. Unknown numbers give "".
  std::string_view decode(int32_t previous, int32_t token) const;

  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(Tokenizer&&) = default;

  uint32_t vocabulary() const { return static_cast<uint32_t>(pieces_.size()); }

 private:
  Tokenizer() = default;
  void index_pieces();
  int32_t find(std::string_view piece) const;
  Failure append_characters(std::string_view text, std::vector<int32_t>& out) const;
  std::vector<int32_t> merge(std::vector<int32_t> tokens) const;

  // Keys of ids_ point into the strings of pieces_, which a move leaves at their addresses (a copy
  // would not, hence there is none).
  std::vector<std::string> pieces_;
  std::vector<float> scores_;
  std::unordered_map<std::string_view, int32_t> ids_;
  bool has_byte_tokens_ = false;
};

/// True if `piece` may go to a terminal: it holds no control bytes other than white space.
bool is_printable(std::string_view piece);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_TOKENIZER_H_
