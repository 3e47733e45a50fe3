// SPDX-License-Identifier: Apache-2.0
// From a spec and the environment to the options of a server; shared by npu-modeld and libnpu_model.
#ifndef NPU_MODEL_SERVER_START_H_
#define NPU_MODEL_SERVER_START_H_

#include <string>

#include "firmware-model/server/server.h"

namespace npu::model::server {

// Profile and count by |spec|; threads and numerics by NPU_MODEL_THREADS (0..1024) and NPU_MODEL_NUMERICS (scalar, simd); the checking mode by
// NPU_MODEL_CHECK (0, 1); faults by NPU_MODEL_INJECT (as parse_injection(), with commas between); what EngineFile reads. No keys yet. False: |error| has a sentence with cause and remedy.
bool options_from_spec(const std::string& spec, ServerOptions* out, std::string* error);
bool parse_threads(const std::string& text, uint32_t* out);
bool parse_numerics(const std::string& text, bool* out_scalar);
bool parse_check(const std::string& text, bool* out_checks);
// KEY[:PLACE[:COUNT]], a row NPU_INJECT of uapi/spec/ras.def. Left out, PLACE is 0 (hang: any queue) and COUNT is 1 where the row has one.
bool parse_injection(const std::string& text, npu_injection* out, std::string* error);

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_START_H_
