// SPDX-License-Identifier: Apache-2.0
// npu-ccl-bench: collective operations among ranks that it starts itself, or that mpirun or srun has started. stdout carries the table only.
#include <npu/npu.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tools/npu-ccl-bench/options.h"
#include "tools/npu-ccl-bench/rank.h"

namespace {

using namespace npu::ccl_bench;

int complain(const std::string& text) {
  if (!text.empty()) std::fprintf(stderr, "npu-ccl-bench: %s\n", text.c_str());
  return text.empty() ? 0 : 1;
}

int run_threads(const Options& options, const npuCclId& id) {
  std::vector<std::string> failures(options.ranks);
  std::vector<std::thread> threads;
  for (uint32_t rank = 0; rank < options.ranks; rank++) {
    threads.emplace_back([&, rank] { failures[rank] = run_rank(options, id, {rank, rank}); });
  }
  for (std::thread& thread : threads) thread.join();
  int code = 0;
  for (const std::string& failure : failures) code |= complain(failure);
  return code;
}

// The same program once for each rank; they find each other through NPU_CCL_ID.
int run_processes(const Options& options, char** argv) {
  std::random_device random;
  char id[80];
  std::snprintf(id, sizeof(id), "127.0.0.1:%u:%08x%08x%08x%08x", 20000 + random() % 10000, random(),
                random(), random(), random());
  setenv("NPU_CCL_ID", id, 1);
  std::vector<pid_t> pids;
  for (uint32_t rank = 0; rank < options.ranks; rank++) {
    std::string own = "--own-rank=" + std::to_string(rank);
    std::vector<char*> arguments;
    for (char** a = argv; *a != nullptr; a++) arguments.push_back(*a);
    arguments.push_back(own.data());
    arguments.push_back(nullptr);
    pid_t pid = 0;
    if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0) {
      return complain("cannot start a process for rank " + std::to_string(rank));
    }
    pids.push_back(pid);
  }
  int code = 0;
  for (pid_t pid : pids) {
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) code = 1;
  }
  return code;
}

// One of the ranks that mpirun, srun or variables make.
int run_started(Options options, const npuCclWorld& world) {
  if (options.ranks != 0 || options.processes) {
    return complain("there are " + std::to_string(world.ranks) +
                    " ranks, started as processes: leave out --ranks and --processes");
  }
  options.ranks = world.ranks;
  options.processes = true;
  return complain(run_rank(options, world.id, {world.rank, world.local_rank}));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  int code = 0;
  if (!parse_options(argc, argv, &options, &code)) return code;
  if (options.network) setenv("NPU_CCL_HOST_ID", "rank", 1);
  if (options.own_rank < 0) {
    npuCclWorld world{};
    world.struct_size = sizeof(world);
    const npuResult result = npuCclGetWorld(0, &world);
    if (result == NPU_OK) return run_started(options, world);
    if (result != NPU_ERROR_NOT_FOUND) return complain(npuCclGetErrorText());
  }
  if (options.ranks == 0) options.ranks = kDefaultRanks;
  if (options.processes && options.own_rank < 0) return run_processes(options, argv);
  npuCclId id;
  if (npuCclGetId(&id) != NPU_OK) return complain(npuCclGetErrorText());
  if (options.own_rank < 0) return run_threads(options, id);
  const auto rank = static_cast<uint32_t>(options.own_rank);
  return complain(run_rank(options, id, {rank, rank}));
}
