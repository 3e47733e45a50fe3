// SPDX-License-Identifier: Apache-2.0
// Collective operations among processes, one rank each: inside of the host, and over the network as if each were a host of its own, against OpenMPI on shared memory and on TCP in the same run.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/mpi.h"

namespace npu::bench {
namespace {

constexpr const char* kOperations[] = {"allreduce", "allgather", "alltoall"};
constexpr uint32_t kRanks[] = {2, 4};
constexpr uint64_t kSmallest = 4 << 10, kLargest = 64 << 20, kFactor = 16;
constexpr int kRounds = 3;

struct Way {
  const char* name;
  const char* ours;  // options of npu-ccl-bench
  const char* peer;
  const char* theirs;  // of mpirun
};
constexpr Way kWays[] = {
    {"host", "--processes", "OpenMPI, shared memory", "--mca btl vader,self"},
    {"network", "--processes --network", "OpenMPI, TCP", "--mca btl tcp,self"},
};

using Seconds = std::map<uint64_t, std::vector<double>>;  // by size

// Hands each line of the command's output to |parse|. False: the command failed.
template <typename Parse>
bool run(const std::string& command, const Parse& parse) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return false;
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) parse(line);
  return pclose(pipe) == 0;
}

bool run_ours(const Way& way, const char* operation, uint32_t ranks, Seconds* out) {
  const std::string command = "NPU_DEVICE=model:maia100'*" + std::to_string(ranks) + "' '" +
                              own_folder() + "/../../tools/npu-ccl-bench/npu-ccl-bench' " +
                              way.ours + " --operation " + operation + " --ranks " +
                              std::to_string(ranks) + " --min-bytes " + std::to_string(kSmallest) +
                              " --max-bytes " + std::to_string(kLargest) + " --factor " +
                              std::to_string(kFactor) + " --warmups 2 --repeats 7";
  return run(command, [&](const char* line) {
    uint64_t bytes = 0;
    double us = 0;
    if (std::sscanf(line, "%" SCNu64 " %*u %*s %*s %*s %lf", &bytes, &us) == 2) {
      (*out)[bytes].push_back(us * 1e-6);
    }
  });
}

bool run_theirs(const Way& way, const char* operation, uint32_t ranks, Seconds* out) {
  std::string what = std::string(operation) + ":";
  for (uint64_t bytes = kSmallest; bytes <= kLargest; bytes *= kFactor) {
    what += (bytes == kSmallest ? "" : ",") + std::to_string(bytes);
  }
  const std::string command =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe --bind-to "
      "none "
      "--mca pml ob1 " +
      std::string(way.theirs) + " -np " + std::to_string(ranks) + " '" + own_folder() +
      "/npu_bench' --probe-mpi " + what + " 2>/dev/null";
  return run(command, [&](const char* line) {
    uint64_t bytes = 0;
    double s = 0;
    if (std::sscanf(line, "%" SCNu64 " %lf", &bytes, &s) == 2) (*out)[bytes].push_back(s);
  });
}

// Of nccl-tests: what each rank's link carries.
double bus_bytes(const char* operation, uint64_t bytes, uint32_t ranks) {
  const double share = static_cast<double>(ranks - 1) / ranks;
  return static_cast<double>(bytes) * share * (operation == kOperations[0] ? 2 : 1);
}

bool measure(const Way& way, const char* operation, uint32_t ranks, bool has_peer,
             const std::string& folder) {
  Seconds ours, theirs;
  bool good = true;
  for (int i = 0; i < kRounds; i++) {
    good &= run_ours(way, operation, ranks, &ours);
    if (has_peer) good &= run_theirs(way, operation, ranks, &theirs);
  }
  for (const auto& [bytes, times] : ours) {
    Measurement m{.name = "ccl_" + std::string(way.name) + "_" + operation + "_" +
                          std::to_string(ranks) + "_" + std::to_string(bytes >> 10) + "KiB"};
    const double bus = bus_bytes(operation, bytes, ranks);
    m.value = bus / median(times) / 1e9;
    m.unit = "GB/s";
    m.smaller_is_better = false;
    m.goal = 1;
    if (has_peer) m.peer = way.peer;
    if (!theirs[bytes].empty()) m.peer_value = bus / median(theirs[bytes]) / 1e9;
    good &= publish(m, folder);
  }
  return good && !ours.empty();
}

}  // namespace

bool bench_ccl(const std::string& folder) {
  const bool has_peer = has_mpi();
  if (!has_peer) std::fprintf(stderr, "npu_bench: no mpirun here: apt-get install openmpi-bin\n");
  bool good = true;
  for (const Way& way : kWays) {
    for (const char* operation : kOperations) {
      for (const uint32_t ranks : kRanks) good &= measure(way, operation, ranks, has_peer, folder);
    }
  }
  return good;
}

}  // namespace npu::bench
