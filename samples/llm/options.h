// SPDX-License-Identifier: Apache-2.0
//
// Options of the program llm.
#ifndef SAMPLES_LLM_OPTIONS_H_
#define SAMPLES_LLM_OPTIONS_H_

#include <npu/npu_types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "samples/llm/sampler.h"

namespace npu::llm {

struct Options {
  std::string model;      // empty: the shipped one
  std::string tokenizer;  // empty: the shipped one
  std::string rope;       // see LoadOptions
  std::string prompt = "ROMEO:";
  uint32_t count = 200;
  SamplerOptions sampler;
  npuDataType type = NPU_FLOAT32;
  std::string device;
  bool check = false;
  bool profile = false;
};

/// Prints help or what is wrong itself; then `exit_code` is set and nothing is returned: 0 for
/// help, 2 for a wrong command line.
std::optional<Options> parse_options(int argc, const char* const* argv, int* exit_code);

/// Fills in the shipped model where no other is named: from ../share/npu/llm of the program's
/// folder, or from the source tree of a program that was not installed.
void find_shipped_model(Options& options);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_OPTIONS_H_
