// SPDX-License-Identifier: Apache-2.0
// npu-modeld as a child.
#include "tests/soak/daemon.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/soak/worker.h"

namespace npu::soak {

Daemon::Daemon(const std::string& program, const std::string& profiles, const std::string& socket,
               Limits limits)
    : limits_(limits) {
  int out[2];
  if (pipe(out) != 0) std::abort();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    close(out[1]);
    execl(program.c_str(), program.c_str(), "--spec", "tiny", "--socket", socket.c_str(),
          "--profile-dir", profiles.c_str(), nullptr);
    _exit(127);
  }
  close(out[1]);
  pollfd ready{out[0], POLLIN, 0};
  char line[256] = {};
  if (!wait_for(pid_, limits_, [&] { return poll(&ready, 1, 0) == 1; }) ||
      read(out[0], line, sizeof line - 1) <= 0) {
    std::fprintf(stderr, "soak: %s does not become ready\n", program.c_str());
    std::exit(1);
  }
  close(out[0]);
}

Daemon::~Daemon() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

bool Daemon::is_running() { return pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == 0; }

std::string Daemon::state() {
  int status = 0;
  if (pid_ < 0) return "has ended";
  const pid_t ended = waitpid(pid_, &status, WNOHANG);
  if (ended == 0) return "runs";
  pid_ = -1;
  char text[64];
  std::snprintf(text, sizeof text, "has ended with status 0x%x", status);
  return text;
}

int Daemon::descriptors() const {
  return open_descriptors(("/proc/" + std::to_string(pid_) + "/fd").c_str());
}

uint64_t Daemon::own_bytes() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::strtoull(line.c_str() + 8, nullptr, 10) * 1024;
  }
  return 0;
}

bool Daemon::end() {
  kill(pid_, SIGTERM);
  int status = -1;
  if (!wait_for(pid_, limits_, [&] { return waitpid(pid_, &status, WNOHANG) == pid_; }))
    return false;
  pid_ = -1;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace npu::soak
