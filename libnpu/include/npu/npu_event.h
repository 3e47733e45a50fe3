/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: a name for a point on a queue's timeline, with the device time at which it was passed. They stay in their context; what another context or process waits for is a value of a
 * shared semaphore (npuSemaphoreCreateShared): npuQueueSignal where an event would be recorded, npuQueueWaitSemaphore where it would be awaited.
 */
#ifndef NPU_NPU_EVENT_H
#define NPU_NPU_EVENT_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Creates an event that is not recorded yet.
 *
 * out_event  the event, or NULL. End it with npuEventDestroy.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_OUT_OF_HOST_MEMORY
 * Since:     0.1
 */
NPU_API npuResult npuEventCreate(npuContext context, npuEvent *out_event);

/* Ends an event. NULL does nothing. Errors: NPU_ERROR_INVALID_HANDLE. Threads: any. Blocks: no. Since: 0.1 */
NPU_API npuResult npuEventDestroy(npuEvent event);

/* Marks the point after everything submitted to |queue| so far. Recording again moves the event.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (queue of another context), NPU_ERROR_QUEUE_DEAD
 * Since:     0.1
 */
NPU_API npuResult npuEventRecord(npuEvent event, npuQueue queue);

/* NPU_OK: passed. NPU_NOT_READY: not yet. An event that was never recorded counts as passed.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE; the error of the queue when it failed before the event
 * Since:     0.1
 */
NPU_API npuResult npuEventQuery(npuEvent event);

/* Waits until the event was passed. NPU_TIMEOUT: it was not.
 *
 * Threads:   any.   Blocks: up to timeout_ns.
 * Errors:    as npuEventQuery, and NPU_ERROR_INVALID_ARGUMENT for a negative timeout
 * Since:     0.1
 */
NPU_API npuResult npuEventWait(npuEvent event, int64_t timeout_ns);

/* Later commands of |queue| start after the event was passed; device side.
 *
 * Threads:   any.   Blocks: only while the ring is full.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (another context), NPU_ERROR_QUEUE_DEAD
 * Since:     0.1
 */
NPU_API npuResult npuQueueWaitEvent(npuQueue queue, npuEvent event);

/* Device time from |start| to |end|, both passed and recorded on the same queue, in picoseconds.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_NOT_READY, NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (never recorded, or different queues)
 * Since:     0.1
 */
NPU_API npuResult npuEventGetElapsed(npuEvent start, npuEvent end, uint64_t *out_elapsed_ps);

NPU_EXTERN_C_END

#endif
