// SPDX-License-Identifier: Apache-2.0
// All-reduce among the streams of several NPUs of this process, over libnpuccl: what ggml asks for when it splits tensors (its "meta" device). Whatever is refused before anything is
// submitted, ggml does with copies and additions of its own.
// Thread safety: none, as ggml's streams have none.
#ifndef INTEGRATIONS_GGML_COMM_H_
#define INTEGRATIONS_GGML_COMM_H_

#include <npu/npu_ccl.h>

#include <cstdint>
#include <vector>

#include "integrations/ggml/abi.h"
#include "integrations/ggml/stream.h"

namespace npu::ggml {

class Comm {
 public:
  // NULL: these are not streams of different NPUs, or there is only one. Nothing is opened before the first all-reduce.
  static Comm* make(ggml_backend_t* backends, size_t count);
  ~Comm();
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  // Every tensor becomes the sum of all, at its place on its stream's queue; the host does not wait. tensors: one for each stream.
  // False, and nothing was submitted: the caller may do it in another way. False after something was: the streams answer their next graph with a failure.
  bool all_reduce(ggml_tensor* const* tensors);

 private:
  enum class State { kNew, kReady, kRefuses };

  explicit Comm(std::vector<Stream*> streams) : streams_(std::move(streams)) {}
  bool fits(ggml_tensor* const* tensors) const;
  bool connect();
  bool is_alive();
  bool submit(ggml_tensor* const* tensors);
  void disconnect();
  bool refuse_from_now_on(const char* what, const char* why);

  const std::vector<Stream*> streams_;
  std::vector<npuCclComm> ranks_;  // as streams_
  State state_ = State::kNew;
  uint64_t reduced_ = 0;
  uint64_t refused_ = 0;
};

// Of the names that ggml looks up in a registration: NULL for all but the three of an all-reduce.
void* find_comm_function(const char* name);

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_COMM_H_
