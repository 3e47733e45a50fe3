// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/processes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

namespace npu::test {
namespace {

constexpr int kLimitMs = 60'000;

}  // namespace

Processes::Processes(const ProcessPlan& plan) : texts_(plan.ranks) {
  std::random_device random;
  char end[64];
  // A port below those that the system hands out by itself.
  std::snprintf(end, sizeof(end), ":%u:%08x%08x%08x%08x", 20000 + random() % 10000, random(),
                random(), random(), random());
  for (uint32_t rank = 0; rank < plan.ranks; rank++) {
    start(plan, rank, "NPU_CCL_ID=" + plan.host + end);
  }
}

Processes::~Processes() {
  for (pid_t pid : pids_) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  for (int out : outs_) close(out);
}

void Processes::start(const ProcessPlan& plan, uint32_t rank, const std::string& id) {
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
  std::vector<std::string> words;
  if (plan.prefix) words = plan.prefix(rank);
  const char* what = plan.all_act || rank == plan.actor ? plan.what : "none";
  for (const std::string& word :
       {std::string(NPU_CCL_RANK), std::to_string(rank), std::to_string(plan.ranks),
        std::to_string(plan.seed), std::string(what), std::to_string(plan.at)}) {
    words.push_back(word);
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string own_id = id;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe_fds[1], STDOUT_FILENO);
    putenv(own_id.data());
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipe_fds[1]);
  pids_.push_back(pid);
  outs_.push_back(pipe_fds[0]);
}

bool Processes::read_more(uint32_t rank) {
  pollfd poller{outs_[rank], POLLIN, 0};
  if (poll(&poller, 1, kLimitMs) != 1) {
    texts_[rank] += " (no end in time)";
    return false;
  }
  char piece[512];
  const ssize_t got = read(outs_[rank], piece, sizeof(piece));
  if (got <= 0) return false;
  texts_[rank].append(piece, static_cast<size_t>(got));
  return true;
}

std::string Processes::line(uint32_t rank) {
  std::string& text = texts_[rank];
  while (text.find('\n') == std::string::npos) {
    if (!read_more(rank)) return "";
  }
  const size_t end = text.find('\n');
  std::string line = text.substr(0, end);
  text.erase(0, end + 1);
  return line;
}

uint64_t Processes::cpu_ticks() const {
  uint64_t all = 0;
  for (pid_t pid : pids_) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    // Fields 14 and 15; the second one is a name in parentheses, which may hold anything.
    std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
    std::string skipped;
    uint64_t user = 0, system = 0;
    for (int field = 3; field < 14; field++) fields >> skipped;
    fields >> user >> system;
    EXPECT_TRUE(fields) << "process " << pid << ": " << text;
    all += user + system;
  }
  return all;
}

std::string Processes::output(uint32_t rank) {
  while (read_more(rank)) {
  }
  return texts_[rank];
}

bool is_between_hosts() { return std::getenv("NPU_CCL_HOST_ID") != nullptr; }

}  // namespace npu::test
