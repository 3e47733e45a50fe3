/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnpuccl: collective operations among ranks, each of which has a context of its own. The rules of npu_types.h hold here too.
 *
 * Ranks      Threads of one process, processes of one host or of several, or several ranks of one thread (then make and use them between npuCclGroupStart and npuCclGroupEnd). Every rank calls the same
 *            collectives on a communicator in the same order with the same count, type, operation and root; a rank that does not is named by the error that all get. Several
 *            communicators are independent of each other.
 * Order      An operation starts when the queue that it is called on comes to it, and has ended when the value that the call returns has completed: results may be used by later commands
 *            of that queue. The host does not wait. Operations of one communicator run one after the other, whichever queues they are called on; sends and receives of one group run
 *            together.
 * Buffers    Device addresses of the communicator's context, each inside allocations, aligned to the element. What |count| counts is said at each operation. A buffer that a rank has no use for
 *            (the output of a reduce beside the root) is ignored and may be 0. Buffers stay allocated and untouched until the operation has ended.
 * In place   send == recv; where one of them is a block of the other (all-gather, reduce-scatter, gather and scatter at the root): the own block of the larger one. Any other overlap is refused.
 *            All-to-all has no form in place.
 * Counts     0 is legal; the ranks still have to agree.
 * Types      Reductions: NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_INT32, and since 0.2 NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, NPU_INT8. What only moves elements takes NPU_INT64 too. Others, types in
 *            blocks among them, give NPU_ERROR_NOT_SUPPORTED: move those as NPU_INT8.
 * Numbers    Reductions of floating-point numbers are one expression, whatever the algorithm, size and place: the binary tree over the ranks' numbers, split at the largest power of two below the size, in
 *            fp32, rounded once to the type. The result has the same bits on all ranks and in all runs. Minimum and maximum give NaN if one operand is NaN; -0 < +0. int32 wraps. What is too large for FP8, infinities
 *            too, becomes the largest number. int8 is reduced like these, from fp32 sums that are exact: rounded to nearest even, and what is too large becomes the largest number.
 * Failure    An operation that cannot end (a rank ended, was stopped, called something else, or its device failed) ends with an error within the communicator's deadline: its queue stops with
 *            NPU_ERROR_DEPENDENCY_FAILED, npuCclCommGetError names rank and reason, and the communicator takes no more operations. npuQueueReset gives the queue back.
 * Capture    On a queue that is being captured a call, or a group of calls, becomes one node (npuGraphAddSubmission); each npuGraphLaunch submits it anew, in the launching thread. All ranks launch
 *            such graphs in the same order. A thread that launches the graphs of several ranks may wait in one of them for room in a ring, which another one has to make: give each rank a thread.
 * Common to all functions that take a queue:
 *   queue      of the communicator's context
 *   out_value  the operation's value on the queue's timeline; in a group 0: what the group submits comes before what is submitted after npuCclGroupEnd. May be NULL.
 *   Threads:   any.   Blocks: only while rings of queues are full, and up to 1 ms for small messages of other hosts where that has paid lately.
 *              Where ranks are hosts a call may send and take small messages itself; a failure that it finds then ends the communicator's queues in the calling thread.
 *   Errors:    NPU_ERROR_INVALID_HANDLE (communicator or queue), NPU_NOT_READY (the communicator is being made)
 *              NPU_ERROR_INVALID_ARGUMENT    an unknown type, operation or root, buffers that overlap, another rank's arguments do not fit (those of a rank of another host may come to be known later: then the
 *                                            operation fails); nothing is submitted
 *              NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_UNALIGNED, NPU_ERROR_OVERFLOW, NPU_ERROR_NOT_SUPPORTED
 *              NPU_ERROR_CAPTURE_UNSUPPORTED a group with calls on a queue that is being captured and on another one
 *              NPU_ERROR_DEPENDENCY_FAILED   the communicator has failed; npuCclCommGetError tells why
 *              and those of npuMemAlloc and npuQueueCreate: room and queues are made when an operation first needs them. npuCclGetErrorText tells more.
 */
#ifndef NPU_NPU_CCL_H
#define NPU_NPU_CCL_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* One rank's end of a group of ranks. */
typedef struct npuCclCommObject *npuCclComm;

/* The most ranks of a communicator. */
#define NPU_CCL_RANKS_MAX 16

/* By which ranks find each other: an address, and a secret of 128 bits. Whoever has it can join: hand it on as you would a password. */
typedef struct npuCclId {
  uint8_t bytes[128];
} npuCclId;

/* Makes an id. Call it in the process of rank 0 and hand the bytes to the other ranks. The variable NPU_CCL_ID ("ADDRESS:PORT:32 hexadecimal digits", an address of rank 0's host and the same for all processes; an IPv6
 * address stands in brackets) gives the id instead, and no bytes need to be handed on: every rank calls this function. Ranks of several hosts need it, or NPU_CCL_INTERFACE.
 *
 * Threads:   any.   Blocks: no. Opens a socket that listens on the interface that NPU_CCL_INTERFACE names, else on the loopback address, until rank 0 is made.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_BAD_ENVIRONMENT (NPU_CCL_ID, NPU_CCL_INTERFACE), NPU_ERROR_DRIVER (no socket)
 * Since:     0.2
 */
NPU_API npuResult npuCclGetId(npuCclId *out_id);

/* What a process is a part of. */
typedef struct npuCclWorld {
  uint32_t struct_size;
  uint32_t ranks; /* all processes that were started together, one rank each */
  uint32_t rank;
  uint32_t
      local_rank; /* number of this process among those of its host: local_rank modulo the number of devices is one of its own */
  npuCclId id;    /* the same on all ranks; for one communicator */
} npuCclWorld;

/* Asks what started this process which rank it is, and gets an id from rank 0: mpirun, "srun --mpi=pmix" and others that have a PMIx server; or, without one, the variables NPU_CCL_RANK, NPU_CCL_RANKS and NPU_CCL_ID
 * (and NPU_CCL_LOCAL_RANK; NPU_CCL_RANK when it is unset), which come first. Under a PMIx server rank 0 makes the id as npuCclGetId does; where ranks are on several hosts and NPU_CCL_INTERFACE names no
 * interface it is that of the default route. All ranks call this equally often. The library of PMIx (Debian: libpmix2) is loaded when there is such a server.
 *
 * timeout_ms   for rank 0's id to come; 0: 30 s
 * inout_world  struct_size is the caller's; all else is written, and is 0 after an error
 *
 * Threads:   any, one at a time.   Blocks: until rank 0 has called, up to timeout_ms, and 2 s more when the server does not answer; without a PMIx server not.
 * Errors:    NPU_ERROR_NOT_FOUND           nothing tells a rank: the process was started by itself
 *            NPU_ERROR_BAD_ENVIRONMENT     NPU_CCL_RANK, NPU_CCL_RANKS, NPU_CCL_LOCAL_RANK, NPU_CCL_ID, NPU_CCL_INTERFACE
 *            NPU_ERROR_DEPENDENCY_FAILED   the server or rank 0 gave no answer in time, or no good one
 *            NPU_ERROR_BUSY                another thread is in this function, or an earlier call was given up and still waits for the server
 *            NPU_ERROR_FILE (no library of PMIx), NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_DRIVER (no socket, no thread)
 * Since:     0.2
 */
NPU_API npuResult npuCclGetWorld(uint32_t timeout_ms, npuCclWorld *inout_world);

/* What a reduction promises. */
typedef int32_t npuCclReduceMode;
enum {
  NPU_CCL_REDUCE_CANONICAL = 0, /* the one tree, see above */
  NPU_CCL_REDUCE_ANY =
      1 /* any order, which may depend on size and algorithm; the same on all ranks and in all runs */
};

/* flags of npuCclCommInfo */
enum { NPU_CCL_NONBLOCKING = 1 /* npuCclCommCreate returns at once: ask npuCclCommGetState */ };

/* How a communicator is made; chunk_bytes and reduce_mode are the same on all ranks. All zero (but struct_size) is a good choice. */
typedef struct npuCclCommInfo {
  uint32_t struct_size;
  uint32_t flags;
  uint32_t init_timeout_ms; /* for all ranks to come; 0: 30 s */
  uint32_t
      op_timeout_ms; /* from the moment when a queue has come to an operation until it has ended; 0: 30 s */
  uint64_t
      chunk_bytes; /* the piece in which data moves: a power of two in [4 KiB, 16 MiB]; 0: 512 KiB. Each rank keeps 4 pieces for each other one. */
  npuCclReduceMode reduce_mode;
  uint32_t reserved;
} npuCclCommInfo;

/* Makes this rank's end of a communicator; ends when all ranks have come. In a group (npuCclGroupStart) npuCclGroupEnd waits instead: so one thread can make several ranks.
 *
 * context   the rank's own device memory and queues; it must outlive the communicator
 * info      may be NULL
 * out_comm  the communicator, or NULL. End it with npuCclCommDestroy or npuCclCommAbort.
 *
 * Threads:   any.   Blocks: until all ranks have come, up to init_timeout_ms; with NPU_CCL_NONBLOCKING not.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT (ranks, rank, an id that is none, chunk_bytes), NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_RESERVED_NOT_ZERO
 *            NPU_ERROR_BAD_ENVIRONMENT     NPU_CCL_ALGO, NPU_CCL_HEARTBEAT_MS, NPU_CCL_SEND_BUFFER
 *            NPU_ERROR_DEPENDENCY_FAILED   not all ranks came, or they do not fit together; npuCclGetErrorText names the rank
 *            NPU_ERROR_FILE (npu_ccl.nfw was not found), those of npuMemAlloc, npuMemImportFd and npuModuleLoad
 * Since:     0.2
 */
NPU_API npuResult npuCclCommCreate(const npuCclId *id, uint32_t ranks, uint32_t rank,
                                   npuContext context, const npuCclCommInfo *info,
                                   npuCclComm *out_comm);

/* Waits for the operations of this rank and until what it has sent has arrived, tells the others, and ends the communicator. Not collective. NULL does nothing.
 *
 * Threads:   any.   Blocks: until the operations have ended, at most op_timeout_ms; then as npuCclCommAbort.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_DEPENDENCY_FAILED (operations were cut off; the communicator has ended all the same)
 * Since:     0.2
 */
NPU_API npuResult npuCclCommDestroy(npuCclComm comm);

/* Cuts off the operations of this rank and tells the others, whose communicators fail. The handle stays, for npuCclCommGetError and npuCclCommDestroy.
 *
 * Threads:   any, also while another one is inside of a call.   Blocks: until the device has let go of the queues; never for another rank.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.2
 */
NPU_API npuResult npuCclCommAbort(npuCclComm comm);

/* What a communicator is. */
typedef int32_t npuCclState;
enum {
  NPU_CCL_INIT = 0, /* ranks are missing */
  NPU_CCL_READY = 1,
  NPU_CCL_FAILED = 2 /* see npuCclCommGetError */
};

/* The present state. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT. Since: 0.2 */
NPU_API npuResult npuCclCommGetState(npuCclComm comm, npuCclState *out_state);

/* Ranks, own rank: either may be NULL. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE. Since: 0.2 */
NPU_API npuResult npuCclCommGetRank(npuCclComm comm, uint32_t *out_ranks, uint32_t *out_rank);

/* Why a communicator failed. */
typedef int32_t npuCclReason;
enum {
  NPU_CCL_NO_FAILURE = 0,
  NPU_CCL_TIMEOUT = 1, /* the rank did not do its part within the deadline */
  NPU_CCL_RANK_LOST =
      2, /* its process ended, it destroyed its communicator too early, or its host gives no sign of life */
  NPU_CCL_MISMATCH = 3, /* it called another operation, or with other arguments */
  NPU_CCL_ABORTED = 4,  /* it called npuCclCommAbort */
  NPU_CCL_DEVICE = 5,   /* its device or queue failed */
  NPU_CCL_PROTOCOL = 6  /* it sent what no rank of this version sends, or is of another version */
};

/* The first failure; a communicator has only one. */
typedef struct npuCclFailure {
  uint32_t struct_size;
  npuCclReason reason;
  uint32_t rank; /* who failed */
  uint32_t reserved;
  char text[240]; /* one sentence */
} npuCclFailure;

/* Why the communicator failed. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE. Since: 0.2 */
NPU_API npuResult npuCclCommGetError(npuCclComm comm, npuCclFailure *inout_failure);

/* A rail: a pair of addresses by which this rank and one of another host move data. A large message goes in parts over all rails that are up. */
typedef struct npuCclRail {
  uint32_t struct_size;
  uint32_t
      is_up; /* 1: it carries messages; 0: its connection has failed, or its interface has no link, and others do. While operations are pending it is tried anew. */
  uint64_t bytes_sent;    /* payload that this rank has sent by it */
  uint64_t downs;         /* how often it has failed; its messages went by others */
  char own_address[64];   /* "10.0.0.1:4711", "[fd00::1]:4711" */
  char other_address[64]; /* likewise, of the other rank */
  char reason[128];       /* why it failed the last time; empty: it never did */
} npuCclRail;

/* The state of a rail of this rank; numbers count from 0, the first one leads. A rail that fails does not fail the communicator while another one is up: whoever wants to know compares |downs|. Ranks of one host have no rails.
 *
 * rank        the other rank
 * inout_rail  struct_size is the caller's; all else is written
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE, NPU_NOT_READY (the communicator is being made)
 *            NPU_ERROR_INVALID_ARGUMENT    inout_rail is NULL, or there is no such rank
 *            NPU_ERROR_NOT_FOUND           there is no such rail: the last one came before
 * Since:     0.2
 */
NPU_API npuResult npuCclCommGetRail(npuCclComm comm, uint32_t rank, uint32_t number,
                                    npuCclRail *inout_rail);

/* ---- Windows ---- */

/* Memory of one size that all ranks have registered: operations whose buffers lie there work straight in the memory of the other ranks, without copies in between. Never used twice in a communicator; 0: none. */
typedef uint32_t npuCclWindow;

/* Makes a window of |size_bytes| from |ptr| on. All ranks call it, with the same size; each with memory of its own. Then these operations go through windows:
 *
 *   operation        what has to lie in windows   all-reduce            send and recv
 *   all-gather       recv                         reduce-scatter        send
 *   broadcast        recv                         reduce                send
 *   all-to-all       recv
 *
 * whole, at the same place of the same window on all ranks, and with something in it on each rank, if the model of costs or NPU_CCL_ALGO ("window") chooses so. A rank that calls it from another place than the others, or
 * outside of windows, is a mismatch: all get the error of ranks that call different operations. Other operations, and reductions with npuCclRedOpCreatePreMulSum, go their old way wherever their buffers lie.
 * Results have the same bits either way.
 *
 * Where ranks do not reach each other's memory (several hosts; devices without a way to each other) there is a window in name, npuCclCommWindowGetInfo tells why, and operations go their old way.
 * The other ranks may read and write the window while an operation that uses it runs, from the moment when this rank's queue has come to it until it ends, and all of the allocation is within their reach. After a failure
 * what lies in windows is undefined, and others may write to it until they have ended their communicators. The memory may be freed while it is registered: it goes when all ranks have deregistered it, and what is allocated
 * at its address afterwards is outside of the window. A buffer that lies in several windows belongs to the one that was registered first, on each rank by itself: windows should not overlap.
 *
 * ptr         a multiple of 256, inside one allocation made with NPU_MEM_EXPORTABLE
 * size_bytes  the same on all ranks
 * flags       0
 * out_window  the window, or 0; in a group, which ranks of one thread need, written by npuCclGroupEnd
 *
 * Threads:   any, one registration of a communicator at a time.   Blocks: until all ranks have called it, at most op_timeout_ms; a rank that does not come fails the communicator.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_RESERVED_NOT_ZERO, NPU_NOT_READY
 *            NPU_ERROR_INVALID_ARGUMENT    out_window is NULL, or, on all ranks alike: the sizes differ, one rank's memory cannot be a window, or it has 64 already; npuCclGetErrorText names the rank. The communicator goes on.
 *            NPU_ERROR_DEPENDENCY_FAILED   the communicator has failed
 * Since:     0.2
 */
NPU_API npuResult npuCclCommWindowRegister(npuCclComm comm, npuDevPtr ptr, uint64_t size_bytes,
                                           uint32_t flags, npuCclWindow *out_window);

/* Ends a window on this rank; not collective, but operations in it need all ranks. The end of the communicator ends its windows.
 *
 * Threads:   any.   Blocks: until the operations that were called before have ended, at most op_timeout_ms.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_NOT_FOUND (no such window), NPU_TIMEOUT (operations go on; the window has ended all the same)
 * Since:     0.2
 */
NPU_API npuResult npuCclCommWindowDeregister(npuCclComm comm, npuCclWindow window);

/* What a window is. */
typedef struct npuCclWindowInfo {
  uint32_t struct_size;
  uint32_t is_mapped; /* 1: operations may go through it; 0: they go their old way */
  npuDevPtr ptr;
  uint64_t size_bytes;
  char reason[160]; /* why it is not mapped, one sentence that names a rank; else empty */
} npuCclWindowInfo;

/* A window of this rank. Threads: any. Blocks: while another thread submits on the communicator. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_NOT_FOUND (no such window). Since: 0.2 */
NPU_API npuResult npuCclCommWindowGetInfo(npuCclComm comm, npuCclWindow window,
                                          npuCclWindowInfo *inout_info);

/* One sentence on the last call of this thread into libnpuccl that failed; empty when there was none. Never NULL, valid until the next failing call. Threads: any. Blocks: no. Errors: none. Since: 0.2 */
NPU_API const char *npuCclGetErrorText(void);

/* As a colour of npuCclCommSplit: this rank takes part in the exchange, and in no new communicator. */
#define NPU_CCL_NO_COLOR UINT32_MAX

/* Makes communicators of the ranks that give the same |color|, in the order of |key| and old rank. All ranks call it. The new ones have contexts and deadlines of the old one, which goes on.
 *
 * out_comm  the new communicator, or NULL (also for NPU_CCL_NO_COLOR). End it with npuCclCommDestroy or npuCclCommAbort.
 *
 * Threads:   any; ranks of one thread call it in a group.   Blocks: as npuCclCommCreate.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_DEPENDENCY_FAILED, those of npuCclCommCreate
 * Since:     0.2
 */
NPU_API npuResult npuCclCommSplit(npuCclComm comm, uint32_t color, uint32_t key,
                                  npuCclComm *out_comm);

/* Makes a communicator of all ranks but |excluded|, which the remaining ones call with the same list; the old one may have failed. Ranks keep their order.
 *
 * out_comm  the new communicator, or NULL. End it with npuCclCommDestroy or npuCclCommAbort.
 *
 * Threads:   any; ranks of one thread call it in a group.   Blocks: as npuCclCommCreate.
 * Errors:    as npuCclCommSplit; NPU_ERROR_INVALID_ARGUMENT (a number that is no rank, or the own one)
 * Since:     0.2
 */
NPU_API npuResult npuCclCommShrink(npuCclComm comm, uint32_t excluded_count,
                                   const uint32_t *excluded, npuCclComm *out_comm);

/* What this thread calls until the matching npuCclGroupEnd is submitted by that call, all together: collectives in the order of the calls, then sends and receives, in no order among each
 * other but that of one pair of ranks. Groups nest; the outermost counts. Arguments are checked by the calls.
 *
 * Threads:   the group is this thread's.   Blocks: GroupEnd as the calls in it.
 * Errors:    of GroupEnd: the first error of what it submits or waits for; NPU_ERROR_INVALID_ARGUMENT (no group was begun)
 * Since:     0.2
 */
NPU_API npuResult npuCclGroupStart(void);
NPU_API npuResult npuCclGroupEnd(void);

/* Reductions. Further ones are made by npuCclRedOpCreatePreMulSum. */
typedef int32_t npuCclRedOp;
enum {
  NPU_CCL_SUM = 0,
  NPU_CCL_PROD = 1,
  NPU_CCL_MIN = 2,
  NPU_CCL_MAX = 3,
  NPU_CCL_AVG =
      4 /* the sum times 1 / ranks in fp32, before the rounding; of int32: the sum divided, rounded towards 0 */
};

/* The sum of |factor| times each rank's input, rounded to the type before the sum; the factor is this rank's own. Not for int32.
 *
 * out_op  valid for this communicator until npuCclRedOpDestroy or its end
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_QUOTA (64 of them)
 * Since:     0.2
 */
NPU_API npuResult npuCclRedOpCreatePreMulSum(npuCclComm comm, float factor, npuCclRedOp *out_op);
/* Ends such a reduction; operations that were called with it go on. Threads: any. Blocks: no. Errors: NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT. Since: 0.2 */
NPU_API npuResult npuCclRedOpDestroy(npuCclComm comm, npuCclRedOp op);

/* What can be asked for. */
typedef int32_t npuCclOperation;
enum {
  NPU_CCL_ALL_REDUCE = 0,
  NPU_CCL_ALL_GATHER = 1,
  NPU_CCL_REDUCE_SCATTER = 2,
  NPU_CCL_BROADCAST = 3,
  NPU_CCL_REDUCE = 4,
  NPU_CCL_GATHER = 5,
  NPU_CCL_SCATTER = 6,
  NPU_CCL_ALL_TO_ALL = 7,
  NPU_CCL_BARRIER = 8
};

/* The algorithm that an operation would use. The variable NPU_CCL_ALGO, read when a communicator is made and the same for all ranks, changes the choice: "ring;allreduce:^tree,direct@0-64K".
 *
 * op        of operations that reduce, else NPU_CCL_SUM
 * out_name  a string of the library's own, or NULL
 *
 * Threads:   any.   Blocks: while another thread submits on the communicator.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_NOT_SUPPORTED
 * Since:     0.2
 */
NPU_API npuResult npuCclCommGetAlgorithm(npuCclComm comm, npuCclOperation operation, uint64_t count,
                                         npuDataType type, npuCclRedOp op, const char **out_name);

/* As npuCclCommGetAlgorithm, of an operation whose buffers lie in |window| as it needs them there: "window" if it goes through it. Threads: any. Blocks: while another thread submits on the communicator. Errors: as there;
 * NPU_ERROR_NOT_FOUND (no such window). Since: 0.2 */
NPU_API npuResult npuCclCommWindowGetAlgorithm(npuCclComm comm, npuCclWindow window,
                                               npuCclOperation operation, uint64_t count,
                                               npuDataType type, npuCclRedOp op,
                                               const char **out_name);

/* recv[count] = the reduction of all ranks' send[count], on every rank. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclAllReduce(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                  uint64_t count, npuDataType type, npuCclRedOp op,
                                  uint64_t *out_value);
/* As npuCclAllReduce, on |root| alone. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclReduce(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                               uint64_t count, npuDataType type, npuCclRedOp op, uint32_t root,
                               uint64_t *out_value);
/* recv[count] of every rank = send[count] of |root|. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclBroadcast(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                  uint64_t count, npuDataType type, uint32_t root,
                                  uint64_t *out_value);
/* recv[ranks * count] = the send[count] of all ranks, one behind the other. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclAllGather(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                  uint64_t count, npuDataType type, uint64_t *out_value);
/* recv[count] = block |rank| of the reduction of all ranks' send[ranks * count]. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclReduceScatter(npuCclComm comm, npuQueue queue, npuDevPtr send,
                                      npuDevPtr recv, uint64_t count, npuDataType type,
                                      npuCclRedOp op, uint64_t *out_value);
/* As npuCclAllGather, on |root| alone. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclGather(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                               uint64_t count, npuDataType type, uint32_t root,
                               uint64_t *out_value);
/* recv[count] = block |rank| of the send[ranks * count] of |root|. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclScatter(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                uint64_t count, npuDataType type, uint32_t root,
                                uint64_t *out_value);
/* Block s of recv[ranks * count] = block |rank| of the send[ranks * count] of rank s. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclAllToAll(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                 uint64_t count, npuDataType type, uint64_t *out_value);

/* Forms with counts: block r of the larger buffer has counts[r] elements, blocks lie one behind the other. counts[ranks] is the same on all ranks and is copied.
 * Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclAllGatherV(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                   const uint64_t *counts, npuDataType type, uint64_t *out_value);
NPU_API npuResult npuCclReduceScatterV(npuCclComm comm, npuQueue queue, npuDevPtr send,
                                       npuDevPtr recv, const uint64_t *counts, npuDataType type,
                                       npuCclRedOp op, uint64_t *out_value);
/* counts[ranks * ranks], row by row: counts[s * ranks + d] elements go from rank s to rank d. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclAllToAllV(npuCclComm comm, npuQueue queue, npuDevPtr send, npuDevPtr recv,
                                  const uint64_t *counts, npuDataType type, uint64_t *out_value);

/* Sends to, and receives from, another rank (in a group also the own one). The i-th send of one rank to another belongs to the other's i-th receive from it. A send may end before it was received. In an
 * order that waits in a circle use a group.
 * Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclSend(npuCclComm comm, npuQueue queue, npuDevPtr send, uint64_t count,
                             npuDataType type, uint32_t peer, uint64_t *out_value);
NPU_API npuResult npuCclRecv(npuCclComm comm, npuQueue queue, npuDevPtr recv, uint64_t count,
                             npuDataType type, uint32_t peer, uint64_t *out_value);

/* Ends when all ranks' queues have come to it. Threads: any. Blocks: see the top. Errors: see the top. Since: 0.2 */
NPU_API npuResult npuCclBarrier(npuCclComm comm, npuQueue queue, uint64_t *out_value);

NPU_EXTERN_C_END

#endif
