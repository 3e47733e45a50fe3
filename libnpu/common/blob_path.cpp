// SPDX-License-Identifier: Apache-2.0
#include "libnpu/common/blob_path.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace npu::common {
namespace {

constexpr int kLevels = 6;

// The file that holds this code, as the kernel lists the mappings of the process.
std::filesystem::path own_file() {
  const auto here = reinterpret_cast<uintptr_t>(&blob_path);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uint64_t begin = 0;
    uint64_t end = 0;
    int at = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %n", &begin, &end, &at) <
        2)
      continue;
    if (here >= begin && here < end && at > 0) return line.substr(static_cast<size_t>(at));
  }
  return {};
}

}  // namespace

std::string blob_path(const char* variable, const char* file) {
  const char* named = std::getenv(variable);
  if (named != nullptr && *named != '\0') return named;
  std::error_code ignored;
  std::filesystem::path folder = own_file().parent_path();
  for (int i = 0; i < kLevels && !folder.empty(); ++i) {
    for (const char* place : {"share/npu/blobs", "blobs"}) {
      const auto path = folder / place / file;
      if (std::filesystem::is_regular_file(path, ignored)) return path.string();
    }
    if (folder == folder.parent_path()) break;
    folder = folder.parent_path();
  }
  return {};
}

}  // namespace npu::common
