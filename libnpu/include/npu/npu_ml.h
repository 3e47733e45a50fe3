/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Management: what a device is, measures and runs. Link libnpuml; libnpu is not needed, npuInit is not called, and no context is created on the device.
 *
 * Which devices there are is chosen by NPU_DEVICE, as for npuDeviceOpen. With the device model the first npuMlOpen starts npu-modeld when none runs, so that a fresh machine shows
 * its device; npuMlGetDeviceCount starts nothing. An open npuMlDevice counts as a client: the model does not end while it exists.
 *
 * The rules of npu_types.h hold, with one difference: the detail of an error is asked from npuMlErrorGetInfo. After fork the handles are stale in the child; it may open anew.
 */
#ifndef NPU_NPU_ML_H
#define NPU_NPU_ML_H

#include <npu/npu_error.h>
#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* A device that is looked at. Independent of any npuDevice. */
typedef struct npuMlDeviceObject *npuMlDevice;

/* As npuErrorGetInfo, for the functions of this header.
 *
 * Threads:   any; the detail is the calling thread's own.
 * Blocks:    no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuMlErrorGetInfo(npuErrorInfo *inout_info);

/* How many devices there are; 0 when there is none. No side effect: starts nothing, safe before fork.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_BAD_ENVIRONMENT
 * Since:     0.1
 */
NPU_API npuResult npuMlGetDeviceCount(uint32_t *out_count);

/* Opens a device to look at it. |selector| is NULL (device 0), an index ("1"), a UUID ("NPU-...") or a PCI address ("0000:03:00.0").
 *
 * out_device  the device, or NULL. Close it with npuMlClose.
 *
 * Threads:   any.   Blocks: until the device answers, at most 10 seconds.
 * Errors:    NPU_ERROR_NO_DEVICE         no device of that index, UUID or address
 *            NPU_ERROR_START_MODEL       npu-modeld did not start; the detail has its path and message
 *            NPU_ERROR_VERSION_SKEW, NPU_ERROR_PERMISSION, NPU_ERROR_NOT_SUPPORTED, NPU_ERROR_BAD_ENVIRONMENT, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.1
 */
NPU_API npuResult npuMlOpen(const char *selector, npuMlDevice *out_device);

/* Ends the look. NULL does nothing.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.1
 */
NPU_API npuResult npuMlClose(npuMlDevice device);

/* State of a device as a whole. */
typedef int32_t npuMlHealth;
enum {
  NPU_ML_HEALTH_OK = 0,
  NPU_ML_HEALTH_DEGRADED = 1, /* works; memory errors, a link or the temperature need attention */
  NPU_ML_HEALTH_RESETTING = 2,
  NPU_ML_HEALTH_WEDGED = 3 /* needs an administrator */
};

/* What a device is. Strings end with a NUL. Versions are major << 16 | minor. */
typedef struct npuMlInfo {
  uint32_t struct_size;
  uint32_t index;
  char name[32];
  char uuid
      [48]; /* "NPU-" and 32 hexadecimal digits in groups; stays the same for the board's life */
  char bus_id[16];         /* "dddd:bb:dd.f"; empty: no PCI device stands behind it */
  char firmware_build[40]; /* 32 hexadecimal digits */
  uint32_t is_virtual;     /* 1: a device model or emulator, not silicon */
  npuMlHealth health;
  uint32_t clusters;
  uint32_t tiles_per_cluster;
  uint32_t ports;            /* network ports */
  uint32_t core_clock_khz;   /* nominal */
  uint32_t memory_clock_khz; /* nominal */
  uint32_t firmware_version; /* of the interface between driver and firmware */
  uint32_t isa_version;
  uint32_t uapi_version; /* of driver or model */
  uint64_t hbm_bytes;
  uint64_t l1_bytes;  /* scratchpad of one tile */
  uint64_t l2_bytes;  /* scratchpad of one cluster */
  uint64_t acc_bytes; /* accumulator of one tile */
  uint64_t epoch;     /* resets so far */
} npuMlInfo;

/* Fills |inout_info|.
 *
 * Threads:   any.   Blocks: for one call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_DEVICE_LOST
 * Since:     0.1
 */
NPU_API npuResult npuMlGetInfo(npuMlDevice device, npuMlInfo *inout_info);

/* Why a metric has no value. */
typedef int32_t npuMlReason;
enum {
  NPU_ML_VALID = 0,         /* it has one */
  NPU_ML_NOT_SUPPORTED = 1, /* this device has no such sensor */
  NPU_ML_NOT_READY = 2,     /* no sample so far */
  NPU_ML_DENIED = 3,        /* not for this user */
  NPU_ML_LOST = 4           /* the device did not answer */
};

/* One measurement. This struct never grows. */
typedef struct npuMlMetric {
  uint32_t
      id; /* fixed number of the metric, below 256; npuMlGetMetricDescription tells what it is */
  npuMlReason reason; /* NPU_ML_VALID: value holds; else value is 0 */
  int64_t value;      /* in the metric's unit */
} npuMlMetric;

/* All metrics, in the order of their ids (a list, see npu_types.h). The values are of one moment. Metrics that the driver knows and this library does not are left out.
 *
 * Threads:   any.   Blocks: for one call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_DEVICE_LOST; NPU_INCOMPLETE
 * Since:     0.1
 */
NPU_API npuResult npuMlGetMetrics(npuMlDevice device, uint32_t *inout_count, npuMlMetric *array);

/* Units of metrics: value * mul / div of the description is the value in the base unit (bytes, ratio, hertz, ...). */
typedef int32_t npuMlUnit;
enum {
  NPU_ML_COUNT = 0,
  NPU_ML_BYTES = 1,
  NPU_ML_CENTIPERCENT = 2, /* 1/100 of a percent */
  NPU_ML_KHZ = 3,
  NPU_ML_MILLIDEG = 4, /* 1/1000 degree Celsius */
  NPU_ML_MILLIWATT = 5,
  NPU_ML_MICROJOULE = 6,
  NPU_ML_NANOSECOND = 7,
  NPU_ML_PICOSECOND = 8,
  NPU_ML_BITS = 9 /* a set of flags */
};

/* Gauge: the value of this moment. Counter: only grows, from 0 at the device's start. */
typedef int32_t npuMlKind;
enum { NPU_ML_GAUGE = 0, NPU_ML_COUNTER = 1 };

/* What a metric is. The strings are the library's own and stay valid. */
typedef struct npuMlMetricDescription {
  uint32_t struct_size;
  uint32_t id;
  npuMlUnit unit;
  npuMlKind kind;
  const char *key;           /* "power_mw" */
  const char *symbol;        /* of the unit: "mW"; may be empty */
  const char *base;          /* base unit: "watts"; may be empty */
  const char *exporter_name; /* "npu_power_watts" */
  const char *doc;           /* one sentence */
  int64_t mul;
  int64_t div;
} npuMlMetricDescription;

/* Describes metric |id|; needs no device.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_FOUND, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuMlGetMetricDescription(uint32_t id, npuMlMetricDescription *inout_description);

/* Bits of the metric "throttle_reasons_bits". */
enum {
  NPU_ML_THROTTLE_IDLE = 1, /* clock lowered since there is no work */
  NPU_ML_THROTTLE_POWER_CAP = 2,
  NPU_ML_THROTTLE_THERMAL = 4,
  NPU_ML_THROTTLE_ADMIN = 8,       /* clock limited by an administrator */
  NPU_ML_THROTTLE_HW_SLOWDOWN = 16 /* alarm from the supply or the board */
};

/* A process that holds the device open. */
typedef struct npuMlProcess {
  uint32_t struct_size; /* of each element of the array, set by the caller in the first one */
  uint32_t pid;         /* as the system reports it, never as the process says */
  uint32_t uid;
  uint32_t queues;
  uint32_t contexts;
  uint32_t reserved;
  uint64_t hbm_bytes;
  uint64_t host_bytes; /* pinned host memory */
  uint64_t busy_ns;    /* device time used so far */
  uint64_t launches;   /* kernels started so far */
  char command[16];    /* name of the program, cut */
} npuMlProcess;

/* The processes on the device, by pid (a list, see npu_types.h). Users see their own, root sees all; the caller itself is among them.
 *
 * Threads:   any.   Blocks: for one call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_DEVICE_LOST; NPU_INCOMPLETE
 * Since:     0.1
 */
NPU_API npuResult npuMlGetProcesses(npuMlDevice device, uint32_t *inout_count, npuMlProcess *array);

/* State of the link of a port. */
typedef int32_t npuMlPortState;
enum {
  NPU_ML_PORT_DOWN = 0,     /* no link: no cable, or nobody at the other end */
  NPU_ML_PORT_TRAINING = 1, /* a link is being made */
  NPU_ML_PORT_UP = 2,
  NPU_ML_PORT_DISABLED = 3 /* switched off by an administrator */
};

/* Bits of npuMlPort.flags: which members hold something; the others are 0 or empty. */
enum {
  NPU_ML_PORT_HAS_PEER = 1, /* peer_uuid, peer_port: another NPU is at the other end */
  NPU_ML_PORT_LEADS_UP = 2, /* to a switch, not to a neighbour */
  NPU_ML_PORT_IS_BOUND = 4, /* a model's port that stands for the host's interface of that name */
  NPU_ML_PORT_HAS_MAC = 8,
  NPU_ML_PORT_HAS_IPV4 = 16,
  NPU_ML_PORT_HAS_IPV6 = 32,
  NPU_ML_PORT_HAS_COUNTERS = 64,    /* bytes, packets, errors */
  NPU_ML_PORT_HAS_RETRANSMITS = 128 /* retransmits */
};

/* A network port. Counters only grow, from the device's start (those of a bound port: from the start of its interface), unless
 * counters_generation changes: then they began at 0 again. With the device model a bound port shows the counters of its interface, whoever
 * used it, at most 0.1 s old; ports of the model that are not bound carry no bytes and have no counters. */
typedef struct npuMlPort {
  uint32_t struct_size; /* of each element of the array, set by the caller in the first one */
  uint32_t index;
  npuMlPortState state;
  uint32_t flags;      /* NPU_ML_PORT_HAS_*, _LEADS_UP, _IS_BOUND */
  uint32_t speed_mbps; /* 10^6 bits a second, one direction; 0: not known */
  uint32_t lanes;      /* 0: not known */
  uint32_t peer_port;
  uint32_t reserved;
  char peer_uuid[48];
  char mac[24];  /* "02:00:00:00:00:01" */
  char ipv4[16]; /* "192.0.2.1" */
  char ipv6[48]; /* "2001:db8::1" */
  char interface_name[16];
  uint64_t rx_bytes;
  uint64_t tx_bytes;
  uint64_t rx_packets;
  uint64_t tx_packets;
  uint64_t rx_errors;
  uint64_t tx_errors;
  uint64_t retransmits;
  uint64_t link_downs; /* times that the link was lost; always known */
  uint64_t counters_generation;
} npuMlPort;

/* The network ports, by index (a list, see npu_types.h); none where the device has none.
 *
 * Threads:   any.   Blocks: for one call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_DEVICE_LOST; NPU_INCOMPLETE
 * Since:     0.2
 */
NPU_API npuResult npuMlGetPorts(npuMlDevice device, uint32_t *inout_count, npuMlPort *array);

/* Kinds of events; bits, so that several can be chosen. */
typedef uint32_t npuMlEventKind;
enum {
  NPU_ML_EVENT_DEVICE_RESET = 4, /* not sent by the device model outside of a virtual machine */
  NPU_ML_EVENT_PORT_STATE = 8
};

/* Something that happened to the device. */
typedef struct npuMlEvent {
  uint32_t struct_size;
  npuMlEventKind kind;
  uint32_t lost; /* 1: events before this one were lost; ask for the state of everything */
  uint32_t port; /* PORT_STATE */
  npuMlPortState port_state;
  uint32_t reserved;
  int64_t time_ns; /* CLOCK_MONOTONIC */
  uint64_t epoch;  /* DEVICE_RESET: resets so far */
} npuMlEvent;

/* Chooses the events that |device| keeps from now on; none at first. |kinds|: NPU_ML_EVENT_* together, 0 for none. What was kept before stays.
 *
 * Threads:   any.   Blocks: for one call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_DEVICE_LOST
 * Since:     0.2
 */
NPU_API npuResult npuMlSelectEvents(npuMlDevice device, npuMlEventKind kinds);

/* Takes the oldest event that |device| has kept, or waits for one. Each event is given to one caller.
 *
 * timeout_ns  as everywhere: 0 asks without waiting. NPU_TIMEOUT: none came.
 *
 * Threads:   any; who waits meanwhile waits longer than timeout_ns.   Blocks: at most timeout_ns.
 * Errors:    NPU_TIMEOUT; NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_DEVICE_LOST
 * Since:     0.2
 */
NPU_API npuResult npuMlWaitEvent(npuMlDevice device, int64_t timeout_ns, npuMlEvent *inout_event);

/* An environment variable of the stack. The strings are the library's own and stay valid. */
typedef struct npuMlVariable {
  uint32_t struct_size;
  uint32_t is_set; /* 1: it has a value; an empty variable counts as unset */
  uint32_t is_bad; /* 1: the value is not accepted; npuInit and npuMlOpen refuse to go on with it */
  uint32_t reserved;
  const char *name;
  const char *accepted; /* what a value may be */
  const char *fallback; /* what holds when it is unset */
  const char *doc;      /* one sentence */
  char value[256];      /* of this process, cut to fit */
} npuMlVariable;

/* Variable |number| (0, 1, ...) of the table in npu(7), with what this process's environment says now; needs no device.
 *
 * Threads:   any; the environment must not be changed meanwhile.   Blocks: no.
 * Errors:    NPU_ERROR_NOT_FOUND (behind the last one), NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuMlGetVariable(uint32_t number, npuMlVariable *inout_variable);

NPU_EXTERN_C_END

#endif
