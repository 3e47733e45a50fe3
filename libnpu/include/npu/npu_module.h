/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: signed firmware blobs with kernels, loaded at run time. The device checks signature and every instruction before it accepts one. */
#ifndef NPU_NPU_MODULE_H
#define NPU_NPU_MODULE_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Loads a blob from a file, or from memory (copied by the call).
 *
 * out_module  the module, or NULL. End it with npuModuleUnload.
 *
 * Threads:   any.   Blocks: until the device has checked the blob.
 * Errors:    NPU_ERROR_FILE               the detail has path and errno
 *            NPU_ERROR_BLOB_FORMAT, NPU_ERROR_BLOB_UNSIGNED, NPU_ERROR_BLOB_SIGNATURE, NPU_ERROR_BLOB_KEY, NPU_ERROR_BLOB_ROLLBACK, NPU_ERROR_BLOB_ISA,
 *            NPU_ERROR_BLOB_INSTRUCTION (the detail has kernel and instruction), NPU_ERROR_BLOB_TOO_LARGE
 *            NPU_ERROR_OUT_OF_MODULES, NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_OUT_OF_DEVICE_MEMORY
 * Since:     0.1
 */
NPU_API npuResult npuModuleLoad(npuContext context, const char *path, npuModule *out_module);
NPU_API npuResult npuModuleLoadData(npuContext context, const void *data, uint64_t size_bytes,
                                    npuModule *out_module);

/* Ends a module and its kernels. Launches submitted before still run. NULL does nothing.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.1
 */
NPU_API npuResult npuModuleUnload(npuModule module);

/* Finds a kernel by name, or by number (0 .. count - 1).
 *
 * out_kernel  the kernel, or NULL; valid until its module is unloaded.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_FOUND, NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.1
 */
NPU_API npuResult npuModuleGetKernel(npuModule module, const char *name, npuKernel *out_kernel);
NPU_API npuResult npuModuleGetKernelCount(npuModule module, uint32_t *out_count);
NPU_API npuResult npuModuleGetKernelAt(npuModule module, uint32_t number, npuKernel *out_kernel);

/* What a kernel is and needs. */
typedef struct npuKernelInfo {
  uint32_t struct_size;
  uint32_t arg_count;
  uint32_t args_bytes;  /* size of the argument block */
  uint32_t group_tiles; /* tiles a work-group */
  uint32_t l1_bytes;
  uint32_t l2_bytes;
  uint32_t acc_bytes;
  uint32_t reserved;
  char name[64];
} npuKernelInfo;

/* One argument of a kernel. */
typedef struct npuArgInfo {
  uint32_t struct_size;
  uint32_t offset_bytes; /* in the argument block */
  uint32_t size_bytes;   /* 4 or 8 */
  uint32_t kind;         /* 1 uint32, 2 int32, 3 float, 4 uint64, 5 device address */
  char name[32];
} npuArgInfo;

/* What a kernel is, and what its argument |number| (0 .. arg_count - 1) is.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (number out of range), NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuKernelGetInfo(npuKernel kernel, npuKernelInfo *inout_info);
NPU_API npuResult npuKernelGetArg(npuKernel kernel, uint32_t number, npuArgInfo *inout_info);

NPU_EXTERN_C_END

#endif
