// SPDX-License-Identifier: Apache-2.0
// Folders, keys and specs.
#include "firmware-model/server/places.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "firmware-model/server/unique_fd.h"
#include "uapi/npu_model.h"

namespace npu::model::server {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// Whoever can write a key, or the folder it lies in, decides which programs run.
bool only_trusted_can_write(const struct stat& st) {
  const bool trusted_owner = st.st_uid == geteuid() || st.st_uid == 0;
  return trusted_owner && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool parse_key(const std::string& text, PublicKey* out) {
  if (text.size() != 64) return false;
  for (size_t i = 0; i < out->size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    (*out)[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

bool read_key(const std::string& file, PublicKey* out, std::string* error) {
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd.valid() || fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
    *error = "key " + file + " cannot be read: " + std::strerror(errno);
    return false;
  }
  if (!only_trusted_can_write(st)) {
    *error = "key " + file + " may be written by others; chown it to you and chmod go-w";
    return false;
  }
  char buffer[128];
  const ssize_t n = read(fd.get(), buffer, sizeof(buffer));
  std::string text(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (!parse_key(text, out)) {
    *error = "key " + file + " must hold 64 hex digits; make it with npu-fw keygen";
    return false;
  }
  return true;
}

}  // namespace

std::string shared_directory() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&shared_directory), &info) == 0) return "/usr/share/npu";
  std::error_code error;
  fs::path file = fs::canonical(info.dli_fname, error);
  if (error) file = fs::read_symlink("/proc/self/exe", error);
  // <prefix>/bin/npu-modeld, <prefix>/lib/libnpu_model.so.1 or <prefix>/lib/<triplet>/libnpu_model.so.1
  for (fs::path up = file.parent_path().parent_path(); up.has_relative_path();
       up = up.parent_path()) {
    if (fs::is_directory(up / "share/npu", error)) return (up / "share/npu").string();
    if (up == file.parent_path().parent_path().parent_path()) break;
  }
  return (file.parent_path().parent_path() / "share/npu").string();
}

std::string runtime_directory() {
  const std::string xdg = environment("XDG_RUNTIME_DIR");
  return xdg.empty() ? "/tmp/npu-" + std::to_string(geteuid()) : xdg + "/npu";
}

bool ensure_runtime_directory(const std::string& directory, std::string* error) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    *error = directory + " cannot be made: " + std::strerror(errno) +
             "; set XDG_RUNTIME_DIR to a folder of yours";
    return false;
  }
  struct stat st {};
  if (lstat(directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
      (st.st_mode & 07777) != 0700) {
    *error = directory + " must be a folder of yours with mode 0700; correct or remove it";
    return false;
  }
  return true;
}

bool read_keys(const std::string& directory, std::vector<PublicKey>* keys, std::string* error) {
  struct stat st {};
  if (stat(directory.c_str(), &st) != 0) return true;
  if (!S_ISDIR(st.st_mode)) {
    *error = "key folder " + directory + " is no folder; name one that holds *.pub files";
    return false;
  }
  if (!only_trusted_can_write(st)) {
    *error =
        "key folder " + directory + " may be written by others; chown it to you and chmod go-w";
    return false;
  }
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() == ".pub") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    PublicKey key{};
    if (!read_key(file, &key, error)) return false;
    if (std::find(keys->begin(), keys->end(), key) == keys->end()) keys->push_back(key);
  }
  return true;
}

bool default_keys(std::vector<PublicKey>* keys, std::string* error) {
  if (!read_keys(shared_directory() + "/keys", keys, error)) return false;
#ifdef NPU_BUILD_KEYS_DIR
  if (!read_keys(NPU_BUILD_KEYS_DIR, keys, error)) return false;
#endif
  std::string owner = environment("NPU_KEY_DIR");
  if (owner.empty()) {
    const std::string config = environment("XDG_CONFIG_HOME");
    const std::string home = environment("HOME");
    if (!config.empty()) {
      owner = config + "/npu/keys";
    } else if (!home.empty()) {
      owner = home + "/.config/npu/keys";
    }
  }
  return owner.empty() || read_keys(owner, keys, error);
}

bool parse_spec(const std::string& spec, std::string* profile, uint32_t* count,
                std::string* error) {
  const size_t star = spec.find('*');
  const std::string name = spec.substr(0, star);
  const std::string digits = star == std::string::npos ? "1" : spec.substr(star + 1);
  const bool name_fits = !name.empty() && name.size() <= 64 && name.front() != '.' &&
                         std::all_of(name.begin(), name.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
                         });
  uint32_t number = 0;
  for (const char c : digits) {
    number =
        c >= '0' && c <= '9' && number < 100 ? number * 10 + static_cast<uint32_t>(c - '0') : 1000;
  }
  if (!name_fits || digits.empty() || digits.front() == '0' || number < 1 ||
      number > NPU_MODEL_MAX_DEVICES) {
    *error = "'" + spec + "' is not PROFILE or PROFILE*COUNT with a count of 1 to " +
             std::to_string(NPU_MODEL_MAX_DEVICES);
    return false;
  }
  *profile = name;
  *count = number;
  return true;
}

}  // namespace npu::model::server
