// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/torch_peer.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace npu::bench {
namespace {

// Both ends of a pipe; the other process gets |theirs| by dup2 only.
struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    read = ends[0];
    write = ends[1];
  }
};

}  // namespace

std::unique_ptr<TorchPeer> TorchPeer::find() {
  signal(SIGPIPE, SIG_IGN);  // a peer that ends is noticed by its missing answer
  const Pipe to, from;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to.read, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, from.write, STDOUT_FILENO);
  const char* const argv[] = {NPU_BENCH_PEERS, "torch", nullptr};
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, argv[0], &actions, nullptr, const_cast<char**>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(to.read);
  close(from.write);
  if (error != 0) pid = -1;
  std::unique_ptr<TorchPeer> peer(
      new TorchPeer(pid, fdopen(to.write, "w"), fdopen(from.read, "r")));
  const std::string version = pid < 0 ? std::string() : peer->ask("version");
  if (version.empty()) {
    std::fprintf(stderr, "npu_bench: PyTorch was not measured (%s tree, as root)\n",
                 NPU_BENCH_PEERS);
    return nullptr;
  }
  peer->name_ = "PyTorch " + version;
  return peer;
}

TorchPeer::~TorchPeer() {
  if (to_ != nullptr) std::fclose(to_);
  if (from_ != nullptr) std::fclose(from_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

std::string TorchPeer::ask(const std::string& request) {
  char answer[128];
  if (to_ == nullptr || from_ == nullptr) return {};
  if (std::fprintf(to_, "%s\n", request.c_str()) < 0 || std::fflush(to_) != 0) return {};
  if (std::fgets(answer, sizeof answer, from_) == nullptr) return {};
  std::string text(answer);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

double TorchPeer::seconds(const std::string& request) {
  const std::string answer = ask(request);
  char* end = nullptr;
  const double value = std::strtod(answer.c_str(), &end);
  if (answer.empty() || *end != '\0' || !(value > 0)) {
    std::fprintf(stderr, "npu_bench: PyTorch answered '%s' to '%s'\n", answer.c_str(),
                 request.c_str());
    std::exit(1);
  }
  return value;
}

}  // namespace npu::bench
