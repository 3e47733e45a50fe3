// SPDX-License-Identifier: Apache-2.0
//
// Parsing of JSON from untrusted files: bounded depth, no duplicate keys, no exceptions.
#ifndef SAMPLES_LLM_JSON_TEXT_H_
#define SAMPLES_LLM_JSON_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "samples/llm/result.h"

namespace npu::llm {

/// Parses a JSON object nested at most `kMaxJsonDepth` deep in which no object repeats a key.
/// `what` names the text in error messages.
inline constexpr int kMaxJsonDepth = 8;
Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& what);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_JSON_TEXT_H_
