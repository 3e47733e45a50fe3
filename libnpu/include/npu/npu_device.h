/* SPDX-License-Identifier: Apache-2.0 */
/* The library itself, devices, and contexts. */
#ifndef NPU_NPU_DEVICE_H
#define NPU_NPU_DEVICE_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Versions, each as major << 16 | minor. 0: that part was not reached yet. */
typedef struct npuVersions {
  uint32_t struct_size;
  uint32_t header; /* of the program: set by the caller from NPU_VERSION_MAJOR and _MINOR, or 0 */
  uint32_t library;
  uint32_t uapi; /* that the library speaks */
  uint32_t isa;  /* that the library knows */
  uint32_t reserved;
} npuVersions;

/* Fills |inout_versions|. May be called before npuInit.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuGetVersions(npuVersions *inout_versions);

/* A function of this library; cast it to the type that the header gives the function of that name. */
typedef void (*npuProc)(void);

/* Finds a function by name, as of release |version| (major << 16 | minor): one that came later is not found, so that a program does not use what it was not written for. May be
 * called before npuInit. For programs that load the library at run time: only this name has to be looked up in it.
 *
 * out_proc   the function, or NULL
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_FOUND      no such function in that release
 *            NPU_ERROR_VERSION_SKEW   the library is older than |version|
 *            NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuGetProcAddress(const char *name, uint32_t version, npuProc *out_proc);

/* Prepares the library; counted, so that libraries and their users may both call it. Reads the environment (see the manual page npu(7)); opens nothing, starts nothing.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_BAD_ENVIRONMENT   a variable cannot be read; the detail names it
 * Since:     0.1
 */
NPU_API npuResult npuInit(void);

/* Undoes one npuInit. The last one closes all devices; handles are stale afterwards. Not needed before the process ends.
 *
 * Threads:   any.   Blocks: until running calls of other threads have returned.
 * Errors:    NPU_ERROR_NOT_INITIALIZED
 * Since:     0.1
 */
NPU_API npuResult npuShutdown(void);

/* How many devices there are. Has no side effect: no context, no thread, no model is started; safe before fork; works without npuInit. 0 when there is none.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_BAD_ENVIRONMENT
 * Since:     0.1
 */
NPU_API npuResult npuDeviceGetCount(uint32_t *out_count);

/* Opens a device. |selector| is NULL (device 0), an index ("1"), or a UUID ("NPU-..."). Which devices exist is chosen by the variable NPU_DEVICE: accel[:PCI address or node] (the
 * kernel driver; default where /dev/accel has nodes of it), model (default elsewhere; the first open starts npu-modeld for this user), model:PROFILE*COUNT,
 * inproc[:PROFILE*COUNT], unix:/path.
 *
 * out_device  the device, or NULL. Close it with npuDeviceClose.
 *
 * Threads:   any.   Blocks: until the device answers, at most 10 seconds.
 * Errors:    NPU_ERROR_NO_DEVICE         no device of that index or UUID
 *            NPU_ERROR_START_MODEL       npu-modeld did not start; the detail has its path and message
 *            NPU_ERROR_VERSION_SKEW      both versions are in the detail
 *            NPU_ERROR_NOT_SUPPORTED     inproc in a child whose parent used inproc before the fork
 *            NPU_ERROR_PERMISSION        the node or the socket is not for this user; the detail names the group to join
 *            NPU_ERROR_NOT_INITIALIZED, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.1
 */
NPU_API npuResult npuDeviceOpen(const char *selector, npuDevice *out_device);

/* Ends the device and its contexts. Running work is cancelled. NULL does nothing.
 *
 * Threads:   any.   Blocks: until the device has let go of the memory.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.1
 */
NPU_API npuResult npuDeviceClose(npuDevice device);

/* What a device is. */
typedef struct npuDeviceInfo {
  uint32_t struct_size;
  uint32_t index;
  char name[32];
  char uuid[48];       /* "NPU-" and 32 hexadecimal digits in groups */
  uint32_t is_virtual; /* 1: a device model, not silicon */
  uint32_t clusters;
  uint32_t tiles_per_cluster;
  uint32_t core_clock_khz;
  uint64_t hbm_bytes;
  uint64_t l1_bytes;     /* scratchpad of one tile */
  uint64_t l2_bytes;     /* scratchpad of one cluster */
  uint64_t acc_bytes;    /* accumulator of one tile */
  uint32_t isa_version;  /* major << 16 | minor */
  uint32_t uapi_version; /* of driver or model */
  uint32_t epoch;        /* resets so far */
  uint32_t reserved;
} npuDeviceInfo;

/* Fills |inout_info|.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_DEVICE_LOST
 * Since:     0.1
 */
NPU_API npuResult npuDeviceGetInfo(npuDevice device, npuDeviceInfo *inout_info);

/* One property of a device, by name: "memory.hbm_bytes", "queue.max", "is_virtual", ... A device of a later kind may have more; a name is never taken away.
 *
 * out_value  the value, or 0
 *
 * Threads:   any.   Blocks: no; asks nothing of the device.
 * Errors:    NPU_ERROR_NOT_FOUND (no such name in this library), NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuDeviceGetCapability(npuDevice device, const char *name, int64_t *out_value);

/* Name |number| (0, 1, ...) of those that npuDeviceGetCapability knows; needs no device. The string is the library's own.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_FOUND (behind the last one), NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuDeviceGetCapabilityName(uint32_t number, const char **out_name);

/* Creates an address space with nothing in it. Two contexts cannot reach each other's memory, also inside one process.
 *
 * out_context  the context, or NULL. End it with npuContextDestroy.
 *
 * Threads:   any.   Blocks: for one call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_QUOTA, NPU_ERROR_OUT_OF_DEVICE_MEMORY, NPU_ERROR_DEVICE_LOST
 * Since:     0.1
 */
NPU_API npuResult npuContextCreate(npuDevice device, npuContext *out_context);

/* The device of a context, as npuDeviceOpen gave it; it is not opened once more.
 *
 * out_device  the device, or NULL: still the caller's who opened it, who ends it with npuDeviceClose.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuContextGetDevice(npuContext context, npuDevice *out_device);

/* Ends a context, its queues (running work is cancelled), modules, events and allocations. NULL does nothing.
 *
 * Threads:   any.   Blocks: until the device has let go of the memory.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.1
 */
NPU_API npuResult npuContextDestroy(npuContext context);

NPU_EXTERN_C_END

#endif
