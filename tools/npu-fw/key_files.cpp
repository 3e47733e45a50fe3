// SPDX-License-Identifier: Apache-2.0
// Key files: secrets are created with mode 0600 and never overwritten; every malformed file is refused with its path.
#include "tools/npu-fw/key_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace npu::isa {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSecretHeader = "npu-fw secret key v1";
constexpr size_t kMaxKeyFileBytes = 4096;

Failure system_failure(const std::string& what, const fs::path& path) {
  return {what + " '" + path.string() + "': " + std::strerror(errno)};
}

std::optional<Failure> write_file(const fs::path& path, const std::string& text, int flags) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
  if (fd < 0) {
    if (errno == EEXIST)
      return Failure{"'" + path.string() + "' exists already; remove it or choose another name"};
    return system_failure("cannot write", path);
  }
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const Failure failure = system_failure("cannot write", path);
      ::close(fd);
      // A part of a key is of no use, and would stand in the way of the next attempt.
      ::unlink(path.c_str());
      return failure;
    }
    done += static_cast<size_t>(n);
  }
  if (::fchmod(fd, 0600) != 0 || ::close(fd) != 0) return system_failure("cannot write", path);
  return std::nullopt;
}

Outcome<std::string> read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return system_failure("cannot read", path);
  std::string text(kMaxKeyFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxKeyFileBytes) return Failure{"'" + path.string() + "' is no key file"};
  return text;
}

// 64 hexadecimal digits, then nothing but one newline.
std::optional<std::array<uint8_t, 32>> parse_hex(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return from_hex(text);
}

bool is_key_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name[0] == '.') return false;
  return name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
         std::string_view::npos;
}

}  // namespace

std::optional<Failure> write_secret_key(const fs::path& path, const KeyPair& key) {
  return write_file(
      path, std::string(kSecretHeader) + "\n" + to_hex(key.seed.data(), key.seed.size()) + "\n",
      O_EXCL);
}

Outcome<KeyPair> read_secret_key(const fs::path& path) {
  const auto text = read_text(path);
  if (!text) return text.failure();
  std::string_view rest = *text;
  if (!rest.starts_with(kSecretHeader) || rest.substr(kSecretHeader.size(), 1) != "\n")
    return Failure{"'" + path.string() + "' is no secret key; 'npu-fw keygen' makes one"};
  rest.remove_prefix(kSecretHeader.size() + 1);
  const auto seed = parse_hex(rest);
  if (!seed) return Failure{"the secret key '" + path.string() + "' is damaged; make a new one"};
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
    return Failure{"others may read the secret key '" + path.string() + "'; run 'chmod 600 " +
                   path.string() + "'"};
  return key_pair_from_seed(*seed);
}

std::optional<Failure> write_public_key(const fs::path& path, const PublicKey& key) {
  return write_file(path, to_hex(key.data(), key.size()) + "\n", O_TRUNC);
}

Outcome<PublicKey> read_public_key(const fs::path& path) {
  const auto text = read_text(path);
  if (!text) return text.failure();
  const auto key = parse_hex(*text);
  if (!key)
    return Failure{"'" + path.string() +
                   "' is no public key; it holds 64 hexadecimal digits and is made by "
                   "'npu-fw keygen'"};
  return *key;
}

Outcome<fs::path> key_directory() {
  const auto variable = [](const char* name) -> std::string_view {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (!variable("NPU_KEY_DIR").empty()) return fs::path(variable("NPU_KEY_DIR"));
  if (!variable("XDG_CONFIG_HOME").empty())
    return fs::path(variable("XDG_CONFIG_HOME")) / "npu" / "keys";
  if (!variable("HOME").empty()) return fs::path(variable("HOME")) / ".config" / "npu" / "keys";
  return Failure{"there is no folder for keys: set NPU_KEY_DIR, XDG_CONFIG_HOME or HOME"};
}

Outcome<fs::path> enrol_key(const fs::path& directory, std::string_view name,
                            const PublicKey& key) {
  if (!is_key_name(name))
    return Failure{"'" + std::string(name) + "' is no key name: use 1 to 64 of [A-Za-z0-9_.-]"};
  std::error_code error;
  if (directory.has_parent_path()) fs::create_directories(directory.parent_path(), error);
  if (!error && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return system_failure("cannot make the folder", directory);
  if (error)
    return Failure{"cannot make the folder '" + directory.string() + "': " + error.message()};
  if (::chmod(directory.c_str(), 0700) != 0)
    return system_failure("cannot protect the folder", directory);
  fs::path path = directory / (std::string(name) + ".pub");
  if (const auto failure = write_public_key(path, key)) return *failure;
  return path;
}

}  // namespace npu::isa
