// SPDX-License-Identifier: Apache-2.0
//
// Llama models in safetensors files with Hugging Face's tensor names and configuration keys.
//
// The configuration stands in the file's `__metadata__` (keys as in config.json, values as strings)
// or in a config.json beside the file. One key is ours: `rope` says which rows of the q and k
// projections turn together: `neighbour` (2i with 2i+1, as llama2.c, what we write and compute
// with) or `half` (i with i + head_size/2, as the transformers library; put in neighbour order
// while loading). Both kinds exist under the same names, so a file that does not say is refused.
#ifndef SAMPLES_LLM_HF_LLAMA_H_
#define SAMPLES_LLM_HF_LLAMA_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "samples/llm/checkpoint.h"

namespace npu::llm {

/// `config_json`: text of config.json, used when the metadata holds no configuration.
Result<Checkpoint> parse_hf_llama(FileBytes bytes, std::optional<std::string_view> config_json,
                                  const LoadOptions& options = {});

/// As above with the config.json in the folder of `path`, if there is one.
Result<Checkpoint> parse_hf_llama_beside(FileBytes bytes, const std::string& path,
                                         const LoadOptions& options = {});

/// The checkpoint as a safetensors file with all tensors in `dtype` (kF32 or kBf16), its
/// configuration in the metadata and `rope: neighbour`. `origin` becomes metadata too. The same
/// arguments always give the same bytes.
Result<std::vector<std::byte>> write_hf_llama(const Checkpoint& checkpoint, DType dtype,
                                              const std::string& origin);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_HF_LLAMA_H_
