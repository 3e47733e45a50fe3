// SPDX-License-Identifier: Apache-2.0
// Reading and checking of environment variables.
#include "libnpu/src/core/environment.h"

#include <cstdlib>
#include <cstring>

#include "libnpu/src/core/error.h"
#include "uapi/npu_model.h"

namespace npu {
namespace {

constexpr uint32_t kPathMax = 4096;

Status bad_value(const char* name, const char* value, const char* wanted) {
  Status status = fail(NPU_ERROR_BAD_ENVIRONMENT, "%s='%.128s' cannot be read: it must be %s", name,
                       value, wanted);
  set_remedy("Correct or unset the variable %s.", name);
  return status;
}

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

Status read_string(const char* name, const char* value, std::string* out) {
  if (std::strlen(value) > kPathMax) return bad_value(name, value, "at most 4096 characters");
  *out = value;
  return Status::ok();
}

Status read_uint(const char* name, const char* value, uint64_t limit, const char* wanted,
                 uint64_t* out) {
  return parse_number(value, limit, out) ? Status::ok() : bad_value(name, value, wanted);
}

Status read_device(const char*, const char* value, Environment* out) {
  NPU_TRY_ASSIGN(out->device, parse_device_road(value));
  return Status::ok();
}
Status read_modeld(const char* name, const char* value, Environment* out) {
  return read_string(name, value, &out->modeld);
}
Status read_model_library(const char* name, const char* value, Environment* out) {
  return read_string(name, value, &out->model_library);
}
Status read_runtime_dir(const char* name, const char* value, Environment* out) {
  if (value[0] != '/') return bad_value(name, value, "an absolute path");
  return read_string(name, value, &out->runtime_dir);
}
Status read_path(const char*, const char* value, Environment* out) {
  out->path = value;  // not ours, hence not judged
  return Status::ok();
}
Status read_idle(const char* name, const char* value, Environment* out) {
  uint64_t seconds = 0;
  NPU_TRY(read_uint(name, value, 86400, "seconds from 0 (never) to 86400", &seconds));
  out->model_idle_s = static_cast<uint32_t>(seconds);
  return Status::ok();
}
Status read_spin(const char* name, const char* value, Environment* out) {
  uint64_t microseconds = 0;
  NPU_TRY(read_uint(name, value, 1000000, "microseconds from 0 to 1000000", &microseconds));
  out->wait_spin_us = static_cast<int64_t>(microseconds);
  return Status::ok();
}
Status read_log_level(const char* name, const char* value, Environment* out) {
  constexpr const char* kNames[] = {"off", "error", "warn", "info", "debug"};
  for (uint32_t i = 0; i < 5; i++) {
    if (std::strcmp(value, kNames[i]) == 0) {
      out->log_level = static_cast<LogLevel>(i);
      return Status::ok();
    }
  }
  return bad_value(name, value, "off, error, warn, info or debug");
}

struct Variable {
  const char* name;
  Status (*read)(const char* name, const char* value, Environment* out);
};

// Every variable that the library knows; described for users in the manual page npu(7).
constexpr Variable kVariables[] = {
    {"NPU_DEVICE", read_device},
    {"NPU_MODELD", read_modeld},
    {"NPU_MODEL_LIBRARY", read_model_library},
    {"NPU_MODEL_IDLE_S", read_idle},
    {"NPU_WAIT_SPIN_US", read_spin},
    {"NPU_LOG_LEVEL", read_log_level},
    {"XDG_RUNTIME_DIR", read_runtime_dir},
    {"PATH", read_path},
};

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

// DDDD:BB:DD.F as the kernel prints it, or the absolute path of a node.
bool parse_accel(const char* text, DeviceRoad* out) {
  constexpr const char kShape[] = "hhhh:hh:hh.h";
  constexpr size_t kLength = sizeof kShape - 1;
  if (text[0] == '/') {
    out->path = text;
    return std::strlen(text) <= kPathMax;
  }
  if (std::strlen(text) != kLength) return false;
  for (size_t i = 0; i < kLength; i++) {
    const char c = text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] + 32) : text[i];
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (kShape[i] == 'h' ? !is_hex : c != kShape[i]) return false;
    out->path += c;
  }
  return true;
}

}  // namespace

Result<DeviceRoad> parse_device_road(const char* text) {
  constexpr const char* kWanted =
      "model[:PROFILE[*COUNT]], inproc[:PROFILE[*COUNT]] (COUNT from 1 to 16), unix:/PATH, accel, "
      "accel:PCI-ADDRESS (0000:03:00.0) or accel:/dev/accel/NODE";
  DeviceRoad out;
  const char* colon = std::strchr(text, ':');
  const std::string word(text,
                         colon != nullptr ? static_cast<size_t>(colon - text) : std::strlen(text));
  const char* rest = colon != nullptr ? colon + 1 : nullptr;
  if (word == "model" || word == "inproc") {
    out.road = word == "model" ? Road::kModel : Road::kInProcess;
    if (!parse_spec(rest != nullptr ? rest : NPU_MODEL_DEFAULT_SPEC, &out)) {
      return bad_value("NPU_DEVICE", text, kWanted);
    }
  } else if (word == "unix" && rest != nullptr && rest[0] == '/' && std::strlen(rest) <= kPathMax) {
    out.road = Road::kSocket;
    out.path = rest;
  } else if (word == "accel" && (rest == nullptr || parse_accel(rest, &out))) {
    out.road = Road::kKernel;
  } else {
    return bad_value("NPU_DEVICE", text, kWanted);
  }
  return out;
}

Result<Environment> read_environment() {
  Environment out;
  out.device.spec = NPU_MODEL_DEFAULT_SPEC;
  for (const Variable& variable : kVariables) {
    const char* value = std::getenv(variable.name);
    // An empty variable is an unset one, as in the shell's ${NAME:-default}.
    if (value == nullptr || value[0] == '\0') continue;
    NPU_TRY(variable.read(variable.name, value, &out));
  }
  return out;
}

}  // namespace npu
