// SPDX-License-Identifier: Apache-2.0
// Options of a server.
#include "firmware-model/server/start.h"

#include <stdlib.h>

#include <charconv>
#include <sstream>
#include <vector>

#include "firmware-model/server/places.h"
#include "firmware-model/server/profile.h"
#include "uapi/npu_regs.h"

namespace npu::model::server {

bool parse_threads(const std::string& text, uint32_t* out) {
  if (text.empty() || text.size() > 4) return false;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value > 1024) return false;
  *out = value;
  return true;
}

bool parse_numerics(const std::string& text, bool* out_scalar) {
  if (text != "scalar" && text != "simd") return false;
  *out_scalar = text == "scalar";
  return true;
}

bool parse_check(const std::string& text, bool* out_checks) {
  if (text != "0" && text != "1") return false;
  *out_checks = text == "1";
  return true;
}

namespace {

std::string injection_keys() {
  std::string keys;
#define NPU_INJECT(nr, NAME, key, doc) keys += (keys.empty() ? "" : ", ") + std::string(key);
#include "uapi/spec/ras.def"
  return keys;
}

uint32_t injection_of(const std::string& name) {
#define NPU_INJECT(nr, NAME, key, doc) \
  if (name == key) return nr;
#include "uapi/spec/ras.def"
  return 0;
}

// Decimal, or hexadecimal behind 0x; a minus gives the two's complement.
bool parse_word(std::string text, uint64_t* out) {
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  const bool hex = text.starts_with("0x");
  const char* const begin = text.data() + (hex ? 2 : 0);
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(begin, end, *out, hex ? 16 : 10);
  if (negative) *out = 0 - *out;
  return problem == std::errc() && stop == end;
}

bool has_count(uint32_t fault) {
  switch (fault) {
    case NPU_INJECT_ECC_DBE:
    case NPU_INJECT_HANG:
    case NPU_INJECT_FW_ASSERT:
    case NPU_INJECT_TEMPERATURE:
    case NPU_INJECT_FW_ABI:
      return false;
    default:
      return true;
  }
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text + separator);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

}  // namespace

bool parse_injection(const std::string& text, npu_injection* out, std::string* error) {
  const std::vector<std::string> parts = split(text, ':');
  *out = {};
  out->fault = injection_of(parts[0]);
  if (out->fault == NPU_INJECT_HANG) out->place = ~uint64_t{0};
  out->count = has_count(out->fault) ? 1 : 0;
  const bool numbers = parts.size() <= 3 &&
                       (parts.size() < 2 || parse_word(parts[1], &out->place)) &&
                       (parts.size() < 3 || parse_word(parts[2], &out->count));
  if (out->fault != 0 && numbers) return true;
  *error = "'" + text + "' is no fault; write KEY[:PLACE[:COUNT]] with KEY one of " +
           injection_keys() + " and numbers like 4096 or 0x1000";
  return false;
}

bool options_from_spec(const std::string& spec, ServerOptions* out, std::string* error) {
  std::string name;
  if (!parse_spec(spec, &name, &out->device_count, error)) return false;
  const std::string file = profile_directory() + "/" + name + ".toml";
  if (!load_profile(file, &out->profile, &out->bindings, error)) return false;
  if (!resolve_bindings(&out->bindings, error)) {
    *error = "profile " + file + ": " + *error;
    return false;
  }
  const char* threads = getenv("NPU_MODEL_THREADS");
  if (threads != nullptr && !parse_threads(threads, &out->worker_threads)) {
    *error = std::string("NPU_MODEL_THREADS is '") + threads + "'; allowed: 0 (one a CPU) to 1024";
    return false;
  }
  const char* numerics = getenv("NPU_MODEL_NUMERICS");
  if (numerics != nullptr && !parse_numerics(numerics, &out->scalar_numerics)) {
    *error = std::string("NPU_MODEL_NUMERICS is '") + numerics + "'; allowed: scalar, simd";
    return false;
  }
  const char* check = getenv("NPU_MODEL_CHECK");
  if (check != nullptr && !parse_check(check, &out->checks)) {
    *error = std::string("NPU_MODEL_CHECK is '") + check + "'; allowed: 0, 1";
    return false;
  }
  if (!EngineFile::from_environment(&out->engines, error)) return false;
  const char* faults = getenv("NPU_MODEL_INJECT");
  for (const std::string& fault : split(faults == nullptr ? "" : faults, ',')) {
    if (fault.empty()) continue;
    if (!parse_injection(fault, &out->injections.emplace_back(), error)) {
      *error = "NPU_MODEL_INJECT: " + *error;
      return false;
    }
  }
  return true;
}

}  // namespace npu::model::server
