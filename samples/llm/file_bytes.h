// SPDX-License-Identifier: Apache-2.0
//
// FileBytes: a whole file copied once into memory, so that nobody can change it under the parsers.
#ifndef SAMPLES_LLM_FILE_BYTES_H_
#define SAMPLES_LLM_FILE_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "samples/llm/result.h"

namespace npu::llm {

/// Owns the bytes of one file. Moving it leaves views into the bytes valid.
class FileBytes {
 public:
  FileBytes() = default;

  /// A private copy of `bytes`.
  static Result<FileBytes> copy_of(std::span<const std::byte> bytes);

  /// Reads a regular file of at most `limit_bytes`; refuses directories, pipes and devices.
  static Result<FileBytes> read(const std::string& path, uint64_t limit_bytes);

  std::span<const std::byte> span() const { return {data_.get(), size_}; }
  std::span<std::byte> mutable_span() { return {data_.get(), size_}; }
  size_t size() const { return size_; }

 private:
  static Result<FileBytes> allocate(uint64_t size_bytes);

  std::unique_ptr<std::byte[]> data_;
  size_t size_ = 0;
};

/// Writes `bytes` to `path` through a temporary file beside it: readers see all of it or nothing.
Failure write_file(const std::string& path, std::span<const std::byte> bytes);

}  // namespace npu::llm

#endif  // SAMPLES_LLM_FILE_BYTES_H_
