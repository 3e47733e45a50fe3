// SPDX-License-Identifier: Apache-2.0
// Options of a server.
#include "firmware-model/server/start.h"

#include <stdlib.h>

#include "firmware-model/server/places.h"
#include "firmware-model/server/profile.h"

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

bool options_from_spec(const std::string& spec, ServerOptions* out, std::string* error) {
  std::string name;
  if (!parse_spec(spec, &name, &out->device_count, error)) return false;
  if (!load_profile(profile_directory() + "/" + name + ".toml", &out->profile, error)) return false;
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
  return true;
}

}  // namespace npu::model::server
