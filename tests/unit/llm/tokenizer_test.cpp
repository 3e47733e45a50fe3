// SPDX-License-Identifier: Apache-2.0
//
// Encoding, decoding and the tokenizer file, with good and with hostile files.
#include "samples/llm/tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "tests/unit/llm/fixtures.h"

namespace npu::llm::test {
namespace {

using Pieces = std::vector<std::pair<std::string, float>>;
using Tokens = std::vector<int32_t>;

constexpr int32_t kFirst = 259;  // first token after the byte tokens

Tokenizer made(const Pieces& pieces) {
  const Pieces all = with_byte_tokens(pieces);
  return Tokenizer::parse(tokenizer_file(all), static_cast<uint32_t>(all.size())).value();
}

void expect_refused(const Bytes& bytes, uint32_t vocabulary, ErrorCode code,
                    const std::string& part) {
  Result<Tokenizer> out = Tokenizer::parse(bytes, vocabulary);
  ASSERT_FALSE(out.ok()) << "want refusal with: " << part;
  EXPECT_EQ(error_code_name(out.error().code), std::string(error_code_name(code)))
      << out.error().message;
  EXPECT_NE(out.error().message.find(part), std::string::npos) << out.error().message;
  EXPECT_NE(out.error().message.find(';'), std::string::npos) << "no remedy";
}

// The rule in its plainest form: scan all neighbours, merge the best pair, repeat.
Tokens encoded_by_scanning(const Pieces& pieces, const std::string& text) {
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < pieces.size(); ++i) ids.emplace(pieces[i].first, i);
  Tokens out;
  for (char c : " " + text) {
    auto it = ids.find(std::string(1, c));
    out.push_back(it != ids.end() ? it->second : 3 + static_cast<uint8_t>(c));
  }
  while (true) {
    float best = -1e10f;
    size_t at = SIZE_MAX;
    int32_t token = -1;
    for (size_t i = 0; i + 1 < out.size(); ++i) {
      auto it = ids.find(pieces[out[i]].first + pieces[out[i + 1]].first);
      if (it == ids.end() || pieces[it->second].second <= best) continue;
      best = pieces[it->second].second;
      at = i;
      token = it->second;
    }
    if (at == SIZE_MAX) return out;
    out[at] = token;
    out.erase(out.begin() + at + 1);
  }
}

TEST(TokenizerEncode, ATextGetsBeginTokenAndOneSpaceInFront) {
  const Tokenizer t = made({{" ", -1}, {"a", -2}});
  EXPECT_EQ(t.encode("a", true, false).value(), (Tokens{1, kFirst, kFirst + 1}));
  EXPECT_EQ(t.encode("a", false, true).value(), (Tokens{kFirst, kFirst + 1, 2}));
}

TEST(TokenizerEncode, AnEmptyTextGetsNoSpace) {
  const Tokenizer t = made({{" ", -1}});
  EXPECT_EQ(t.encode("", true, false).value(), (Tokens{1}));
  EXPECT_EQ(t.encode("", true, true).value(), (Tokens{1, 2}));
  EXPECT_EQ(t.encode("", false, false).value(), Tokens{});
}

TEST(TokenizerEncode, TheBestScoreMergesFirstAndTheLeftmostAmongEquals) {
  const Tokenizer t = made({{" ", 0}, {"a", 0}, {"b", 0}, {"ab", -2}, {"ba", -1}, {"aa", -5}});
  // "aba": "ba" scores higher than "ab".
  EXPECT_EQ(t.encode("aba", false, false).value(), (Tokens{kFirst, kFirst + 1, kFirst + 4}));
  // "aaa": the left pair.
  EXPECT_EQ(t.encode("aaa", false, false).value(), (Tokens{kFirst, kFirst + 5, kFirst + 1}));
}

TEST(TokenizerEncode, MergesBuildOnMerges) {
  const Tokenizer t = made({{" ", 0}, {"a", 0}, {"aa", -1}, {"aaaa", -2}, {" aaaa", -3}});
  EXPECT_EQ(t.encode("aaaa", false, false).value(), (Tokens{kFirst + 4}));
}

TEST(TokenizerEncode, CharactersWithoutATokenBecomeTheirBytes) {
  const Tokenizer t = made({{" ", 0}, {"\xc3\xa4", 0}});
  EXPECT_EQ(t.encode("\xc3\xa4", false, false).value(), (Tokens{kFirst, kFirst + 1}));
  EXPECT_EQ(t.encode("\xc3\xb6", false, false).value(), (Tokens{kFirst, 3 + 0xc3, 3 + 0xb6}));
}

TEST(TokenizerEncode, BrokenUtf8BecomesBytesAndKeepsTheSpaceApart) {
  const Tokenizer t = made({{" ", 0}});
  const std::string text = "\x80\x81\x82\x83\x84\xff";
  Tokens want = {kFirst};
  for (char c : text) want.push_back(3 + static_cast<uint8_t>(c));
  EXPECT_EQ(t.encode(text, false, false).value(), want);
}

TEST(TokenizerEncode, WithoutASpaceTokenTheSpaceIsAByte) {
  EXPECT_EQ(made({{"a", 0}}).encode("a", false, false).value(), (Tokens{3 + 0x20, kFirst}));
}

TEST(TokenizerEncode, WithoutByteTokensAnUnknownCharacterIsAnError) {
  const Pieces pieces = {{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {" ", 0}, {"a", 0}};
  const Tokenizer t = Tokenizer::parse(tokenizer_file(pieces), 5).value();
  EXPECT_EQ(t.encode("a", false, false).value(), (Tokens{3, 4}));
  Result<Tokens> out = t.encode("b", false, false);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kUnsupported);
}

TEST(TokenizerEncode, AgreesWithPlainScanningOnRandomVocabulariesAndTexts) {
  const uint32_t seed = 20240607;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto word = [&](size_t longest) {
    std::string out;
    for (size_t n = 1 + random() % longest; n > 0; --n) out += " abc"[random() % 4];
    return out;
  };
  for (int round = 0; round < 60; ++round) {
    Pieces pieces = {{" ", 0}, {"a", 0}, {"b", 0}};  // "c" only as a byte
    for (int i = 0; i < 40; ++i) pieces.emplace_back(word(5), -static_cast<float>(random() % 12));
    pieces.emplace_back("ab", -2e10f);  // below what may be merged into
    const Pieces all = with_byte_tokens(pieces);
    const Tokenizer t = made(pieces);
    for (int i = 0; i < 20; ++i) {
      const std::string text = word(40);
      ASSERT_EQ(t.encode(text, false, false).value(), encoded_by_scanning(all, text)) << text;
    }
  }
}

TEST(TokenizerEncode, ALongTextTakesNoQuadraticTime) {
  const Tokenizer t = made({{" ", 0}, {"a", 0}, {"aa", -1}, {"aaaa", -2}, {"aaaaaaaa", -3}});
  EXPECT_EQ(t.encode(std::string(1u << 19, 'a'), false, false).value().size(), (1u << 16) + 1);
}

TEST(TokenizerDecode, DropsTheSpaceAfterTheBeginTokenOnly) {
  const Tokenizer t = made({{" ", 0}, {" the", 0}});
  EXPECT_EQ(t.decode(kBeginToken, kFirst + 1), "the");
  EXPECT_EQ(t.decode(5, kFirst + 1), " the");
  EXPECT_EQ(t.decode(kBeginToken, kFirst), "");
}

TEST(TokenizerDecode, ByteTokensAreSingleBytesAndOnlyInTheirExactForm) {
  const Tokenizer t = made({{"<0x4>", 0}, {"<0x41", 0}, {"<0xG1>", 0}, {"<0x4a>", 0}});
  EXPECT_EQ(t.decode(5, 3 + 0x41), "A");
  EXPECT_EQ(t.decode(5, 3 + 0x00), std::string_view("\0", 1));
  EXPECT_EQ(t.decode(5, 3 + 0xff), "\xff");
  EXPECT_EQ(t.decode(5, kFirst), "<0x4>");
  EXPECT_EQ(t.decode(5, kFirst + 1), "<0x41");
  EXPECT_EQ(t.decode(5, kFirst + 2), "<0xG1>");
  EXPECT_EQ(t.decode(5, kFirst + 3), "J");
}

TEST(TokenizerDecode, NumbersOutsideTheVocabularyDecodeToNothing) {
  const Tokenizer t = made({{"a", 0}});
  EXPECT_EQ(t.decode(5, -1), "");
  EXPECT_EQ(t.decode(5, kFirst + 1), "");
  EXPECT_EQ(t.decode(INT32_MIN, INT32_MAX), "");
}

TEST(TokenizerDecode, EncodingThenDecodingGivesTheTextBack) {
  const Tokenizer t = made({{" ", 0}, {"a", 0}, {" a", -1}});
  for (const std::string text : {"a a", " a", "\xe2\x84\xa2 \n\xff", "aa  aa"}) {
    std::string back;
    int32_t previous = kBeginToken;
    const Tokens tokens = t.encode(text, true, false).value();
    for (size_t i = 1; i < tokens.size(); ++i) {
      back += t.decode(previous, tokens[i]);
      previous = tokens[i];
    }
    EXPECT_EQ(back, text);
  }
}

TEST(TokenizerDecode, AMovedTokenizerStillFindsItsPieces) {
  Tokenizer first = made({{" ", 0}, {"a piece too long for the small string buffer", 0}});
  const Tokenizer second = std::move(first);
  EXPECT_EQ(second.encode("\xff", false, false).value().front(), kFirst);
}

TEST(TokenizerPrintable, TerminalControlBytesAreNotPrintable) {
  EXPECT_TRUE(is_printable("abc\n"));
  EXPECT_TRUE(is_printable("\xe2\x84\xa2"));
  EXPECT_TRUE(is_printable(""));
  EXPECT_FALSE(is_printable("\x1b[2J"));
  EXPECT_FALSE(is_printable(std::string_view("\0", 1)));
  EXPECT_FALSE(is_printable("\x7f"));
}

TEST(TokenizerFile, EveryTruncationIsRefusedAsTruncated) {
  const Pieces pieces = {{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {"abc", 0}};
  const Bytes whole = tokenizer_file(pieces);
  ASSERT_TRUE(Tokenizer::parse(whole, 4).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    Result<Tokenizer> out = Tokenizer::parse(std::span(whole).first(size), 4);
    ASSERT_FALSE(out.ok()) << size;
    ASSERT_EQ(out.error().code, ErrorCode::kTruncated) << size << out.error().message;
  }
}

TEST(TokenizerFile, AVocabularyThatIsNotTheModelsIsRefused) {
  const Bytes bytes = tokenizer_file({{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {"abc", 0}});
  expect_refused(bytes, 3, ErrorCode::kTooLong, "larger vocabulary");
  expect_refused(bytes, 5, ErrorCode::kTruncated, "tokenizer entry 4 is missing");
  expect_refused(bytes, UINT32_MAX, ErrorCode::kTruncated, "need at least 34359738364");
  expect_refused(bytes, 2, ErrorCode::kBadValue, "no room");
  expect_refused(bytes, 0, ErrorCode::kBadValue, "no room");
}

TEST(TokenizerFile, LyingLengthsAndScoresAreRefused) {
  const Pieces pieces = {{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}, {"abc", 0}};
  auto damaged = [&](size_t at, auto value) {
    Bytes bytes = tokenizer_file(pieces);
    overwrite(bytes, at, value);
    return bytes;
  };
  expect_refused(damaged(0, int32_t{0}), 4, ErrorCode::kBadValue, "longest token has 0");
  expect_refused(damaged(0, int32_t{-1}), 4, ErrorCode::kBadValue, "longest token has -1");
  expect_refused(damaged(0, INT32_MAX), 4, ErrorCode::kBadValue, "longest token has 2147483647");
  expect_refused(damaged(0, int32_t{4}), 4, ErrorCode::kBadValue,
                 "entry 0 has length 5, not 0 to 4");
  expect_refused(damaged(8, int32_t{-5}), 4, ErrorCode::kBadValue, "entry 0 has length -5");
  expect_refused(damaged(8, INT32_MIN), 4, ErrorCode::kBadValue, "entry 0 has length -2147483648");
  expect_refused(damaged(4, NAN), 4, ErrorCode::kBadValue, "entry 0 has no number");
  Bytes cut = damaged(0, int32_t{100});
  overwrite(cut, cut.size() - 3 - 4, int32_t{99});
  expect_refused(cut, 4, ErrorCode::kTruncated, "entry 3 goes beyond the end");
}

TEST(TokenizerFile, AMissingFileNamesThePath) {
  Result<Tokenizer> out = Tokenizer::load("/nonexistent/tok.bin", 512);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, ErrorCode::kIo);
  EXPECT_NE(out.error().message.find("/nonexistent/tok.bin"), std::string::npos);
}

}  // namespace
}  // namespace npu::llm::test
