/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: allocations in a context, and copies that the host does itself. Copies in queue order are in npu_queue.h. */
#ifndef NPU_NPU_MEMORY_H
#define NPU_NPU_MEMORY_H

#include <npu/npu_types.h>

NPU_EXTERN_C_BEGIN

/* Where an allocation lives. */
typedef int32_t npuMemKind;
enum {
  NPU_MEM_UNKNOWN = 0, /* only as an answer: not an address of this context */
  NPU_MEM_DEVICE = 1,  /* HBM */
  NPU_MEM_HOST = 2, /* pinned host memory that the device reaches, slower for the device than HBM */

  /* May be added to a kind with |: memory of its own that npuMemExportFd and npuMemMapPeer can share. Costs whole pages (64 KiB of HBM). */
  NPU_MEM_EXPORTABLE = 0x100
};

/* A flag of what maps memory: the device may read it through this mapping, but not write. */
#define NPU_MEM_READONLY 1u

/* Allocates |size_bytes| of memory, which reads as zero. Addresses are aligned to 256 bytes.
 *
 * kind     NPU_MEM_DEVICE or NPU_MEM_HOST, either with NPU_MEM_EXPORTABLE
 * out_ptr  device address, or 0. The context owns the memory; give it back with npuMemFree.
 *
 * Threads:   any.   Blocks: for a call to the driver when the context's pool has no free piece.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ARGUMENT       size 0 or unknown kind
 *            NPU_ERROR_OVERFLOW               size larger than the address space
 *            NPU_ERROR_OUT_OF_DEVICE_MEMORY, NPU_ERROR_OUT_OF_HOST_MEMORY, NPU_ERROR_QUOTA
 * Since:     0.1
 */
NPU_API npuResult npuMemAlloc(npuContext context, npuMemKind kind, uint64_t size_bytes,
                              npuDevPtr *out_ptr);

/* Gives an allocation back. Work submitted before this call may still use it: the memory is re-used only after that work has ended. ptr must be what npuMemAlloc returned; 0 does nothing.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS
 * Since:     0.1
 */
NPU_API npuResult npuMemFree(npuContext context, npuDevPtr ptr);

/* The host's view of [ptr, ptr + size_bytes), which must lie inside one allocation. Valid until the allocation is freed; there is nothing to undo.
 * HBM is seen through a window (on a real bus: write-combining, slow to read); NPU_MEM_HOST is ordinary memory.
 *
 * Threads:   any.   Blocks: for a call to the driver the first time.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_NOT_SUPPORTED (the device has no window), NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.1
 */
NPU_API npuResult npuMemMap(npuContext context, npuDevPtr ptr, uint64_t size_bytes,
                            void **out_host);

/* What is known of an address. */
typedef struct npuMemInfo {
  uint32_t struct_size;
  npuMemKind kind;        /* NPU_MEM_UNKNOWN: not of this context; everything else is 0 then */
  npuDevPtr base;         /* of its allocation */
  uint64_t size_bytes;    /* of its allocation */
  uint64_t allocation_id; /* never used twice in a process */
  /* Since 0.2: */
  void *host; /* where this process sees the base; NULL: nobody has looked yet (npuMemMap) */
  uint64_t
      shared_id; /* of exported and imported memory: the same in every process, never used twice on this machine; else 0 */
  uint32_t flags;        /* NPU_MEM_IS_* */
  uint32_t device_index; /* of the context's device */
} npuMemInfo;

/* flags of npuMemInfo */
enum {
  NPU_MEM_IS_READONLY = 1,   /* for the device */
  NPU_MEM_IS_POOLED = 2,     /* from npuMemAllocAsync */
  NPU_MEM_IS_MAPPED = 4,     /* a piece of a reservation; base and size are the piece's */
  NPU_MEM_IS_IMPORTED = 8,   /* from npuMemImportFd or npuMemMapPeer */
  NPU_MEM_IS_REGISTERED = 16 /* from npuMemRegisterHost */
};

/* Looks up any 64-bit value; an unknown one is no error.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.1
 */
NPU_API npuResult npuMemQuery(npuContext context, npuDevPtr ptr, npuMemInfo *inout_info);

/* The same for an address of this process: memory that npuMemMap has shown or npuMemRegisterHost was given is known; any other pointer is no error and gives NPU_MEM_UNKNOWN.
 * The device address of |host| is base + ((char *)host - (char *)info.host).
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuMemQueryHost(npuContext context, const void *host, npuMemInfo *inout_info);

/* Free and total HBM of the device in bytes, as all processes see it.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_DEVICE_LOST
 * Since:     0.1
 */
NPU_API npuResult npuMemGetInfo(npuContext context, uint64_t *out_free_bytes,
                                uint64_t *out_total_bytes);

/* Copies by the host, done when the call returns. They are not ordered with queues: wait for the work that produces or uses the memory first.
 *
 * Threads:   any.   Blocks: for the time of the copy.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ADDRESS    the device range is not inside one allocation
 *            NPU_ERROR_INVALID_ARGUMENT   the host pointer is NULL while size_bytes is not 0
 * Since:     0.1
 */
NPU_API npuResult npuMemCopyToDevice(npuContext context, npuDevPtr dst, const void *src,
                                     uint64_t size_bytes);
NPU_API npuResult npuMemCopyToHost(npuContext context, void *dst, npuDevPtr src,
                                   uint64_t size_bytes);

/* A strided copy between any two of host and device memory: depth slices of height rows of width_bytes. Pitches are distances in bytes from row to row and slice to slice;
 * where height or depth is 1 theirs must be 0. */
typedef struct npuMemCopyInfo {
  uint32_t struct_size;
  uint32_t reserved;
  npuDevPtr dst; /* of the two destinations one is set, the other 0 */
  void *dst_host;
  npuDevPtr src; /* likewise */
  const void *src_host;
  uint64_t width_bytes;
  uint32_t height;
  uint32_t depth;
  uint64_t dst_pitch_bytes;
  uint64_t src_pitch_bytes;
  uint64_t dst_slice_pitch_bytes;
  uint64_t src_slice_pitch_bytes;
} npuMemCopyInfo;

/* Copies by the host, done when the call returns; npuQueueCopyStrided is the one in queue order.
 *
 * Threads:   any.   Blocks: for the time of the copy.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE, NPU_ERROR_RESERVED_NOT_ZERO
 *            NPU_ERROR_INVALID_ARGUMENT   two destinations or none, pitches that let rows overlap, source and destination that do
 *            NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_OVERFLOW, NPU_ERROR_PERMISSION (memory that may only be read)
 * Since:     0.2
 */
NPU_API npuResult npuMemCopyStrided(npuContext context, const npuMemCopyInfo *info);

/* Fills |size_bytes| from |dst| with a pattern of 1, 2, 4, 8 or 16 bytes, done when the call returns. dst and size are multiples of pattern_bytes.
 *
 * Threads:   any.   Blocks: for the time of the writing.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_UNALIGNED, NPU_ERROR_PERMISSION
 * Since:     0.2
 */
NPU_API npuResult npuMemFill(npuContext context, npuDevPtr dst, const void *pattern,
                             uint32_t pattern_bytes, uint64_t size_bytes);

/* ---- Sharded tensors ---- */

#define NPU_TENSOR_RANK_MAX 8
#define NPU_TENSOR_SHARDS_MAX 1024

/* How the elements of a dimension are dealt to the shards. */
typedef int32_t npuShardKind;
enum {
  NPU_SHARD_NONE = 0, /* the dimension is whole in every shard; parts is 1 */
  NPU_SHARD_BLOCK =
      1, /* cut into |parts| runs of ceil(size / parts); the last ones may be short or empty */
  NPU_SHARD_CYCLIC = 2 /* runs of |block| dealt out to the parts in turn */
};

/* How one dimension is spread. */
typedef struct npuShardDim {
  uint64_t size;  /* elements of the whole tensor */
  uint64_t block; /* NPU_SHARD_CYCLIC: at least 1; else 0 */
  npuShardKind kind;
  uint32_t parts;
} npuShardDim;

/* Where one shard lies: its elements, dense, last dimension fastest. */
typedef struct npuShard {
  npuContext context; /* of ptr; NULL: the shard is at |host| */
  npuDevPtr ptr;
  void *host;
} npuShard;

/* A dense tensor on the host and the shards on devices that hold its elements. */
typedef struct npuShardedTensor {
  uint32_t struct_size;
  uint32_t element_bytes;
  uint32_t rank;        /* 1 to NPU_TENSOR_RANK_MAX */
  uint32_t shard_count; /* the product of all parts */
  npuShardDim dims[NPU_TENSOR_RANK_MAX];
  const npuShard
      *shards; /* in the order of their places in the mesh of parts, last dimension fastest */
} npuShardedTensor;

/* Copies a tensor into another distribution: host to devices, devices to host, device to device, block to cyclic. Done when the call returns. Both sides have the same
 * rank, sizes and element_bytes. A plain array is a tensor with one shard.
 *
 * Threads:   any.   Blocks: for the time of the copy.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_STRUCT_SIZE
 *            NPU_ERROR_INVALID_ARGUMENT   shapes that differ, a distribution that is none, shards of the two sides that overlap
 *            NPU_ERROR_INVALID_ADDRESS    a shard does not fit its allocation
 *            NPU_ERROR_OVERFLOW, NPU_ERROR_PERMISSION
 * Since:     0.2
 */
NPU_API npuResult npuMemCopyTensor(const npuShardedTensor *dst, const npuShardedTensor *src);

/* ---- Peers: two contexts, of one device or of two ---- */

/* Copies between contexts of this process, done when the call returns. Needs no enabling: the host copies from window to window.
 *
 * Threads:   any.   Blocks: for the time of the copy.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_PERMISSION, NPU_ERROR_INVALID_ARGUMENT (the ranges overlap),
 *            NPU_ERROR_NOT_SUPPORTED (a device has no window)
 * Since:     0.2
 */
NPU_API npuResult npuMemCopyPeer(npuContext dst_context, npuDevPtr dst, npuContext src_context,
                                 npuDevPtr src, uint64_t size_bytes);

/* How one device reaches the memory of another. */
typedef int32_t npuPeerAccess;
enum {
  NPU_PEER_NONE = 0,
  NPU_PEER_COPY =
      1, /* npuMemCopyPeer, by the host: host memory can be mapped, HBM cannot. The kernel road where the bus or the kernel does not carry accesses between the two devices */
  NPU_PEER_MAPPED =
      2 /* npuMemMapPeer too: kernels and queue copies reach it. Contexts of one device; all devices of one model; on the kernel road two devices between which the kernel allows peer-to-peer DMA
           (CONFIG_PCI_P2PDMA, and one PCIe switch or a host bridge that it trusts) */
};

/* How contexts of |device| reach memory of |peer|, an NPU_PEER value. The kernel road finds out by trying, with 64 KiB of |peer|'s memory: NPU_PEER_COPY when they are not to be had.
 *
 * Threads:   any.   Blocks: for calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuDeviceCanAccessPeer(npuDevice device, npuDevice peer,
                                         npuPeerAccess *out_access);

/* Lets npuMemMapPeer of |context| take memory of |peer|, as long as both live. Enabling twice is no error; one direction only.
 *
 * Threads:   any.   Blocks: as npuDeviceCanAccessPeer.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (a context as its own peer), NPU_ERROR_NOT_SUPPORTED (the devices are NPU_PEER_COPY)
 * Since:     0.2
 */
NPU_API npuResult npuContextEnablePeer(npuContext context, npuContext peer);

/* Maps memory of an enabled peer, made with NPU_MEM_EXPORTABLE, into |context|: the same bytes at an address of its own, until npuMemFree of that address. It outlives the peer's
 * allocation. On the kernel road it does not outlive a reset, a sleep or the removal of the peer's device: then a queue that touches it stops with NPU_ERROR_VM_FAULT (docs/driver.md).
 *
 * flags  0 or NPU_MEM_READONLY
 *
 * Threads:   any.   Blocks: for calls to the driver.
 * Errors:    as npuMemImportFd; NPU_ERROR_PERMISSION (not enabled), NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_NOT_SUPPORTED (not exportable)
 * Since:     0.2
 */
NPU_API npuResult npuMemMapPeer(npuContext context, npuContext peer, npuDevPtr ptr, uint32_t flags,
                                npuDevPtr *out_ptr);

/* ---- Memory from elsewhere ---- */

/* Makes a descriptor by which other processes and contexts import an allocation, all of it. The memory lives until its last holder lets go, whoever made it; it stays charged to the
 * user who made it, and counts against each connection that imports it.
 *
 * ptr            start of memory made with NPU_MEM_EXPORTABLE, or of an import
 * out_fd         the caller's, close-on-exec; -1 on failure. Pass it by SCM_RIGHTS; it may be closed at once, imports stay valid.
 * out_shared_id  the id that each importer sees in npuMemInfo.shared_id: equal ids are the same memory, an id never comes back. May be NULL.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_INVALID_ADDRESS, NPU_ERROR_NOT_SUPPORTED (not exportable)
 * Since:     0.2
 */
NPU_API npuResult npuMemExportFd(npuContext context, npuDevPtr ptr, int *out_fd,
                                 uint64_t *out_shared_id);

/* Maps memory behind a descriptor: what npuMemExportFd gave in this or another process, a dma-buf (kernel road), or a memfd with F_SEAL_SHRINK.
 *
 * fd       stays the caller's and may be closed after the call
 * offset, size_bytes  the part to map, multiples of 4 KiB (of 64 KiB for HBM); size 0: all behind offset
 * flags    0 or NPU_MEM_READONLY
 * out_ptr  device address, or 0. Give it back with npuMemFree.
 *
 * Threads:   any.   Blocks: for calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ARGUMENT   no such descriptor, a file of another kind, a range outside of it
 *            NPU_ERROR_PERMISSION         writing through a descriptor that is open for reading
 *            NPU_ERROR_UNALIGNED, NPU_ERROR_QUOTA, NPU_ERROR_NOT_SUPPORTED (memory of a device that this road does not reach)
 * Since:     0.2
 */
NPU_API npuResult npuMemImportFd(npuContext context, int fd, uint64_t offset, uint64_t size_bytes,
                                 uint32_t flags, npuDevPtr *out_ptr);

/* Lets the device use a range of the process's own memory: of malloc, of mmap, of a mapped file. The range need not be aligned; the device sees the pages around it too.
 *
 * flags    NPU_MEM_READONLY: the device only reads, and until it is unregistered nobody changes the bytes. 0: both may write.
 * out_dva  the device's address of |host|, or 0. End it with npuMemUnregisterHost before the memory is freed or unmapped.
 *
 * On the kernel road the pages are pinned, whatever they are. The device model reaches a sealed memfd that is mapped there and still open; of any other range it takes a copy if it is
 * READONLY, and refuses to write (docs/decisions/0014).
 *
 * Threads:   any.   Blocks: for calls to the driver, and while a copy is taken.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (NULL, size 0, unknown flags), NPU_ERROR_OVERFLOW
 *            NPU_ERROR_INVALID_ADDRESS   not mapped in this process
 *            NPU_ERROR_BUSY              overlaps a registered range
 *            NPU_ERROR_NOT_SUPPORTED     see above
 *            NPU_ERROR_QUOTA             also RLIMIT_MEMLOCK (kernel road)
 * Since:     0.2
 */
NPU_API npuResult npuMemRegisterHost(npuContext context, void *host, uint64_t size_bytes,
                                     uint32_t flags, npuDevPtr *out_dva);

/* Ends a registration. Work submitted before this call may still use the range: wait for it before the memory is used for something else.
 *
 * host  what npuMemRegisterHost was given; NULL does nothing
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS
 * Since:     0.2
 */
NPU_API npuResult npuMemUnregisterHost(npuContext context, const void *host);

/* ---- Limits and statistics of a context ---- */

typedef int32_t npuLimit;
enum {
  NPU_LIMIT_DEVICE_BYTES =
      0, /* HBM in buffer objects: whole chunks and pages, so more than the sum of the sizes asked for */
  NPU_LIMIT_HOST_BYTES = 1, /* likewise: pinned, registered and imported memory, rings of queues */
  NPU_LIMIT_QUEUES = 2
};
#define NPU_LIMIT_NONE UINT64_MAX

/* Sets what the context may hold; NPU_LIMIT_NONE lifts the limit. What is held already stays, also beyond the limit; more is NPU_ERROR_QUOTA.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuContextSetLimit(npuContext context, npuLimit limit, uint64_t value);
/* The limit, and what the context holds of it.
 *
 * out_used  held now; may be NULL
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT
 * Since:     0.2
 */
NPU_API npuResult npuContextGetLimit(npuContext context, npuLimit limit, uint64_t *out_value,
                                     uint64_t *out_used);

/* What memory is held for: index of the arrays in npuMemStats. */
enum {
  NPU_MEM_USE_ALLOCATIONS = 0, /* npuMemAlloc, modules */
  NPU_MEM_USE_POOLS = 1,
  NPU_MEM_USE_HANDLES = 2, /* npuMemCreate */
  NPU_MEM_USE_IMPORTS = 3,
  NPU_MEM_USE_REGISTERED = 4,
  NPU_MEM_USE_QUEUES = 5, /* rings, semaphores, graphs */
  NPU_MEM_USE_SLOTS = 8   /* room for later ones */
};

/* Memory of one kind that a context uses. */
typedef struct npuMemUsage {
  uint64_t bytes;
  uint64_t peak_bytes;
  uint64_t objects;
} npuMemUsage;

/* What a context holds, and how it came about. */
typedef struct npuMemStats {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t device_bytes; /* sums */
  uint64_t device_peak_bytes;
  uint64_t host_bytes;
  uint64_t host_peak_bytes;
  npuMemUsage device[NPU_MEM_USE_SLOTS];
  npuMemUsage host[NPU_MEM_USE_SLOTS];
} npuMemStats;

/* What the context holds of the device's and the host's memory, in buffer objects.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuMemGetStats(npuContext context, npuMemStats *inout_stats);

/* ---- Pools: memory in the order of queues ---- */

/* A pool of memory whose allocations come and go in the order of a queue's commands, without a call to the driver and without waiting. */
typedef struct npuMemPoolObject *npuMemPool;

/* How a pool is made. */
typedef struct npuMemPoolInfo {
  uint32_t struct_size;
  npuMemKind kind;    /* NPU_MEM_DEVICE or NPU_MEM_HOST */
  uint64_t max_bytes; /* that the pool may take from the device; 0: no limit of its own */
  uint64_t
      release_threshold; /* free memory beyond so many reserved bytes goes back to the device; 0: 32 MiB; UINT64_MAX: only npuMemPoolTrim gives back */
} npuMemPoolInfo;

/* Creates a pool. It takes memory when the first allocation asks for it. |info| may be NULL: device memory, no limit.
 *
 * out_pool  the pool, or NULL. End it with npuMemPoolDestroy.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuMemPoolCreate(npuContext context, const npuMemPoolInfo *info,
                                   npuMemPool *out_pool);

/* Ends a pool and every allocation in it. Work submitted before this call may still use them. NULL does nothing.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.2
 */
NPU_API npuResult npuMemPoolDestroy(npuMemPool pool);

/* Allocates for the commands that |queue| is given after this call; another queue may use the memory once it waits for that point (npuQueueWaitQueue with the last value of
 * |queue|), the host once it has. What the memory holds is not defined: clear it with npuQueueFill. Addresses are aligned to 256 bytes.
 *
 * queue    of the pool's context. Memory that was freed on it is used again at once, without waiting.
 * out_ptr  device address, or 0. Give it back with npuMemFreeAsync, or npuMemFree.
 *
 * Threads:   any.   Blocks: for a call to the driver when the pool has to grow.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ARGUMENT   size 0, or a queue of another context
 *            NPU_ERROR_OVERFLOW           more than 2^38 bytes
 *            NPU_ERROR_QUOTA              max_bytes or a limit of the context; the detail tells how much waits for queues
 *            NPU_ERROR_OUT_OF_DEVICE_MEMORY, NPU_ERROR_OUT_OF_HOST_MEMORY
 * Since:     0.2
 */
NPU_API npuResult npuMemAllocAsync(npuMemPool pool, npuQueue queue, uint64_t size_bytes,
                                   npuDevPtr *out_ptr);

/* Gives memory of a pool back when |queue| has ended what it was given so far; work of other queues that uses it must be known to have ended by then. The address is
 * invalid at once.
 *
 * ptr  what npuMemAllocAsync returned for a pool of the queue's context; 0 does nothing
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS (no allocation of a pool, or freed already)
 * Since:     0.2
 */
NPU_API npuResult npuMemFreeAsync(npuDevPtr ptr, npuQueue queue);

/* Gives free memory back to the device until at most |keep_bytes| are reserved. Memory that is used, or that a queue has not passed, stays.
 *
 * Threads:   any.   Blocks: for calls to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.2
 */
NPU_API npuResult npuMemPoolTrim(npuMemPool pool, uint64_t keep_bytes);

/* What a pool holds and what it has done. */
typedef struct npuMemPoolStats {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t reserved_bytes; /* taken from the device */
  uint64_t reserved_high_bytes;
  uint64_t used_bytes; /* in live allocations, in steps of 256 bytes */
  uint64_t used_high_bytes;
  uint64_t pending_bytes;    /* freed on queues that have not come so far */
  uint64_t live_count;       /* allocations */
  uint64_t allocation_count; /* ever */
  uint64_t free_count;       /* ever */
  uint64_t reuse_count;      /* allocations that took what the same queue had freed before */
} npuMemPoolStats;

/* What the pool holds and what it has done.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT, NPU_ERROR_STRUCT_SIZE
 * Since:     0.2
 */
NPU_API npuResult npuMemPoolGetStats(npuMemPool pool, npuMemPoolStats *inout_stats);

/* ---- Reservations: addresses first, memory later ---- */

/* Memory without an address. */
typedef struct npuMemHandleObject *npuMemHandle;

/* Sizes, addresses and offsets of what follows are multiples of this. */
#define NPU_MEM_GRANULE_BYTES 65536

/* Reserves device addresses, in which memory can be mapped piece by piece: a tensor grows without moving.
 *
 * align_bytes  a power of two, at most 2^40; 2 MiB at least are given; 0: any
 * out_dva      the first address, or 0. End the reservation with npuMemReleaseReservation.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (size 0, alignment), NPU_ERROR_UNALIGNED, NPU_ERROR_OVERFLOW,
 *            NPU_ERROR_OUT_OF_ADDRESS_SPACE
 * Since:     0.2
 */
NPU_API npuResult npuMemReserve(npuContext context, uint64_t size_bytes, uint64_t align_bytes,
                                npuDevPtr *out_dva);

/* Ends a reservation in which nothing is mapped.
 *
 * Threads:   any.   Blocks: no.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ADDRESS (not the start of one), NPU_ERROR_BUSY (memory is mapped in it)
 * Since:     0.2
 */
NPU_API npuResult npuMemReleaseReservation(npuContext context, npuDevPtr dva);

/* Makes memory, which reads as zero, without an address. It can be mapped in reservations of its context, more than once too.
 *
 * out_handle  the memory, or NULL. End it with npuMemDestroy.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    as npuMemAlloc; NPU_ERROR_UNALIGNED
 * Since:     0.2
 */
NPU_API npuResult npuMemCreate(npuContext context, npuMemKind kind, uint64_t size_bytes,
                               npuMemHandle *out_handle);

/* Ends the handle. Where the memory is mapped it stays; it goes with the last mapping. NULL does nothing.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 * Since:     0.2
 */
NPU_API npuResult npuMemDestroy(npuMemHandle handle);

/* Maps [offset, offset + size_bytes) of the memory at |dva|, inside one reservation where nothing is mapped. Mappings that lie side by side in a reservation count as one
 * range for copies and launches.
 *
 * flags  0 or NPU_MEM_READONLY
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE
 *            NPU_ERROR_INVALID_ARGUMENT   size 0, unknown flags, a range outside of the memory, a handle of another context
 *            NPU_ERROR_INVALID_ADDRESS    not inside one reservation
 *            NPU_ERROR_BUSY               something is mapped there
 *            NPU_ERROR_UNALIGNED, NPU_ERROR_OUT_OF_DEVICE_MEMORY (page tables)
 * Since:     0.2
 */
NPU_API npuResult npuMemMapAt(npuContext context, npuDevPtr dva, npuMemHandle handle,
                              uint64_t offset, uint64_t size_bytes, uint32_t flags);

/* Takes whole mappings of one reservation away, at once: work that still uses them fails with NPU_ERROR_VM_FAULT. Wait for it first.
 *
 * Threads:   any.   Blocks: for a call to the driver.
 * Errors:    NPU_ERROR_INVALID_HANDLE, NPU_ERROR_INVALID_ARGUMENT (size 0)
 *            NPU_ERROR_INVALID_ADDRESS   nothing is mapped there, or the range cuts through a mapping
 * Since:     0.2
 */
NPU_API npuResult npuMemUnmapAt(npuContext context, npuDevPtr dva, uint64_t size_bytes);

NPU_EXTERN_C_END

#endif
