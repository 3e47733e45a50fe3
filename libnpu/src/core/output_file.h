// SPDX-License-Identifier: Apache-2.0
// OutputFile: a file that a variable names and that grows up to a limit, for the layer "record" and the trace.
// Thread safety: by its owner's mutex.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "libnpu/src/core/status.h"

namespace npu {

class OutputFile {
 public:
  // %p in |path| stands for the number of the process. |buffer_bytes|: collected before they are written; 0: each text at once.
  Status open(const char* variable, const std::string& path, uint64_t limit_bytes,
              size_t buffer_bytes);
  bool is_open() const { return file_ != nullptr; }
  // Whole or not at all. False: the limit was reached, now or before.
  bool write(std::string_view text);
  // Writes what was collected.
  void flush();
  // |end| is written although the limit was reached.
  void close(std::string_view end);
  // In the child of a fork, where the file is the parent's.
  void abandon();

 private:
  std::FILE* file_ = nullptr;
  uint64_t left_bytes_ = 0;
  bool is_full_ = false;
  size_t buffer_bytes_ = 0;
  std::string buffer_;
};

}  // namespace npu
