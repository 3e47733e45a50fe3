// SPDX-License-Identifier: Apache-2.0
// OpenMPI, found when the program runs: collective operations of one rank, inside of mpirun.
#pragma once

#include <string>

namespace npu::bench {

// |what| is that of CclProbe, bytes of the whole vector as npu-ccl-bench counts them. Prints "BYTES SECONDS" for each on rank 0. An exit code.
int probe_mpi(const std::string& what);

// Whether this machine has mpirun and the library.
bool has_mpi();

}  // namespace npu::bench
