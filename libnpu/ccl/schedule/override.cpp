// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/override.h"

namespace npu::ccl {
namespace {

bool is_name(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string all_algorithms() {
  std::string names;
  for (uint32_t i = 0; i < kAlgorithmCount; i++) {
    names += std::string(i == 0 ? "" : ", ") + name_of(static_cast<Algorithm>(i));
  }
  return names;
}

std::string all_ops() {
  std::string names;
  for (uint32_t i = 0; i < kOpCount; i++) {
    names += std::string(i == 0 ? "" : ", ") + name_of(static_cast<Op>(i));
  }
  return names;
}

// Text for an error message: short, and printable whatever it was.
std::string quoted(std::string_view text) {
  std::string result = "'";
  for (char c : text.substr(0, 24)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + (text.size() > 24 ? "...'" : "'");
}

}  // namespace

class Override::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  bool run(Override& result) {
    do {
      if (!clause(result)) return false;
    } while (take(';'));
    return at_end() ||
           fail("unexpected " + quoted(text_.substr(at_, 1)) + "; ';' or ',' separates");
  }
  std::string error;

 private:
  bool at_end() const { return at_ == text_.size(); }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    at_++;
    return true;
  }
  bool fail(const std::string& cause) {
    error = "character " + std::to_string(at_ + 1) + ": " + cause;
    return false;
  }
  std::string_view word() {
    const size_t first = at_;
    while (!at_end() && is_name(text_[at_])) at_++;
    return text_.substr(first, at_ - first);
  }

  bool clause(Override& result) {
    Clause clause;
    const size_t start = at_;
    const std::string_view name = word();
    if (take(':')) {
      clause.op = op_named(name);
      if (!clause.op) {
        at_ = start;
        return fail("unknown operation " + quoted(name) + "; use one of " + all_ops());
      }
    } else {
      at_ = start;
    }
    for (const Clause& other : result.clauses_) {
      if (other.op == clause.op) {
        at_ = start;
        return fail(clause.op ? "second clause for this operation; join them with ','"
                              : "second clause for all operations; join them with ','");
      }
    }
    do {
      if (!item(clause)) return false;
    } while (take(','));
    result.clauses_.push_back(std::move(clause));
    return true;
  }

  bool item(Clause& clause) {
    Item item;
    item.forbids = take('^');
    const size_t start = at_;
    const std::string_view name = word();
    const std::optional<Algorithm> algorithm = algorithm_named(name);
    if (!algorithm) {
      at_ = start;
      return fail("unknown algorithm " + quoted(name) + "; use one of " + all_algorithms());
    }
    if (clause.op && !item.forbids && !has(*clause.op, *algorithm)) {
      at_ = start;
      return fail(std::string(name_of(*algorithm)) + " is no algorithm for " + name_of(*clause.op) +
                  "; remove it");
    }
    item.algorithm = *algorithm;
    if (take('@') && !range(item)) return false;
    clause.items.push_back(item);
    return true;
  }

  static bool has(Op op, Algorithm algorithm) {
    for (Algorithm one : algorithms_of(op)) {
      if (one == algorithm) return true;
    }
    return false;
  }

  bool range(Item& item) {
    const size_t start = at_;
    if (!size(item.from)) return false;
    if (!take('-')) return fail("a range of sizes needs '-', as in 0-64K");
    if (!at_end() && is_digit(text_[at_]) && !size(item.below)) return false;
    if (item.from >= item.below) {
      at_ = start;
      return fail("this range is empty; the smaller size comes first");
    }
    return true;
  }

  bool size(uint64_t& bytes) {
    if (at_end() || !is_digit(text_[at_])) return fail("expected a size, as in 64K");
    uint64_t value = 0;
    const size_t start = at_;
    bool fits = true;
    for (; !at_end() && is_digit(text_[at_]); at_++) {
      fits = fits && !__builtin_mul_overflow(value, uint64_t{10}, &value) &&
             !__builtin_add_overflow(value, static_cast<uint64_t>(text_[at_] - '0'), &value);
    }
    const uint32_t shift = take('K') ? 10 : take('M') ? 20 : take('G') ? 30 : 0;
    fits = fits && !__builtin_mul_overflow(value, uint64_t{1} << shift, &value);
    if (!fits) {
      at_ = start;
      return fail("this size does not fit in 64 bits; leave the end of the range open");
    }
    bytes = value;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
};

std::optional<Override> Override::parse(std::string_view text, std::string& error) {
  Override result;
  if (text.empty()) return result;
  if (text.size() > kTextMax) {
    error = "longer than " + std::to_string(kTextMax) + " characters; shorten it";
    return std::nullopt;
  }
  Parser parser(text);
  if (parser.run(result)) return result;
  error = parser.error;
  return std::nullopt;
}

Override::Word Override::of(Op op, Algorithm algorithm, uint64_t bytes) const {
  const Clause* found = nullptr;
  for (const Clause& clause : clauses_) {
    if (clause.op == op || (!clause.op && found == nullptr)) found = &clause;
  }
  Word word = Word::kSilent;
  if (found == nullptr) return word;
  for (const Item& item : found->items) {
    if (item.algorithm != algorithm || bytes < item.from || bytes >= item.below) continue;
    if (item.forbids) return Word::kForbidden;
    word = Word::kWanted;
  }
  return word;
}

}  // namespace npu::ccl
