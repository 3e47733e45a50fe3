// SPDX-License-Identifier: Apache-2.0
// toml++, so that it can be fed with anything.
#ifndef NPU_MODEL_NETWORK_TOML_H_
#define NPU_MODEL_NETWORK_TOML_H_

#include <stdexcept>

// toml++ 3.3 asserts things that its input can break ("[\x11" as a key, found by fuzzing): that is the input's fault.
namespace npu::model {
[[noreturn]] inline void refuse_toml() { throw std::invalid_argument("malformed text"); }
}  // namespace npu::model
#define TOML_ASSERT(expr) ((expr) ? void() : ::npu::model::refuse_toml())
#pragma push_macro("NDEBUG")
#undef NDEBUG  // toml++ drops the line above in a build without assertions
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#endif  // NPU_MODEL_NETWORK_TOML_H_
