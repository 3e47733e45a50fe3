// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-ccl-bench/options.h"

#include <npu/npu_ccl.h>

#include <CLI/CLI.hpp>

#include "tools/npu-ccl-bench/operation.h"

namespace npu::ccl_bench {

bool parse_options(int argc, char** argv, Options* out, int* out_code) {
  CLI::App app{
      "Measures collective operations and checks their results, among ranks that it starts,\n"
      "or that mpirun, srun --mpi=pmix or the variables NPU_CCL_RANK, NPU_CCL_RANKS and NPU_CCL_ID "
      "make.\n"
      "algbw is bytes / time; busbw is that times the factor of the operation, as nccl-tests "
      "define it."};
  app.name("npu-ccl-bench");
  app.add_option("-o,--operation", out->operation, "operation")
      ->check(CLI::IsMember(operation_names()))
      ->capture_default_str();
  app.add_option("-d,--type", out->type, "element type")
      ->check(CLI::IsMember(type_names()))
      ->capture_default_str();
  app.add_option("-r,--reduction", out->reduction, "reduction")
      ->check(CLI::IsMember(reduction_names()))
      ->capture_default_str();
  app.add_option("-n,--ranks", out->ranks, "number of ranks, dealt to the devices in turn")
      ->check(CLI::Range(1, NPU_CCL_RANKS_MAX))
      ->default_str(std::to_string(kDefaultRanks));
  app.add_flag("-p,--processes", out->processes, "a process for each rank, not a thread");
  app.add_flag("--network", out->network, "each rank as a host of its own: data goes by libfabric");
  const auto size = CLI::AsSizeValue(false);
  app.add_option("-b,--min-bytes", out->min_bytes, "smallest size of the whole vector (K, M, G)")
      ->transform(size)
      ->capture_default_str();
  app.add_option("-e,--max-bytes", out->max_bytes, "largest size")
      ->transform(size)
      ->capture_default_str();
  app.add_option("-f,--factor", out->factor, "from size to size")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  app.add_option("-i,--repeats", out->repeats, "measured operations of a size; the median counts")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option(
         "--repeat-bytes", out->repeat_bytes,
         "of a size no more repeats than move so many bytes in all, but 3 (K, M, G); 0: all")
      ->transform(size);
  app.add_option("--in-a-row", out->in_a_row,
                 "operations of a repeat, one behind the other; their mean is its time")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_flag("-R,--register", out->windows, "the buffers lie in windows that all ranks register");
  app.add_flag("--least", out->least, "the fastest of the repeats counts, not the median");
  app.add_option("-w,--warmups", out->warmups, "operations before them")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app.add_option("-c,--chunk-bytes", out->chunk_bytes, "npuCclCommInfo.chunk_bytes; 0: its default")
      ->transform(size);
  app.add_option("--own-rank", out->own_rank, "")->group("");  // of the processes that it starts
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *out_code = app.exit(error) == 0 ? 0 : 2;
    return false;
  }
  return true;
}

}  // namespace npu::ccl_bench
