// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/output_file.h"

#include <cerrno>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/error.h"

namespace npu {

Status OutputFile::open(const char* variable, const std::string& path, uint64_t limit_bytes,
                        size_t buffer_bytes) {
  std::string name = path;
  if (const size_t at = name.find("%p"); at != std::string::npos) {
    name.replace(at, 2, std::to_string(process_id()));
  }
  file_ = std::fopen(name.c_str(), "we");
  if (file_ == nullptr) {
    return fail_errno(NPU_ERROR_FILE, errno, "%s=%.256s cannot be written", variable, path.c_str());
  }
  // Unbuffered: the child of a fork must not write at its exit what is the parent's.
  std::setvbuf(file_, nullptr, _IONBF, 0);
  left_bytes_ = limit_bytes;
  is_full_ = false;
  buffer_bytes_ = buffer_bytes;
  buffer_.clear();
  return Status::ok();
}

bool OutputFile::write(std::string_view text) {
  if (is_full_ || text.size() > left_bytes_) {
    is_full_ = true;
    return false;
  }
  left_bytes_ -= text.size();
  buffer_ += text;
  if (buffer_.size() > buffer_bytes_) flush();
  return true;
}

void OutputFile::flush() {
  std::fwrite(buffer_.data(), 1, buffer_.size(), file_);
  buffer_.clear();
}

void OutputFile::close(std::string_view end) {
  if (file_ == nullptr) return;
  buffer_ += end;
  flush();
  std::fclose(file_);
  file_ = nullptr;
}

void OutputFile::abandon() {
  file_ = nullptr;
  buffer_.clear();
}

}  // namespace npu
