/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: allocations in a context, and copies that the host does itself. Copies in queue order are in npu_queue.h. */
#ifndef NPU_NPU_MEMORY_H
#define NPU_NPU_MEMORY_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Where an allocation lives. */
typedef int32_t npuMemKind;
enum {
  NPU_MEM_UNKNOWN = 0, /* only as an answer: not an address of this context */
  NPU_MEM_DEVICE = 1,  /* HBM */
  NPU_MEM_HOST = 2 /* pinned host memory that the device reaches, slower for the device than HBM */
};

/* Allocates |size_bytes| of memory, which reads as zero. Addresses are aligned to 256 bytes.
 *
 * kind     NPU_MEM_DEVICE or NPU_MEM_HOST
 * out_ptr  device address, or 0. The context owns the memory; give it back with npuMemFree.
 *
 * Threads:   any.   Blocks: for a call to the driver when the context's pool has no free piece.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ARGUMENT       size 0 or unknown kind
 *            NPU_ERROR_OVERFLOW               size larger than the address space
 *            NPU_ERROR_OUT_OF_DEVICE_MEMORY, NPU_ERROR_OUT_OF_HOST_MEMORY, NPU_ERROR_QUOTA
 * Since:     0.1
 */
NPU_API npuResult npuMemAlloc(npuContext context, npuMemKind kind, uint64_t size_bytes,
                              npuDevPtr *out_ptr);

/* Gives an allocation back. Work submitted before this call may still use it: the memory is re-used only after that work has ended. ptr must be what npuMemAlloc returned; 0 does nothing.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS
 * Since:     0.1
 */
NPU_API npuResult npuMemFree(npuContext context, npuDevPtr ptr);

/* The host's view of [ptr, ptr + size_bytes), which must lie inside one allocation. Valid until the allocation is freed; there is nothing to undo.
 * HBM is seen through a window (on a real bus: write-combining, slow to read); NPU_MEM_HOST is ordinary memory.
 *
 * Threads:   any.   Blocks: for a call to the driver the first time.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_NOT_SUPPORTED (the device has no window), NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.1
 */
NPU_API npuResult npuMemMap(npuContext context, npuDevPtr ptr, uint64_t size_bytes,
                            void **out_host);

/* What is known of an address. */
typedef struct npuMemInfo {
  uint32_t struct_size;
  npuMemKind kind;        /* NPU_MEM_UNKNOWN: not of this context; everything else is 0 then */
  npuDevPtr base;         /* of its allocation */
  uint64_t size_bytes;    /* of its allocation */
  uint64_t allocation_id; /* never used twice in a process */
} npuMemInfo;

/* Looks up any 64-bit value; an unknown one is no error.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuMemQuery(npuContext context, npuDevPtr ptr, npuMemInfo *inout_info);

/* Free and total HBM of the device in bytes, as all processes see it.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_DEVICE_LOST
 * Since:     0.1
 */
NPU_API npuResult npuMemGetInfo(npuContext context, uint64_t *out_free_bytes,
                                uint64_t *out_total_bytes);

/* Copies by the host, done when the call returns. They are not ordered with queues: wait for the work that produces or uses the memory first.
 *
 * Threads:   any.   Blocks: for the time of the copy.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ADDRESS    the device range is not inside one allocation
 *            NPU_ERROR_INVALID_ARGUMENT   the host pointer is NULL while size_bytes is not 0
 * Since:     0.1
 */
NPU_API npuResult npuMemCopyToDevice(npuContext context, npuDevPtr dst, const void *src,
                                     uint64_t size_bytes);
NPU_API npuResult npuMemCopyToHost(npuContext context, void *dst, npuDevPtr src,
                                   uint64_t size_bytes);

NPU_EXTERN_C_END

#endif
