// SPDX-License-Identifier: Apache-2.0
// Whole files in and out for the command-line tools.
#include "tools/isa/command_line.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "uapi/npu_isa.h"

namespace npu::isa {
namespace {

constexpr size_t kMaxFileBytes = 64u << 20;

struct Closer {
  void operator()(std::FILE* file) const {
    if (file != stdin && file != stdout) std::fclose(file);
  }
};
using File = std::unique_ptr<std::FILE, Closer>;

Failure failure(const char* what, const std::string& path) {
  return {std::string(what) + " '" + path + "': " + std::strerror(errno)};
}

bool put(std::FILE* file, const std::vector<uint8_t>& bytes) {
  return std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() && std::fflush(file) == 0;
}

}  // namespace

Outcome<std::vector<uint8_t>> read_whole_file(const std::string& path) {
  std::error_code ignored;
  if (path != "-" && std::filesystem::is_directory(path, ignored))
    return Failure{"cannot read '" + path + "': it is a folder; name a file"};
  File file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (!file) return failure("cannot read", path);
  std::vector<uint8_t> bytes;
  uint8_t block[64 * 1024];
  while (const size_t count = std::fread(block, 1, sizeof(block), file.get())) {
    bytes.insert(bytes.end(), block, block + count);
    if (bytes.size() > kMaxFileBytes)
      return Failure{"'" + path + "' is larger than 64 MiB; it is no file of this tool"};
  }
  if (std::ferror(file.get()) != 0) return failure("cannot read", path);
  return bytes;
}

std::string partial_path(const std::string& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  const bool is_special =
      std::filesystem::is_other(status) || std::filesystem::is_directory(status);
  return is_special ? path : path + ".partial";
}

std::optional<Failure> write_whole_file(const std::string& path,
                                        const std::vector<uint8_t>& bytes) {
  if (path == "-") {
    if (!put(stdout, bytes)) return failure("cannot write", "standard output");
    return std::nullopt;
  }
  const std::string partial = partial_path(path);
  File file(std::fopen(partial.c_str(), "wb"));
  if (!file) return failure("cannot write", partial);
  const bool written = put(file.get(), bytes);
  file.reset();
  if (!written || (partial != path && std::rename(partial.c_str(), path.c_str()) != 0)) {
    const Failure result = failure("cannot write", path);
    if (partial != path) std::remove(partial.c_str());
    return result;
  }
  return std::nullopt;
}

std::string version_line(const char* tool) {
  return std::string(tool) + " " NPU_TOOLS_VERSION ", instruction set " +
         std::to_string(NPU_ISA_MAJOR) + "." + std::to_string(NPU_ISA_MINOR);
}

int report(const char* tool, const std::string& text) {
  std::fprintf(stderr, "%s: %s\n", tool, text.c_str());
  return kExitFailed;
}

}  // namespace npu::isa
