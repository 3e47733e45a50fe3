// SPDX-License-Identifier: Apache-2.0
// The public functions: check, plan, launch. No exception leaves them.
#include <new>

#include "libnpu/ops/check.h"
#include "libnpu/ops/library.h"
#include "libnpu/ops/tiling.h"

namespace npu::ops {
namespace {

template <typename Body>
npuResult guarded(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(NPU_ERROR_OUT_OF_HOST_MEMORY, "the host has no memory left");
  } catch (...) {
    return fail(NPU_ERROR_INTERNAL, "an unexpected exception");
  }
}

// Calls body(library, plan) with what |plan_function| makes.
template <typename PlanFunction, typename Body>
npuResult planned(npuOps handle, const PlanFunction& plan_function, const Body& body) {
  return guarded([&] {
    const std::shared_ptr<Library> library = find_handle(handle);
    if (library == nullptr)
      return fail(NPU_ERROR_INVALID_HANDLE, "ops is no handle of npuOpsCreate, or was destroyed");
    Plan plan;
    plan.chips = library.get();
    NPU_OPS_TRY(plan_function(&plan));
    return body(*library, plan);
  });
}

// The launches of an operator, one behind the other; the last one's value is the operator's. All are planned before the first one is launched.
template <typename PlanFunction>
npuResult submit(npuOps handle, npuQueue queue, const void* info, const PlanFunction& plan_function,
                 uint64_t* out_value) {
  if (out_value != nullptr) *out_value = 0;
  return planned(handle, plan_function, [&](Library& library, const Plan& plan) {
    if (plan.then == nullptr) return library.launch(queue, plan, out_value);
    Plan last;
    NPU_OPS_TRY(plan.then(info, &last));
    npuKernel kernel;
    NPU_OPS_TRY(library.kernel_of(last, &kernel));
    NPU_OPS_TRY(library.launch(queue, plan, nullptr));
    return library.launch(queue, last, out_value);
  });
}

npuResult write_command(Library& library, const Plan& plan, npuOpsCommand* out) {
  if (plan.then != nullptr)
    return fail(NPU_ERROR_NOT_SUPPORTED, "this operator takes more than one launch: submit it");
  npuKernel kernel;
  NPU_OPS_TRY(library.kernel_of(plan, &kernel));
  out->args_bytes = plan.block_bytes();
  out->kernel = kernel;
  out->grid_x = plan.grid[0];
  out->grid_y = plan.grid[1];
  out->grid_z = plan.grid[2];
  std::memcpy(out->args, plan.args, sizeof(out->args));
  return NPU_OK;
}

}  // namespace
}  // namespace npu::ops

using namespace npu::ops;

extern "C" {

npuResult npuOpsCreate(npuContext context, const char* blob_path, npuOps* out_ops) {
  if (out_ops == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_ops is NULL");
  *out_ops = nullptr;
  return guarded([&] {
    std::shared_ptr<Library> library;
    NPU_OPS_TRY(Library::create(context, blob_path, &library));
    *out_ops = add_handle(std::move(library));
    return *out_ops != nullptr ? NPU_OK : fail(NPU_ERROR_QUOTA, "too many operator handles");
  });
}

npuResult npuOpsDestroy(npuOps ops) {
  if (ops == nullptr) return NPU_OK;
  return guarded([&] {
    return remove_handle(ops) ? NPU_OK
                              : fail(NPU_ERROR_INVALID_HANDLE,
                                     "ops is no handle of npuOpsCreate, or was destroyed");
  });
}

const char* npuOpsGetErrorText(void) { return error_text(); }

npuResult npuOpsCheck(npuOpsKind kind, const void* info) {
  return guarded([&] {
    Plan plan;
    return plan_of(kind, info, &plan);
  });
}

npuResult npuOpsGemmGetPackedBytes(const npuOpsGemmPackInfo* info, uint64_t* out_bytes) {
  if (out_bytes == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_bytes is NULL");
  *out_bytes = 0;
  npuOpsGemmPackInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check_pack(g));
  uint64_t bytes;
  const uint64_t batch = g.batch != 0 ? g.batch : 1;
  if (__builtin_mul_overflow(packed_elements(g.n, g.k), batch * type_bytes(g.type), &bytes)) {
    return fail(NPU_ERROR_OVERFLOW, "the packed form would be larger than the address space");
  }
  *out_bytes = bytes;
  return NPU_OK;
}

npuResult npuOpsGemmGetWorkspaceBytes(const npuOpsGemmInfo* info, uint64_t* out_bytes) {
  if (out_bytes == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "out_bytes is NULL");
  *out_bytes = 0;
  npuOpsGemmInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  return gemm_workspace_bytes(g, out_bytes);
}

npuResult npuOpsTileWeights(npuDataType type, uint64_t rows, uint64_t cols, const void* src,
                            void* dst) {
  return tile_weights(Tiling::kToTiles, type, rows, cols, src, dst);
}

npuResult npuOpsUntileWeights(npuDataType type, uint64_t rows, uint64_t cols, const void* src,
                              void* dst) {
  return tile_weights(Tiling::kToRows, type, rows, cols, src, dst);
}

npuResult npuOpsSubmit(npuOps ops, npuQueue queue, npuOpsKind kind, const void* info,
                       uint64_t* out_value) {
  return submit(
      ops, queue, info, [&](Plan* plan) { return plan_of(kind, info, plan); }, out_value);
}

npuResult npuOpsGetCommand(npuOps ops, npuOpsKind kind, const void* info,
                           npuOpsCommand* inout_command) {
  npuOpsCommand before;  // nothing of it but its size matters
  NPU_OPS_TRY(read_info(inout_command, &before));
  return planned(
      ops, [&](Plan* plan) { return plan_of(kind, info, plan); },
      [&](Library& library, const Plan& plan) {
        return write_command(library, plan, inout_command);
      });
}

#define NPU_OPS_FUNCTION(Name, Info, plan)                                            \
  npuResult Name(npuOps ops, npuQueue queue, const Info* info, uint64_t* out_value) { \
    return submit(                                                                    \
        ops, queue, info, [&](Plan* p) { return plan(info, p); }, out_value);         \
  }
NPU_OPS_FUNCTION(npuOpsGemm, npuOpsGemmInfo, plan_gemm)
NPU_OPS_FUNCTION(npuOpsGemmPackB, npuOpsGemmPackInfo, plan_gemm_pack)
NPU_OPS_FUNCTION(npuOpsAttention, npuOpsAttentionInfo, plan_attention)
NPU_OPS_FUNCTION(npuOpsSoftmax, npuOpsSoftmaxInfo, plan_softmax)
NPU_OPS_FUNCTION(npuOpsRmsNorm, npuOpsNormInfo, plan_rms_norm)
NPU_OPS_FUNCTION(npuOpsLayerNorm, npuOpsNormInfo, plan_layer_norm)
NPU_OPS_FUNCTION(npuOpsRope, npuOpsRopeInfo, plan_rope)
NPU_OPS_FUNCTION(npuOpsUnary, npuOpsElementwiseInfo, plan_unary)
NPU_OPS_FUNCTION(npuOpsBinary, npuOpsElementwiseInfo, plan_binary)
NPU_OPS_FUNCTION(npuOpsSiluMul, npuOpsElementwiseInfo, plan_silu_mul)
NPU_OPS_FUNCTION(npuOpsConvert, npuOpsElementwiseInfo, plan_convert)
NPU_OPS_FUNCTION(npuOpsGather, npuOpsRowsInfo, plan_gather)
NPU_OPS_FUNCTION(npuOpsScatterRows, npuOpsRowsInfo, plan_scatter_rows)
NPU_OPS_FUNCTION(npuOpsArgmax, npuOpsArgmaxInfo, plan_argmax)
#undef NPU_OPS_FUNCTION

}  // extern "C"
