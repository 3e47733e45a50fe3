/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graphs: work that is described once and submitted many times at a low price.
 *
 * A graph is built node by node, or captured: between npuQueueBeginCapture and npuQueueEndCapture the submission functions of the queue add nodes instead of submitting, and
 * so do those of other queues that wait for it meanwhile. npuGraphInstantiate turns it into an executable graph: an indirect command list in memory of the device, which
 * npuGraphLaunch submits as one command of a queue (host functions and submissions cut the list in pieces). Changing a graph later does not change what was instantiated.
 *
 * Nodes have ids 1, 2, 3, ... in the order in which they were added. A node can only depend on nodes that are older, so a graph has no cycles. They run in the order of their ids.
 */
#ifndef NPU_NPU_GRAPH_H
#define NPU_NPU_GRAPH_H

#include <npu/npu_queue.h>
#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* A node of one graph; 0 is none. */
typedef uint32_t npuGraphNode;

/* Creates an empty graph.
 *
 * out_graph  the graph, or NULL. End it with npuGraphDestroy.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_OUT_OF_HOST_MEMORY
 * Since:     0.2
 */
NPU_API npuResult npuGraphCreate(npuContext context, npuGraph *out_graph);

/* Ends a graph; executable graphs made of it go on. NULL does nothing. Errors: NPU_ERROR_INVALID_HANDLE. Threads: any. Blocks: no. Since: 0.2 */
NPU_API npuResult npuGraphDestroy(npuGraph graph);

/* Adds a launch. This and the functions below add what the function of the queue with that name submits (npu_queue.h), checked now.
 *
 * deps       |dep_count| ids of nodes that must end before; may be NULL when dep_count is 0
 * out_node   the id, or 0; may be NULL.
 *
 * Ownership: arguments are copied. A kernel's module must stay loaded, and memory allocated, as long as the node may run.
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (unknown id in deps), those of the queue's function, NPU_ERROR_OVERFLOW (more than 2^20 nodes)
 * Since:     0.2
 */
NPU_API npuResult npuGraphAddKernel(npuGraph graph, uint32_t dep_count, const npuGraphNode *deps,
                                    npuKernel kernel, const npuLaunchInfo *info,
                                    npuGraphNode *out_node);
/* Adds a copy; with height and depth 1 a linear one.
 *
 * Threads:   any.   Blocks: no.   Errors: those of npuGraphAddKernel.   Since: 0.2
 */
NPU_API npuResult npuGraphAddCopy(npuGraph graph, uint32_t dep_count, const npuGraphNode *deps,
                                  const npuCopyInfo *info, npuGraphNode *out_node);
/* Adds a fill.
 *
 * Threads:   any.   Blocks: no.   Errors: those of npuGraphAddKernel.   Since: 0.2
 */
NPU_API npuResult npuGraphAddFill(npuGraph graph, uint32_t dep_count, const npuGraphNode *deps,
                                  npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes,
                                  uint64_t size_bytes, npuGraphNode *out_node);
/* Add the signal of a semaphore, and the wait for one.
 *
 * Threads:   any.   Blocks: no.   Errors: those of npuGraphAddKernel.   Since: 0.2
 */
NPU_API npuResult npuGraphAddSignal(npuGraph graph, uint32_t dep_count, const npuGraphNode *deps,
                                    npuDevPtr semaphore, uint64_t value, npuGraphNode *out_node);
NPU_API npuResult npuGraphAddWaitSemaphore(npuGraph graph, uint32_t dep_count,
                                           const npuGraphNode *deps, npuDevPtr semaphore,
                                           uint64_t value, npuGraphNode *out_node);
/* Adds a function of the host: called once in each launch, as npuQueueCallHost describes.
 *
 * Threads:   any.   Blocks: no.   Errors: those of npuGraphAddKernel.   Since: 0.2
 */
NPU_API npuResult npuGraphAddHostFunction(npuGraph graph, uint32_t dep_count,
                                          const npuGraphNode *deps, npuHostFunction function,
                                          void *user_data, npuGraphNode *out_node);
/* Submits work to |queue|, in the place of a node; *out_value is the value of its last command, or 0 when there was nothing to submit. A result other than NPU_OK ends npuGraphLaunch with it. The
 * function may use the whole API but npuGraphLaunch of a graph that is being launched, and should not wait for the device. */
typedef npuResult (*npuSubmitFunction)(void *user_data, npuQueue queue, uint64_t *out_value);
/* Called once, when no graph has the node any more. */
typedef void (*npuReleaseFunction)(void *user_data);

/* Adds work that a library submits by itself, such as a collective operation: each launch calls |function| in the thread that launches, between the nodes before and behind it. A launch with such nodes is
 * not one command, and other threads' submissions to the queue may come in between.
 *
 * name     of the work, for dumps and errors; at most 63 characters; copied
 * release  may be NULL
 *
 * Ownership: |user_data| is the graph's from success on; |release| may be called by any thread that ends a graph or an executable graph, and must not call the API.
 * Threads:   any.   Blocks: no.   Errors: those of npuGraphAddKernel.   Since: 0.2
 */
NPU_API npuResult npuGraphAddSubmission(npuGraph graph, uint32_t dep_count,
                                        const npuGraphNode *deps, const char *name,
                                        npuSubmitFunction function, npuReleaseFunction release,
                                        void *user_data, npuGraphNode *out_node);

/* Copies all nodes of |child|, a graph of the same context: its node k becomes node *out_node + k. Whoever depends on *out_node depends on all of them.
 *
 * Threads:   any.   Blocks: no.   Errors: those of npuGraphAddKernel.   Since: 0.2
 */
NPU_API npuResult npuGraphAddChild(npuGraph graph, uint32_t dep_count, const npuGraphNode *deps,
                                   npuGraph child, npuGraphNode *out_node);

/* The number of nodes; their ids are 1 to *out_count. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT. Since: 0.2 */
NPU_API npuResult npuGraphGetNodeCount(npuGraph graph, uint32_t *out_count);

/* Submissions to |queue| become nodes from now on. out_value is then the node's id with bit 63 set: npuQueueWaitQueue by another queue of the context with such a value, or
 * npuQueueWaitEvent for an event that was recorded on a captured queue, captures the other queue too. What cannot be captured (waits of the host, npuQueueGetFd, npuQueueReset, waits
 * for work outside of the capture) gives NPU_ERROR_CAPTURE_UNSUPPORTED and changes nothing. Work submitted before is not touched.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_QUEUE_DEAD, NPU_ERROR_CAPTURE_UNSUPPORTED (the queue is being captured)
 * Since:     0.2
 */
NPU_API npuResult npuQueueBeginCapture(npuQueue queue);

/* Adds a node as npuGraphAddSubmission does to the graph that |queue| is captured into: for libraries whose functions submit to a queue of the caller.
 *
 * out_value  stands for the node; may be NULL
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (the queue is not being captured), NPU_ERROR_OVERFLOW
 * Since:     0.2
 */
NPU_API npuResult npuQueueCaptureSubmission(npuQueue queue, const char *name,
                                            npuSubmitFunction function, npuReleaseFunction release,
                                            void *user_data, uint64_t *out_value);

/* Ends the capture that began with |queue|, for all its queues.
 *
 * out_graph  the graph, or NULL. End it with npuGraphDestroy.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (no capture began with this queue), NPU_ERROR_OUT_OF_HOST_MEMORY
 * Since:     0.2
 */
NPU_API npuResult npuQueueEndCapture(npuQueue queue, npuGraph *out_graph);

/* 1 while submissions to the queue are captured, else 0. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT. Since: 0.2 */
NPU_API npuResult npuQueueIsCapturing(npuQueue queue, uint32_t *out_capturing);

/* Makes an executable graph of the nodes that the graph has now.
 *
 * out_exec   the executable graph, or NULL. End it with npuGraphExecDestroy.
 *
 * Threads:   any.   Blocks: for a call to the driver (its memory).
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_OUT_OF_HOST_MEMORY, NPU_ERROR_QUOTA
 * Since:     0.2
 */
NPU_API npuResult npuGraphInstantiate(npuGraph graph, npuGraphExec *out_exec);

/* Ends an executable graph; launches that were submitted still run. NULL does nothing. Errors: NPU_ERROR_INVALID_HANDLE. Threads: any. Blocks: no. Since: 0.2 */
NPU_API npuResult npuGraphExecDestroy(npuGraphExec exec);

/* Writes |size_bytes| at |offset_bytes| of the argument block of a kernel node. Later launches take it; launches that were submitted keep theirs.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (no such node, or not a kernel), NPU_ERROR_ARGUMENT_LAYOUT (the range leaves the block)
 * Since:     0.2
 */
NPU_API npuResult npuGraphExecSetKernelArgs(npuGraphExec exec, npuGraphNode node,
                                            uint32_t offset_bytes, const void *data,
                                            uint32_t size_bytes);

/* Gives a node other parameters: addresses and sizes of a copy or fill, address and value of a signal or wait, grid and arguments of a kernel, or another kernel of the same argument size.
 * |command| must be of the node's kind (either kind of copy for a copy). Later launches take it; launches that were submitted keep theirs.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (no such node, or of another kind), those of npuSubmitBatch
 * Since:     0.2
 */
NPU_API npuResult npuGraphExecUpdateNode(npuGraphExec exec, npuGraphNode node,
                                         const npuCommand *command);

/* Submits the whole graph. Into a queue that is being captured: adds its nodes as npuGraphAddChild does.
 *
 * out_value  the value of its last command; may be NULL.
 *
 * Threads:   any.   Blocks: while the ring is full; when many launches with different arguments are under way, until the oldest has ended; what functions of submissions do.
 * Errors:    those of the submission functions; NPU_ERROR_INVALID_HANDLE (also: the module of a kernel was unloaded)
 *            NPU_ERROR_QUEUE_FULL         host functions cut the graph into more pieces than the ring has entries
 *            those of functions of submissions: what comes before the node has been submitted then, what comes behind it has not
 * Since:     0.2
 */
NPU_API npuResult npuGraphLaunch(npuGraphExec exec, npuQueue queue, uint64_t *out_value);

/* When a node ran in the last launch, on the time of the queue that it was launched on. Host functions, submissions and child nodes have no times of their own (NPU_ERROR_INVALID_ARGUMENT).
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_NOT_READY (that launch has not ended), NPU_ERROR_NOT_FOUND (never launched, or the launch failed before the node), NPU_ERROR_INVALID_HANDLE,
 *            NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuGraphExecGetNodeTiming(npuGraphExec exec, npuGraphNode node,
                                            npuTiming *inout_timing);

/* The node at which the last launch failed, and its fault as npuQueueGetFaults has it (but with the node's own address, where the queue's fault has its number in the list).
 *
 * out_node     the id, or 0: the launch has not failed at a node
 * inout_fault  may be NULL
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_NOT_READY (that launch has not ended), NPU_ERROR_NOT_FOUND (never launched, or the queue was reset since), NPU_ERROR_INVALID_HANDLE,
 *            NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuGraphExecGetFault(npuGraphExec exec, npuGraphNode *out_node,
                                       npuFault *inout_fault);

/* What npuGraphDump writes. */
typedef int32_t npuGraphFormat;
enum {
  NPU_GRAPH_JSON = 0, /* {"nodes": [{"id", "kind", "deps", ...}, ...]} */
  NPU_GRAPH_DOT = 1   /* for dot of Graphviz */
};

/* Describes a graph as text.
 *
 * inout_bytes  in: room at |text|; out: bytes of the whole text with its NUL
 * text         NULL: only the size is asked for. NPU_INCOMPLETE: it was cut to the room.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuGraphDump(npuGraph graph, npuGraphFormat format, uint64_t *inout_bytes,
                               char *text);

NPU_EXTERN_C_END

#endif
