// SPDX-License-Identifier: Apache-2.0
//
// Tokenizer file parser, encoder and decoder.
#include "samples/llm/tokenizer.h"

#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <optional>
#include <queue>

#include "samples/llm/file_bytes.h"

namespace npu::llm {
namespace {

constexpr uint64_t kMaxTokenizerBytes = 64u << 20;
constexpr int32_t kMaxPieceBytes = 4096;
constexpr size_t kEntryHeaderBytes = 8;  // score and length
constexpr int32_t kFirstByteToken = 3;   // after <unk>, <s>, </s>
constexpr int32_t kByteTokens = 256;
constexpr float kLowestMergeScore = -1e10f;  // pieces at or below it are never merged into

std::optional<uint8_t> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return {};
  int value = 0;
  for (char c : piece.substr(3, 2)) {
    if (!std::isxdigit(static_cast<unsigned char>(c))) return {};
    value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return static_cast<uint8_t>(value);
}

std::string_view single_byte(uint8_t value) {
  static const std::array<char, 256> kBytes = [] {
    std::array<char, 256> bytes{};
    for (int i = 0; i < 256; ++i) bytes[i] = static_cast<char>(i);
    return bytes;
  }();
  return {&kBytes[value], 1};
}

Error bad_entry(ErrorCode code, uint32_t token, const std::string& problem) {
  return {code, "tokenizer entry " + std::to_string(token) + " " + problem +
                    "; the file is damaged or belongs to another model, fetch it again"};
}

template <typename T>
T take(std::span<const std::byte>& rest) {
  T value;
  std::memcpy(&value, rest.data(), sizeof(T));
  rest = rest.subspan(sizeof(T));
  return value;
}

// A pair of neighbouring pieces that are together one token; the queue yields the best score first
// and among equals the leftmost.
struct Merge {
  float score;
  size_t left;
  size_t right;
  int32_t left_token;
  int32_t right_token;
  int32_t token;

  bool operator<(const Merge& other) const {
    if (score != other.score) return score < other.score;
    return left > other.left;
  }
};

// The row of tokens while pairs are merged: a doubly linked list over the original positions.
class TokenRow {
 public:
  static constexpr size_t kNone = SIZE_MAX;

  explicit TokenRow(std::vector<int32_t> tokens) : tokens_(std::move(tokens)) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      previous_.push_back(i == 0 ? kNone : i - 1);
      next_.push_back(i + 1 == tokens_.size() ? kNone : i + 1);
    }
  }

  size_t size() const { return tokens_.size(); }
  int32_t token(size_t at) const { return tokens_[at]; }
  size_t previous(size_t at) const { return previous_[at]; }
  size_t next(size_t at) const { return next_[at]; }

  bool still_there(const Merge& m) const {
    return tokens_[m.left] == m.left_token && next_[m.left] == m.right &&
           tokens_[m.right] == m.right_token;
  }

  void apply(const Merge& m) {
    tokens_[m.left] = m.token;
    tokens_[m.right] = -1;
    next_[m.left] = next_[m.right];
    if (next_[m.left] != kNone) previous_[next_[m.left]] = m.left;
  }

  std::vector<int32_t> remaining() const {
    std::vector<int32_t> out;
    for (int32_t token : tokens_) {
      if (token >= 0) out.push_back(token);
    }
    return out;
  }

 private:
  std::vector<int32_t> tokens_;
  std::vector<size_t> previous_, next_;
};

}  // namespace

Result<Tokenizer> Tokenizer::load(const std::string& path, uint32_t vocabulary) {
  Result<FileBytes> bytes = FileBytes::read(path, kMaxTokenizerBytes);
  if (!bytes.ok()) return bytes.error();
  Result<Tokenizer> out = parse(bytes->span(), vocabulary);
  if (!out.ok()) return Error{out.error().code, path + ": " + out.error().message};
  return out;
}

Result<Tokenizer> Tokenizer::parse(std::span<const std::byte> bytes, uint32_t vocabulary) {
  if (vocabulary <= static_cast<uint32_t>(kEndToken)) {
    return Error{ErrorCode::kBadValue, "a vocabulary of " + std::to_string(vocabulary) +
                                           " tokens has no room for <s> and </s>; use the model "
                                           "that the tokenizer was made for"};
  }
  const uint64_t least_bytes = sizeof(int32_t) + uint64_t{vocabulary} * kEntryHeaderBytes;
  if (bytes.size() < least_bytes) {
    return Error{ErrorCode::kTruncated,
                 "tokenizer has " + std::to_string(bytes.size()) + " bytes, " +
                     std::to_string(vocabulary) + " tokens need at least " +
                     std::to_string(least_bytes) +
                     "; it is cut off or belongs to another model, fetch it again"};
  }
  const int32_t longest = take<int32_t>(bytes);
  if (longest < 1 || longest > kMaxPieceBytes) {
    return Error{ErrorCode::kBadValue, "tokenizer says that its longest token has " +
                                           std::to_string(longest) + " bytes, not 1 to " +
                                           std::to_string(kMaxPieceBytes) +
                                           "; the file is damaged or not a llama2.c tokenizer"};
  }
  Tokenizer out;
  out.pieces_.reserve(vocabulary);
  out.scores_.reserve(vocabulary);
  for (uint32_t token = 0; token < vocabulary; ++token) {
    if (bytes.size() < kEntryHeaderBytes) {
      return bad_entry(ErrorCode::kTruncated, token, "is missing, the file ends before it");
    }
    const float score = take<float>(bytes);
    const int32_t length = take<int32_t>(bytes);
    if (std::isnan(score)) return bad_entry(ErrorCode::kBadValue, token, "has no number as score");
    if (length < 0 || length > longest) {
      return bad_entry(
          ErrorCode::kBadValue, token,
          "has length " + std::to_string(length) + ", not 0 to " + std::to_string(longest));
    }
    if (static_cast<size_t>(length) > bytes.size()) {
      return bad_entry(ErrorCode::kTruncated, token, "goes beyond the end of the file");
    }
    out.pieces_.emplace_back(reinterpret_cast<const char*>(bytes.data()), length);
    out.scores_.push_back(score);
    bytes = bytes.subspan(static_cast<size_t>(length));
  }
  if (!bytes.empty()) {
    return Error{ErrorCode::kTooLong, "tokenizer has " + std::to_string(bytes.size()) +
                                          " bytes after its " + std::to_string(vocabulary) +
                                          " tokens; it belongs to a model with a larger "
                                          "vocabulary, use the one made for this model"};
  }
  out.index_pieces();
  return out;
}

void Tokenizer::index_pieces() {
  ids_.reserve(pieces_.size());
  for (size_t i = 0; i < pieces_.size(); ++i) ids_.emplace(pieces_[i], static_cast<int32_t>(i));
  has_byte_tokens_ = pieces_.size() >= kFirstByteToken + kByteTokens;
  for (int32_t i = 0; has_byte_tokens_ && i < kByteTokens; ++i) {
    has_byte_tokens_ = byte_of_piece(pieces_[kFirstByteToken + i]) == static_cast<uint8_t>(i);
  }
}

int32_t Tokenizer::find(std::string_view piece) const {
  auto it = ids_.find(piece);
  return it == ids_.end() ? -1 : it->second;
}

// One token per UTF-8 character, or one per byte where the vocabulary lacks the character. A run of
// continuation bytes is cut after four bytes, so that broken UTF-8 ends up as bytes too.
Failure Tokenizer::append_characters(std::string_view text, std::vector<int32_t>& out) const {
  auto continues = [&](size_t i) { return i < text.size() && (text[i] & 0xC0) == 0x80; };
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + 1;
    while (end - begin < 4 && continues(end)) ++end;
    const std::string_view character = text.substr(begin, end - begin);
    begin = end;
    if (int32_t token = find(character); token >= 0) {
      out.push_back(token);
      continue;
    }
    if (!has_byte_tokens_) {
      return Error{ErrorCode::kUnsupported,
                   "the prompt has a character that the vocabulary lacks and the tokenizer has no "
                   "byte tokens; leave the character out or use another tokenizer"};
    }
    for (char byte : character) out.push_back(kFirstByteToken + static_cast<uint8_t>(byte));
  }
  return {};
}

std::vector<int32_t> Tokenizer::merge(std::vector<int32_t> tokens) const {
  TokenRow row(std::move(tokens));
  std::priority_queue<Merge> merges;
  auto propose = [&](size_t left, size_t right) {
    if (left == TokenRow::kNone || right == TokenRow::kNone) return;
    const int32_t a = row.token(left), b = row.token(right);
    const int32_t token = find(pieces_[a] + pieces_[b]);
    if (token < 0 || scores_[token] <= kLowestMergeScore) return;
    merges.push({scores_[token], left, right, a, b, token});
  };
  for (size_t i = 0; i + 1 < row.size(); ++i) propose(i, i + 1);
  while (!merges.empty()) {
    const Merge best = merges.top();
    merges.pop();
    if (!row.still_there(best)) continue;
    row.apply(best);
    propose(row.previous(best.left), best.left);
    propose(best.left, row.next(best.left));
  }
  return row.remaining();
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, bool begin, bool end) const {
  std::vector<int32_t> tokens;
  if (!text.empty()) {
    if (auto bad = append_characters(" ", tokens)) return *bad;
    if (auto bad = append_characters(text, tokens)) return *bad;
    tokens = merge(std::move(tokens));
  }
  if (begin) tokens.insert(tokens.begin(), kBeginToken);
  if (end) tokens.push_back(kEndToken);
  return tokens;
}

std::string_view Tokenizer::decode(int32_t previous, int32_t token) const {
  if (token < 0 || static_cast<size_t>(token) >= pieces_.size()) return {};
  std::string_view piece = pieces_[static_cast<size_t>(token)];
  if (previous == kBeginToken && piece.starts_with(' ')) piece.remove_prefix(1);
  if (auto byte = byte_of_piece(piece)) return single_byte(*byte);
  return piece;
}

bool is_printable(std::string_view piece) {
  for (char c : piece) {
    const unsigned char byte = static_cast<unsigned char>(c);
    const bool white_space = byte >= '\t' && byte <= '\r';
    if ((byte < 0x20 && !white_space) || byte == 0x7f) return false;
  }
  return true;
}

}  // namespace npu::llm
