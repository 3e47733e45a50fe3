// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/server/engine_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

namespace npu::model::server {
namespace {

constexpr std::string_view kFirstLine = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
constexpr std::string_view kLastLines =
    "{\"ph\": \"M\", \"name\": \"npu_engines\", \"pid\": 0, \"args\": {}}\n]}\n";
constexpr uint64_t kTilesMost = 16384;
constexpr uint64_t kMegabytesMost = 1048576;
constexpr uint64_t kMegabytesUsual = 1024;

bool put(int fd, std::string_view text) {
  return write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool read_number(const char* name, uint64_t usual, uint64_t most, uint64_t* out,
                 std::string* error) {
  const char* text = getenv(name);
  *out = usual;
  if (text == nullptr || *text == '\0') return true;
  const char* const end = text + std::strlen(text);
  const auto [stop, problem] = std::from_chars(text, end, *out);
  if (stop == end && problem == std::errc() && *out >= 1 && *out <= most) return true;
  *error = std::string(name) + " is '" + text + "'; allowed: 1 to " + std::to_string(most);
  return false;
}

std::string with_process(std::string path) {
  for (size_t at = path.find("%p"); at != std::string::npos; at = path.find("%p", at))
    path.replace(at, 2, std::to_string(getpid()));
  return path;
}

}  // namespace

bool EngineFile::from_environment(std::shared_ptr<EngineFile>* out, std::string* error) {
  const char* named = getenv("NPU_MODEL_ENGINES");
  if (named == nullptr || *named == '\0') return true;
  uint64_t tiles = 0;
  uint64_t megabytes = 0;
  if (!read_number("NPU_MODEL_ENGINE_TILES", kTilesMost, kTilesMost, &tiles, error) ||
      !read_number("NPU_RECORD_MAX_MB", kMegabytesUsual, kMegabytesMost, &megabytes, error)) {
    return false;
  }
  const std::string path = with_process(named);
  std::shared_ptr<EngineFile> file(new EngineFile);
  file->fd_ =
      UniqueFd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!file->fd_.valid() || !put(file->fd_.get(), kFirstLine)) {
    *error = "NPU_MODEL_ENGINES: '" + path + "' cannot be written: " + std::strerror(errno) +
             "; give a path in a folder that is there and yours";
    return false;
  }
  file->tiles_ = static_cast<uint32_t>(tiles);
  file->limit_bytes_ = megabytes << 20;
  *out = std::move(file);
  return true;
}

EngineFile::~EngineFile() {
  if (fd_.valid()) put(fd_.get(), kLastLines);
}

npu_engine_trace EngineFile::of_device(uint32_t index) const {
  return {fd_.get(), index, tiles_, 0, limit_bytes_};
}

}  // namespace npu::model::server
