// SPDX-License-Identifier: Apache-2.0
// A reader for the little JSON that the protocol has, and the answer.
#include "firmware-model/vfio_user/version.h"

#include <errno.h>

#include <cstring>
#include <string>

namespace npu::model::vfio_user {
namespace {

constexpr int kMaxDepth = 16;
constexpr uint64_t kLeastDataBytes = 4096;

// Recursive descent; values outside "capabilities" are skipped.
class Reader {
 public:
  Reader(std::string_view text, Capabilities* out) : text_(text), out_(out) {}

  bool run() {
    if (!object("", 0)) return false;
    space();
    return at_ == text_.size();
  }

 private:
  void space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
  }
  bool take(char wanted) {
    space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  char peek() {
    space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  // Escapes are stepped over, not translated: no key that is looked for has any.
  bool string(std::string_view* out) {
    if (!take('"')) return false;
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return false;
    *out = text_.substr(begin, at_ - begin);
    ++at_;
    return true;
  }

  // A number, true, false or null.
  bool word(std::string_view* out) {
    space();
    const size_t begin = at_;
    while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == text_.npos) {
      ++at_;
    }
    *out = text_.substr(begin, at_ - begin);
    return !out->empty();
  }

  bool object(std::string_view name, int depth) {
    if (depth > kMaxDepth || !take('{')) return false;
    if (take('}')) return true;
    do {
      std::string_view key;
      if (!string(&key) || !take(':')) return false;
      if (!member(depth == 1 && name == "capabilities" ? key : "", key, depth)) return false;
    } while (take(','));
    return take('}');
  }

  bool array(int depth) {
    if (depth > kMaxDepth || !take('[')) return false;
    if (take(']')) return true;
    do {
      if (!member("", "", depth)) return false;
    } while (take(','));
    return take(']');
  }

  // |capability|: the key, when it is one of the capabilities.
  bool member(std::string_view capability, std::string_view key, int depth) {
    std::string_view text;
    switch (peek()) {
      case '{':
        return object(key, depth + 1);
      case '[':
        return array(depth + 1);
      case '"':
        return string(&text);
      default:
        break;
    }
    if (!word(&text)) return false;
    if (capability == "max_msg_fds") return number(text, 0, &out_->max_fds);
    if (capability == "max_data_xfer_size") {
      return number(text, kLeastDataBytes, &out_->max_data_bytes);
    }
    return true;
  }

  static bool number(std::string_view text, uint64_t least, uint64_t* out) {
    if (text.size() > 18) return false;
    uint64_t value = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + static_cast<uint64_t>(c - '0');
    }
    *out = value;
    return value >= least;
  }

  std::string_view text_;
  Capabilities* out_;
  size_t at_ = 0;
};

std::string own_capabilities() {
  return "{\"capabilities\":{\"max_msg_fds\":" + std::to_string(wire::kMaxFds) +
         ",\"max_data_xfer_size\":" + std::to_string(wire::kMaxDataBytes) + "}}";
}

}  // namespace

bool parse_capabilities(std::string_view json, Capabilities* out) {
  return Reader(json, out).run();
}

int negotiate(std::span<const std::byte> body, Capabilities* client,
              std::vector<std::byte>* answer) {
  wire::Version version{};
  if (body.size() < sizeof(version)) return EINVAL;
  std::memcpy(&version, body.data(), sizeof(version));
  if (version.major != 0) return ENOTSUP;
  std::string_view json(reinterpret_cast<const char*>(body.data()) + sizeof(version),
                        body.size() - sizeof(version));
  if (!json.empty()) {
    if (json.back() != '\0') return EINVAL;
    json = json.substr(0, json.find('\0'));
    if (!parse_capabilities(json, client)) return EINVAL;
  }
  version.minor = 0;
  answer->resize(sizeof(version));
  std::memcpy(answer->data(), &version, sizeof(version));
  const std::string text = own_capabilities();
  if (answer->size() + text.size() + 1 <= body.size()) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.c_str());
    answer->insert(answer->end(), begin, begin + text.size() + 1);
  }
  return 0;
}

}  // namespace npu::model::vfio_user
