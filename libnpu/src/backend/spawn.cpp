// SPDX-License-Identifier: Apache-2.0
// A daemon by double fork. The process between reads the daemon's first line, reports it or the exit status through a pipe, and ends; the daemon is then a
// child of init. What runs after a fork here uses async-signal-safe functions only: this process may have threads.
#include "libnpu/src/backend/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "libnpu/src/backend/unique_fd.h"

namespace npu {
namespace {

struct Report {
  int32_t ready;
  int32_t exit_code;
};

constexpr off_t kLogLimitBytes = 1 << 20;

[[noreturn]] void run_daemon(char* const* argv, int output, int log) {
  const int null = open("/dev/null", O_RDWR);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGHUP, SIG_IGN);  // the session may end before the daemon
  // Each goes above the standard numbers first: a program may have closed its own.
  const int high_output = fcntl(output, F_DUPFD, 10);
  const int high_log = fcntl(log, F_DUPFD, 10);
  dup2(null, 0);
  dup2(high_output, 1);
  dup2(high_log, 2);
  close_range(3, ~0u, 0);
  if (chdir("/") != 0) _exit(126);
  execv(argv[0], argv);
  _exit(127);
}

// Reads the daemon's first line. True: it says ready.
bool read_first_line(int fd) {
  char line[16];
  size_t used = 0;
  for (;;) {
    char c = 0;
    const ssize_t got = read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    if (c == '\n') return used >= 6 && std::memcmp(line, "ready ", 6) == 0;
    if (used < sizeof line) line[used++] = c;
  }
}

[[noreturn]] void run_between(char* const* argv, int report_fd, int log) {
  // No session of its own: the kernel shares CPUs out among sessions first, and a thread that gives its CPU away gives it to those of its session only (decision 0073). What a terminal sends goes to other groups.
  setpgid(0, 0);
  Report report{};
  int lines[2];
  if (pipe2(lines, O_CLOEXEC) != 0) _exit(1);
  const pid_t daemon = _Fork();
  if (daemon == 0) run_daemon(argv, lines[1], log);
  close(lines[1]);
  if (daemon > 0 && read_first_line(lines[0])) {
    report.ready = 1;
  } else if (daemon > 0) {
    int status = 0;
    while (waitpid(daemon, &status, 0) < 0 && errno == EINTR) {
    }
    report.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  } else {
    report.exit_code = 126;
  }
  [[maybe_unused]] const ssize_t written = write(report_fd, &report, sizeof report);
  _exit(0);
}

// True when the report came in time.
bool read_report(int fd, int64_t timeout_ms, Report* out) {
  pollfd state{fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&state, 1, static_cast<int>(timeout_ms));
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && read(fd, out, sizeof *out) == static_cast<ssize_t>(sizeof *out);
}

int open_log(const std::string& path) {
  struct stat info {};
  const bool full = stat(path.c_str(), &info) == 0 && info.st_size > kLogLimitBytes;
  return open(path.c_str(),
              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (full ? O_TRUNC : 0), 0600);
}

}  // namespace

int spawn_detached(const std::vector<std::string>& arguments, const std::string& log_path,
                   int64_t timeout_ms, SpawnResult* out) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const UniqueFd log(open_log(log_path));
  if (!log.valid()) return errno;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  const UniqueFd report_in(ends[0]);
  UniqueFd report_out(ends[1]);

  // _Fork: no fork handlers, of ours or of the application, and none of its locks.
  const pid_t between = _Fork();
  if (between < 0) return errno;
  if (between == 0) run_between(argv.data(), report_out.get(), log.get());
  report_out.reset();
  Report report{};
  const bool reported = read_report(report_in.get(), timeout_ms, &report);
  if (!reported) kill(-between, SIGKILL);
  int status = 0;
  while (waitpid(between, &status, 0) < 0 && errno == EINTR) {
  }
  if (!reported) {
    out->end = SpawnEnd::kTimeout;
  } else {
    out->end = report.ready != 0 ? SpawnEnd::kReady : SpawnEnd::kExited;
    out->exit_code = report.exit_code;
  }
  return 0;
}

}  // namespace npu
