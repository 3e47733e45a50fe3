// SPDX-License-Identifier: Apache-2.0
// Finding and connecting to npu-modeld.
#include "libnpu/src/backend/daemon.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "libnpu/src/backend/connection.h"
#include "libnpu/src/backend/process.h"
#include "libnpu/src/backend/spawn.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/log.h"

namespace npu {
namespace {

constexpr int64_t kStartTimeoutMs = 10'000;
constexpr int kExitLockHeld = 3;  // another server for this socket runs
constexpr const char* kProgram = "npu-modeld";

struct DaemonPaths {
  std::string socket;
  std::string log;
};

// The folder of sockets: ours alone, or whoever can write there could stand in for the device.
Status prepare_folder(const Environment& environment, std::string* out) {
  std::string folder = environment.runtime_dir.empty() ? "/tmp/npu-" + std::to_string(getuid())
                                                       : environment.runtime_dir + "/npu";
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    const Status status =
        fail_errno(NPU_ERROR_START_MODEL, errno, "making the folder %s failed", folder.c_str());
    set_remedy("Set XDG_RUNTIME_DIR to a folder that exists and belongs to you.");
    return status;
  }
  struct stat info {};
  if (lstat(folder.c_str(), &info) != 0) {
    return fail_errno(NPU_ERROR_START_MODEL, errno, "looking at %s failed", folder.c_str());
  }
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
    const Status status = fail(NPU_ERROR_PERMISSION, "%s is not a folder that only user %u may use",
                               folder.c_str(), static_cast<unsigned>(geteuid()));
    set_remedy("Remove it, or set XDG_RUNTIME_DIR to a folder of your own with mode 0700.");
    return status;
  }
  *out = folder;
  return Status::ok();
}

Status make_paths(const Environment& environment, DaemonPaths* out) {
  std::string folder;
  NPU_TRY(prepare_folder(environment, &folder));
  std::string name = environment.device.spec;
  std::replace(name.begin(), name.end(), '*', 'x');
  out->socket = folder + "/" + name + ".sock";
  out->log = folder + "/" + name + ".log";
  return Status::ok();
}

bool is_program(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

// NPU_MODELD, else beside the library: installed (lib and bin, also lib/<triplet>), in a build tree; else on PATH.
Status find_program(const Environment& environment, std::string* out) {
  if (!environment.modeld.empty()) {
    if (!is_program(environment.modeld)) {
      return fail(NPU_ERROR_START_MODEL, "NPU_MODELD='%s' is no program that can be run",
                  environment.modeld.c_str());
    }
    *out = environment.modeld;
    return Status::ok();
  }
  std::vector<std::string> folders;
  if (const std::string own = library_folder(); !own.empty()) {
    for (const char* beside : {"/../bin", "/../../bin", "/../firmware-model/server"}) {
      folders.push_back(own + beside);
    }
  }
  for (size_t begin = 0; begin < environment.path.size();) {
    const size_t end = std::min(environment.path.find(':', begin), environment.path.size());
    if (end != begin) folders.push_back(environment.path.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const std::string& folder : folders) {
    *out = folder + "/" + kProgram;
    if (is_program(*out)) return Status::ok();
  }
  const Status status =
      fail(NPU_ERROR_START_MODEL, "%s was found neither beside the library (%s) nor on PATH",
           kProgram, library_folder().c_str());
  set_remedy("Install %s, or set NPU_MODELD to its path.", kProgram);
  return status;
}

// What the daemon wrote to its log since |from|: its last lines are the reason of a failure.
std::string log_tail(const std::string& path, size_t from) {
  std::vector<std::byte> bytes;
  if (read_file(path.c_str(), 16 << 20, &bytes) != 0 || bytes.size() <= from) return {};
  const size_t begin = std::max(from, bytes.size() > 300 ? bytes.size() - 300 : 0);
  std::string text(reinterpret_cast<const char*>(bytes.data()) + begin, bytes.size() - begin);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Status start_failed(const std::string& program, const DaemonPaths& paths, size_t log_from,
                    const char* how) {
  const std::string said = log_tail(paths.log, log_from);
  const Status status = fail(NPU_ERROR_START_MODEL, "%s %s%s%s", program.c_str(), how,
                             said.empty() ? "" : "; it said: ", said.c_str());
  set_remedy("See %.200s.", paths.log.c_str());
  return status;
}

size_t file_bytes(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<size_t>(info.st_size) : 0;
}

// Starts the daemon and waits until clients may connect. OK also when another process was faster.
Status start_daemon(const Environment& environment, const DaemonPaths& paths) {
  std::string program;
  NPU_TRY(find_program(environment, &program));
  const size_t log_from = file_bytes(paths.log);
  log_message(LogLevel::kInfo, "starting %s for %s", program.c_str(), paths.socket.c_str());
  const std::vector<std::string> arguments = {program,
                                              "--spec",
                                              environment.device.spec,
                                              "--socket",
                                              paths.socket,
                                              "--idle-exit",
                                              std::to_string(environment.model_idle_s)};
  SpawnResult result;
  if (const int error = spawn_detached(arguments, paths.log, kStartTimeoutMs, &result);
      error != 0) {
    return fail_errno(NPU_ERROR_START_MODEL, error, "starting %s failed", program.c_str());
  }
  switch (result.end) {
    case SpawnEnd::kReady:
      return Status::ok();
    case SpawnEnd::kTimeout:
      return start_failed(program, paths, log_from, "was not ready after 10 seconds");
    case SpawnEnd::kExited:
      if (result.exit_code == kExitLockHeld) return Status::ok();
      break;
  }
  const std::string how = "ended with status " + std::to_string(result.exit_code);
  return start_failed(program, paths, log_from, how.c_str());
}

bool nobody_listens(int error) { return error == ENOENT || error == ECONNREFUSED; }

}  // namespace

Result<UniqueFd> connect_daemon(const Environment& environment) {
  using Clock = std::chrono::steady_clock;
  DaemonPaths paths;
  NPU_TRY(make_paths(environment, &paths));
  const auto deadline = Clock::now() + std::chrono::milliseconds(kStartTimeoutMs);
  UniqueFd socket;
  auto pause = std::chrono::milliseconds(5);
  int error = connect_unix(paths.socket.c_str(), &socket);
  while (nobody_listens(error) && Clock::now() < deadline) {
    NPU_TRY(start_daemon(environment, paths));
    error = connect_unix(paths.socket.c_str(), &socket);
    if (!nobody_listens(error)) break;
    // Another daemon holds the lock: it does not listen yet, or it is about to end. Time will tell which.
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(200));
    error = connect_unix(paths.socket.c_str(), &socket);
  }
  if (error != 0) {
    const Status status =
        fail_errno(NPU_ERROR_START_MODEL, error, "connecting to %s failed", paths.socket.c_str());
    if (error == ENAMETOOLONG) set_remedy("Set XDG_RUNTIME_DIR to a folder with a shorter path.");
    return status;
  }
  return socket;
}

}  // namespace npu
