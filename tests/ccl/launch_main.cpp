// SPDX-License-Identifier: Apache-2.0
// ccl_launched WHAT FOLDER: one process of mpirun; writes what it has seen to FOLDER/RANK, line by line. WHAT:
//   meet   two worlds, one after the other, with a communicator and an all-reduce each
//   alone  rank 0 asks for nothing; the others ask
//   die    rank 0 kills itself before it asks
//   kill   the process kills the server, and asks
//   stop   the process stops the server, asks twice, and kills it
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "tests/ccl/world.h"

namespace {

using namespace npu::test;

constexpr auto kLate = std::chrono::seconds(10);  // of a loaded machine

std::ofstream out;

npuResult ask(uint32_t timeout_ms, npuCclWorld* world) {
  *world = {};
  world->struct_size = sizeof(*world);
  const auto begin = std::chrono::steady_clock::now();
  const npuResult result = npuCclGetWorld(timeout_ms, world);
  const auto took = std::chrono::steady_clock::now() - begin;
  if (result != NPU_OK) {
    out << "failed " << result
        << (took < std::chrono::milliseconds(timeout_ms) + kLate ? " in time " : " late ")
        << npuCclGetErrorText() << std::endl;
  }
  return result;
}

bool meet(npuContext context, npuQueue queue) {
  npuCclWorld world;
  if (ask(30'000, &world) != NPU_OK) return false;
  npuCclComm comm = nullptr;
  npuDevPtr at = 0;
  int32_t sum = static_cast<int32_t>(world.rank) + 1;
  const npuCclCommInfo info = make_info(4096);
  if (npuCclCommCreate(&world.id, world.ranks, world.rank, context, &info, &comm) != NPU_OK ||
      npuMemAlloc(context, NPU_MEM_DEVICE, sizeof(sum), &at) != NPU_OK ||
      npuMemCopyToDevice(context, at, &sum, sizeof(sum)) != NPU_OK ||
      npuCclAllReduce(comm, queue, at, at, 1, NPU_INT32, NPU_CCL_SUM, nullptr) != NPU_OK ||
      npuQueueSync(queue, kLongNs) != NPU_OK ||
      npuMemCopyToHost(context, &sum, at, sizeof(sum)) != NPU_OK ||
      npuCclCommDestroy(comm) != NPU_OK) {
    out << "cannot meet: " << why() << std::endl;
    return false;
  }
  out << "rank " << world.rank << " of " << world.ranks << ", local " << world.local_rank
      << ", sum " << sum << std::endl;
  return true;
}

// A signal is on its way for a while: true once no thread of the process runs.
bool is_stopped(pid_t process) {
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", error)) {
    std::ifstream file(task.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos || text.compare(name_end, 3, ") T") != 0) return false;
  }
  return !error;
}

int meet_twice() {
  npuDevice device = nullptr;
  RankEnd end;
  if (npuInit() != NPU_OK || npuDeviceOpen(nullptr, &device) != NPU_OK ||
      npuContextCreate(device, &end.context) != NPU_OK ||
      npuQueueCreate(end.context, nullptr, &end.queue) != NPU_OK) {
    out << "cannot open a device: " << why() << std::endl;
    return 1;
  }
  for (int i = 0; i < 2; i++) {
    if (!meet(end.context, end.queue)) return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* rank = std::getenv("PMIX_RANK");
  if (argc != 3 || rank == nullptr) return 2;
  out.open(std::string(argv[2]) + "/" + rank);
  const std::string what = argv[1];
  npuCclWorld world;
  if (what == "meet") return meet_twice();
  if (what == "alone") {
    if (std::strcmp(rank, "0") != 0) ask(1000, &world);
  } else if (what == "die") {
    if (std::strcmp(rank, "0") == 0) raise(SIGKILL);
    ask(20'000, &world);
  } else if (what == "kill") {
    kill(getppid(), SIGKILL);
    ask(5000, &world);
  } else if (what == "stop") {
    const pid_t server = getppid();
    kill(server, SIGSTOP);
    while (!is_stopped(server)) usleep(1000);
    ask(500, &world);
    ask(500, &world);
    // A server that went on might miss the end of this process, and wait for ever.
    kill(server, SIGKILL);
  } else {
    return 2;
  }
  out << "end" << std::endl;
  return 0;
}
