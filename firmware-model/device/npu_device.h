/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device model as an object with a C ABI: what a PCI device is to its driver. Three ports lead out of it: MMIO (called by the driver), host memory and
 * interrupts (called by the device).
 *
 * Threads:  every function may be called from any thread; mmio calls are serialised inside. The device has its own command-processor thread and worker threads, which call the
 *           ports; a port must not call back into the device except for npu_device_mmio_read.
 * Errors:   a driver's mistake becomes a status in MBOX_STATUS, an error completion or an event record. The process is ended only by a broken rule of the model itself.
 */
#ifndef NPU_MODEL_DEVICE_NPU_DEVICE_H_
#define NPU_MODEL_DEVICE_NPU_DEVICE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct npu_device npu_device;

/* The chip: see firmware-model/profiles/ for the meaning and source of each number. */
typedef struct npu_profile {
  char name[32];
  uint32_t clusters;
  uint32_t tiles_per_cluster;
  uint32_t l1_bytes;
  uint32_t l2_bytes;
  uint32_t acc_bytes;
  uint32_t core_clock_khz;
  uint32_t mac_per_cycle_bf16; /* a tile */
  uint32_t mac_per_cycle_f32;
  uint32_t mac_per_cycle_fp8;     /* E4M3, E5M2, MXFP8, MX9 */
  uint32_t mac_per_cycle_i8;      /* int8, MXINT8 */
  uint32_t mac_per_cycle_fp6;     /* MXFP6, MX6 */
  uint32_t mac_per_cycle_fp4;     /* MXFP4, MX4 */
  uint32_t mac_per_cycle_fp8_fp4; /* one operand of each */
  uint32_t vector_lanes;
  uint32_t dma_setup_cycles;
  uint32_t mm_fill_cycles;
  uint32_t vector_setup_cycles;
  uint32_t l1_port_bytes_per_cycle;
  uint32_t l2_bytes_per_cycle;  /* of a cluster, shared by its tiles */
  uint32_t noc_bytes_per_cycle; /* between a cluster and what lies outside of it, likewise */
  uint32_t launch_overhead_ns;
  uint64_t hbm_bytes;
  uint64_t hbm_mbytes_per_s; /* 10^6 bytes a second */
  uint64_t host_mbytes_per_s;
  uint32_t hbm_clock_khz;
  uint32_t power_idle_mw;
  uint32_t power_limit_mw;
  uint32_t pj_per_mac_f32; /* energy of one operation, picojoule x 1000 */
  uint32_t pj_per_mac_bf16;
  uint32_t pj_per_hbm_byte;
  uint32_t
      ports; /* network ports: first those to neighbours, in turn, then those that lead up to switches */
  uint32_t port_mbps;
  uint32_t port_lanes;
  uint32_t port_neighbours; /* devices that ports lead to */
  uint32_t ports_up;        /* how many lead up */
} npu_profile;

/* A network port: what the device cannot find out by itself. */
typedef struct npu_port_config {
  uint32_t state; /* enum npu_port_state that it has without an interface */
  uint32_t flags; /* NPU_PORT_FLAG_PEER, _UP_LINK, _MAC, _IPV4, _IPV6 */
  uint32_t speed_mbps;
  uint32_t lanes;
  uint32_t peer_port;
  uint8_t peer_uuid[16];
  uint8_t mac[6];
  uint8_t ipv4[4];
  uint8_t ipv6[16];
  char
      interface[16]; /* of the host: state, speed and counters are those of this interface; empty: none */
} npu_port_config;

/* A fault that is injected before the device starts: a row of uapi/spec/ras.def. */
typedef struct npu_injection {
  uint32_t fault; /* enum npu_inject */
  uint32_t pad;
  uint64_t place;
  uint64_t count;
} npu_injection;

/* Where the device writes what its engines do (engine_trace.h). */
typedef struct npu_engine_trace {
  int32_t fd;      /* opened for appending; stays the caller's, who keeps it open */
  uint32_t device; /* the number that clients know this device by */
  uint32_t tiles;  /* the first so many are drawn */
  uint32_t pad;
  uint64_t limit_bytes;
} npu_engine_trace;

typedef struct npu_device_config {
  uint32_t struct_size;
  uint32_t
      worker_threads; /* threads that run tiles; 0 = one a host CPU. Results and device times do not depend on it. */
  uint32_t scalar_numerics; /* non-zero: the scalar reference instead of SIMD; same bits */
  uint32_t
      production; /* non-zero: only keys[0] is accepted and the security counter must not be below min_counter */
  uint64_t min_counter;
  const uint8_t (*keys)[32]; /* Ed25519 public keys whose blobs are accepted; copied */
  uint32_t key_count;
  uint32_t max_queues;   /* 0 = 1024 */
  uint32_t max_contexts; /* 0 = 256 */
  uint32_t
      checks; /* non-zero: the checking mode of kernels; a race on a scratchpad and a read of what nobody has written are faults. Results and device times do not depend on it. */
  npu_profile profile;
  uint8_t uuid[16];        /* of the board; the mailbox command IDENTITY tells it */
  uint32_t boot_from_host; /* 0: built-in firmware, READY at once. 1: ROM until the host boots an
                              image through FW_IOVA and CONTROL */
  uint32_t injection_count;
  const npu_injection *injections; /* copied */
  const npu_port_config *ports;    /* copied */
  uint32_t port_count;             /* at most NPU_MAX_PORTS */
  uint32_t pad1;
  const char *net_class; /* folder of the host's interfaces; NULL: /sys/class/net. Copied */
  const npu_engine_trace *
      engine_trace; /* NULL: nobody asks what engines do. Copied. Results and device times do not depend on it. */
} npu_device_config;

/* Payload and packets, as one end of a link counts them. */
typedef struct npu_port_traffic {
  uint64_t tx_bytes;
  uint64_t rx_bytes;
  uint64_t tx_packets;
  uint64_t rx_packets;
} npu_port_traffic;

typedef struct npu_device_ports {
  void *ctx;
  /* Host memory at |iova|: a pointer that stays valid until the driver has withdrawn the range from all page tables and QUIESCED has passed, and in *out_bytes how many bytes are contiguous from
   * there; NULL when the driver never gave that address to the device. Called by device threads. */
  void *(*host_memory)(void *ctx, uint64_t iova, int write, uint64_t *out_bytes);
  /* Vector |vector| (bit number of NPU_IRQ_*) fires. Called by device threads, must not block. */
  void (*interrupt)(void *ctx, uint32_t vector);
  /* Optional: copies between |buffer| and host memory for which host_memory has no pointer (decision 0011); |write| non-zero: into host memory. 0, or -1: no such address, or the other side does not
   * answer. Called by the command-processor thread, may block for a bounded time; COPY, FILL and MODULE_LOAD reach such memory, everything else needs a pointer. */
  int (*host_copy)(void *ctx, uint64_t iova, void *buffer, uint64_t bytes, int write);
  /* Optional: payload of a NET queue has crossed network port |port|, for whoever knows what is at its other end: npu_device_port_traffic() there. Called by the command-processor thread. */
  void (*port_traffic)(void *ctx, uint32_t port, const npu_port_traffic *traffic);
} npu_device_ports;

/* Creates a device in state READY, with boot_from_host in state ROM. On failure returns NULL and writes a sentence with cause and remedy to error. */
npu_device *npu_device_create(const npu_device_config *config, const npu_device_ports *ports,
                              char *error, size_t error_bytes);
/* Stops all work, joins the threads, frees everything. */
void npu_device_destroy(npu_device *device);

/* One access to a BAR of 1, 2, 4 or 8 bytes. Returns 0, or -1 when bar, offset, size or alignment name no register: reads then give all ones, writes are ignored. */
int npu_device_mmio_read(npu_device *device, uint32_t bar, uint64_t offset, uint32_t size,
                         uint64_t *out_value);
int npu_device_mmio_write(npu_device *device, uint32_t bar, uint64_t offset, uint32_t size,
                          uint64_t value);

/* What CONTROL bit 0 does, for a reset of the bus (vfio-user RESET, FLR). All work has ended when it returns, work that
 * hangs too. */
void npu_device_reset(npu_device *device);
/* The owner has withdrawn host memory: host_memory does not give it out any more. Every address space forgets its translations. Returns a ticket as QUIESCE does: once the register QUIESCED has
 * reached it, no pointer that was given out before is in use. */
uint64_t npu_device_host_changed(npu_device *device);

/* Runs a mailbox command (registers MBOX_*) as one step: what a driver does with a lock around it. Returns enum npu_status, *out_result = MBOX_RESULT. */
int npu_device_mailbox(npu_device *device, uint32_t command, const uint64_t args[8],
                       uint64_t *out_result);

/* Adds what the other end of the link of |port| has sent and received to the port's counters, as received and sent. No such port: nothing happens. May be called while another device calls its
 * port_traffic. */
void npu_device_port_traffic(npu_device *device, uint32_t port, const npu_port_traffic *other_end);

/* The device memory: one reserved range of host addresses, sparse. The owner of the device may map shared memory over parts of it (MAP_FIXED). */
void *npu_device_hbm(npu_device *device);

/*
 * Shared-memory doorbells. |slots| (4096 bytes, written by a client) replaces doorbell page |page|; |aux| points to its struct npu_doorbell_aux (uapi/npu_wire.h). NULL, NULL takes the page
 * away; after the return the device does not touch it any more. A client that rang and found aux->device_sleeping set writes the wake fd.
 */
int npu_device_set_doorbells(npu_device *device, uint32_t page, void *slots, void *aux);
/* An eventfd that wakes the command processor; owned by the device. */
int npu_device_wake_fd(npu_device *device);
/*
 * An eventfd that wakes it too, for the client of one doorbell page: a hostile client that drains or
 * fills it stops only its own wake-ups. Owned by the device, closed when the page is taken away; -1:
 * no descriptor left, or no such page. The device never reads these descriptors.
 */
int npu_device_page_wake_fd(npu_device *device, uint32_t page);

/* Writes the name (NPU_KERNEL_NAME_BYTES with its NUL) that belongs to module and kernel of a
 * completion or event record. -1: not loaded (any more). */
int npu_device_kernel_name(npu_device *device, uint32_t context, uint32_t module, uint32_t kernel,
                           char *name, size_t name_bytes);
/* File and line of a line id of that module. -1: not loaded, or the blob has no such line. */
int npu_device_source_line(npu_device *device, uint32_t context, uint32_t module, uint32_t line_id,
                           char *file, size_t file_bytes, uint32_t *out_line);

#ifdef __cplusplus
}
#endif

#endif
