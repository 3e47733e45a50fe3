// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/world.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/id.h"
#include "libnpu/ccl/log.h"

namespace npu::ccl {
namespace {

const char* value_of(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? text : nullptr;
}

npuResult read_number(const char* name, uint32_t* out) {
  const char* text = value_of(name);
  if (text == nullptr) return fail(NPU_ERROR_BAD_ENVIRONMENT, "%s is missing", name);
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, *out);
  if (error == std::errc() && stop == end) return NPU_OK;
  return fail(NPU_ERROR_BAD_ENVIRONMENT, "%s is no number: \"%.32s\"", name, text);
}

}  // namespace

npuResult world_of_variables(npuCclWorld* out) {
  if (value_of("NPU_CCL_RANK") == nullptr && value_of("NPU_CCL_RANKS") == nullptr) {
    return NPU_ERROR_NOT_FOUND;
  }
  NPU_CCL_TRY(read_number("NPU_CCL_RANK", &out->rank));
  NPU_CCL_TRY(read_number("NPU_CCL_RANKS", &out->ranks));
  if (out->ranks == 0 || out->ranks > NPU_CCL_RANKS_MAX || out->rank >= out->ranks) {
    return fail(NPU_ERROR_BAD_ENVIRONMENT,
                "NPU_CCL_RANK is %u, NPU_CCL_RANKS is %u: there are 1 to %d ranks, counted from 0",
                out->rank, out->ranks, NPU_CCL_RANKS_MAX);
  }
  out->local_rank = out->rank;
  if (value_of("NPU_CCL_LOCAL_RANK") != nullptr) {
    NPU_CCL_TRY(read_number("NPU_CCL_LOCAL_RANK", &out->local_rank));
    if (out->local_rank >= out->ranks) {
      return fail(NPU_ERROR_BAD_ENVIRONMENT, "NPU_CCL_LOCAL_RANK is %u of %u ranks",
                  out->local_rank, out->ranks);
    }
  }
  if (out->ranks > 1 && value_of("NPU_CCL_ID") == nullptr) {
    return fail(
        NPU_ERROR_BAD_ENVIRONMENT,
        "NPU_CCL_RANKS is %u, so all ranks need the same NPU_CCL_ID: \"ADDRESS:PORT:\" with "
        "32 hexadecimal digits, an address of rank 0's host",
        out->ranks);
  }
  return get_id(&out->id);
}

npuResult get_world(std::chrono::milliseconds timeout, npuCclWorld* out) {
  const char* teller = "the variables NPU_CCL_RANK and NPU_CCL_RANKS";
  npuResult result = world_of_variables(out);
  if (result == NPU_ERROR_NOT_FOUND) {
    teller = "PMIx";
    result = world_of_pmix(timeout, out);
  }
  if (result == NPU_ERROR_NOT_FOUND) {
    return fail(NPU_ERROR_NOT_FOUND,
                "nothing tells this process its rank: start it with mpirun or srun --mpi=pmix, or "
                "set NPU_CCL_RANK, NPU_CCL_RANKS and NPU_CCL_ID");
  }
  if (result == NPU_OK) {
    log_info("rank %u of %u, number %u of its host, by %s", out->rank, out->ranks, out->local_rank,
             teller);
  }
  return result;
}

}  // namespace npu::ccl
