// SPDX-License-Identifier: Apache-2.0
// A stream of ggml ("backend"): one queue, its graphs, copies in its order.
// Thread safety: none, as ggml's streams have none.
#ifndef INTEGRATIONS_GGML_STREAM_H_
#define INTEGRATIONS_GGML_STREAM_H_

#include <npu/npu.h>

#include <cstdint>
#include <vector>

#include "integrations/ggml/device.h"
#include "integrations/ggml/graph.h"

namespace npu::ggml {

class Stream {
 public:
  static Stream* make(Device& device);
  // NULL: a stream of another backend.
  static Stream* of(ggml_backend_t backend);
  ~Stream();

  ggml_status compute(ggml_cgraph* graph);
  void write(ggml_tensor* to, const void* from, size_t offset, size_t bytes);
  void read(void* to, const ggml_tensor* from, size_t offset, size_t bytes);
  // Copies on |from| after its work; this stream waits for it.
  bool copy_from(Stream& from, npuDevPtr to, npuDevPtr source, size_t bytes);
  void record(ggml_backend_event_t event);
  void wait(ggml_backend_event_t event);
  void synchronize();

  // For work that others submit on the queue. Before it: what the host was asked to read is read, as it may be overwritten.
  npuQueue begin_foreign();
  // After it, whatever of it was submitted.
  void end_foreign() { submitted_ = kUnknown; }
  // The next graph answers that work before it failed, and is not run.
  void mark_failed() { failed_ = true; }

  Device& device;
  StreamHead head;

 private:
  explicit Stream(Device& d);
  bool is_idle();
  bool finish();
  void flush_reads();
  void fail(const char* what);

  npuQueue queue_ = nullptr;
  GraphCache graphs_;
  static constexpr uint64_t kUnknown = UINT64_MAX;  // only a wait for all of the queue tells
  uint64_t submitted_ = 0;  // the queue's last value; 0: nothing since it was waited for or reset
  bool failed_ = false;     // told by the next graph: ggml's functions that wait have no result
  // Reads are done by the host when the stream is waited for, and before anything later may overwrite what they read.
  struct Read {
    void* to;
    npuDevPtr from;
    size_t bytes;
  };
  std::vector<Read> reads_;
};

}  // namespace npu::ggml

#endif  // INTEGRATIONS_GGML_STREAM_H_
