/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The socket road: how the calls of npu_accel.h travel to the device server over a Unix stream socket.
 *
 * Frame      struct npu_frame, then struct_bytes of the call's struct, then payload_bytes of arrays. All three begin at
 *            multiples of 8. One connection = one open file of one device; its first frame is HELLO.
 * Request    `error` is 0. sequence: the client's choice; the answer repeats it. Requests of a connection may be
 *            answered in any order: WAIT answers when it ends, the others at once, in order.
 * Reply      NPU_FRAME_REPLY is set; `error` is 0 or a positive errno. The struct comes back with struct_bytes as they
 *            were sent. A call that is not INOUT answers without struct. After an error an INOUT struct comes back too,
 *            with only those outputs set that npu_accel.h names.
 * Arrays     ptr is an offset from the start of the payload, a multiple of 8. IN arrays lie in the request's payload,
 *            OUT arrays (ptr 0 in the request) in the reply's, with the caller's stride and min(count asked, count there)
 *            elements; they follow each other without gaps. count 0: ptr 0. A reply that would exceed
 *            NPU_FRAME_MAX_BYTES is E2BIG: ask for fewer elements.
 * Files      fds go as SCM_RIGHTS with the first byte of their frame; fd_count says how many. A member `fd` holds an
 *            index into them, or -1. fds that no member names are an error.
 * Memory     a map token is answered by NPU_WIRE_MAP with a memfd, an offset and a size: the ring, control block,
 *            doorbells and objects are then plain shared memory.
 * Broken     A frame that does not follow these rules ends the connection; nobody else notices. A struct that
 *            npu_validate.h refuses is an ordinary reply with an errno.
 */
#ifndef NPU_UAPI_WIRE_H
#define NPU_UAPI_WIRE_H

#include "npu_accel.h"

#define NPU_FRAME_MAGIC 0x3155504eu /* "NPU1" */
#define NPU_WIRE_VERSION 1
#define NPU_FRAME_MAX_BYTES (1u << 20) /* header, struct and payload */
#define NPU_FRAME_MAX_STRUCT_BYTES 4096
#define NPU_FRAME_MAX_FDS 16
#define NPU_FRAME_MAX_PENDING 256 /* requests of one connection that wait for their answer; more: EBUSY */

#define NPU_FRAME_REPLY (1u << 0)
#define NPU_FRAME_EVENT (1u << 1) /* unsolicited; sequence 0 */
#define NPU_FRAME_FLAGS_ALL 0x3u

struct npu_frame {
	__u32 magic;
	__u32 call; /* enum npu_call or enum npu_wire_verb */
	__u32 struct_bytes; /* multiple of 8 */
	__u32 payload_bytes; /* multiple of 8 */
	__u32 sequence;
	__s32 error; /* reply: errno, positive */
	__u32 fd_count;
	__u32 flags; /* NPU_FRAME_* */
};
NPU_UAPI_SIZE(npu_frame, 32);

/* What a socket needs besides the calls. */
enum npu_wire_verb {
	NPU_WIRE_HELLO = 0x100, /* struct npu_wire_hello */
	NPU_WIRE_MAP = 0x101, /* struct npu_wire_map */
	NPU_WIRE_BO_CLOSE = 0x102, /* struct npu_wire_bo_close: the part of DRM's GEM_CLOSE */
	NPU_WIRE_EVENT = 0x103, /* server to client: one event (struct npu_event ...) as payload, no struct */
	NPU_WIRE_END = 0x104,
};

/* Opens a device. Who the client is comes from SO_PEERCRED. */
struct npu_wire_hello {
	__u32 wire_version; /* in: NPU_WIRE_VERSION; EPROTO when the server speaks another one; out: the server's */
	__u32 uapi_major; /* in/out; EPROTO when it differs */
	__u32 uapi_minor; /* in/out */
	__u32 device_index; /* in; ~0: only ask for device_count, the connection stays closed to calls */
	__u32 device_count; /* out */
	__u32 client_id; /* out: of this connection, for traces */
	__s32 fd; /* out: wake eventfd; -1 on entry */
	__u32 pad;
	__u64 doorbell_token; /* out: doorbell page, then the page of struct npu_doorbell_aux */
};
NPU_UAPI_SIZE(npu_wire_hello, 40);

#define NPU_WIRE_MAP_READONLY (1u << 0) /* out: the fd is sealed against writing */

struct npu_wire_map {
	__u64 token; /* opaque; of this connection only */
	__u64 offset; /* out: where it begins in fd */
	__u64 size_bytes; /* out */
	__s32 fd; /* out: memfd; -1 on entry */
	__u32 flags; /* out: NPU_WIRE_MAP_* */
};
NPU_UAPI_SIZE(npu_wire_map, 32);

struct npu_wire_bo_close {
	__u32 handle;
	__u32 pad;
};
NPU_UAPI_SIZE(npu_wire_bo_close, 8);

#define NPU_DOORBELL_WORDS (NPU_DOORBELL_SLOTS / 64)

/*
 * The page after the doorbell page; it takes the place of the bus.
 *
 * Client, after it stored the write index in its doorbell slot:
 *   fetch_or(pending[slot / 64], 1 << slot % 64) seq_cst;
 *   if (load(device_sleeping) seq_cst) { store(waker_cpu, 1 + CPU) relaxed; write 1 to the wake eventfd }
 *   It may clear device_sleeping before it writes: one wake-up is enough, and whoever clears it owes it to all threads of the client.
 * Server, before it sleeps:
 *   store(device_sleeping, 1); seq_cst fence; look at pending[] of every client; if none: poll the eventfds
 * Server, when it takes work: exchange(pending[i], 0) acquire, then load those doorbell slots.
 * The client's two operations and the server's fence are in one order: either the client sees device_sleeping or the server sees pending. A fence in
 * the place of the client's seq_cst does as well.
 */
struct npu_doorbell_aux {
	__u32 device_sleeping; /* written by the server; cleared by the client that wakes it */
	__u32 device_cpu; /* written by the server: 1 + the CPU of the thread that does the device's work; 0: not said. A hint: who waits for it on that CPU keeps it from its work. */
	__u64 epoch; /* written by the server: device epoch */
	__u8 pad1[48];
	__u64 pending[NPU_DOORBELL_WORDS]; /* set by the client, cleared by the server; own cache line */
	__u32 waker_cpu; /* set by the client: 1 + the CPU from which it wakes; 0: not said. A hint: the kernel may have put the server there, and the client goes on. */
	__u32 pad2;
	__u8 pad3[3960];
};
NPU_UAPI_SIZE(npu_doorbell_aux, 4096);
NPU_UAPI_OFFSET(npu_doorbell_aux, pending, 64);

/* What a marshaller, decoder or fuzzer needs to know of one call; filled from calls.def. */
#define NPU_CALL_MAX_ARRAYS 3

struct npu_call_array {
	const char *member;
	__u32 offset; /* of the struct npu_array in the call's struct */
	__u32 elem_bytes; /* as this header knows the element */
	__u32 min_count;
	__u32 max_count;
	__u32 is_out; /* 0: IN */
	__u32 pad;
};

struct npu_call_desc {
	const char *name; /* "VM_BIND" */
	__u32 nr;
	__u32 struct_bytes; /* as this header knows it */
	__u32 min_bytes;
	__u32 is_inout; /* 0: the reply has no struct */
	__u32 array_count;
	__s32 fd_offset; /* of the member fd; -1: none */
	__u32 fd_is_out;
	__u32 pad;
	struct npu_call_array arrays[NPU_CALL_MAX_ARRAYS];
};

#define NPU_DIR_IS_INOUT_IN 0
#define NPU_DIR_IS_INOUT_INOUT 1
#define NPU_DIR_IS_OUT_IN 0
#define NPU_DIR_IS_OUT_OUT 1

/* Describes call nr (a call, not a wire verb). 0: there is no such call, *desc is untouched. */
static inline int npu_call_describe(__u32 nr, struct npu_call_desc *desc)
{
	struct npu_call_array *array = desc->arrays;

	switch (nr) {
#define NPU_CALL(number, NAME, name_, dir, least, doc)              \
	case number:                                                \
		desc->name = #NAME;                                 \
		desc->struct_bytes = sizeof(struct npu_##name_);    \
		desc->min_bytes = least;                            \
		desc->is_inout = NPU_DIR_IS_INOUT_##dir;            \
		break;
#include "spec/calls.def"
	default:
		return 0;
	}
	desc->nr = nr;
	desc->fd_offset = -1;
	desc->fd_is_out = 0;
	desc->pad = 0;
#define NPU_CALL_FD(NAME, name_, member_, dir)                                                 \
	if (nr == NPU_CALL_##NAME) {                                                           \
		desc->fd_offset = (__s32)__builtin_offsetof(struct npu_##name_, member_);      \
		desc->fd_is_out = NPU_DIR_IS_OUT_##dir;                                        \
	}
#define NPU_CALL_ARRAY(NAME, name_, member_, elem, least, most, dir)                           \
	if (nr == NPU_CALL_##NAME) {                                                           \
		array->member = #member_;                                                      \
		array->offset = __builtin_offsetof(struct npu_##name_, member_);               \
		array->elem_bytes = sizeof(struct elem);                                       \
		array->min_count = least;                                                      \
		array->max_count = most;                                                       \
		array->is_out = NPU_DIR_IS_OUT_##dir;                                          \
		array->pad = 0;                                                                \
		array++;                                                                       \
	}
#include "spec/calls.def"
	desc->array_count = (__u32)(array - desc->arrays);
	return 1;
}

#endif
