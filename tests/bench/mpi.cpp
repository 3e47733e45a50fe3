// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/mpi.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/bench/ccl_repeats.h"
#include "tests/bench/measurement.h"

namespace npu::bench {
namespace {

constexpr const char* kLibrary = "libmpi.so.40";

// The ABI of OpenMPI 4 and 5: handles are addresses of objects of the library (its mpi.h).
struct Mpi {
  using Handle = void*;
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  template <typename Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(library != nullptr ? dlsym(library, name) : nullptr);
  }
  Handle object(const char* name) const {
    return library != nullptr ? dlsym(library, name) : nullptr;
  }
  int (*init)(int*, char***) = find<int(int*, char***)>("MPI_Init");
  int (*finalize)() = find<int()>("MPI_Finalize");
  int (*rank)(Handle, int*) = find<int(Handle, int*)>("MPI_Comm_rank");
  int (*size)(Handle, int*) = find<int(Handle, int*)>("MPI_Comm_size");
  int (*barrier)(Handle) = find<int(Handle)>("MPI_Barrier");
  int (*allreduce)(const void*, void*, int, Handle, Handle, Handle) =
      find<int(const void*, void*, int, Handle, Handle, Handle)>("MPI_Allreduce");
  int (*allgather)(const void*, int, Handle, void*, int, Handle, Handle) =
      find<int(const void*, int, Handle, void*, int, Handle, Handle)>("MPI_Allgather");
  int (*alltoall)(const void*, int, Handle, void*, int, Handle, Handle) =
      find<int(const void*, int, Handle, void*, int, Handle, Handle)>("MPI_Alltoall");
  Handle world = object("ompi_mpi_comm_world");
  Handle f32 = object("ompi_mpi_float");
  Handle f64 = object("ompi_mpi_double");
  Handle sum = object("ompi_mpi_op_sum");
  Handle max = object("ompi_mpi_op_max");

  bool is_whole() const {
    return init && finalize && rank && size && barrier && allreduce && allgather && alltoall &&
           world && f32 && f64 && sum && max;
  }
};

// As npu-ccl-bench measures: a barrier, operations in a row, the median of the repeats, the slowest rank.
double seconds_of(const Mpi& mpi, const std::string& operation, const CclCase& size, int ranks) {
  const uint64_t bytes = size.bytes;
  const bool is_whole = operation == "allreduce";
  const auto count = static_cast<int>(
      std::max<uint64_t>(bytes / 4 / static_cast<uint64_t>(is_whole ? 1 : ranks), 1));
  std::vector<float> send(bytes / 4 + static_cast<uint64_t>(ranks), 1.0f), recv(send.size());
  std::vector<double> times;
  for (uint64_t i = 0; i < kCclWarmups + ccl_repeats(size); i++) {
    mpi.barrier(mpi.world);
    const double s = seconds_per(static_cast<int>(size.in_a_row), [&] {
      if (operation == "allreduce") {
        mpi.allreduce(send.data(), recv.data(), count, mpi.f32, mpi.sum, mpi.world);
      } else if (operation == "allgather") {
        mpi.allgather(send.data(), count, mpi.f32, recv.data(), count, mpi.f32, mpi.world);
      } else {
        mpi.alltoall(send.data(), count, mpi.f32, recv.data(), count, mpi.f32, mpi.world);
      }
    });
    if (i >= kCclWarmups) times.push_back(s);
  }
  double own = median(times), slowest = own;
  mpi.allreduce(&own, &slowest, 1, mpi.f64, mpi.max, mpi.world);
  return slowest;
}

}  // namespace

int probe_mpi(const std::string& what) {
  const Mpi mpi;
  const CclProbe probe(what);
  if (!mpi.is_whole() || probe.cases.empty() || mpi.init(nullptr, nullptr) != 0) return 1;
  int rank = 0, ranks = 1;
  mpi.rank(mpi.world, &rank);
  mpi.size(mpi.world, &ranks);
  for (const CclCase& size : probe.cases) {
    const double s = seconds_of(mpi, probe.operation, size, ranks);
    if (rank == 0) std::printf("%" PRIu64 " %.9f\n", size.bytes, s);
  }
  return mpi.finalize();
}

bool has_mpi() {
  return dlopen(kLibrary, RTLD_NOW) != nullptr &&
         std::system("mpirun --version >/dev/null 2>&1") == 0;
}

}  // namespace npu::bench
