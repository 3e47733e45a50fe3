/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels print: the instructions PRINT and CHECK (docs/modules.md). */
#ifndef NPU_NPU_PRINT_H
#define NPU_NPU_PRINT_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* One message of a kernel. Pointers are never NULL and are valid during the call only. */
typedef struct npuPrintMessage {
  uint32_t struct_size;    /* set by the library */
  uint32_t flags;          /* NPU_PRINT_IS_ASSERT */
  npuQueue queue;          /* that ran the kernel */
  uint64_t value;          /* of the launch on it; of a graph, of the piece with the kernel */
  uint64_t group;          /* linear work-group number */
  uint32_t tile;           /* in the work-group */
  uint32_t source_line;    /* 0: the blob has no line table */
  const char *source_file; /* empty: likewise */
  const char *kernel;
  const char *text; /* visible ASCII, one line, without an end of line */
  uint64_t
      dropped; /* messages of the queue that were lost right behind this one: its buffer holds 1024, a work-group may send 256 */
} npuPrintMessage;

enum {
  NPU_PRINT_IS_ASSERT =
      1 /* the text of a CHECK that failed; its launch ended with NPU_ERROR_KERNEL_ASSERT */
};

typedef void (*npuPrintFunction)(const npuPrintMessage *message, void *user_data);

/* Who gets what kernels of the context print, on all its queues. NULL (the default): the log, at level info (NPU_LOG_LEVEL).
 *
 * Messages of a launch come in order of work-groups, those of one work-group in its own order, whatever the number of threads of the host. They are handed over by the thread that calls
 * npuQueueWait, npuQueueSync, npuWaitMany, npuQueueGetCompleted, npuQueueGetFaults, npuQueueReset, npuQueueDestroy or npuContextDestroy, for the queues of that call, and before
 * it returns: after a wait for a launch all of its messages have come. Two threads never hand over messages of one queue at the same time.
 * The function may call the library, but must not wait for another thread that uses the queue of the message, nor end the context. Printing costs device time only while a
 * queue has a buffer, which it gets with its first launch of a kernel that prints; that launch takes one value of the timeline more.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.2
 */
NPU_API npuResult npuContextSetPrint(npuContext context, npuPrintFunction function,
                                     void *user_data);

NPU_EXTERN_C_END

#endif
