// SPDX-License-Identifier: Apache-2.0
// Reading of -i.
#include "tools/npu-smi/selector.h"

#include <algorithm>
#include <regex>

namespace npu::smi {
namespace {

// More devices than any machine has; a larger number is a slip of the finger.
constexpr unsigned long kIndexEnd = 4096;

enum class Kind { kIndex, kUuid, kAddress, kNone };

Kind kind_of(const std::string& word) {
  static const std::regex kIndex("[0-9]{1,4}(-[0-9]{1,4})?");
  static const std::regex kUuid("[Nn][Pp][Uu]-[0-9a-fA-F-]{32,40}");
  static const std::regex kAddress("[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\\.[0-7]");
  if (std::regex_match(word, kIndex)) return Kind::kIndex;
  if (std::regex_match(word, kUuid)) return Kind::kUuid;
  return std::regex_match(word, kAddress) ? Kind::kAddress : Kind::kNone;
}

bool add_range(const std::string& word, Selector* out) {
  const size_t dash = word.find('-');
  const unsigned long first = std::stoul(word);
  const unsigned long last = dash == std::string::npos ? first : std::stoul(word.substr(dash + 1));
  if (first > last || last >= kIndexEnd) return false;
  for (unsigned long i = first; i <= last; i++) out->indices.push_back(static_cast<uint32_t>(i));
  return true;
}

bool add_word(const std::string& word, Kind kind, Selector* out) {
  if (kind == Kind::kIndex) return add_range(word, out);
  std::string name = word;
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  out->names.push_back(name);
  return true;
}

}  // namespace

std::optional<Selector> parse_selector(const std::string& text, std::string* error) {
  Selector selector;
  if (text == "all") {
    selector.all = true;
    return selector;
  }
  Kind first_kind = Kind::kNone;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const Kind kind = kind_of(word);
    if (begin == 0) first_kind = kind;
    if (kind == Kind::kNone) {
      *error = "-i '" + text + "': '" + word + "' is no index, range, UUID, PCI address or all";
      return std::nullopt;
    }
    if (kind != first_kind) {
      *error = "-i '" + text + "' mixes indices, UUIDs and PCI addresses; use one kind";
      return std::nullopt;
    }
    if (!add_word(word, kind, &selector)) {
      *error = "-i '" + text + "': the range '" + word + "' is empty or too large";
      return std::nullopt;
    }
    begin = end + 1;
  }
  std::sort(selector.indices.begin(), selector.indices.end());
  selector.indices.erase(std::unique(selector.indices.begin(), selector.indices.end()),
                         selector.indices.end());
  return selector;
}

}  // namespace npu::smi
