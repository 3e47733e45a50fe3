// SPDX-License-Identifier: Apache-2.0
//
// A first pass without a tree checks depth and keys, so that hostile text costs no memory.
#include "samples/llm/json_text.h"

#include <set>
#include <vector>

namespace npu::llm {
namespace {

class StructureCheck : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = "repeats the key '" + name + "'";
    return false;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    problem_ = "is not valid JSON at byte " + std::to_string(position);
    return false;
  }

  const std::string& problem() const { return problem_; }

 private:
  bool open() {
    keys_.emplace_back();
    if (keys_.size() <= static_cast<size_t>(kMaxJsonDepth)) return true;
    problem_ = "is nested more than " + std::to_string(kMaxJsonDepth) + " levels deep";
    return false;
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;
  std::string problem_;
};

}  // namespace

Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& what) {
  StructureCheck check;
  if (!nlohmann::json::sax_parse(text, &check)) {
    return Error{ErrorCode::kBadFormat,
                 what + " " + check.problem() + "; the file is damaged, fetch it again"};
  }
  nlohmann::json tree = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!tree.is_object()) {
    return Error{ErrorCode::kBadFormat,
                 what + " is not a JSON object; the file is damaged, fetch it again"};
  }
  return tree;
}

}  // namespace npu::llm
