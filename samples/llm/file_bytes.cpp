// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing of whole files.
#include "samples/llm/file_bytes.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>
#include <system_error>

namespace npu::llm {
namespace {

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

Error system_error(const std::string& what, const std::string& path, const std::string& reason) {
  return {ErrorCode::kIo,
          "cannot " + what + " '" + path + "': " + reason + "; check the path and its permissions"};
}

// The length of a regular file; opening a pipe or a device could block, so they end here.
Result<uint64_t> regular_file_bytes(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error) return system_error("open", path, error.message());
  if (!std::filesystem::is_regular_file(status)) {
    return Error{ErrorCode::kIo, "'" + path + "' is not a regular file; name the file itself"};
  }
  const uint64_t size_bytes = std::filesystem::file_size(path, error);
  if (error) return system_error("examine", path, error.message());
  return size_bytes;
}

}  // namespace

Result<FileBytes> FileBytes::allocate(uint64_t size_bytes) {
  FileBytes out;
  out.data_.reset(new (std::nothrow) std::byte[size_bytes]);
  if (!out.data_) {
    return Error{ErrorCode::kNoMemory, "no host memory for " + std::to_string(size_bytes) +
                                           " bytes; use a smaller model or a larger machine"};
  }
  out.size_ = size_bytes;
  return out;
}

Result<FileBytes> FileBytes::copy_of(std::span<const std::byte> bytes) {
  Result<FileBytes> out = allocate(bytes.size());
  if (out.ok() && !bytes.empty()) std::memcpy(out->data_.get(), bytes.data(), bytes.size());
  return out;
}

Result<FileBytes> FileBytes::read(const std::string& path, uint64_t limit_bytes) {
  const Result<uint64_t> size_bytes = regular_file_bytes(path);
  if (!size_bytes.ok()) return size_bytes.error();
  if (*size_bytes > limit_bytes) {
    return Error{ErrorCode::kTooLong, "'" + path + "' has " + std::to_string(*size_bytes) +
                                          " bytes, more than the " + std::to_string(limit_bytes) +
                                          " that such a file may have; check that it is the right "
                                          "file"};
  }
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) return system_error("open", path, std::strerror(errno));
  Result<FileBytes> out = allocate(*size_bytes);
  if (!out.ok()) return out;
  if (std::fread(out->data_.get(), 1, out->size_, file.get()) == out->size_) return out;
  if (std::ferror(file.get()) != 0) return system_error("read", path, std::strerror(errno));
  return Error{ErrorCode::kTruncated, "'" + path +
                                          "' became shorter while it was read; try again when "
                                          "nothing writes to it"};
}

Failure write_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string temporary = path + ".partial";
  File file(std::fopen(temporary.c_str(), "wb"));
  if (!file) return system_error("create", temporary, std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  const bool closed = std::fclose(file.release()) == 0;
  if (!written || !closed) {
    const std::string reason = std::strerror(errno);
    std::remove(temporary.c_str());
    return system_error("write", temporary, reason);
  }
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (!error) return {};
  std::remove(temporary.c_str());
  return system_error("replace", path, error.message());
}

}  // namespace npu::llm
