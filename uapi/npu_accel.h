/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The twenty calls of the NPU: what a process may ask of the kernel driver (ioctl) or of the device server (socket).
 * Both roads carry these structs byte for byte; spec/calls.def lists the calls, npu_validate.h accepts or refuses them.
 *
 * Rules for every struct in this file
 *   - size a multiple of 8, natural alignment, little-endian; padding is explicit and must be zero (EINVAL otherwise)
 *   - no unions, bit-fields or enums as members; a flag or value that is not listed here is EINVAL, never ignored
 *   - no pointer outside struct npu_array; no file descriptor outside a member called `fd` (-1: none)
 *   - sizes and addresses are 64 bits; a deadline is absolute CLOCK_MONOTONIC nanoseconds (NPU_FOREVER: none)
 *   - ids and handles begin at 1; 0 means "none" where the member says so and is ENOENT elsewhere
 *   - a member marked "out" must be zero on entry, unless it says "in/out"; outputs are written only on success,
 *     except `failed_index` of VM_BIND, and `first_index` and `status` of WAIT
 *   - it grows at its end only. A caller's struct that is shorter is filled up with zeros; one that is longer is
 *     accepted if its tail is zero, else E2BIG. Every addition raises NPU_UAPI_MINOR.
 *
 * errno
 *   EINVAL bad argument, unknown flag, padding, alignment    ENOENT unknown id or handle
 *   E2BIG array too long, or an unknown tail is not zero     ENOSPC device memory or doorbells are used up
 *   ENOMEM host memory is used up                            EBUSY  in use by a live queue
 *   EDQUOT the user's quota is reached                       ETIME  the deadline passed
 *   ECANCELED killed or lost by a reset: QUEUE_QUERY says why  EIO  the device is wedged
 *   ENODEV the device is gone                                EACCES, EPERM  not allowed for this user
 *   EOPNOTSUPP this device or this road lacks the feature    EFAULT an array is not readable or writable
 *
 * Log of the minor version
 *   1.0  first version
 *   1.1  NPU_QUEUE_FLAG_CONTINUE
 *   1.2  struct npu_launch_completion; metrics 0x28 to 0x2a
 *   1.3  struct npu_port_info from tx_packets on; PORTS and PORT_STATE are answered where a device has ports
 *   1.4  queues of class NET: struct npu_queue_net
 *   1.5  struct npu_launch_completion from tensor_ps_low on
 *   1.6  npu_queue_ctrl.live
 */
#ifndef NPU_UAPI_ACCEL_H
#define NPU_UAPI_ACCEL_H

#include <linux/types.h>

#include "npu_queue.h" /* ring, control block, enum npu_queue_state, enum npu_fault_access, doorbell sizes */
#include "npu_regs.h" /* enum npu_platform */

#define NPU_UAPI_MAJOR 1
#define NPU_UAPI_MINOR 6

#ifdef __cplusplus
#define NPU_UAPI_ASSERT(cond, text) static_assert(cond, text)
#else
#define NPU_UAPI_ASSERT(cond, text) _Static_assert(cond, text)
#endif
/* A struct of the uapi has exactly this size; a hole would show up in tests/uapi (-Wpadded). */
#define NPU_UAPI_SIZE(type, bytes) \
	NPU_UAPI_ASSERT(sizeof(struct type) == (bytes) && (bytes) % 8 == 0, "size of " #type)
#define NPU_UAPI_OFFSET(type, member, bytes) \
	NPU_UAPI_ASSERT(__builtin_offsetof(struct type, member) == (bytes), "offset of " #type "." #member)

/* Numbers of the calls: NPU_CALL_DEV_QUERY ... NPU_CALL_EVENT_MASK. */
enum npu_call {
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) NPU_CALL_##NAME = nr,
#include "spec/calls.def"
	NPU_CALL_COUNT = 20,
};

#define NPU_FOREVER 0x7fffffffffffffffLL
#define NPU_NAME_BYTES 32 /* names end with a NUL inside their field; what follows the NUL is zero */
#define NPU_LABEL_BYTES 56
#define NPU_COMM_BYTES 16
#define NPU_UUID_BYTES 16

/* Address space of a VM: [NPU_VA_MIN, NPU_VA_USER_END) belongs to the process, the rest is never mapped for it. */
#define NPU_VA_BITS 48
#define NPU_VA_MIN 0x10000ULL
#define NPU_VA_USER_END (1ULL << 47)

#define NPU_PAGE_4K 0x1000ULL /* system memory only */
#define NPU_PAGE_64K 0x10000ULL /* granule of HBM */
#define NPU_PAGE_2M 0x200000ULL

/* Sizes no device exceeds; struct npu_limits tells what this one grants. */
#define NPU_MAX_BIND_OPS 4096
#define NPU_MAX_WAIT_CONDITIONS 64
#define NPU_MAX_COPY_OPS 1024
#define NPU_MAX_COPY_SYNCS 64
#define NPU_MAX_PERF_COUNTERS 64
#define NPU_MAX_FAULTS 16 /* records a VM keeps */
#define NPU_MAX_QUERY_ELEMS 4096
#define NPU_QUERY_ELEM_MAX_BYTES 256
#define NPU_MAX_STRIDE 4096 /* of any array */

/*
 * An array that lies outside its struct. Elements are `stride` bytes apart and grow as structs do (E2BIG rule).
 * ptr: a user address on the ioctl road, an offset into the frame's payload on the socket road. count 0: ptr and
 * stride must be 0 too.
 */
struct npu_array {
	__u32 stride; /* bytes of one element as the caller knows it, a multiple of 8 */
	__u32 count;
	__u64 ptr;
};
NPU_UAPI_SIZE(npu_array, 16);

/* ------------------------------------------------------------------------------------------- 0 DEV_QUERY -- */
/* Numbers of the queries: NPU_QUERY_DEVICE, ..., one row each in calls.def. */
enum npu_query_type {
#define NPU_QUERY(nr, NAME, elem, max_count, doc) NPU_QUERY_##NAME = nr,
#include "spec/calls.def"
	NPU_QUERY_COUNT = 7,
};

/*
 * Fills `out` with elements of the query's struct. count in: room for so many; count out: so many exist (only the
 * smaller number was written). An empty array asks for the count alone. A longer stride than the device knows is
 * filled up with zeros.
 */
struct npu_dev_query {
	__u32 type; /* enum npu_query_type */
	__u32 flags; /* must be 0 */
	struct npu_array out; /* in/out: count */
};
NPU_UAPI_SIZE(npu_dev_query, 24);

/* Stands for the element of any query where one size is needed. */
struct npu_query_elem {
	__u64 words[NPU_QUERY_ELEM_MAX_BYTES / 8];
};
NPU_UAPI_SIZE(npu_query_elem, NPU_QUERY_ELEM_MAX_BYTES);

enum npu_health {
	NPU_HEALTH_OK = 0,
	NPU_HEALTH_DEGRADED = 1, /* works; ECC, link or temperature need attention */
	NPU_HEALTH_RESETTING = 2,
	NPU_HEALTH_WEDGED = 3, /* every call but DEV_QUERY gives EIO */
};

/* features[0] */
#define NPU_FEATURE_HBM_MMAP (1ULL << 0) /* HBM objects can be mapped by the CPU */
#define NPU_FEATURE_COPY_SYNC (1ULL << 1) /* COPY_SUBMIT takes syncobj arrays */
#define NPU_FEATURE_PORTS (1ULL << 2) /* queues of class NET, MR_CREATE */
#define NPU_FEATURE_PERF (1ULL << 3) /* PERF_OPEN */
#define NPU_FEATURE_USERPTR (1ULL << 4) /* BO_CREATE_USERPTR takes an address (else: only an fd) */
#define NPU_FEATURE_CHECK (1ULL << 5) /* kernels run in the checking mode; a queue with a print buffer gets reports (NPU_PRINT_REPORT) */
#define NPU_FEATURE_ALL0 0x3fULL

/* NPU_QUERY_DEVICE, one element. */
struct npu_dev_info {
	char name[NPU_NAME_BYTES];
	__u8 uuid[NPU_UUID_BYTES]; /* of the board; stays the same for its life */
	__u8 fw_build_id[16];
	__u64 features[2]; /* NPU_FEATURE_* */
	__u64 epoch; /* +1 at each device reset */
	__u64 page_sizes; /* bit n: pages of 2^n bytes */
	__u64 hbm_bytes;
	__u64 l1_bytes; /* scratchpad of one tile */
	__u64 l2_bytes; /* scratchpad of one cluster */
	__u64 acc_bytes; /* accumulator of one tile */
	__u32 uapi_major;
	__u32 uapi_minor;
	__u32 fw_abi_major;
	__u32 fw_abi_minor;
	__u32 isa_major;
	__u32 isa_minor;
	__u32 platform; /* enum npu_platform */
	__u32 health; /* enum npu_health */
	__u32 clusters;
	__u32 tiles_per_cluster;
	__u32 ports;
	__u32 va_bits;
	__u32 core_clock_khz; /* nominal; NPU_METRIC_CORE_CLOCK is the present one */
	__u32 hbm_clock_khz;
	__u32 doorbell_page_bytes;
	__u32 index; /* 0, 1, ... on this machine */
	__u16 pci_domain; /* all pci_* are 0 where no PCI device stands behind it */
	__u8 pci_bus;
	__u8 pci_devfn;
	__u16 pci_vendor;
	__u16 pci_device;
	__u16 pci_subvendor;
	__u16 pci_subdevice;
	__u8 pci_revision;
	__u8 pad[3];
};
NPU_UAPI_SIZE(npu_dev_info, 208);
NPU_UAPI_OFFSET(npu_dev_info, uapi_major, 128);
NPU_UAPI_OFFSET(npu_dev_info, pci_domain, 192);

enum npu_queue_class {
	NPU_QUEUE_COMPUTE = 0,
	NPU_QUEUE_COPY = 1,
	NPU_QUEUE_NET = 2,
	NPU_QUEUE_CLASS_COUNT = 3,
};

/* NPU_QUERY_ENGINES: engines that queues run on. */
struct npu_engine_info {
	__u32 engine_class; /* enum npu_queue_class */
	__u32 instance; /* bit of engine_mask in QUEUE_CREATE */
	__u32 cluster; /* ~0: not part of one cluster */
	__u32 tiles;
	__u32 queues_max;
	__u32 queues_used;
	__u32 ring_align_bytes;
	__u32 pad;
	__u64 busy_ns; /* device time in which it had work, since the last device reset */
};
NPU_UAPI_SIZE(npu_engine_info, 40);

enum npu_region {
	NPU_REGION_SYSTEM = 0, /* host memory, coherent */
	NPU_REGION_HBM = 1,
	NPU_REGION_COUNT = 2,
};

/* NPU_QUERY_REGIONS */
struct npu_region_info {
	__u32 region; /* enum npu_region */
	__u32 instance;
	__u64 size_bytes;
	__u64 free_bytes;
	__u64 largest_free_bytes; /* the largest object that would fit now */
	__u64 cpu_visible_bytes;
	__u64 page_bytes; /* the smallest page; sizes and alignments of objects are multiples of it */
};
NPU_UAPI_SIZE(npu_region_info, 48);

enum npu_port_state {
	NPU_PORT_DOWN = 0,
	NPU_PORT_TRAINING = 1,
	NPU_PORT_UP = 2,
	NPU_PORT_DISABLED = 3,
	NPU_PORT_STATE_COUNT = 4,
};

#define NPU_MAX_PORTS 64 /* of one device */
#define NPU_PORT_INTERFACE_BYTES 16 /* the name ends with a NUL inside its field */
#define NPU_MAC_BYTES 6

/* flags of npu_port_info: which members hold something; the others are 0 */
#define NPU_PORT_FLAG_PEER (1u << 0) /* peer_uuid, peer_port: another NPU is at the other end */
#define NPU_PORT_FLAG_UP_LINK (1u << 1) /* leads to a switch, not to a neighbour */
#define NPU_PORT_FLAG_BOUND (1u << 2) /* a model's port that stands for the interface of its name */
#define NPU_PORT_FLAG_MAC (1u << 3)
#define NPU_PORT_FLAG_IPV4 (1u << 4)
#define NPU_PORT_FLAG_IPV6 (1u << 5)
#define NPU_PORT_FLAG_COUNTERS (1u << 6) /* bytes, packets, errors */
#define NPU_PORT_FLAG_RETRANSMITS (1u << 7)
#define NPU_PORT_FLAGS_ALL 0xffu

/* NPU_QUERY_PORTS. Counters only grow, unless counters_generation changes. */
struct npu_port_info {
	__u32 index;
	__u32 state; /* enum npu_port_state */
	__u32 speed_mbps; /* 0: not known */
	__u32 peer_port;
	__u8 peer_uuid[NPU_UUID_BYTES];
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u64 errors; /* tx_errors + rx_errors */
	__u64 flaps; /* times that the link was lost */
	__u64 counters_generation; /* +1 when the counters begin at 0 again */
	__u64 tx_packets;
	__u64 rx_packets;
	__u64 tx_errors;
	__u64 rx_errors;
	__u64 retransmits;
	__u32 flags; /* NPU_PORT_FLAG_* */
	__u32 lanes; /* 0: not known */
	__u8 mac[NPU_MAC_BYTES];
	__u8 pad[2];
	__u8 ipv4[4];
	__u8 pad1[4];
	__u8 ipv6[16];
	char interface[NPU_PORT_INTERFACE_BYTES]; /* of the host; empty: none */
};
NPU_UAPI_SIZE(npu_port_info, 168);
#define NPU_PORT_INFO_MIN_BYTES 72 /* when it appeared */

/* NPU_QUERY_LIMITS, one element. What one open file may have; npu_validate.h checks arguments against it. */
struct npu_limits {
	__u64 va_end; /* end of the largest user address space */
	__u64 bo_bytes_max;
	__u64 pinned_bytes_max; /* system memory of one user */
	__u64 hbm_bytes_max; /* HBM of one user */
	__u32 queues_max;
	__u32 queues_device_max;
	__u32 vms_max;
	__u32 bos_max;
	__u32 mrs_max;
	__u32 notifies_max;
	__u32 bind_ops_max;
	__u32 wait_conditions_max;
	__u32 copy_ops_max;
	__u32 copy_syncs_max;
	__u32 perf_counters_max;
	__u32 ring_log2_min; /* of the number of ring entries */
	__u32 ring_log2_max;
	__u32 timeout_ms_default;
	__u32 timeout_ms_max;
	__u32 pad;
};
NPU_UAPI_SIZE(npu_limits, 96);

/* flags of npu_metric: exactly one is set; value is 0 unless it is VALID */
#define NPU_METRIC_FLAG_VALID (1u << 0)
#define NPU_METRIC_FLAG_UNSUPPORTED (1u << 1) /* this device has no such sensor */
#define NPU_METRIC_FLAG_NOT_YET (1u << 2) /* no sample so far */
#define NPU_METRIC_FLAG_DENIED (1u << 3) /* not for this user */
#define NPU_METRIC_FLAG_LOST (1u << 4) /* the device did not answer */

/* NPU_QUERY_METRICS: all rows of spec/metrics.def, in order of their ids. */
struct npu_metric {
	__u32 id; /* enum npu_metric_id (npu_metrics.h) */
	__u32 flags;
	__s64 value; /* in the unit of its row */
};
NPU_UAPI_SIZE(npu_metric, 16);

/* NPU_QUERY_CLIENTS: processes that hold the device open; a user sees its own, root all. */
struct npu_client_info {
	__u32 pid; /* as the peer's kernel reports it, never as the peer says */
	__u32 uid;
	__u32 queues;
	__u32 vms;
	__u64 hbm_bytes;
	__u64 system_bytes;
	__u64 busy_ns; /* device time used */
	__u64 launches;
	char comm[NPU_COMM_BYTES];
};
NPU_UAPI_SIZE(npu_client_info, 64);

/* ------------------------------------------------------------------------------- 1, 2 VM_CREATE, VM_DESTROY -- */
struct npu_vm_create {
	__u32 flags; /* must be 0 */
	__u32 vm_id; /* out */
	__u64 va_end; /* in/out; 0: the largest; a multiple of 2 MiB. Addresses [NPU_VA_MIN, va_end) can be mapped. */
};
NPU_UAPI_SIZE(npu_vm_create, 16);

/* EBUSY while a queue or a memory registration uses it. Mappings go with it. */
struct npu_vm_destroy {
	__u32 vm_id;
	__u32 pad;
};
NPU_UAPI_SIZE(npu_vm_destroy, 8);

/* ------------------------------------------------------------------------------------------------ 3 VM_BIND -- */
enum npu_bind_kind {
	NPU_BIND_MAP = 0, /* replaces what was mapped in its range */
	NPU_BIND_UNMAP = 1, /* bo_handle, bo_offset and flags must be 0; a range with nothing in it is fine */
	NPU_BIND_KIND_COUNT = 2,
};

#define NPU_BIND_READONLY (1u << 0)
#define NPU_BIND_EXEC (1u << 1) /* instructions may be fetched; needs READONLY (no writable code) */
#define NPU_BIND_FLAGS_ALL 0x3u

struct npu_bind_op {
	__u32 kind; /* enum npu_bind_kind */
	__u32 flags; /* NPU_BIND_* */
	__u32 bo_handle;
	__u32 pad;
	__u64 bo_offset; /* multiple of the page size of the object's region */
	__u64 dva; /* likewise: 64 KiB for HBM, 4 KiB for system memory */
	__u64 size_bytes; /* likewise; not 0 */
};
NPU_UAPI_SIZE(npu_bind_op, 40);

/*
 * Changes the address space: all operations or none; in array order; done and visible to the device on return.
 * EBUSY: a live queue keeps its ring or control block in the range.
 */
struct npu_vm_bind {
	__u32 vm_id;
	__u32 flags; /* must be 0 */
	struct npu_array ops; /* in: struct npu_bind_op */
	__u32 failed_index; /* out: the operation that failed; ~0: none in particular */
	__u32 pad;
};
NPU_UAPI_SIZE(npu_vm_bind, 32);

/* ----------------------------------------------------------------------------------------------- 4 VM_QUERY -- */
enum npu_fault_reason {
	NPU_FAULT_NONE = 0,
	NPU_FAULT_NOT_PRESENT = 1, /* nothing is mapped there */
	NPU_FAULT_PERMISSION = 2, /* mapped, but not for this access */
	NPU_FAULT_RESERVED = 3, /* a page table entry has reserved bits set */
	NPU_FAULT_RANGE = 4, /* address beyond the 48 bits, or a table or page outside its memory */
	NPU_FAULT_POISON = 5, /* uncorrectable memory error */
	NPU_FAULT_REASON_COUNT = 6,
};

/* One failed access of the device. The place in the program is that of struct npu_completion. */
struct npu_fault {
	__u64 dva;
	__u64 seq; /* number of the command in its queue */
	__s64 time_ns; /* CLOCK_MONOTONIC */
	__u32 queue_id; /* 0: not from a queue */
	__s32 status; /* enum npu_status that the queue died with */
	__u32 reason; /* enum npu_fault_reason; NONE: not known */
	__u32 module; /* 0: not from a program, and so are the members below */
	__u32 pc; /* instruction index in the kernel */
	__u32 line; /* line id of the instruction */
	__u32 group; /* linear work-group number */
	__u16 kernel; /* index in the module */
	__u16 tile; /* of the device */
	__u8 access; /* enum npu_fault_access */
	__u8 engine; /* enum npu_engine (npu_isa.h) */
	__u8 pad[6];
};
NPU_UAPI_SIZE(npu_fault, 64);

enum npu_vm_state {
	NPU_VM_READY = 0,
	NPU_VM_LOST = 1, /* a device reset took its memory; destroy it */
};

struct npu_vm_query {
	__u32 vm_id;
	__u32 state; /* out: enum npu_vm_state */
	__u64 mapped_bytes; /* out */
	__u64 table_bytes; /* out: HBM used by its page tables */
	__u64 faults_total; /* out: since its creation */
	struct npu_array faults; /* out: struct npu_fault, newest first; count in/out as in DEV_QUERY */
};
NPU_UAPI_SIZE(npu_vm_query, 48);

/* ----------------------------------------------------------------------------------- 5..8 buffer objects -- */
#define NPU_BO_NO_MMAP (1u << 0) /* never mapped by the CPU */
#define NPU_BO_CONTIGUOUS (1u << 1) /* one piece of HBM */
#define NPU_BO_HUGE (1u << 2) /* only 2 MiB pages; the size becomes a multiple of it */
#define NPU_BO_SYNC (1u << 3) /* holds fence words or a control block: system memory, never moved */
#define NPU_BO_FLAGS_ALL 0xfu

enum npu_caching {
	NPU_CACHING_DEFAULT = 0, /* write-back for system memory, write-combining for HBM */
	NPU_CACHING_WB = 1,
	NPU_CACHING_WC = 2,
	NPU_CACHING_COUNT = 3,
};

/* New memory reads as zero. close: DRM's GEM_CLOSE, or NPU_WIRE_BO_CLOSE. Mappings keep an object alive. */
struct npu_bo_create {
	__u64 size_bytes; /* in/out: rounded up to whole pages of the region */
	__u32 region; /* enum npu_region */
	__u32 region_mask; /* instances that may be used, bit n; 0: any */
	__u32 flags; /* NPU_BO_* */
	__u32 caching; /* enum npu_caching */
	__u32 vm_id; /* only this VM may map it, and it cannot be exported; 0: any */
	__u32 align_log2; /* of its place in HBM; 0: the page size; at most 30 */
	__u32 handle; /* out */
	__u32 pad;
	__u64 map_token; /* out; 0: cannot be mapped by the CPU */
};
NPU_UAPI_SIZE(npu_bo_create, 48);

#define NPU_USERPTR_READONLY (1u << 0) /* the device may only read */

/*
 * Memory of the caller as a system object. ioctl road: fd -1, address and size are whole pages of the process, pinned.
 * Socket road: fd is a memfd sealed against shrinking, address an offset in it. If it is what NPU_WIRE_MAP answered for
 * an object of this device with vm_id 0, of whichever connection, the handle names that whole object: BO_INFO tells its
 * region and size. (The ioctl road has PRIME for it.) It lives until its last holder lets go.
 */
struct npu_bo_create_userptr {
	__u64 address; /* multiple of 4 KiB */
	__u64 size_bytes; /* multiple of 4 KiB */
	__u32 flags; /* NPU_USERPTR_* */
	__s32 fd;
	__u32 handle; /* out */
	__u32 pad;
};
NPU_UAPI_SIZE(npu_bo_create_userptr, 32);

enum npu_bo_state {
	NPU_BO_READY = 0,
	NPU_BO_LOST = 1, /* HBM from before a device reset */
};

struct npu_bo_info {
	__u32 handle;
	__u32 flags; /* out: NPU_BO_* */
	__u32 region; /* out: enum npu_region */
	__u32 state; /* out: enum npu_bo_state */
	__u64 size_bytes; /* out */
	__u64 page_bytes; /* out: the page size that its mappings can rely on */
	__u64 map_token; /* out: mmap offset (ioctl road) or argument of NPU_WIRE_MAP; 0: none */
};
NPU_UAPI_SIZE(npu_bo_info, 40);

struct npu_bo_set_label {
	__u32 handle;
	__u32 pad;
	char label[NPU_LABEL_BYTES];
};
NPU_UAPI_SIZE(npu_bo_set_label, 64);

/* ---------------------------------------------------------------------------------------- 9..12 queues -- */
enum npu_priority {
	NPU_PRIO_LOW = 0,
	NPU_PRIO_NORMAL = 1,
	NPU_PRIO_HIGH = 2, /* needs CAP_SYS_NICE or root */
	NPU_PRIO_COUNT = 3,
};

#define NPU_QUEUE_FLAG_SUSPENDED (1u << 0) /* runs nothing until QUEUE_SET says RUN */
#define NPU_QUEUE_FLAG_CONTINUE (1u << 1) /* a command that fails has its error in its record, and the queue goes on */
#define NPU_QUEUE_FLAGS_ALL 0x3u

#define NPU_NET_MTU_MIN 256
#define NPU_NET_MTU_MAX 65536

/* Parameters of a NET queue: its copies go by these ports, divided among those that are up. Each leads to the device remote_uuid, else EINVAL. */
struct npu_queue_net {
	__u64 port_mask; /* bit number: index of the port; not 0 */
	__u8 remote_uuid[NPU_UUID_BYTES];
	__u32 remote_queue; /* must be 0 */
	__u32 mtu_bytes; /* payload of a packet: NPU_NET_MTU_MIN to NPU_NET_MTU_MAX */
};
NPU_UAPI_SIZE(npu_queue_net, 32);

/*
 * A user-mode queue: ring and control block (npu_queue.h) are the caller's own memory. The ring, 2^ring_log2 commands
 * of 64 bytes at ring_dva, and the control block, 4096 bytes and then 2^ring_log2 completion records of 64 bytes at
 * ctrl_dva, must be mapped in the VM from objects of this file; the control block lies at ctrl_offset of the object
 * ctrl_handle, which has NPU_BO_SYNC. They stay mapped while the queue lives. Their content is never trusted.
 */
struct npu_queue_create {
	__u32 vm_id;
	__u32 queue_class; /* enum npu_queue_class */
	__u64 engine_mask; /* instances that may run it; 0: any */
	__u32 flags; /* NPU_QUEUE_FLAG_* */
	__u32 priority; /* enum npu_priority */
	__u64 ring_dva; /* multiple of 4 KiB */
	__u64 ctrl_dva; /* multiple of 4 KiB */
	__u64 ctrl_offset; /* multiple of 4 KiB */
	__u32 ctrl_handle;
	__u32 ring_log2; /* 6..16 */
	__u32 timeout_ms; /* without progress; 0: the default */
	__u32 queue_id; /* out */
	__u32 doorbell_slot; /* out */
	__u32 pad;
	__u64 doorbell_token; /* out: the same for every queue of a file */
	struct npu_array params; /* in: one struct npu_queue_net for NET, empty for the others */
};
NPU_UAPI_SIZE(npu_queue_create, 96);
NPU_UAPI_OFFSET(npu_queue_create, ctrl_handle, 48);
NPU_UAPI_OFFSET(npu_queue_create, params, 80);

/* Stops it at once; commands that have not completed never will. */
struct npu_queue_destroy {
	__u32 queue_id;
	__u32 pad;
};
NPU_UAPI_SIZE(npu_queue_destroy, 8);

/* A queue in any state but READY and SUSPENDED is dead: it must be destroyed and made again. */
#define NPU_QUEUE_STATE_IS_DEAD(state) ((state) >= NPU_QUEUE_STATE_FAULTED)

#define NPU_QUEUE_GUILTY (1u << 0) /* it caused the reset that killed it */
#define NPU_QUEUE_INNOCENT (1u << 1) /* it died of another queue's reset */

struct npu_queue_query {
	__u32 queue_id;
	__u32 state; /* out: enum npu_queue_state */
	__s32 status; /* out: why it died (enum npu_status) */
	__u32 flags; /* out: NPU_QUEUE_GUILTY, NPU_QUEUE_INNOCENT */
	__u64 epoch; /* out: of its creation */
	__u64 fetched; /* out: commands taken from the ring */
	__u64 completed; /* out: sequence number of the last completed command */
	__u64 progress; /* out: counts the device's steps; the watchdog looks at it */
	__u64 busy_ns; /* out: device time */
	struct npu_fault fault; /* out: all zero unless a memory fault killed it */
};
NPU_UAPI_SIZE(npu_queue_query, 120);

#define NPU_QUEUE_SET_PRIORITY (1u << 0)
#define NPU_QUEUE_SET_TIMEOUT (1u << 1)
#define NPU_QUEUE_SET_RUN (1u << 2) /* not together with SUSPEND */
#define NPU_QUEUE_SET_SUSPEND (1u << 3) /* returns once the device has stopped it */
#define NPU_QUEUE_SET_ALL 0xfu

struct npu_queue_set {
	__u32 queue_id;
	__u32 what; /* NPU_QUEUE_SET_*; not 0. Members that it does not name must be 0. */
	__u32 priority;
	__u32 timeout_ms; /* 0: the default */
};
NPU_UAPI_SIZE(npu_queue_set, 16);

/* ---------------------------------------------------------------------------------- 13, 14 WAIT, NOTIFY -- */
enum npu_cond_op {
	NPU_COND_GE = 0, /* (word & mask) >= value, unsigned */
	NPU_COND_EQ = 1,
	NPU_COND_NE = 2,
	NPU_COND_QUEUE_IDLE = 3, /* the queue has completed all that it was given, or is dead */
	NPU_COND_OP_COUNT = 4,
};

/*
 * GE, EQ, NE look at the 64-bit word at `offset` of the object. With a queue_id they also end, with the status of that
 * queue, when the queue dies first: no wait outlives the device that would have ended it.
 */
struct npu_cond {
	__u32 op; /* enum npu_cond_op */
	__u32 bo_handle; /* 0 for QUEUE_IDLE */
	__u32 queue_id; /* 0: none (not for QUEUE_IDLE) */
	__u32 pad;
	__u64 offset; /* multiple of 8; 0 for QUEUE_IDLE */
	__u64 value; /* no bit outside mask; 0 for QUEUE_IDLE */
	__u64 mask; /* not 0; 0 for QUEUE_IDLE */
};
NPU_UAPI_SIZE(npu_cond, 40);

#define NPU_WAIT_FLAG_ALL (1u << 0) /* until all hold; else until one does */
#define NPU_WAIT_FLAGS_ALL 0x1u

/*
 * 0: the condition(s) hold. ETIME: the deadline passed (a deadline <= now polls). ECANCELED: a queue died.
 */
struct npu_wait {
	struct npu_array conds; /* in: struct npu_cond, 1..64 */
	__u32 flags; /* NPU_WAIT_FLAG_* */
	__u32 first_index; /* out: the first that holds, or whose queue died; ~0: none */
	__s64 deadline_ns;
	__s32 status; /* out: of the queue that died (enum npu_status), else 0 */
	__u32 pad;
};
NPU_UAPI_SIZE(npu_wait, 40);

#define NPU_NOTIFY_ADD (1u << 0) /* exactly one of ADD and REMOVE */
#define NPU_NOTIFY_REMOVE (1u << 1) /* by cookie; fd -1, cond all zero */
#define NPU_NOTIFY_ONESHOT (1u << 2) /* with ADD: removed after the first signal */
#define NPU_NOTIFY_FLAGS_ALL 0x7u

/* Adds 1 to an eventfd when the condition comes true (at once, if it holds already). */
struct npu_notify {
	__u32 flags; /* NPU_NOTIFY_* */
	__s32 fd; /* eventfd; the call keeps its own reference */
	__u64 cookie; /* not 0; ADD of a cookie that is in use: EBUSY */
	struct npu_cond cond;
};
NPU_UAPI_SIZE(npu_notify, 56);

/* ------------------------------------------------------------------------------------- 15 COPY_SUBMIT -- */
enum npu_copy_kind {
	NPU_COPY_COPY = 0,
	NPU_COPY_FILL = 1, /* src_* must be 0 */
	NPU_COPY_KIND_COUNT = 2,
};

struct npu_copy_op {
	__u32 kind; /* enum npu_copy_kind */
	__u32 flags; /* must be 0 */
	__u32 src_handle;
	__u32 dst_handle;
	__u64 src_offset;
	__u64 dst_offset;
	__u64 size_bytes; /* not 0. FILL: offset and size are multiples of 8 */
	__u64 pattern; /* FILL; 0 for COPY */
};
NPU_UAPI_SIZE(npu_copy_op, 48);

#define NPU_SYNC_TIMELINE (1u << 0)

struct npu_sync {
	__u32 handle; /* of a syncobj */
	__u32 flags; /* NPU_SYNC_* */
	__u64 value; /* point on the time line; 0 for a binary one */
};
NPU_UAPI_SIZE(npu_sync, 16);

#define NPU_COPY_WAIT (1u << 0) /* returns when the copies are done; `signals` must be empty */
#define NPU_COPY_FLAGS_ALL 0x1u

/*
 * Copies on the driver's own queue, in order. Syncobj arrays need NPU_FEATURE_COPY_SYNC, else EOPNOTSUPP; without
 * `signals` NPU_COPY_WAIT is the only way to learn of the end, so one of them is required.
 */
struct npu_copy_submit {
	__u32 flags; /* NPU_COPY_* */
	__u32 pad;
	struct npu_array ops; /* in: struct npu_copy_op, 1..1024 */
	struct npu_array waits; /* in: struct npu_sync */
	struct npu_array signals; /* in: struct npu_sync */
};
NPU_UAPI_SIZE(npu_copy_submit, 56);

/* ----------------------------------------------------------------------------- 16, 17 memory registration -- */
#define NPU_MR_REMOTE_READ (1u << 0)
#define NPU_MR_REMOTE_WRITE (1u << 1)
#define NPU_MR_REMOTE_ATOMIC (1u << 2)
#define NPU_MR_REMOTE_SEM (1u << 3)
#define NPU_MR_ACCESS_ALL 0xfu

/* Lets other devices reach [dva, dva + size) of a VM by key. The range must be mapped and stays so. */
struct npu_mr_create {
	__u32 vm_id;
	__u32 access; /* NPU_MR_*; not 0 */
	__u64 dva; /* multiple of 64 */
	__u64 size_bytes; /* multiple of 64; not 0 */
	__u32 mr_id; /* out */
	__u32 pad;
	__u64 remote_key; /* out: not guessable */
};
NPU_UAPI_SIZE(npu_mr_create, 40);

struct npu_mr_destroy {
	__u32 mr_id;
	__u32 pad;
};
NPU_UAPI_SIZE(npu_mr_destroy, 8);

/* --------------------------------------------------------------------------------------- 18 PERF_OPEN -- */
struct npu_perf_counter {
	__u32 metric_id; /* enum npu_metric_id (npu_metrics.h) */
	__u32 flags; /* must be 0 */
};
NPU_UAPI_SIZE(npu_perf_counter, 8);

/* A stream of samples: read() of `fd` gives whole records. Needs NPU_FEATURE_PERF. */
struct npu_perf_open {
	__u32 flags; /* must be 0 */
	__s32 fd; /* out; must be -1 on entry */
	__u64 period_ns; /* 100 us .. 1 h */
	struct npu_array counters; /* in: struct npu_perf_counter, 1..64 */
	__u32 record_bytes; /* out: struct npu_perf_record and one __s64 for each counter */
	__u32 pad;
};
NPU_UAPI_SIZE(npu_perf_open, 40);
#define NPU_PERF_PERIOD_MIN_NS 100000ULL
#define NPU_PERF_PERIOD_MAX_NS 3600000000000ULL

struct npu_perf_record {
	__u32 bytes; /* of the whole record */
	__u32 lost; /* records dropped before this one: the reader was slow */
	__s64 time_ns; /* CLOCK_MONOTONIC */
	__u64 device_time_ps;
	__u64 valid; /* bit n: counter n has a value */
};
NPU_UAPI_SIZE(npu_perf_record, 32);

/* -------------------------------------------------------------------------------- 19 EVENT_MASK, events -- */
#define NPU_EVENT_MASK_QUEUE_ERROR (1ULL << 0)
#define NPU_EVENT_MASK_VM_FAULT (1ULL << 1)
#define NPU_EVENT_MASK_DEVICE_RESET (1ULL << 2)
#define NPU_EVENT_MASK_PORT_STATE (1ULL << 3)
#define NPU_EVENT_MASK_ALL 0xfULL

/* Which events this file receives; nothing at first. */
struct npu_event_mask {
	__u64 mask; /* NPU_EVENT_MASK_* */
	__u64 previous; /* out */
};
NPU_UAPI_SIZE(npu_event_mask, 16);

/* Types as struct drm_event counts them: a driver's own begin at 0x80000000 (too large for an enum of C17). */
#define NPU_EVENT_TYPE_QUEUE_ERROR 0x80000000u
#define NPU_EVENT_TYPE_VM_FAULT 0x80000001u
#define NPU_EVENT_TYPE_DEVICE_RESET 0x80000002u
#define NPU_EVENT_TYPE_PORT_STATE 0x80000003u
#define NPU_EVENT_MAX_BYTES 96 /* the largest event */

/* Sticky until it was delivered once: events before this one did not fit. Query the state of everything. */
#define NPU_EVENT_FLAG_LOST (1u << 0)

/* Every event begins so; type and length are those of struct drm_event. */
struct npu_event {
	__u32 type; /* NPU_EVENT_TYPE_* */
	__u32 length; /* bytes of the whole event */
	__u32 flags; /* NPU_EVENT_FLAG_LOST */
	__u32 pad;
	__s64 time_ns; /* CLOCK_MONOTONIC */
};
NPU_UAPI_SIZE(npu_event, 24);

struct npu_event_queue_error {
	struct npu_event base;
	__u32 queue_id;
	__u32 state; /* enum npu_queue_state */
	__s32 status; /* enum npu_status */
	__u32 pad;
	__u64 seq; /* of the command that failed; 0: none */
};
NPU_UAPI_SIZE(npu_event_queue_error, 48);

struct npu_event_vm_fault {
	struct npu_event base;
	__u32 vm_id;
	__u32 pad;
	struct npu_fault fault;
};
NPU_UAPI_SIZE(npu_event_vm_fault, 96);

enum npu_reset_cause {
	NPU_RESET_ADMIN = 0,
	NPU_RESET_WATCHDOG = 1,
	NPU_RESET_FIRMWARE = 2,
	NPU_RESET_ECC = 3,
	NPU_RESET_THERMAL = 4,
	NPU_RESET_BUS = 5,
};

struct npu_event_device_reset {
	struct npu_event base;
	__u64 old_epoch;
	__u64 new_epoch;
	__u32 cause; /* enum npu_reset_cause */
	__u32 health; /* enum npu_health afterwards */
};
NPU_UAPI_SIZE(npu_event_device_reset, 48);

struct npu_event_port_state {
	struct npu_event base;
	__u32 port;
	__u32 state; /* enum npu_port_state */
};
NPU_UAPI_SIZE(npu_event_port_state, 32);

/* The numbers of calls.def and the structs above agree. */
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) \
	NPU_UAPI_ASSERT(sizeof(struct npu_##name) >= (min_bytes), "calls.def: " #NAME);
#define NPU_QUERY(nr, NAME, elem, max_count, doc) \
	NPU_UAPI_ASSERT(sizeof(struct elem) <= NPU_QUERY_ELEM_MAX_BYTES, "calls.def: " #NAME);
#include "spec/calls.def"

#endif
