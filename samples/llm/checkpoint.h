// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint: the weights of a Llama-architecture model, read from llama2.c or safetensors files.
#ifndef SAMPLES_LLM_CHECKPOINT_H_
#define SAMPLES_LLM_CHECKPOINT_H_

#include <string>
#include <vector>

#include "samples/llm/file_bytes.h"
#include "samples/llm/model_config.h"
#include "samples/llm/result.h"
#include "samples/llm/tensor.h"

namespace npu::llm {

/// One transformer block. Matrices are [outputs x inputs], row-major; norms are [1 x dim].
struct LayerWeights {
  TensorView attention_norm;
  TensorView wq;  // [dim x dim]
  TensorView wk;  // [kv_dim x dim]
  TensorView wv;  // [kv_dim x dim]
  TensorView wo;  // [dim x dim]
  TensorView ffn_norm;
  TensorView w1;  // gate, [hidden_dim x dim]
  TensorView w2;  // down, [dim x hidden_dim]
  TensorView w3;  // up, [hidden_dim x dim]
};

/// A checked model. Every view points into `storage`; a move keeps the views valid.
/// Rows of wq and wk are in neighbour order: elements 2i and 2i+1 of a head turn together.
struct Checkpoint {
  FileBytes storage;
  ModelConfig config;
  TensorView embedding;  // [vocabulary x dim]
  std::vector<LayerWeights> layers;
  TensorView final_norm;
  TensorView output;  // [vocabulary x dim]; the same view as `embedding` when tied
};

/// What a safetensors file may leave unsaid; a declaration in the file must agree with it.
struct LoadOptions {
  std::string rope;  // order of the q and k rows: "neighbour", "half" or empty (see hf_llama.h)
};

/// Reads a checkpoint; the name's ending selects the format: ".bin" is llama2.c version 0,
/// ".safetensors" is Hugging Face Llama naming (see hf_llama.h).
Result<Checkpoint> load_checkpoint(const std::string& path, const LoadOptions& options = {});

/// The llama2.c version 0 layout: seven int32, then fp32 tensors, then two rotary tables that are
/// skipped. The file must be exactly as long as its header says.
Result<Checkpoint> parse_llama2c(FileBytes bytes);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_CHECKPOINT_H_
