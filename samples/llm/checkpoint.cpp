// SPDX-License-Identifier: Apache-2.0
//
// The llama2.c checkpoint parser, and the choice of a parser by file name.
#include "samples/llm/checkpoint.h"

#include <array>
#include <cstring>
#include <new>
#include <string_view>

#include "samples/llm/hf_llama.h"

namespace npu::llm {
namespace {

constexpr uint64_t kMaxCheckpointBytes = uint64_t{1} << 40;
constexpr size_t kHeaderFields = 7;
constexpr size_t kHeaderBytes = kHeaderFields * sizeof(int32_t);
constexpr uint32_t kVersion1Magic = 0x616b3432;  // "ak42"
constexpr uint32_t kGgufMagic = 0x46554747;      // "GGUF"

Failure refuse_other_formats(uint32_t first_word) {
  if (first_word == kVersion1Magic) {
    return Error{ErrorCode::kUnsupported,
                 "this is a llama2.c checkpoint of version 1 or later; export it with --version 0"};
  }
  if (first_word == kGgufMagic) {
    return Error{ErrorCode::kUnsupported,
                 "this is a GGUF file; use the model's llama2.c or safetensors checkpoint"};
  }
  return {};
}

Result<ModelConfig> read_header(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes) {
    return Error{ErrorCode::kTruncated, "checkpoint has " + std::to_string(bytes.size()) +
                                            " bytes, its header alone needs 28; copy it again"};
  }
  std::array<int32_t, kHeaderFields> field;
  std::memcpy(field.data(), bytes.data(), kHeaderBytes);
  if (auto refused = refuse_other_formats(static_cast<uint32_t>(field[0]))) return *refused;

  static constexpr std::array<const char*, kHeaderFields> kNames = {
      "dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"};
  const bool tied = field[5] > 0;
  if (!tied && field[5] != INT32_MIN) field[5] = -field[5];
  for (size_t i = 0; i < kHeaderFields; ++i) {
    if (field[i] > 0) continue;
    return Error{ErrorCode::kBadValue, "checkpoint header field " + std::string(kNames[i]) +
                                           " is " + std::to_string(field[i]) +
                                           ", it must be positive; the file is damaged or not a "
                                           "llama2.c version 0 checkpoint"};
  }
  ModelConfig config;
  config.dim = static_cast<uint32_t>(field[0]);
  config.hidden_dim = static_cast<uint32_t>(field[1]);
  config.layers = static_cast<uint32_t>(field[2]);
  config.heads = static_cast<uint32_t>(field[3]);
  config.kv_heads = static_cast<uint32_t>(field[4]);
  config.vocabulary = static_cast<uint32_t>(field[5]);
  config.context = static_cast<uint32_t>(field[6]);
  config.tied_output = tied;
  if (auto bad = check_config(config)) return *bad;
  return config;
}

// check_config bounds each size, so that this sum stays below 2^52.
uint64_t expected_bytes(const ModelConfig& c) {
  const uint64_t dim = c.dim;
  const uint64_t per_layer =
      2 * dim + 2 * dim * dim + 2 * dim * c.kv_dim() + 3 * dim * c.hidden_dim;
  const uint64_t rotary_tables = uint64_t{c.context} * c.head_size();
  const uint64_t matrices = (c.tied_output ? 1 : 2) * (uint64_t{c.vocabulary} * dim);
  return kHeaderBytes + sizeof(float) * (matrices + c.layers * per_layer + dim + rotary_tables);
}

Failure check_length(uint64_t have, uint64_t want) {
  const std::string numbers =
      std::to_string(have) + " bytes, its header announces " + std::to_string(want);
  if (have < want) {
    return Error{
        ErrorCode::kTruncated,
        "checkpoint has " + numbers + "; it is cut off or its header is wrong, copy it again"};
  }
  if (have > want) {
    return Error{ErrorCode::kTooLong, "checkpoint has " + numbers +
                                          "; it is not a llama2.c version 0 file or has foreign "
                                          "bytes at its end, export it again"};
  }
  return {};
}

// Hands out consecutive fp32 tensors of a file whose length has been checked.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> rest) : rest_(rest) {}

  TensorView take(uint64_t rows, uint64_t cols) {
    const size_t size_bytes = rows * cols * sizeof(float);
    TensorView view{DType::kF32, rows, cols, rest_.first(size_bytes)};
    rest_ = rest_.subspan(size_bytes);
    return view;
  }

 private:
  std::span<const std::byte> rest_;
};

void take_all_layers(Cursor& cursor, std::vector<LayerWeights>& layers,
                     TensorView LayerWeights::*member, uint64_t rows, uint64_t cols) {
  for (LayerWeights& layer : layers) layer.*member = cursor.take(rows, cols);
}

}  // namespace

Result<Checkpoint> parse_llama2c(FileBytes bytes) {
  Result<ModelConfig> config = read_header(bytes.span());
  if (!config.ok()) return config.error();
  const ModelConfig& c = *config;
  if (auto bad = check_length(bytes.size(), expected_bytes(c))) return *bad;

  Checkpoint out;
  out.config = c;
  out.storage = std::move(bytes);
  out.layers.resize(c.layers);
  Cursor cursor(out.storage.span().subspan(kHeaderBytes));
  out.embedding = cursor.take(c.vocabulary, c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::attention_norm, 1, c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::wq, c.dim, c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::wk, c.kv_dim(), c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::wv, c.kv_dim(), c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::wo, c.dim, c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::ffn_norm, 1, c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::w1, c.hidden_dim, c.dim);
  take_all_layers(cursor, out.layers, &LayerWeights::w2, c.dim, c.hidden_dim);
  take_all_layers(cursor, out.layers, &LayerWeights::w3, c.hidden_dim, c.dim);
  out.final_norm = cursor.take(1, c.dim);
  cursor.take(c.context, c.head_size());  // the two rotary tables, each context x head_size/2
  out.output = c.tied_output ? out.embedding : cursor.take(c.vocabulary, c.dim);
  return out;
}

Result<Checkpoint> load_checkpoint(const std::string& path, const LoadOptions& options) try {
  const bool llama2c = path.ends_with(".bin");
  if (!llama2c && !path.ends_with(".safetensors")) {
    return Error{ErrorCode::kUnsupported,
                 "'" + path +
                     "' ends neither in .bin (llama2.c) nor in "
                     ".safetensors; give a checkpoint of one of these kinds"};
  }
  Result<FileBytes> bytes = FileBytes::read(path, kMaxCheckpointBytes);
  if (!bytes.ok()) return bytes.error();
  Result<Checkpoint> out = llama2c ? parse_llama2c(std::move(bytes).value())
                                   : parse_hf_llama_beside(std::move(bytes).value(), path, options);
  if (!out.ok()) return Error{out.error().code, path + ": " + out.error().message};
  return out;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kNoMemory,
               "no host memory to read '" + path + "'; use a smaller model or a larger machine"};
}

}  // namespace npu::llm
