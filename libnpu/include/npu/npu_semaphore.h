/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timeline semaphores: a 64-bit value that only grows, which host and queues raise and wait for. Any aligned 8 bytes of memory can be signalled and awaited by queues (npuQueueSignal,
 * npuQueueWaitSemaphore); an object of this kind can be awaited by the host as well, and is memory of its own that nothing else lies in.
 */
#ifndef NPU_NPU_SEMAPHORE_H
#define NPU_NPU_SEMAPHORE_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Creates a semaphore with the value |initial|.
 *
 * out_semaphore  the semaphore, or NULL. End it with npuSemaphoreDestroy; it ends with its context too.
 *
 * Threads:   any.   Blocks: for a few calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_OUT_OF_HOST_MEMORY, NPU_ERROR_QUOTA
 * Since:     0.2
 */
NPU_API npuResult npuSemaphoreCreate(npuContext context, uint64_t initial,
                                     npuSemaphore *out_semaphore);

/* As npuSemaphoreCreate; npuSemaphoreExportFd can give it to other contexts and processes. Costs a page.
 *
 * out_semaphore  the semaphore, or NULL. End it with npuSemaphoreDestroy.
 *
 * Threads:   any.   Blocks: for a few calls to the driver.
 * Errors:    as npuSemaphoreCreate
 * Since:     0.2
 */
NPU_API npuResult npuSemaphoreCreateShared(npuContext context, uint64_t initial,
                                           npuSemaphore *out_semaphore);

/* Makes a descriptor by which other contexts and processes have the same semaphore. It lives until its last holder lets go, whoever made it.
 *
 * semaphore  of npuSemaphoreCreateShared, or an imported one
 * out_fd     the caller's, close-on-exec; -1 on failure. Pass it by SCM_RIGHTS; it may be closed at once, imports stay valid.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_NOT_SUPPORTED (not a shared one)
 * Since:     0.2
 */
NPU_API npuResult npuSemaphoreExportFd(npuSemaphore semaphore, int *out_fd);

/* The semaphore behind a descriptor of npuSemaphoreExportFd: the same value, at an address of this context. Contexts of other devices may import it too, where devices share memory of
 * the host. Whoever holds the descriptor can write the value, to smaller ones as well: share it with those you trust to follow the rules; all that they can harm are waits for it.
 *
 * fd             stays the caller's and may be closed after the call
 * out_semaphore  the semaphore, or NULL. End it with npuSemaphoreDestroy.
 *
 * Threads:   any.   Blocks: for calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ARGUMENT   no such descriptor, or of something else than a semaphore
 *            NPU_ERROR_PERMISSION         a descriptor that is open for reading only
 *            NPU_ERROR_QUOTA, NPU_ERROR_OUT_OF_HOST_MEMORY, NPU_ERROR_NOT_SUPPORTED (memory of a device that this road does not reach)
 * Since:     0.2
 */
NPU_API npuResult npuSemaphoreImportFd(npuContext context, int fd, npuSemaphore *out_semaphore);

/* Ends a semaphore; work submitted before may still use its address. Waits of the host return NPU_ERROR_INVALID_HANDLE. NULL does nothing.
 *
 * Threads:   any.   Blocks: no.   Errors: NPU_ERROR_INVALID_HANDLE.   Since: 0.2
 */
NPU_API npuResult npuSemaphoreDestroy(npuSemaphore semaphore);

/* The device address, for npuQueueSignal, npuQueueWaitSemaphore, batches and graphs. It is no allocation, and
 * valid until npuSemaphoreDestroy: copies, fills and npuMem functions refuse it.
 *
 * Threads:   any.   Blocks: no.   Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT.   Since: 0.2
 */
NPU_API npuResult npuSemaphoreGetAddress(npuSemaphore semaphore, npuDevPtr *out_address);

/* Raises the value from the host; queues and threads that wait for it go on. What the host wrote before is visible to them.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (value is not larger than the present one)
 * Since:     0.2
 */
NPU_API npuResult npuSemaphoreSignal(npuSemaphore semaphore, uint64_t value);

/* Waits until the value is at least |value|. NPU_TIMEOUT: it is not. The failure of a queue that should have raised it does not end the wait: choose a timeout, or wait for the queue.
 *
 * Threads:   any.   Blocks: up to timeout_ns. Spins for a short bounded time (NPU_WAIT_SPIN_US), then sleeps. A signal of a queue of the same context, or of a thread of this process, wakes at once; that
 *            of anybody else, and one from inside of a graph, after at most as long again as the wait took so far, and within 64 ms.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (negative timeout), NPU_ERROR_DEVICE_LOST, NPU_ERROR_QUOTA, NPU_ERROR_IN_CALLBACK
 * Since:     0.2
 */
NPU_API npuResult npuSemaphoreWait(npuSemaphore semaphore, uint64_t value, int64_t timeout_ns);

/* The present value. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT. Since: 0.2 */
NPU_API npuResult npuSemaphoreQuery(npuSemaphore semaphore, uint64_t *out_value);

NPU_EXTERN_C_END

#endif
