/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues. A queue runs its commands in the order of submission. Every submission gets the next value of the queue's timeline (1, 2, 3, ...); the command has ended when the completed
 * value has reached it. There is no default queue and no implicit order between queues.
 *
 * A command that fails stops its queue: later commands are not run, waits for its value or later ones return its error, other queues go on. A queue with NPU_ON_ERROR_CONTINUE goes on with
 * the next command instead; then only waits for the value of a command that failed return its error.
 */
#ifndef NPU_NPU_QUEUE_H
#define NPU_NPU_QUEUE_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Which launch goes first. */
typedef int32_t npuQueuePriority;
enum { NPU_PRIORITY_LOW = -1, NPU_PRIORITY_NORMAL = 0, NPU_PRIORITY_HIGH = 1 };

/* What a queue runs. */
typedef int32_t npuQueueClass;
enum {
  NPU_QUEUE_CLASS_COMPUTE = 0, /* everything */
  NPU_QUEUE_CLASS_COPY = 1,    /* everything but kernels */
  /* Copies between memory of this device and of another one, over the network ports between them: one end in HBM of the queue's context, the other one outside of it, where npuMemMapPeer has put
   * the peer's memory; a copy that does not cross fails with NPU_ERROR_BAD_COMMAND. No kernels and no fills, all else as any queue. Device time is that of the ports' wire (docs/ports.md). While
   * no port has a link, copies fail with NPU_ERROR_LINK_DOWN. */
  NPU_QUEUE_CLASS_NET = 2
};

/* What a queue does after a command that failed. What it waits for has to be there: a dependency that failed, the watchdog and a lost device stop it either way. */
typedef int32_t npuErrorPolicy;
enum { NPU_ON_ERROR_STOP = 0, NPU_ON_ERROR_CONTINUE = 1 };

/* How a queue is made. All zero (but struct_size) is a good choice. */
typedef struct npuQueueInfo {
  uint32_t struct_size;
  npuQueuePriority priority;
  uint32_t
      ring_entries; /* commands that may be in flight: a power of two in [64, 65536]; 0: 1024 */
  uint32_t
      timeout_ms; /* a command that makes no progress for so long is ended by the watchdog; 0: the device's default */
  npuQueueClass queue_class;   /* since 0.2 */
  npuErrorPolicy error_policy; /* since 0.2 */
  /* Of class NET; else 0. Since 0.2 */
  npuDevice peer;     /* at the other end of the ports */
  uint64_t port_mask; /* ports by their index in npuMlGetPorts; 0: all that lead to |peer| */
  uint32_t mtu_bytes; /* payload of a packet, from 256 to 65536; 0: 4096 */
  uint32_t reserved;
} npuQueueInfo;

/* Creates a queue. |info| may be NULL.
 *
 * out_queue  the queue, or NULL. End it with npuQueueDestroy.
 *
 * Threads:   any.   Blocks: for a few calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 *            NPU_ERROR_OUT_OF_QUEUES, NPU_ERROR_QUOTA, NPU_ERROR_PERMISSION (priority), NPU_ERROR_OUT_OF_HOST_MEMORY, NPU_ERROR_NOT_FOUND (class NET: no port leads to |peer|)
 * Since:     0.1
 */
NPU_API npuResult npuQueueCreate(npuContext context, const npuQueueInfo *info, npuQueue *out_queue);

/* Ends a queue; work that has not ended is cancelled. NULL does nothing.
 *
 * Threads:   any.   Blocks: until the device has let go of the queue.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.1
 */
NPU_API npuResult npuQueueDestroy(npuQueue queue);

/* One launch of a kernel. */
typedef struct npuLaunchInfo {
  uint32_t struct_size;
  uint32_t grid_x; /* work-groups; each at least 1 */
  uint32_t grid_y;
  uint32_t grid_z;
  const void *args; /* the argument block, laid out as npuKernelGetArg tells; copied by the call */
  uint32_t args_bytes;
  uint32_t reserved;
} npuLaunchInfo;

/* Submission functions. Errors of all below ("those above"):
 *
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 *            NPU_ERROR_QUEUE_DEAD         an earlier command failed; see npuQueueGetFaults
 *            NPU_ERROR_DEVICE_LOST
 */

/* Runs a kernel on the grid. The module must belong to the queue's context.
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_ARGUMENT_LAYOUT (args_bytes is not the kernel's), NPU_ERROR_BAD_LAUNCH (empty or too large a grid)
 * Since:     0.1
 */
NPU_API npuResult npuQueueLaunch(npuQueue queue, npuKernel kernel, const npuLaunchInfo *info,
                                 uint64_t *out_value);

/* Copies |size_bytes| between device addresses of the context (HBM or pinned host memory), by DMA. The ranges must lie in allocations and not overlap.
 * 0 bytes: nothing is copied, the command still has its place on the timeline (so with npuQueueCopyStrided and npuQueueFill).
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_INVALID_ADDRESS
 * Since:     0.1
 */
NPU_API npuResult npuQueueCopy(npuQueue queue, npuDevPtr dst, npuDevPtr src, uint64_t size_bytes,
                               uint64_t *out_value);

/* A strided copy: depth slices of height rows of width_bytes. Pitches are distances in bytes from row to row and slice to slice; where height or depth is 1 theirs must be 0. */
typedef struct npuCopyInfo {
  uint32_t struct_size;
  uint32_t reserved;
  npuDevPtr dst;
  npuDevPtr src;
  uint64_t width_bytes;
  uint32_t height;
  uint32_t depth;
  uint32_t dst_pitch_bytes;
  uint32_t src_pitch_bytes;
  uint64_t dst_slice_pitch_bytes;
  uint64_t src_slice_pitch_bytes;
} npuCopyInfo;

/* Copies rows and slices between device addresses of the context, by DMA.
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_OVERFLOW (extents), NPU_ERROR_INVALID_ARGUMENT (rows or slices that overlap)
 * Since:     0.1
 */
NPU_API npuResult npuQueueCopyStrided(npuQueue queue, const npuCopyInfo *info, uint64_t *out_value);

/* Fills |size_bytes| from |dst| with the lowest |pattern_bytes| (1, 2, 4 or 8) bytes of |pattern|; dst and size are multiples of pattern_bytes.
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_UNALIGNED
 * Since:     0.1
 */
NPU_API npuResult npuQueueFill(npuQueue queue, npuDevPtr dst, uint64_t pattern,
                               uint32_t pattern_bytes, uint64_t size_bytes, uint64_t *out_value);

/* Later commands of |queue| start after |other| (same context) has completed |value|, which must have been submitted. Device side: the host does not wait. When |other| fails at or
 * before |value|, is reset or destroyed before it gets there, this queue stops with NPU_ERROR_DEPENDENCY_FAILED; the next wait or query of it tells.
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_INVALID_ARGUMENT also for a value that was never submitted, or a queue of another context
 * Since:     0.1
 */
NPU_API npuResult npuQueueWaitQueue(npuQueue queue, npuQueue other, uint64_t value,
                                    uint64_t *out_value);

/* Semaphores: 64-bit words at 8-byte aligned device addresses. Signal stores |value| with release order; wait holds the queue until the word is >= value.
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_UNALIGNED, NPU_ERROR_INVALID_ADDRESS
 * Since:     0.1
 */
NPU_API npuResult npuQueueSignal(npuQueue queue, npuDevPtr semaphore, uint64_t value,
                                 uint64_t *out_value);
NPU_API npuResult npuQueueWaitSemaphore(npuQueue queue, npuDevPtr semaphore, uint64_t value,
                                        uint64_t *out_value);

/* Kinds of npuCommand, and the member of |as| that each fills. */
typedef int32_t npuCommandKind;
enum {
  NPU_COMMAND_LAUNCH = 1,         /* as.launch */
  NPU_COMMAND_COPY = 2,           /* as.copy */
  NPU_COMMAND_COPY_STRIDED = 3,   /* as.copy_strided */
  NPU_COMMAND_FILL = 4,           /* as.fill */
  NPU_COMMAND_SIGNAL = 5,         /* as.semaphore */
  NPU_COMMAND_WAIT_SEMAPHORE = 6, /* as.semaphore */
  NPU_COMMAND_TIMESTAMP = 7       /* as.timestamp */
};

/* One command of a batch: what the submission function of its kind takes. Members of |as| that the kind does not use must be 0. */
typedef struct npuCommand {
  uint32_t struct_size; /* of each element of an array, set in the first one */
  npuCommandKind kind;
  union {
    struct {
      npuKernel kernel;
      const npuLaunchInfo *info; /* copied by the call, with its argument block */
    } launch;
    struct {
      npuDevPtr dst;
      npuDevPtr src;
      uint64_t size_bytes;
    } copy;
    struct {
      const npuCopyInfo *info;
    } copy_strided;
    struct {
      npuDevPtr dst;
      uint64_t pattern;
      uint64_t size_bytes;
      uint32_t pattern_bytes;
      uint32_t reserved;
    } fill;
    struct {
      npuDevPtr address;
      uint64_t value;
    } semaphore;
    struct {
      npuDevPtr dst; /* 8 bytes: the queue's device time in picoseconds */
    } timestamp;
    uint64_t words[7];
  } as;
} npuCommand;

/* Submits |count| commands in the order of the array (a batch that is longer than the free part of the ring goes in pieces). All are checked first: when one is wrong nothing is
 * submitted, and the error's text names its index. The device may begin with the first ones before the call returns.
 *
 * out_value  the value of the last command (the first one's is out_value - count + 1); may be NULL.
 *
 * Threads:   any; commands of other threads may come between the pieces of a batch that is longer than the ring.   Blocks: only while the ring is full.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT (count is 0, unknown kind), those of the submission functions
 * Since:     0.2
 */
NPU_API npuResult npuSubmitBatch(npuQueue queue, uint32_t count, const npuCommand *commands,
                                 uint64_t *out_value);

/* Checks a launch once and keeps it, with its argument block, for many submissions.
 *
 * out_prepared  the launch, or NULL. End it with npuPreparedLaunchDestroy; it ends with the kernel's context too.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    those of npuQueueLaunch, NPU_ERROR_OUT_OF_HOST_MEMORY
 * Since:     0.2
 */
NPU_API npuResult npuLaunchPrepare(npuKernel kernel, const npuLaunchInfo *info,
                                   npuPreparedLaunch *out_prepared);

/* Writes |size_bytes| at |offset_bytes| of the argument block that later submissions take; what was submitted before keeps its own.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (data is NULL), NPU_ERROR_ARGUMENT_LAYOUT (the range leaves the block)
 * Since:     0.2
 */
NPU_API npuResult npuPreparedLaunchSetArgs(npuPreparedLaunch prepared, uint32_t offset_bytes,
                                           const void *data, uint32_t size_bytes);

/* Submits a prepared launch. The queue must be of its context.
 *
 * out_value  the command's value on the timeline; may be NULL.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    those above; NPU_ERROR_INVALID_HANDLE also when the kernel's module was unloaded
 * Since:     0.2
 */
NPU_API npuResult npuQueueLaunchPrepared(npuQueue queue, npuPreparedLaunch prepared,
                                         uint64_t *out_value);

/* Ends a prepared launch; what was submitted still runs. NULL does nothing. Errors: NPU_ERROR_INVALID_HANDLE. Threads: any. Blocks: no. Since: 0.2 */
NPU_API npuResult npuPreparedLaunchDestroy(npuPreparedLaunch prepared);

/* A function of the host. |status| is NPU_OK when the queue came to it; else it is the error that stopped the queue before, or NPU_ERROR_CANCELED after a reset or the end
 * of the queue: the function is called exactly once either way, so that it can give |user_data| back. */
typedef void (*npuHostFunction)(npuResult status, void *user_data);

/* Calls |function| once everything before it in the queue has ended; later commands start after it has returned. It runs in a thread of the context, which is started with the first call
 * of this kind and runs one function at a time; keep it short. In it every function of libnpu may be called, but one that would have to wait for work of the same context (a wait with
 * something left to wait for, a full ring), and the end of the context, its device or the library, gives NPU_ERROR_IN_CALLBACK at once.
 *
 * out_value  the value that is reached when the function has returned; may be NULL.
 *
 * Ownership: user_data stays the caller's until |function| is called.
 * Threads:   any.   Blocks: only while the ring is full. npuContextDestroy, npuDeviceClose and npuShutdown wait until a running function has returned.
 * Errors:    as the submission functions; NPU_ERROR_INVALID_ARGUMENT (function is NULL), NPU_ERROR_OUT_OF_HOST_MEMORY (no thread). On an error |function| is not called.
 * Since:     0.2
 */
NPU_API npuResult npuQueueCallHost(npuQueue queue, npuHostFunction function, void *user_data,
                                   uint64_t *out_value);

/* The largest value that has completed; |out_value| is not NULL here.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.1
 */
NPU_API npuResult npuQueueGetCompleted(npuQueue queue, uint64_t *out_value);

/* The value of the last command that was submitted, 0: none was; |out_value| is not NULL here. What is captured is not submitted.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuQueueGetSubmitted(npuQueue queue, uint64_t *out_value);

/* Waits until |value| has completed. NPU_TIMEOUT: it has not.
 *
 * Threads:   any.   Blocks: up to timeout_ns. Spins for a short bounded time (NPU_WAIT_SPIN_US), then sleeps.
 * Errors:    the error of the first failed command at or before |value|; NPU_ERROR_INVALID_ARGUMENT (value was never submitted, negative timeout),
 *            NPU_ERROR_INVALID_HANDLE, NPU_ERROR_DEVICE_LOST
 * Since:     0.1
 */
NPU_API npuResult npuQueueWait(npuQueue queue, uint64_t value, int64_t timeout_ns);

/* As npuQueueWait for everything submitted so far.
 *
 * Threads:   any.   Blocks: up to timeout_ns.
 * Errors:    those of npuQueueWait
 * Since:     0.1
 */
NPU_API npuResult npuQueueSync(npuQueue queue, int64_t timeout_ns);

/* One of several waits. */
typedef struct npuWaitItem {
  npuQueue queue;
  uint64_t value;
} npuWaitItem;

/* When npuWaitMany ends. */
typedef int32_t npuWaitMode;
enum {
  NPU_WAIT_ANY = 0, /* until one has completed */
  NPU_WAIT_ALL = 1  /* until all have completed */
};

/* Waits for values of several queues, which may belong to different contexts and devices. A failed one ends the wait either way.
 *
 * out_index  the item that ended the wait (its error is the result); of NPU_TIMEOUT the first that has not completed; may be NULL.
 *
 * Threads:   any.   Blocks: up to timeout_ns. Spins for a short bounded time, then sleeps.
 * Errors:    those of npuQueueWait for the item, NPU_ERROR_INVALID_ARGUMENT (count is 0, unknown mode), NPU_ERROR_QUOTA (the driver keeps no more requests)
 * Since:     0.2
 */
NPU_API npuResult npuWaitMany(uint32_t count, const npuWaitItem *items, npuWaitMode mode,
                              int64_t timeout_ns, uint32_t *out_index);

/* A descriptor for poll, select or epoll: it becomes readable when |value| has completed or the queue has failed before it. Ask npuQueueWait(queue, value, 0) then; it may answer
 * NPU_TIMEOUT for a while if the failure was that of a queue which this one waits for. Each call makes a new eventfd, set to be closed by exec.
 *
 * out_fd     the descriptor, or -1. The caller closes it, before or after it became readable.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (value was never submitted)
 *            NPU_ERROR_QUOTA              too many descriptors wait for values that have not completed
 *            NPU_ERROR_OUT_OF_HOST_MEMORY too many open files
 * Since:     0.2
 */
NPU_API npuResult npuQueueGetFd(npuQueue queue, uint64_t value, int *out_fd);

/* When a command ran, in picoseconds of the queue's device time. */
typedef struct npuTiming {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t start_ps;
  uint64_t end_ps;
} npuTiming;

/* Times of a completed command. They are kept for the last ring_entries commands.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_NOT_READY (not completed yet), NPU_ERROR_NOT_FOUND (too old), NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE,
 *            NPU_ERROR_INVALID_ARGUMENT (never submitted), the queue's error when it failed before the command
 * Since:     0.1
 */
NPU_API npuResult npuQueueGetTiming(npuQueue queue, uint64_t value, npuTiming *inout_timing);

/* One failed command. */
typedef struct npuFault {
  uint32_t struct_size; /* of each element of the array, set by the caller in the first one */
  npuResult code;
  uint64_t value;       /* of the command */
  char kernel[64];      /* empty: not a launch */
  uint32_t pc;          /* instruction in the kernel */
  uint32_t source_line; /* 0: the blob has no line table */
  char source_file[64];
  uint32_t tile;   /* of the device */
  uint32_t access; /* 0 none, 1 read, 2 write, 3 execute */
  uint64_t group;  /* linear work-group number */
  uint64_t
      address; /* faulting device address, or the code of a trap or assertion; 2^32 + number of its text when it is CHECK; of a race or a read of unwritten bytes NPU_CHECK_RESULT of uapi/npu_queue.h */
  /* Since 0.2 */
  char message
      [256]; /* of a failed assertion with a text (CHECK): that text, with its arguments as far as the print buffer had room for them; of a fault in the checking mode: who and where; else empty */
  npuQueue
      origin_queue; /* of NPU_ERROR_DEPENDENCY_FAILED: the queue in which the failure began, maybe several waits away; else NULL */
  uint64_t origin_value; /* the command there */
  npuResult origin_code; /* and its error */
  uint32_t reserved;
} npuFault;

/* The queue's faults since its creation or last reset, oldest first. A queue that stops at its first one has at most one; of one that goes on the newest 256 are kept.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuQueueGetFaults(npuQueue queue, uint32_t *inout_count, npuFault *array);

/* Makes a stopped queue usable again: work that has not ended is cancelled, faults are forgotten, memory and modules stay, the timeline goes on from its last value.
 * Waits for values that failed or were cancelled return NPU_ERROR_CANCELED afterwards. Device times begin at 0 again; those of earlier values are gone.
 *
 * Threads:   any.   Blocks: up to timeout_ns.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_DEVICE_LOST, NPU_TIMEOUT
 * Since:     0.1
 */
NPU_API npuResult npuQueueReset(npuQueue queue, int64_t timeout_ns);

NPU_EXTERN_C_END

#endif
