/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types, result codes and the rules that hold for every function of libnpu. Read this file first.
 *
 * Results    Each function returns npuResult: 0 success, > 0 a state that is no error (NPU_NOT_READY, ...), < 0 an error. The result of one call never depends on
 *            an earlier one. npuErrorGetInfo tells cause and remedy of this thread's last failing call.
 * Handles    A handle is a number in pointer's clothes: slot and generation. NULL, stale, foreign and random handles give NPU_ERROR_INVALID_HANDLE, never a crash.
 *            A destroy function accepts NULL and does nothing.
 * Ownership  Whoever creates an object destroys it. Destroying a context destroys what was created in it; closing a device destroys its contexts.
 *            The library copies every argument (structs, argument blocks, strings) before the call returns, unless the function says otherwise.
 * Outputs    Parameters called out_... come last and are written on success and on failure (then with NULL or 0). inout_... are read first.
 * Structs    A struct that begins with struct_size must have it set to sizeof the struct; all other members not used must be 0. Later versions add members at
 *            the end; older programs keep working.
 * Lists      Call with array = NULL to learn the count; call again with room for it. NPU_INCOMPLETE: there were more.
 * Threads    Every function may be called from any thread at any time, except: an object must not be destroyed while another thread uses it (that other call then returns
 *            NPU_ERROR_INVALID_HANDLE or finishes), and commands submitted to one queue by several threads are in an order of their own choosing.
 * Time       timeout_ns is relative; 0 asks without waiting; NPU_TIMEOUT_INFINITE waits for ever.
 * Process    The library starts no thread and no model before it is needed, writes nothing to stdout, never ends the process, installs no signal handler, and needs no
 *            shutdown before exit. A child of fork gets NPU_ERROR_FORKED until it calls npuInit.
 */
#ifndef NPU_NPU_TYPES_H
#define NPU_NPU_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NPU_API __attribute__((visibility("default")))
#else
#define NPU_API
#endif

#ifdef __cplusplus
#define NPU_EXTERN_C_BEGIN extern "C" {
#define NPU_EXTERN_C_END }
#else
#define NPU_EXTERN_C_BEGIN
#define NPU_EXTERN_C_END
#endif

#define NPU_VERSION_MAJOR 0
#define NPU_VERSION_MINOR 2
#define NPU_VERSION_PATCH 0

#define NPU_TIMEOUT_INFINITE INT64_MAX

NPU_EXTERN_C_BEGIN

/* A device address. Sub-ranges are plain arithmetic. 0 is never a valid address. */
typedef uint64_t npuDevPtr;

/* An opened device. */
typedef struct npuDeviceObject *npuDevice;
/* An address space on a device, with the allocations, queues and modules in it. */
typedef struct npuContextObject *npuContext;
/* An in-order stream of commands. */
typedef struct npuQueueObject *npuQueue;
/* A point on a queue's timeline. */
typedef struct npuEventObject *npuEvent;
/* A loaded firmware blob. */
typedef struct npuModuleObject *npuModule;
/* One kernel of a module; lives as long as its module, has no destroy function. */
typedef struct npuKernelObject *npuKernel;
/* A launch whose checks were made beforehand. Since 0.2 */
typedef struct npuPreparedLaunchObject *npuPreparedLaunch;
/* A value that only grows, shared by host and queues. Since 0.2 */
typedef struct npuSemaphoreObject *npuSemaphore;
/* Nodes of work and their order. Since 0.2 */
typedef struct npuGraphObject *npuGraph;
/* A graph that can be launched. Since 0.2 */
typedef struct npuGraphExecObject *npuGraphExec;

/* Element types. Sizes: 4, 2, 2, 4, 8, 1, 1, 1 bytes. */
typedef int32_t npuDataType;
enum {
  NPU_FLOAT32 = 0,
  NPU_BFLOAT16 = 1, /* the upper half of an fp32 */
  NPU_FLOAT16 = 2,  /* IEEE 754 binary16 */
  NPU_INT32 = 3,
  NPU_INT64 = 4, /* indices only */
  /* Since 0.2, of products and conversions (npu_ops.h); saturation and NaN: docs/reference/isa.md */
  NPU_FLOAT8_E4M3 = 5, /* OCP FP8 with 4 exponent bits: up to 448, no infinity */
  NPU_FLOAT8_E5M2 = 6, /* OCP FP8 with 5 exponent bits: up to 57344 */
  NPU_INT8 = 7,
  /* Weights in blocks of elements that share scales, as GGUF files hold them (github.com/ggml-org/ggml, docs/gguf.md): operands that are read; results only of copies as they are. */
  NPU_Q8_0 = 16, /* 32 elements, 34 bytes */
  NPU_Q4_0 = 17, /* 32 elements, 18 bytes */
  NPU_Q4_K = 18, /* 256 elements, 144 bytes */
  NPU_Q6_K = 19, /* 256 elements, 210 bytes */
  /* Since 0.2: blocks with a shared power of two, the OCP MX formats and three with a second scale for each pair; bits: docs/reference/isa.md. Of products and conversions. */
  NPU_MXFP8_E4M3 = 20, /* 32 elements, 33 bytes */
  NPU_MXFP8_E5M2 = 21, /* 32 elements, 33 bytes */
  NPU_MXFP6_E2M3 = 22, /* 32 elements, 25 bytes */
  NPU_MXFP6_E3M2 = 23, /* 32 elements, 25 bytes */
  NPU_MXFP4 = 24,      /* 32 elements, 17 bytes */
  NPU_MXINT8 = 25,     /* 32 elements, 33 bytes */
  NPU_MX9 = 26,        /* 16 elements, 18 bytes */
  NPU_MX6 = 27,        /* 16 elements, 12 bytes */
  NPU_MX4 = 28         /* 16 elements, 8 bytes */
};

/* Bands of errors: -1.. the caller's usage, -100.. resources, -200.. system, driver, versions and blobs, -300.. work on the device, -500.. internal.
 * npuResultGetText gives the meaning of each. The numbers never change. */
typedef int32_t npuResult;
enum {
  NPU_OK = 0,
  NPU_NOT_READY = 1,
  NPU_TIMEOUT = 2,
  NPU_INCOMPLETE = 3,

  NPU_ERROR_INVALID_ARGUMENT = -1,
  NPU_ERROR_INVALID_HANDLE = -2,
  NPU_ERROR_INVALID_ADDRESS = -3,
  NPU_ERROR_UNALIGNED = -4,
  NPU_ERROR_OVERFLOW = -5,
  NPU_ERROR_NOT_SUPPORTED = -6,
  NPU_ERROR_NOT_INITIALIZED = -7,
  NPU_ERROR_SHUTDOWN = -8,
  NPU_ERROR_FORKED = -9,
  NPU_ERROR_BUSY = -10,
  NPU_ERROR_NOT_FOUND = -11,
  NPU_ERROR_STRUCT_SIZE = -12,
  NPU_ERROR_RESERVED_NOT_ZERO = -13,
  NPU_ERROR_PERMISSION = -14,
  NPU_ERROR_ARGUMENT_LAYOUT = -15,
  NPU_ERROR_BAD_ENVIRONMENT = -16,
  NPU_ERROR_CAPTURE_UNSUPPORTED = -17, /* since 0.2 */
  NPU_ERROR_IN_CALLBACK = -18,         /* since 0.2 */

  NPU_ERROR_OUT_OF_HOST_MEMORY = -100,
  NPU_ERROR_OUT_OF_DEVICE_MEMORY = -101,
  NPU_ERROR_QUOTA = -102,
  NPU_ERROR_OUT_OF_QUEUES = -103,
  NPU_ERROR_QUEUE_FULL = -104,
  NPU_ERROR_OUT_OF_MODULES = -105,
  NPU_ERROR_OUT_OF_ADDRESS_SPACE = -106,

  NPU_ERROR_NO_DEVICE = -200,
  NPU_ERROR_DEVICE_LOST = -201,
  NPU_ERROR_CONTEXT_LOST = -202,
  NPU_ERROR_DRIVER = -203,
  NPU_ERROR_VERSION_SKEW = -204,
  NPU_ERROR_FILE = -205,
  NPU_ERROR_START_MODEL = -206,
  NPU_ERROR_PROTOCOL = -207,

  NPU_ERROR_BLOB_FORMAT = -210,
  NPU_ERROR_BLOB_UNSIGNED = -211,
  NPU_ERROR_BLOB_SIGNATURE = -212,
  NPU_ERROR_BLOB_KEY = -213,
  NPU_ERROR_BLOB_ROLLBACK = -214,
  NPU_ERROR_BLOB_ISA = -215,
  NPU_ERROR_BLOB_INSTRUCTION = -216,
  NPU_ERROR_BLOB_TOO_LARGE = -217,

  NPU_ERROR_VM_FAULT = -300,
  NPU_ERROR_BAD_COMMAND = -301,
  NPU_ERROR_BAD_DOORBELL = -302,
  NPU_ERROR_BAD_MODULE = -303,
  NPU_ERROR_BAD_LAUNCH = -304,
  NPU_ERROR_KERNEL_TRAP = -305,
  NPU_ERROR_KERNEL_ASSERT = -306,
  NPU_ERROR_KERNEL_BOUNDS = -307,
  NPU_ERROR_KERNEL_OPERANDS = -308,
  NPU_ERROR_KERNEL_DEADLOCK = -309,
  NPU_ERROR_WATCHDOG = -310,
  NPU_ERROR_DIVIDE_BY_ZERO = -311,
  NPU_ERROR_DEPENDENCY_FAILED = -312,
  NPU_ERROR_QUEUE_DEAD = -313,
  NPU_ERROR_CANCELED = -314,
  NPU_ERROR_UNALIGNED_ACCESS = -315,
  NPU_ERROR_MEMORY_POISON = -316,
  NPU_ERROR_KERNEL_RACE = -317,
  NPU_ERROR_KERNEL_UNINITIALISED = -318,

  NPU_ERROR_LINK_DOWN = -400,

  NPU_ERROR_INTERNAL = -500
};

NPU_EXTERN_C_END

#endif
