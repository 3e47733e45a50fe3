// SPDX-License-Identifier: Apache-2.0
//
// Mapping between Hugging Face's names and our Checkpoint, in both directions.
#include "samples/llm/hf_llama.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <new>
#include <system_error>

#include "samples/llm/json_text.h"
#include "samples/llm/safetensors.h"

namespace npu::llm {
namespace {

using Settings = std::map<std::string, std::string>;

constexpr uint64_t kMaxConfigBytes = 1u << 20;
constexpr char kRopeKey[] = "rope";
constexpr char kNeighbour[] = "neighbour";
constexpr char kHalf[] = "half";
constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kFinalNorm[] = "model.norm.weight";
constexpr char kOutput[] = "lm_head.weight";

struct SizeKey {
  const char* name;
  uint32_t ModelConfig::*field;
};
constexpr std::array<SizeKey, 7> kSizeKeys = {{
    {"hidden_size", &ModelConfig::dim},
    {"intermediate_size", &ModelConfig::hidden_dim},
    {"num_hidden_layers", &ModelConfig::layers},
    {"num_attention_heads", &ModelConfig::heads},
    {"num_key_value_heads", &ModelConfig::kv_heads},
    {"vocab_size", &ModelConfig::vocabulary},
    {"max_position_embeddings", &ModelConfig::context},
}};

struct LayerTensor {
  const char* suffix;
  TensorView LayerWeights::*member;
  uint64_t (*rows)(const ModelConfig&);
  uint64_t (*cols)(const ModelConfig&);
};
uint64_t one(const ModelConfig&) { return 1; }
uint64_t dim(const ModelConfig& c) { return c.dim; }
uint64_t kv_dim(const ModelConfig& c) { return c.kv_dim(); }
uint64_t hidden(const ModelConfig& c) { return c.hidden_dim; }
constexpr std::array<LayerTensor, 9> kLayerTensors = {{
    {"input_layernorm", &LayerWeights::attention_norm, one, dim},
    {"self_attn.q_proj", &LayerWeights::wq, dim, dim},
    {"self_attn.k_proj", &LayerWeights::wk, kv_dim, dim},
    {"self_attn.v_proj", &LayerWeights::wv, kv_dim, dim},
    {"self_attn.o_proj", &LayerWeights::wo, dim, dim},
    {"post_attention_layernorm", &LayerWeights::ffn_norm, one, dim},
    {"mlp.gate_proj", &LayerWeights::w1, hidden, dim},
    {"mlp.down_proj", &LayerWeights::w2, dim, hidden},
    {"mlp.up_proj", &LayerWeights::w3, hidden, dim},
}};

std::string layer_tensor_name(size_t layer, const char* suffix) {
  return "model.layers." + std::to_string(layer) + "." + suffix + ".weight";
}

Result<Settings> settings_from_json(std::string_view text) {
  Result<nlohmann::json> tree = parse_json_object(text, "config.json");
  if (!tree.ok()) return tree.error();
  Settings out;
  for (const auto& [key, value] : tree->items()) {
    if (value.is_null()) continue;
    const std::string* plain = value.get_ptr<const nlohmann::json::string_t*>();
    out.emplace(key, plain != nullptr ? *plain : value.dump());
  }
  return out;
}

Error bad_setting(ErrorCode code, const std::string& key, const std::string& problem) {
  return {code, "model configuration: " + key + " " + problem +
                    "; correct the safetensors __metadata__ or the config.json beside the file"};
}

const std::string* find(const Settings& settings, const std::string& key) {
  auto it = settings.find(key);
  return it == settings.end() ? nullptr : &it->second;
}

template <typename Number>
Failure read_number(const Settings& settings, const std::string& key, bool required, Number* out) {
  const std::string* text = find(settings, key);
  if (text == nullptr) {
    if (!required) return {};
    return bad_setting(ErrorCode::kMismatch, key, "is missing");
  }
  const char* end = text->data() + text->size();
  auto [stop, status] = std::from_chars(text->data(), end, *out);
  if (status == std::errc() && stop == end) return {};
  return bad_setting(ErrorCode::kBadValue, key,
                     "is '" + text->substr(0, 40) + "', not a number that fits");
}

// Values that change the arithmetic: anything but ours must be refused, not ignored.
Failure refuse_variants(const Settings& settings, const ModelConfig& config) {
  const std::pair<const char*, std::string> only[] = {
      {"model_type", "llama"},
      {"hidden_act", "silu"},
      {"attention_bias", "false"},
      {"mlp_bias", "false"},
      {"head_dim", std::to_string(config.head_size())},
  };
  for (const auto& [key, value] : only) {
    const std::string* found = find(settings, key);
    if (found == nullptr || *found == value) continue;
    return Error{ErrorCode::kUnsupported, "model configuration: " + std::string(key) + " is '" +
                                              found->substr(0, 40) + "'; this program runs only '" +
                                              value + "', use another model"};
  }
  if (find(settings, "rope_scaling") != nullptr) {
    return Error{ErrorCode::kUnsupported,
                 "model configuration: rope_scaling is set; use a model without rotary scaling"};
  }
  return {};
}

Result<ModelConfig> read_config(const Settings& settings, bool has_output_tensor) {
  ModelConfig config;
  for (const SizeKey& key : kSizeKeys) {
    const bool required = key.field != &ModelConfig::kv_heads;
    if (auto bad = read_number(settings, key.name, required, &(config.*key.field))) return *bad;
  }
  if (find(settings, "num_key_value_heads") == nullptr) config.kv_heads = config.heads;
  if (auto bad = read_number(settings, "rms_norm_eps", false, &config.norm_epsilon)) return *bad;
  if (auto bad = read_number(settings, "rope_theta", false, &config.rope_base)) return *bad;
  config.tied_output = !has_output_tensor;
  if (const std::string* tied = find(settings, "tie_word_embeddings")) {
    if (*tied != "true" && *tied != "false") {
      return bad_setting(ErrorCode::kBadValue, "tie_word_embeddings", "is neither true nor false");
    }
    config.tied_output = *tied == "true";
  }
  if (auto bad = check_config(config)) return *bad;
  if (auto bad = refuse_variants(settings, config)) return *bad;
  return config;
}

Result<std::string> read_rope(const Settings& settings, const LoadOptions& options) {
  const std::string* declared = find(settings, kRopeKey);
  if (declared == nullptr && options.rope.empty()) {
    return Error{ErrorCode::kMismatch,
                 "the file does not say how its q and k rows are ordered for the rotation; convert "
                 "it once with llm_convert --rope half (models of the transformers library) or "
                 "--rope neighbour (models in llama2.c order)"};
  }
  const std::string& rope = declared != nullptr ? *declared : options.rope;
  if (rope != kNeighbour && rope != kHalf) {
    return bad_setting(ErrorCode::kUnsupported, kRopeKey,
                       "is '" + rope.substr(0, 40) + "', neither 'neighbour' nor 'half'");
  }
  if (!options.rope.empty() && rope != options.rope) {
    return Error{ErrorCode::kMismatch, "the file says rope '" + rope + "' but '" +
                                           options.rope.substr(0, 40) +
                                           "' was asked for; leave the option out"};
  }
  return rope;
}

// Takes tensors out of the index by name, checking shapes; what remains is unexpected.
class TensorPicker {
 public:
  explicit TensorPicker(const SafetensorsIndex& index) : index_(index) {}

  Failure pick(const std::string& name, uint64_t rows, uint64_t cols, TensorView* out) {
    auto it = index_.tensors.find(name);
    if (it == index_.tensors.end()) {
      return Error{ErrorCode::kMismatch, "the file has no tensor '" + name +
                                             "'; it is not a whole Llama model (a single-file "
                                             "checkpoint is needed)"};
    }
    *out = it->second;
    ++picked_;
    if (out->rows == rows && out->cols == cols) return {};
    return Error{ErrorCode::kMismatch,
                 "tensor '" + name + "' is " + std::to_string(out->rows) + " x " +
                     std::to_string(out->cols) + " but the configuration needs " +
                     std::to_string(rows) + " x " + std::to_string(cols) +
                     "; the configuration belongs to another model, fetch both again"};
  }

  Failure refuse_rest(const Checkpoint& model) const {
    size_t ignored = 0;
    for (const auto& [name, view] : index_.tensors) {
      // Old exports keep the rotary frequencies, which we compute.
      if (name.ends_with(".rotary_emb.inv_freq")) ++ignored;
    }
    if (picked_ + ignored == index_.tensors.size()) return {};
    return Error{ErrorCode::kUnsupported,
                 "the file has " + std::to_string(index_.tensors.size() - picked_ - ignored) +
                     " tensors that a Llama model of " + std::to_string(model.config.layers) +
                     " layers does not have" +
                     (model.config.tied_output ? " (its output is tied)" : "") +
                     "; check the configuration or use another model"};
  }

 private:
  const SafetensorsIndex& index_;
  size_t picked_ = 0;
};

Failure pick_weights(TensorPicker& picker, Checkpoint& model) {
  const ModelConfig& c = model.config;
  if (auto bad = picker.pick(kEmbedding, c.vocabulary, c.dim, &model.embedding)) return bad;
  if (auto bad = picker.pick(kFinalNorm, 1, c.dim, &model.final_norm)) return bad;
  model.output = model.embedding;
  if (!c.tied_output) {
    if (auto bad = picker.pick(kOutput, c.vocabulary, c.dim, &model.output)) return bad;
  }
  for (size_t layer = 0; layer < c.layers; ++layer) {
    LayerWeights& weights = model.layers.emplace_back();
    for (const LayerTensor& t : kLayerTensors) {
      if (auto bad = picker.pick(layer_tensor_name(layer, t.suffix), t.rows(c), t.cols(c),
                                 &(weights.*t.member))) {
        return bad;
      }
    }
  }
  return picker.refuse_rest(model);
}

// Row i of a head goes to row 2i, row i + head_size/2 to row 2i + 1. q and k move alike, so their
// products stay what they were.
void half_to_neighbour(FileBytes& storage, const TensorView& matrix, uint32_t head_size) {
  const size_t row_bytes = matrix.cols * dtype_bytes(matrix.dtype);
  const size_t head_bytes = row_bytes * head_size;
  const size_t begin = static_cast<size_t>(matrix.bytes.data() - storage.span().data());
  std::vector<std::byte> old(head_bytes);
  for (size_t at = begin; at < begin + matrix.bytes.size(); at += head_bytes) {
    std::byte* head = storage.mutable_span().data() + at;
    std::memcpy(old.data(), head, head_bytes);
    for (size_t row = 0; row < head_size; ++row) {
      const size_t from = row / 2 + (row % 2) * (head_size / 2);
      std::memcpy(head + row * row_bytes, old.data() + from * row_bytes, row_bytes);
    }
  }
}

std::string decimal(double value) {
  std::array<char, 32> text;
  auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

Settings metadata_of(const ModelConfig& config, DType dtype, const std::string& origin) {
  Settings out;
  for (const SizeKey& key : kSizeKeys) out[key.name] = std::to_string(config.*key.field);
  out["format"] = "pt";
  out["model_type"] = "llama";
  out["hidden_act"] = "silu";
  out["rms_norm_eps"] = decimal(config.norm_epsilon);
  out["rope_theta"] = decimal(config.rope_base);
  out["tie_word_embeddings"] = config.tied_output ? "true" : "false";
  out["torch_dtype"] = dtype == DType::kF32 ? "float32" : "bfloat16";
  out[kRopeKey] = kNeighbour;
  if (!origin.empty()) out["origin"] = origin;
  return out;
}

NamedTensor narrowed(std::string name, const TensorView& tensor, bool vector, DType dtype) {
  NamedTensor out{std::move(name), dtype, {}, {}};
  if (!vector) out.shape.push_back(tensor.rows);
  out.shape.push_back(tensor.cols);
  const std::vector<float> values = widen(tensor);
  out.bytes.resize(values.size() * dtype_bytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kF32) {
      std::memcpy(out.bytes.data() + 4 * i, &values[i], 4);
    } else {
      const uint16_t bits = float_to_bf16(values[i]);
      std::memcpy(out.bytes.data() + 2 * i, &bits, 2);
    }
  }
  return out;
}

}  // namespace

Result<Checkpoint> parse_hf_llama(FileBytes bytes, std::optional<std::string_view> config_json,
                                  const LoadOptions& options) {
  Result<SafetensorsIndex> index = parse_safetensors(bytes.span());
  if (!index.ok()) return index.error();
  Settings settings = index->metadata;
  if (settings.count("hidden_size") == 0) {
    if (!config_json) {
      return Error{ErrorCode::kMismatch,
                   "the model's configuration is neither in the file's __metadata__ nor in a "
                   "config.json beside it; put the model's config.json into the same folder"};
    }
    Result<Settings> beside = settings_from_json(*config_json);
    if (!beside.ok()) return beside.error();
    settings.merge(*beside);
  }
  Result<std::string> rope = read_rope(settings, options);
  if (!rope.ok()) return rope.error();
  Result<ModelConfig> config = read_config(settings, index->tensors.count(kOutput) != 0);
  if (!config.ok()) return config.error();

  Checkpoint out;
  out.config = *config;
  out.storage = std::move(bytes);
  TensorPicker picker(*index);
  if (auto bad = pick_weights(picker, out)) return *bad;
  if (*rope == kHalf) {
    for (const LayerWeights& layer : out.layers) {
      half_to_neighbour(out.storage, layer.wq, out.config.head_size());
      half_to_neighbour(out.storage, layer.wk, out.config.head_size());
    }
  }
  return out;
}

Result<Checkpoint> parse_hf_llama_beside(FileBytes bytes, const std::string& path,
                                         const LoadOptions& options) {
  const std::string config_path = path.substr(0, path.rfind('/') + 1) + "config.json";
  std::error_code error;
  if (!std::filesystem::exists(config_path, error) && !error) {
    return parse_hf_llama(std::move(bytes), {}, options);
  }
  Result<FileBytes> text = FileBytes::read(config_path, kMaxConfigBytes);
  if (!text.ok()) return text.error();
  const std::string_view view(reinterpret_cast<const char*>(text->span().data()), text->size());
  return parse_hf_llama(std::move(bytes), view, options);
}

Result<std::vector<std::byte>> write_hf_llama(const Checkpoint& checkpoint, DType dtype,
                                              const std::string& origin) try {
  if (dtype == DType::kF16) {
    return Error{ErrorCode::kUnsupported, "checkpoints are not written as F16; choose F32 or BF16"};
  }
  std::vector<NamedTensor> tensors;
  tensors.push_back(narrowed(kEmbedding, checkpoint.embedding, false, dtype));
  for (size_t layer = 0; layer < checkpoint.layers.size(); ++layer) {
    for (const LayerTensor& t : kLayerTensors) {
      tensors.push_back(narrowed(layer_tensor_name(layer, t.suffix),
                                 checkpoint.layers[layer].*t.member, t.rows == one, dtype));
    }
  }
  tensors.push_back(narrowed(kFinalNorm, checkpoint.final_norm, true, dtype));
  if (!checkpoint.config.tied_output) {
    tensors.push_back(narrowed(kOutput, checkpoint.output, false, dtype));
  }
  return build_safetensors(metadata_of(checkpoint.config, dtype, origin), tensors);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kNoMemory,
               "no host memory to build the file; use a smaller model or a larger machine"};
} catch (const nlohmann::json::exception&) {
  return Error{ErrorCode::kBadValue, "the origin is not UTF-8 text; write it in plain letters"};
}

}  // namespace npu::llm
