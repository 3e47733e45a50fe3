// SPDX-License-Identifier: Apache-2.0
// ExternalWork: what another library submits in the place of a node (npuSubmitFunction). Shared by the graphs and executable graphs that have the node; the last one lets go of the user's data.
// Thread safety: immutable; submit() from any thread.
#pragma once

#include <npu/npu_graph.h>

#include <cstdint>
#include <string>
#include <utility>

namespace npu {

class ExternalWork {
 public:
  ExternalWork(std::string name, npuSubmitFunction function, npuReleaseFunction release,
               void* user_data)
      : name_(std::move(name)), function_(function), release_(release), user_data_(user_data) {}
  ~ExternalWork() {
    if (is_owner_ && release_ != nullptr) release_(user_data_);
  }
  ExternalWork(const ExternalWork&) = delete;
  ExternalWork& operator=(const ExternalWork&) = delete;

  // The node has been added: from here on the user's data is released with this object.
  void own() { is_owner_ = true; }

  const std::string& name() const { return name_; }
  npuResult submit(npuQueue queue, uint64_t* out_value) const {
    return function_(user_data_, queue, out_value);
  }

 private:
  const std::string name_;
  const npuSubmitFunction function_;
  const npuReleaseFunction release_;
  void* const user_data_;
  bool is_owner_ = false;
};

}  // namespace npu
