/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiling: what was done and when (activities), who calls what (callbacks), how much (counters), and what is still alive.
 *
 * Clocks      Host times are CLOCK_MONOTONIC nanoseconds. Device times are picoseconds of the clock of the queue, as npuQueueGetTiming gives them; a device model's clock is virtual and
 *             stands still without work. host_start_ns and host_end_ns are the same moments on the host's clock: a command begins when it was submitted and the one before it in its
 *             queue has ended, and lasts as long as on the device.
 * Cost        Nothing of this costs anything until it is started, except the test of one word in each call.
 * Threads     The submitting thread never waits for the reader: what does not fit in the memory that npuProfStart was given is dropped and counted.
 */
#ifndef NPU_NPU_PROF_H
#define NPU_NPU_PROF_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* ------------------------------------------------------------------------------------ activities -- */

/* What an activity is. npuProfInfo.kinds has the bit 1 << kind of each that is wanted. */
typedef int32_t npuProfKind;
enum {
  NPU_PROF_KERNEL = 0,
  NPU_PROF_COPY = 1,
  NPU_PROF_FILL = 2,
  NPU_PROF_SYNC = 3,  /* semaphore waits and signals, waits for queues and events, time stamps */
  NPU_PROF_HOST = 4,  /* npuQueueCallHost: from the arrival at it until the function has returned */
  NPU_PROF_GRAPH = 5, /* a launch of a graph, or a part of one between host functions */
  NPU_PROF_GRAPH_NODE = 6, /* one node of such a launch */
  NPU_PROF_MODULE = 7,     /* loading or unloading on the device */
  NPU_PROF_CALL = 8        /* a call of this library: host times alone */
};
#define NPU_PROF_ALL 0x1ffu

/* What to collect. */
typedef struct npuProfInfo {
  uint32_t struct_size;
  uint32_t kinds;            /* 1 << npuProfKind, or NPU_PROF_ALL */
  uint32_t capacity_records; /* room for so many until they are read; 0: 65536; at most 16777216 */
  uint32_t reserved;         /* must be 0 */
} npuProfInfo;

/* One thing that was done. Members that a kind does not have are 0. */
typedef struct npuProfActivity {
  uint32_t struct_size;
  npuProfKind kind;
  npuResult result;        /* NPU_ERROR_CANCELED: it never ran */
  uint32_t device_index;   /* as npuDeviceInfo.index */
  uint64_t correlation_id; /* of the call that submitted it; 0: made before npuProfStart */
  uint64_t thread_id;      /* of that call: gettid() */
  npuQueue queue;          /* NULL: the library's own, for modules. May be stale */
  uint64_t value;          /* on the timeline of the queue */
  uint64_t start_ps;       /* device time */
  uint64_t end_ps;
  int64_t queued_ns;     /* host time: the call was entered */
  int64_t submitted_ns;  /* the command went into the ring; of a call: it returned */
  int64_t host_start_ns; /* start_ps and end_ps on the host's clock */
  int64_t host_end_ns;
  uint64_t bytes;  /* copied, filled, loaded; of a kernel: its arguments */
  uint32_t grid_x; /* work-groups */
  uint32_t grid_y;
  uint32_t grid_z;
  uint32_t node_id; /* of a graph node; of a graph: number of nodes */
  char name[64];    /* kernel, function, or kind of command */
  /* Of a kernel that succeeded, also as a node of a graph: */
  uint64_t mac_ops;        /* multiply-adds of the tensor units */
  uint64_t hbm_read_bytes; /* device memory */
  uint64_t hbm_write_bytes;
  /* Device time that mac_ops need when all tensor units work at the rates of the types they multiply: tensor_ps / (end_ps - start_ps) is how well they were used, whatever types were mixed.
   * 0: mac_ops is 0, or the device does not tell. */
  uint64_t tensor_ps;
} npuProfActivity;

/* Begins to collect, in memory that this call takes. One collection a process; what an earlier one has left unread is gone.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_INITIALIZED, NPU_ERROR_INVALID_ARGUMENT (no or unknown kinds, capacity), NPU_ERROR_RESERVED_NOT_ZERO, NPU_ERROR_BUSY (it runs already),
 *            NPU_ERROR_OUT_OF_HOST_MEMORY
 * Since:     0.2
 */
NPU_API npuResult npuProfStart(const npuProfInfo *info);

/* Ends it. What was collected can still be read; commands that have not ended are forgotten: npuProfFlush first.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_INITIALIZED, NPU_ERROR_NOT_FOUND (it does not run)
 * Since:     0.2
 */
NPU_API npuResult npuProfStop(void);

/* Waits until all work submitted before has ended, so that npuProfRead finds it. The errors of that work are in the records, not in the result. NPU_TIMEOUT: it has not all ended.
 *
 * Threads:   any.   Blocks: up to timeout_ns.
 * Errors:    NPU_ERROR_NOT_INITIALIZED, NPU_ERROR_NOT_FOUND (it does not run), NPU_ERROR_INVALID_ARGUMENT (negative timeout),
 *            NPU_ERROR_IN_CALLBACK (a host function asks, and work waits for it)
 * Since:     0.2
 */
NPU_API npuResult npuProfFlush(int64_t timeout_ns);

/* Takes records out, those of one queue in the order of their ends.
 *
 * inout_count  room in |array|; then how many were written. 0 when there is nothing to read now.
 * array        its first element's struct_size is the distance between elements. NULL: nothing is taken, the count is how many there are.
 * out_dropped  how many found no room since npuProfStart; may be NULL
 *
 * Threads:   any.   Blocks: no.   NPU_INCOMPLETE: there are more.
 * Errors:    NPU_ERROR_NOT_INITIALIZED, NPU_ERROR_NOT_FOUND (nothing was started), NPU_ERROR_STRUCT_SIZE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuProfRead(uint32_t *inout_count, npuProfActivity *array, uint64_t *out_dropped);

/* ---------------------------------------------------------------------------------------- clocks -- */

/* The device's clock and the host's, read together. */
typedef struct npuProfClock {
  uint32_t struct_size;
  uint32_t
      is_virtual; /* 1: the device's clock stands still without work and differs from the host's in speed */
  uint64_t device_ps;
  int64_t host_ns;   /* middle of the reading */
  uint64_t error_ns; /* the device's clock was read at host_ns +- this */
} npuProfClock;

/* Reads both clocks.
 *
 * Threads:   any.   Blocks: for a few calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_NOT_SUPPORTED (the device tells no time), NPU_ERROR_DEVICE_LOST
 * Since:     0.2
 */
NPU_API npuResult npuProfGetClock(npuDevice device, npuProfClock *inout_clock);

/* -------------------------------------------------------------------------------------- counters -- */

/* A number that device or queue keeps. */
typedef struct npuProfCounter {
  uint32_t struct_size;
  uint32_t only_grows; /* 1: a counter, 0: the value of this moment */
  int64_t value;
  int64_t time_ns; /* host time of the reading */
  char unit[16];   /* "B", "ps", "mW", ...; empty: a count */
} npuProfCounter;

/* Names of the counters of devices, and of queues: number 0, 1, 2, ... The text lives as long as the library.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_FOUND (behind the last one), NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuProfGetCounterName(uint32_t number, const char **out_name);
NPU_API npuResult npuProfGetQueueCounterName(uint32_t number, const char **out_name);

/* Reads a counter by name: "launches", "copied_bytes", ... of a device (docs/reference/metrics.md), "commands_completed", ... of a queue.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_NOT_FOUND (no such name), NPU_ERROR_NOT_SUPPORTED (this device does not have it),
 *            NPU_ERROR_DEVICE_LOST
 * Since:     0.2
 */
NPU_API npuResult npuProfGetCounter(npuDevice device, const char *name,
                                    npuProfCounter *inout_counter);
NPU_API npuResult npuProfGetQueueCounter(npuQueue queue, const char *name,
                                         npuProfCounter *inout_counter);

/* ------------------------------------------------------------------------------------- callbacks -- */

typedef int32_t npuProfPhase;
enum { NPU_PROF_ENTER = 0, NPU_PROF_EXIT = 1 };

/* A call as a subscriber sees it; valid until the callback returns. */
typedef struct npuProfCall {
  uint32_t struct_size;
  npuProfPhase phase;
  const char *function;  /* "npuQueueLaunch" */
  const char *arg_names; /* "queue, kernel, info, out_value"; empty: it has none */
  const uint64_t *
      args; /* their values: numbers, handles, addresses in the program. What an address leads to may be read, never changed. */
  uint32_t arg_count;
  npuResult result;        /* NPU_PROF_EXIT */
  uint64_t correlation_id; /* the same at enter, at exit, and in activities; never 0 */
  uint64_t thread_id;      /* gettid() */
  int64_t time_ns;         /* host time */
} npuProfCall;

/* Called in the calling thread, at entry and at exit of each public function that returns npuResult, except npuErrorGetInfo. It may call the library; those calls are not reported, and
 * do not change what npuErrorGetInfo says of the reported one. What would end what the call uses or the subscription is refused with NPU_ERROR_IN_CALLBACK: npuProfUnsubscribe, npuShutdown,
 * npuDeviceClose, npuContextDestroy, npuQueueDestroy. It must not throw. */
typedef void (*npuProfCallback)(const npuProfCall *call, void *user_data);

/* A subscription. */
typedef struct npuProfSubscriberObject *npuProfSubscriber;

/* Subscribes to all calls that begin from now on, in every thread; up to 16 subscribers. Also before npuInit, and over npuShutdown and fork.
 *
 * out_subscriber  the subscription, or NULL. End it with npuProfUnsubscribe.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_QUOTA (too many subscribers)
 * Since:     0.2
 */
NPU_API npuResult npuProfSubscribe(npuProfCallback callback, void *user_data,
                                   npuProfSubscriber *out_subscriber);

/* Ends a subscription: when it returns, the callback does not run and never will. NULL does nothing.
 *
 * Threads:   any.   Blocks: while the callback runs in other threads.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_IN_CALLBACK
 * Since:     0.2
 */
NPU_API npuResult npuProfUnsubscribe(npuProfSubscriber subscriber);

/* -------------------------------------------------------------------------------- living objects -- */

/* Something that was made and not ended yet. */
typedef struct npuProfObject {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t handle;     /* or the device address of memory */
  uint64_t size_bytes; /* of memory; of a queue: its ring; else 0 */
  uint64_t
      correlation_id; /* of the call that made it; 0: not known, since neither the layer "leak" nor anything else of this file was on */
  int64_t age_ns;     /* 0 when the call is not known */
  char kind[24];      /* "queue", "memory", ... */
  char function[40];  /* "npuQueueCreate"; empty: not known */
} npuProfObject;

/* Lists what is alive: objects with handles (kernels belong to their modules) and memory. The layer "leak" writes the same list to the log at the last npuShutdown and at the end of the process.
 *
 * Threads:   any.   Blocks: no.   NPU_INCOMPLETE: there were more.
 * Errors:    NPU_ERROR_NOT_INITIALIZED, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuProfGetObjects(uint32_t *inout_count, npuProfObject *array);

NPU_EXTERN_C_END

#endif
