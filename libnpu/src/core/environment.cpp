// SPDX-License-Identifier: Apache-2.0
// Reading and checking of environment variables.
#include "libnpu/src/core/environment.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>

#include "libnpu/src/core/error.h"
#include "uapi/npu_model.h"

namespace npu {
namespace {

constexpr size_t kPathMax = 4096;
constexpr uint64_t kIndexMax = 255;

// Decimal digits only, at most |limit|.
bool parse_number(const char* text, uint64_t limit, uint64_t* out) {
  if (*text == '\0') return false;
  uint64_t value = 0;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9') return false;
    value = value * 10 + static_cast<uint64_t>(*text - '0');
    if (value > limit) return false;
  }
  *out = value;
  return true;
}

bool copy_text(const char* value, std::string* out) {
  *out = value;
  return out->size() <= kPathMax;
}

// Readers: each checks the value of its variable and puts it into |out|. False: the value is not one of those that the table accepts.
bool read_device(const char* value, Environment* out) {
  return parse_device_road(value, &out->device);
}
bool read_visible(const char* value, Environment* out) {
  return parse_visible_devices(value, &out->visible);
}
bool read_exec_timeout(const char* value, Environment* out) {
  uint64_t milliseconds = 0;
  if (!parse_number(value, 86400000, &milliseconds) || milliseconds == 0) return false;
  out->exec_timeout_ms = static_cast<uint32_t>(milliseconds);
  return true;
}
bool read_spin(const char* value, Environment* out) {
  uint64_t microseconds = 0;
  if (!parse_number(value, 1000000, &microseconds)) return false;
  out->wait_spin_us = static_cast<int64_t>(microseconds);
  return true;
}
bool read_log_level(const char* value, Environment* out) {
  constexpr const char* kNames[] = {"off", "error", "warn", "info", "debug"};
  for (uint32_t i = 0; i < std::size(kNames); i++) {
    if (std::strcmp(value, kNames[i]) != 0) continue;
    out->log_level = static_cast<LogLevel>(i);
    return true;
  }
  return false;
}
bool read_log_file(const char* value, Environment* out) {
  return value[0] == '/' && copy_text(value, &out->log_file);
}
bool read_layers(const char* value, Environment* out) {
  constexpr const char* kNames[] = {"validation", "leak", "record"};  // as the bits of Layer
  for (const char* at = value;; at++) {
    const size_t length = std::strcspn(at, ",");
    uint32_t bit = 0;
    for (uint32_t i = 0; i < std::size(kNames); i++) {
      if (std::string(at, length) == kNames[i]) bit = 1u << i;
    }
    if (bit == 0 || (out->layers & bit) != 0) return false;
    out->layers |= bit;
    at += length;
    if (*at == '\0') return true;
  }
}
bool read_record_file(const char* value, Environment* out) {
  return copy_text(value, &out->record_file);
}
bool read_trace(const char* value, Environment* out) { return copy_text(value, &out->trace_file); }
bool read_record_max(const char* value, Environment* out) {
  return parse_number(value, 1 << 20, &out->record_max_mb) && out->record_max_mb != 0;
}
bool read_launch_blocking(const char* value, Environment* out) {
  uint64_t number = 0;
  if (!parse_number(value, 1, &number)) return false;
  out->launch_blocking = number != 0;
  return true;
}
bool read_modeld(const char* value, Environment* out) { return copy_text(value, &out->modeld); }
bool read_model_library(const char* value, Environment* out) {
  return copy_text(value, &out->model_library);
}
bool read_idle(const char* value, Environment* out) {
  uint64_t seconds = 0;
  if (!parse_number(value, 86400, &seconds)) return false;
  out->model_idle_s = static_cast<uint32_t>(seconds);
  return true;
}
bool read_runtime_dir(const char* value, Environment* out) {
  return value[0] == '/' && copy_text(value, &out->runtime_dir);
}
bool read_path(const char* value, Environment* out) {
  out->path = value;  // not ours, hence not judged
  return true;
}
bool read_elsewhere(const char*, Environment*) { return true; }

struct Variable {
  const char* name;
  bool (*read)(const char* value, Environment* out);
  const char* accepted;
  const char* fallback;
  const char* doc;
};

constexpr Variable kVariables[] = {
#define NPU_VARIABLE(NAME, reader, accepted, fallback, doc) \
  {#NAME, reader, accepted, fallback, doc},
#include "libnpu/src/core/environment.def"
};

// An empty variable is an unset one, as in the shell's ${NAME:-default}.
const char* value_of(const Variable& variable) {
  const char* value = std::getenv(variable.name);
  return value != nullptr && value[0] != '\0' ? value : nullptr;
}

bool is_profile_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

// PROFILE or PROFILE*COUNT.
bool parse_spec(const char* text, DeviceRoad* out) {
  const char* end = text;
  while (is_profile_char(*end)) end++;
  // A name that begins with a point could leave the profile folder.
  if (end == text || text[0] == '.' || end - text > 64) return false;
  if (*end != '\0') {
    uint64_t count = 0;
    if (*end != '*' || !parse_number(end + 1, NPU_MODEL_MAX_DEVICES, &count) || count == 0) {
      return false;
    }
    out->count = static_cast<uint32_t>(count);
  }
  // One spelling for one meaning: the spec names the socket.
  out->spec.assign(text, static_cast<size_t>(end - text));
  if (out->count > 1) out->spec += "*" + std::to_string(out->count);
  return true;
}

constexpr const char kPciShape[] = "hhhh:hh:hh.h";  // as the kernel prints it

// Appends |text| in lower case; |shape| has an h for each hexadecimal digit.
bool match_hex(const char* text, const char* shape, std::string* out) {
  if (std::strlen(text) != std::strlen(shape)) return false;
  for (; *shape != '\0'; shape++, text++) {
    const char c = *text >= 'A' && *text <= 'F' ? static_cast<char>(*text + 32) : *text;
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (*shape == 'h' ? !is_hex : c != *shape) return false;
    *out += c;
  }
  return true;
}

// A PCI address, or the absolute path of a node.
bool parse_accel(const char* text, DeviceRoad* out) {
  return text[0] == '/' ? copy_text(text, &out->path) : match_hex(text, kPciShape, &out->path);
}

// One index (3) or a range (2-5) of at most |NPU_MODEL_MAX_DEVICES| devices.
bool parse_indices(const std::string& word, std::vector<VisibleDevice>* out) {
  const size_t dash = word.find('-');
  uint64_t first = 0, last = 0;
  if (!parse_number(word.substr(0, dash).c_str(), kIndexMax, &first)) return false;
  last = first;
  if (dash != std::string::npos && !parse_number(word.c_str() + dash + 1, kIndexMax, &last))
    return false;
  if (last < first) return false;
  for (uint64_t index = first; index <= last; index++) {
    out->push_back(
        {VisibleDevice::Kind::kIndex, static_cast<uint32_t>(index), std::to_string(index)});
  }
  return true;
}

bool parse_visible_word(const std::string& word, std::vector<VisibleDevice>* out) {
  if (word.rfind("NPU-", 0) == 0) {
    VisibleDevice device{VisibleDevice::Kind::kUuid, 0, "NPU-"};
    constexpr size_t kUuidLength = 40;
    if (word.size() != kUuidLength ||
        !match_hex(word.c_str() + 4, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", &device.text))
      return false;
    out->push_back(device);
    return true;
  }
  if (word.find(':') != std::string::npos) {
    VisibleDevice device{VisibleDevice::Kind::kPciAddress, 0, ""};
    if (!match_hex(word.c_str(), kPciShape, &device.text)) return false;
    out->push_back(device);
    return true;
  }
  return parse_indices(word, out);
}

}  // namespace

bool parse_device_road(const char* text, DeviceRoad* out) {
  *out = DeviceRoad();
  const char* colon = std::strchr(text, ':');
  const std::string word(text,
                         colon != nullptr ? static_cast<size_t>(colon - text) : std::strlen(text));
  const char* rest = colon != nullptr ? colon + 1 : nullptr;
  if (word == "model" || word == "inproc") {
    out->road = word == "model" ? Road::kModel : Road::kInProcess;
    return parse_spec(rest != nullptr ? rest : NPU_MODEL_DEFAULT_SPEC, out);
  }
  if (word == "unix" && rest != nullptr && rest[0] == '/') {
    out->road = Road::kSocket;
    return copy_text(rest, &out->path);
  }
  out->road = Road::kKernel;
  return word == "accel" && (rest == nullptr || parse_accel(rest, out));
}

bool parse_visible_devices(const char* text, std::vector<VisibleDevice>* out) {
  out->clear();
  for (const char* at = text;; at++) {
    const size_t length = std::strcspn(at, ",");
    if (!parse_visible_word(std::string(at, length), out)) return false;
    at += length;
    if (*at == '\0') break;
  }
  std::set<std::string> seen;
  return std::all_of(out->begin(), out->end(),
                     [&](const VisibleDevice& device) { return seen.insert(device.text).second; });
}

bool describe_variable(uint32_t number, VariableState* out) {
  if (number >= std::size(kVariables)) return false;
  const Variable& variable = kVariables[number];
  *out = {variable.name, variable.accepted,  variable.fallback,
          variable.doc,  value_of(variable), false};
  Environment scratch;
  out->is_bad = out->value != nullptr && !variable.read(out->value, &scratch);
  return true;
}

Result<Environment> read_environment() {
  Environment out;
  out.device.spec = NPU_MODEL_DEFAULT_SPEC;
  for (const Variable& variable : kVariables) {
    const char* value = value_of(variable);
    if (value == nullptr || variable.read(value, &out)) continue;
    const Status status =
        fail(NPU_ERROR_BAD_ENVIRONMENT, "%s='%.128s' cannot be read: it must be %s", variable.name,
             value, variable.accepted);
    set_remedy("Correct or unset the variable %s.", variable.name);
    return status;
  }
  return out;
}

}  // namespace npu
