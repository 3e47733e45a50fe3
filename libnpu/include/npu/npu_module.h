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

/* Says whether a blob would load on the device: NPU_OK, or the very error that npuModuleLoad would give. Nothing is loaded and no context is needed; the device
 * looks at every instruction all the same, so a check costs as much as a first load.
 *
 * Threads:   any.   Blocks: until the device has checked the blob.
 * Errors:    as npuModuleLoad, without NPU_ERROR_OUT_OF_MODULES
 * Since:     0.2
 */
NPU_API npuResult npuModuleCheck(npuDevice device, const char *path);
NPU_API npuResult npuModuleCheckData(npuDevice device, const void *data, uint64_t size_bytes);

/* Modules of the same bytes in one context share one copy on the device: only the first npuModuleLoad of them is a load, the copy goes with the last npuModuleUnload. */
typedef struct npuModuleCacheStats {
  uint32_t struct_size;
  uint32_t copies;  /* on the device now */
  uint64_t modules; /* that share them */
  uint64_t bytes;   /* of the blobs of those copies, kept by the library too */
  uint64_t hits;    /* loads since the context was created that found a copy */
  uint64_t misses;  /* and that made one */
} npuModuleCacheStats;

/* What the modules of a context share now, and how often they did.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuModuleGetCacheStats(npuContext context, npuModuleCacheStats *inout_stats);

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
  /* Since 0.2: what its instructions name. A tile has 31 scalar registers besides register 0, 64 tile descriptors, 64 semaphores. */
  uint32_t code_bytes;
  uint32_t registers;
  uint32_t descriptors;
  uint32_t semaphores;
  uint32_t flags; /* NPU_KERNEL_PRINTS */
  uint32_t reserved2;
  uint64_t max_groups; /* work-groups of the largest grid */
} npuKernelInfo;

enum {
  NPU_KERNEL_PRINTS = 1 /* it holds PRINT or CHECK (npu_print.h) */
};

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

/* How many work-groups of a kernel a device runs at once. Each has its tiles, their L1 and accumulators, for itself; all tiles of one lie in one cluster. */
typedef struct npuOccupancy {
  uint32_t struct_size;
  uint32_t groups; /* at once on the whole device; more of a grid take turns */
  uint32_t groups_per_cluster;
  uint32_t busy_tiles; /* of the device, when that many run */
  uint32_t idle_tiles; /* the rest */
  int32_t limited_by;  /* NPU_LIMITED_BY_... */
} npuOccupancy;

enum {
  NPU_LIMITED_BY_TILES = 0, /* every tile has work */
  NPU_LIMITED_BY_GROUP_SIZE =
      1 /* the tiles that are left over in a cluster are too few for one more work-group */
};

/* How many work-groups of the kernel the device of its context runs at once.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuKernelGetOccupancy(npuKernel kernel, npuOccupancy *inout_occupancy);

/* A value with its kind, as in npuArgInfo. */
typedef struct npuArgValue {
  uint32_t kind;     /* 1 uint32, 2 int32, 3 float, 4 uint64, 5 device address */
  uint32_t reserved; /* 0 */
  union {
    uint32_t u32;
    int32_t i32;
    float f32;
    uint64_t u64;
    npuDevPtr address;
  } as;
} npuArgValue;

/* Writes the argument block of a kernel from values in the order of its arguments. An error names the argument that does not fit.
 *
 * out_block   args_bytes of npuKernelInfo; gaps become 0
 * block_bytes the room there, at least as much
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_ARGUMENT_LAYOUT (count, kind or room), NPU_ERROR_RESERVED_NOT_ZERO, NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuKernelPackArgs(npuKernel kernel, uint32_t count, const npuArgValue *values,
                                    void *out_block, uint32_t block_bytes);

NPU_EXTERN_C_END

#endif
