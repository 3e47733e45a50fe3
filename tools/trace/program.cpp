// SPDX-License-Identifier: Apache-2.0
#include "tools/trace/program.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "tools/trace/arguments.h"

extern char** environ;

namespace npu::trace {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".trace";
constexpr const char* kEngineEnding = ".engines";
constexpr int kTaken[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

volatile sig_atomic_t g_child = 0;

// Ctrl-C at a terminal reaches the program by itself.
void hand_on(int signal) {
  if (g_child > 0 && (signal == SIGTERM || signal == SIGHUP)) kill(g_child, signal);
}

// While it lives, signals go to the program and do not end the tool.
class SignalGuard {
 public:
  SignalGuard() {
    sigset_t taken;
    sigemptyset(&taken);
    for (const int signal : kTaken) sigaddset(&taken, signal);
    sigprocmask(SIG_BLOCK, &taken, &before_);  // until the child has a number
    struct sigaction action {};
    action.sa_handler = hand_on;
    for (size_t i = 0; i < std::size(kTaken); i++) sigaction(kTaken[i], &action, &actions_[i]);
  }
  ~SignalGuard() {
    for (size_t i = 0; i < std::size(kTaken); i++) sigaction(kTaken[i], &actions_[i], nullptr);
    g_child = 0;
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  void begin(pid_t child) {
    g_child = child;
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  const sigset_t& mask() const { return before_; }
  // Those that the tool's caller had not set to be ignored: nohup stays nohup.
  sigset_t defaults() const {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < std::size(kTaken); i++) {
      if (actions_[i].sa_handler != SIG_IGN) sigaddset(&set, kTaken[i]);
    }
    return set;
  }

 private:
  sigset_t before_{};
  struct sigaction actions_[std::size(kTaken)]{};
};

uint64_t number_of(const std::string& path) {
  const std::string stem = fs::path(path).stem();
  uint64_t number = 0;
  std::from_chars(stem.data(), stem.data() + stem.size(), number);
  return number;
}

// The environment, with the variables in |own| in place of those of the same names.
std::vector<std::string> make_environment(const std::map<std::string, std::string>& own) {
  std::vector<std::string> all;
  for (char** at = environ; *at != nullptr; at++) {
    const std::string_view word = *at;
    if (!own.contains(std::string(word.substr(0, word.find('='))))) all.emplace_back(word);
  }
  for (const auto& [name, value] : own) all.push_back(name + "=" + value);
  return all;
}

std::map<std::string, std::string> variables_of(const TemporaryFolder& folder,
                                                const Source& source) {
  std::map<std::string, std::string> own;
  own["NPU_TRACE"] = folder.path() + "/%p" + kEnding;
  own["NPU_RECORD_MAX_MB"] = std::to_string(source.max_mb);
  if (source.device.empty()) return own;
  own["NPU_DEVICE"] = source.device;
  own["NPU_MODEL_ENGINES"] = folder.path() + "/%p" + kEngineEnding;
  own["NPU_MODEL_ENGINE_TILES"] = std::to_string(source.tiles);
  return own;
}

void sort_by_process(std::vector<std::string>* files) {
  std::sort(files->begin(), files->end(),
            [](const std::string& a, const std::string& b) { return number_of(a) < number_of(b); });
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

int start(std::vector<std::string> program, std::vector<std::string> environment,
          const SignalGuard& signals, pid_t* out_child) {
  const sigset_t defaults = signals.defaults();
  posix_spawnattr_t attributes;
  if (const int error = posix_spawnattr_init(&attributes); error != 0) return error;
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setsigmask(&attributes, &signals.mask());
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const int error = posix_spawnp(out_child, program[0].c_str(), nullptr, &attributes,
                                 pointers(program).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  return error;
}

// A new one below |parent|.
Outcome<std::string> make_folder(const std::string& parent) {
  std::error_code error;
  const std::string whole = fs::absolute(parent.empty() ? "." : parent, error).string();
  std::string pattern = whole + "/.npu-trace-XXXXXX";
  if (mkdtemp(pattern.data()) != nullptr) return pattern;
  return Failure{"no file can be made in '" + whole + "': " + std::strerror(errno) +
                 ". Write to a folder that is there and yours."};
}

}  // namespace

std::string temporary_parent() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && named[0] == '/' ? named : "/tmp";
}

std::optional<Failure> why_not_writable(const std::string& path) {
  std::error_code error;
  if (path.empty() || fs::is_directory(path, error))
    return Failure{"'" + path + "' is no path of a file. Give one."};
  const Outcome<std::string> probe = make_folder(fs::path(path).parent_path().string());
  if (!probe) return probe.failure();
  rmdir(probe->c_str());
  return std::nullopt;
}

Outcome<TemporaryFolder> TemporaryFolder::make(const std::string& parent) {
  const Outcome<std::string> path = make_folder(parent);
  if (!path) return path.failure();
  TemporaryFolder folder(*path);
  if (path->find("%p") == std::string::npos) return folder;
  return Failure{"'" + *path + "' has a %p in it, which NPU_TRACE would replace. Write elsewhere."};
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Recordings TemporaryFolder::recordings() const {
  Recordings files;
  std::error_code error;
  for (fs::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == kEnding) files.calls.push_back(at->path());
    if (at->path().extension() == kEngineEnding) files.engines.push_back(at->path());
  }
  sort_by_process(&files.calls);
  sort_by_process(&files.engines);
  return files;
}

int run_program(const char* tool, const std::vector<std::string>& program,
                const TemporaryFolder& folder, const Source& source) {
  SignalGuard signals;
  pid_t child = -1;
  const int error = start(program, make_environment(variables_of(folder, source)), signals, &child);
  signals.begin(error == 0 ? child : 0);
  if (error != 0) {
    report(tool, "'" + program[0] + "' cannot be run: " + std::strerror(error) +
                     ". Give a program's path, or its name when it is on PATH.");
    return error == ENOENT ? kExitNotFound : kExitCannotExecute;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  report(tool, "the program was ended by signal " + std::to_string(WTERMSIG(status)) + " (" +
                   strsignal(WTERMSIG(status)) + ")");
  return 128 + WTERMSIG(status);
}

int run_and_tell(const char* tool, const std::vector<std::string>& program,
                 const std::string& parent, const Source& source, const std::string& verb,
                 const std::function<int(const Recordings& recordings, int exit_code)>& tell) {
  const auto folder = TemporaryFolder::make(parent);
  if (!folder) return report(tool, folder.error());
  const int code = run_program(tool, program, *folder, source);
  const Recordings recordings = folder->recordings();
  if (recordings.calls.empty()) {
    if (code == kExitNotFound || code == kExitCannotExecute) return code;
    report(tool, "'" + program[0] + "' has not started libnpu: there is nothing to " + verb +
                     ". npu-smi doctor tells what keeps a program from it.");
    return code != 0 ? code : kExitFailed;
  }
  const int told = tell(recordings, code);
  return told != kExitDone ? told : code;
}

}  // namespace npu::trace
