// SPDX-License-Identifier: Apache-2.0
//
// Strict reader and deterministic writer of the safetensors container.
#include "samples/llm/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "samples/llm/json_text.h"

namespace npu::llm {
namespace {

using nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxIndexBytes = 16u << 20;  // 80 layers need 0.1 MB
constexpr size_t kDataAlignment = 64;
constexpr char kMetadataKey[] = "__metadata__";

Error bad_tensor(ErrorCode code, const std::string& name, const std::string& problem) {
  return {code, "safetensors tensor '" + name + "' " + problem +
                    "; the file is damaged or badly written, fetch or convert it again"};
}

Result<std::string_view> index_text(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) {
    return Error{ErrorCode::kTruncated, "safetensors file has " + std::to_string(bytes.size()) +
                                            " bytes, its length word alone needs 8; copy it again"};
  }
  uint64_t length;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const uint64_t rest = bytes.size() - kLengthBytes;
  if (length > rest) {
    return Error{ErrorCode::kTruncated, "safetensors index is said to have " +
                                            std::to_string(length) + " bytes but only " +
                                            std::to_string(rest) +
                                            " follow; the file is cut off or not safetensors"};
  }
  if (length < 2 || length > kMaxIndexBytes) {
    return Error{ErrorCode::kBadValue, "safetensors index length is " + std::to_string(length) +
                                           ", not between 2 and " + std::to_string(kMaxIndexBytes) +
                                           "; the file is damaged or not safetensors"};
  }
  const char* text = reinterpret_cast<const char*>(bytes.data()) + kLengthBytes;
  if (text[0] != '{') {
    return Error{ErrorCode::kBadFormat,
                 "safetensors index does not begin with '{'; the file is not safetensors"};
  }
  return std::string_view(text, length);
}

Result<std::map<std::string, std::string>> read_metadata(const json& node) {
  const Error bad{ErrorCode::kBadFormat,
                  "safetensors __metadata__ is not an object of strings; convert the file again"};
  if (!node.is_object()) return bad;
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : node.items()) {
    const std::string* text = value.get_ptr<const json::string_t*>();
    if (text == nullptr) return bad;
    out.emplace(key, *text);
  }
  return out;
}

std::optional<std::vector<uint64_t>> unsigned_list(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return {};
  std::vector<uint64_t> out;
  for (const json& item : *found) {
    const uint64_t* number = item.get_ptr<const json::number_unsigned_t*>();
    if (number == nullptr) return {};
    out.push_back(*number);
  }
  return out;
}

Result<TensorView> read_shape(const std::string& name, const json& node) {
  const auto shape = unsigned_list(node, "shape");
  if (!shape) return bad_tensor(ErrorCode::kBadFormat, name, "has no shape of whole numbers >= 0");
  if (shape->empty() || shape->size() > 2) {
    return bad_tensor(ErrorCode::kUnsupported, name,
                      "has " + std::to_string(shape->size()) + " dimensions instead of 1 or 2");
  }
  auto type = node.find("dtype");
  if (type == node.end() || !type->is_string()) {
    return bad_tensor(ErrorCode::kBadFormat, name, "has no dtype");
  }
  const std::string& type_name = *type->get_ptr<const json::string_t*>();
  const auto dtype = dtype_from_name(type_name);
  if (!dtype) {
    return Error{ErrorCode::kUnsupported, "safetensors tensor '" + name + "' has dtype '" +
                                              type_name +
                                              "'; convert the model to F32, BF16 or F16"};
  }
  return TensorView{*dtype, shape->size() == 2 ? (*shape)[0] : 1, shape->back(), {}};
}

Result<TensorView> read_tensor(const std::string& name, const json& node,
                               std::span<const std::byte> data) {
  if (!node.is_object()) return bad_tensor(ErrorCode::kBadFormat, name, "is not a JSON object");
  Result<TensorView> out = read_shape(name, node);
  if (!out.ok()) return out;
  const auto offsets = unsigned_list(node, "data_offsets");
  if (!offsets || offsets->size() != 2) {
    return bad_tensor(ErrorCode::kBadFormat, name, "has no data_offsets of two whole numbers >= 0");
  }
  const uint64_t begin = (*offsets)[0], end = (*offsets)[1];
  if (begin > end) return bad_tensor(ErrorCode::kBadValue, name, "ends before it begins");
  if (end > data.size()) {
    return bad_tensor(ErrorCode::kTruncated, name,
                      "ends at byte " + std::to_string(end) + " of data that has only " +
                          std::to_string(data.size()));
  }
  uint64_t size_bytes;
  if (__builtin_mul_overflow(out->rows, out->cols, &size_bytes) ||
      __builtin_mul_overflow(size_bytes, dtype_bytes(out->dtype), &size_bytes)) {
    return bad_tensor(ErrorCode::kBadValue, name, "has a shape whose size overflows 64 bits");
  }
  if (size_bytes != end - begin) {
    return bad_tensor(ErrorCode::kMismatch, name,
                      "has " + std::to_string(end - begin) + " bytes but its shape needs " +
                          std::to_string(size_bytes));
  }
  out->bytes = data.subspan(begin, size_bytes);
  return out;
}

Failure check_coverage(const SafetensorsIndex& index, std::span<const std::byte> data) {
  std::vector<std::pair<std::span<const std::byte>, const std::string*>> parts;
  for (const auto& [name, view] : index.tensors) parts.emplace_back(view.bytes, &name);
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    if (a.first.data() != b.first.data()) return a.first.data() < b.first.data();
    return a.first.size() < b.first.size();
  });
  const std::byte* next = data.data();
  for (const auto& [bytes, name] : parts) {
    if (bytes.data() < next) return bad_tensor(ErrorCode::kMismatch, *name, "overlaps another");
    if (bytes.data() > next) {
      return bad_tensor(ErrorCode::kMismatch, *name, "leaves a gap after the one before it");
    }
    next = bytes.data() + bytes.size();
  }
  const size_t left = static_cast<size_t>(data.data() + data.size() - next);
  if (left == 0) return {};
  return Error{ErrorCode::kTooLong, "safetensors file has " + std::to_string(left) +
                                        " bytes after its last tensor; copy or convert it again"};
}

}  // namespace

Result<SafetensorsIndex> parse_safetensors(std::span<const std::byte> bytes) {
  Result<std::string_view> text = index_text(bytes);
  if (!text.ok()) return text.error();
  Result<json> tree = parse_json_object(*text, "safetensors index");
  if (!tree.ok()) return tree.error();

  const auto data = bytes.subspan(kLengthBytes + text->size());
  SafetensorsIndex out;
  for (const auto& [name, node] : tree->items()) {
    if (name == kMetadataKey) {
      auto metadata = read_metadata(node);
      if (!metadata.ok()) return metadata.error();
      out.metadata = std::move(metadata).value();
      continue;
    }
    Result<TensorView> view = read_tensor(name, node, data);
    if (!view.ok()) return view.error();
    out.tensors.emplace(name, *view);
  }
  if (auto bad = check_coverage(out, data)) return *bad;
  return out;
}

std::vector<std::byte> build_safetensors(const std::map<std::string, std::string>& metadata,
                                         const std::vector<NamedTensor>& tensors) {
  json index = json::object();  // sorted by key, hence one text for one content
  index[kMetadataKey] = metadata;
  uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    const uint64_t end = offset + tensor.bytes.size();
    index[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                          {"shape", tensor.shape},
                          {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = index.dump();
  const size_t unaligned = (kLengthBytes + text.size()) % kDataAlignment;
  if (unaligned != 0) text.append(kDataAlignment - unaligned, ' ');

  const uint64_t length = text.size();
  std::vector<std::byte> out(kLengthBytes + text.size() + offset);
  std::memcpy(out.data(), &length, kLengthBytes);
  std::memcpy(out.data() + kLengthBytes, text.data(), text.size());
  std::byte* to = out.data() + kLengthBytes + text.size();
  for (const NamedTensor& tensor : tensors) {
    to = std::copy(tensor.bytes.begin(), tensor.bytes.end(), to);
  }
  return out;
}

}  // namespace npu::llm
