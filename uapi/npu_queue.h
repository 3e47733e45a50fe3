/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Host and device share these bytes without a system call between: the ring of commands, the control block, the completion records.
 *
 * A queue has three pieces of memory, all in buffer objects of its owner:
 *   ring     2^n commands of 64 bytes (n = 6..16). Command number s (0, 1, 2, ...) lies in slot s mod 2^n.
 *   control  one page, struct npu_queue_ctrl
 *   records  2^n struct npu_completion right behind the control page; record s mod 2^n answers command s
 * and a 64-bit doorbell slot. The device trusts none of it: it copies each command once and checks the copy.
 *
 * Memory ordering. Producer: write the command, then store the new write index (number of commands ever submitted) into the doorbell with release. Device: load
 * the doorbell with acquire, copy the command; when the command has ended write its record, then store completed = s + 1 with release. Consumer: load completed
 * with acquire, then read records below it. A slot may be written again once completed has passed the command that used it and its record was read.
 * Commands of one queue run and complete in order.
 */
#ifndef NPU_UAPI_QUEUE_H
#define NPU_UAPI_QUEUE_H

#include <linux/types.h>

#define NPU_CMD_BYTES 64
#define NPU_RING_LOG2_MIN 6
#define NPU_RING_LOG2_MAX 16
#define NPU_CTRL_BYTES 4096
#define NPU_COMPLETION_BYTES 64
#define NPU_FENCE_WORDS 32
#define NPU_DOORBELL_PAGE_BYTES 4096
#define NPU_DOORBELL_SLOTS 512 /* 64-bit slots a page */

enum npu_cmd_op {
	NPU_CMD_NOP = 0,
	NPU_CMD_LAUNCH = 1,
	NPU_CMD_COPY = 2,
	NPU_CMD_FILL = 3,
	NPU_CMD_SEM_WAIT = 4,
	NPU_CMD_SEM_SIGNAL = 5,
	NPU_CMD_TIMESTAMP = 6,
	NPU_CMD_FENCE = 7, /* all earlier memory effects of this queue are visible to host and other queues */
	NPU_CMD_EXEC = 8, /* runs an indirect list of commands as one command of this queue */
	NPU_CMD_MODULE_LOAD = 9,
	NPU_CMD_MODULE_UNLOAD = 10,
	NPU_CMD_PRINT_BUFFER = 11, /* where kernels of later commands print to */
	NPU_CMD_COUNT = 12,
};

/* Every command begins so. flags: none are defined yet, must be 0. tag comes back in the record. */
struct npu_cmd {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 body[7];
};

struct npu_cmd_launch {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u32 module; /* from the record of MODULE_LOAD, same VM */
	__u32 kernel; /* index of the kernel's note in the blob */
	__u32 grid_x; /* work-groups, each >= 1; their product <= 2^31 */
	__u32 grid_y;
	__u32 grid_z;
	__u32 args_bytes; /* must equal the kernel's */
	__u64 args_dva; /* argument block, 8-byte aligned; copied once when the command starts */
	__u64 rsvd2[3];
};

/*
 * Copies depth slices of height rows of width_bytes. Pitches count from row to row and from slice to slice, in bytes, and must not let rows or slices of one
 * side overlap. Source and destination must not overlap. height = depth = 1: a linear copy, the pitches must be 0.
 */
struct npu_cmd_copy {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 src_dva;
	__u64 dst_dva;
	__u64 width_bytes;
	__u32 height;
	__u32 depth;
	__u32 src_pitch;
	__u32 dst_pitch;
	__u64 src_slice_pitch;
	__u64 dst_slice_pitch;
};

/* Fills height rows of width_bytes with a pattern of pattern_bytes (1, 2, 4, 8); dva, width and pitch are multiples of it. */
struct npu_cmd_fill {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 dst_dva;
	__u64 width_bytes;
	__u64 pattern;
	__u32 pattern_bytes;
	__u32 height; /* 1: the pitch must be 0 */
	__u64 dst_pitch;
	__u64 rsvd2[2];
};

enum npu_sem_op {
	NPU_SEM_WAIT_GE = 0, /* for SEM_WAIT; unsigned comparison */
	NPU_SEM_WAIT_EQ = 1,
	NPU_SEM_WAIT_NE = 2,
	NPU_SEM_SET = 0, /* for SEM_SIGNAL; a release store */
	NPU_SEM_ADD = 1, /* an atomic add */
};

/* SEM_WAIT and SEM_SIGNAL on a 64-bit word, 8-byte aligned. A waiting queue looks again whenever a doorbell of the device rings or a queue signals. */
struct npu_cmd_sem {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 sem_dva;
	__u64 value;
	__u32 sem_op;
	__u32 rsvd2;
	__u64 rsvd3[4];
};

/* Writes the device time in picoseconds (virtual time of this queue) as one 64-bit word. */
struct npu_cmd_timestamp {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 dst_dva;
	__u64 rsvd2[6];
};

/*
 * Runs count commands from list_dva (64-byte aligned). Not allowed inside: EXEC, MODULE_LOAD, MODULE_UNLOAD, PRINT_BUFFER. The first one that fails ends the list; the record of the EXEC
 * then carries that error and result = its index. records_dva: 0, or count x struct npu_completion to be written, seq = index.
 */
struct npu_cmd_exec {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 list_dva;
	__u64 records_dva;
	__u32 count;
	__u32 rsvd2;
	__u64 rsvd3[4];
};

/*
 * Loads the blob at blob_dva: the record's result is the module's number in this VM. MODULE_UNLOAD takes that number in `module`.
 * check_only = 1: makes every check of MODULE_LOAD and loads nothing.
 */
struct npu_cmd_module {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 blob_dva;
	__u64 blob_bytes;
	__u32 module;
	__u32 check_only;
	__u64 rsvd3[4];
};

/*
 * The print buffer at print_dva, for all launches that follow on this queue; 0 ends printing. It has 2^print_log2 records behind struct npu_print_ctrl, all in one piece of
 * memory, 64-byte aligned. Device: writes the records of a launch at its end, in order of work-groups, then stores `written` with release, before the launch is counted as
 * completed. What finds no room is counted in `dropped`. The command itself sets both to 0.
 */
struct npu_cmd_print_buffer {
	__u8 op;
	__u8 flags;
	__u16 rsvd;
	__u32 tag;
	__u64 print_dva;
	__u32 print_log2; /* NPU_PRINT_LOG2_MIN..MAX; 0 with print_dva 0 */
	__u32 rsvd2;
	__u64 rsvd3[5];
};

#define NPU_PRINT_LOG2_MIN 6
#define NPU_PRINT_LOG2_MAX 16
#define NPU_PRINT_ARGS 4
#define NPU_PRINT_GROUP_MAX 256 /* PRINTs of one work-group that are kept; the rest count as dropped */
#define NPU_PRINT_ASSERT 0x1 /* flag of a record: a CHECK that failed */
/*
 * Flag of a record: args are 32 bytes of a text about the fault of the launch, padded with zeros, to be put together in order of the records; format is 0. "@PC/LINE" in it
 * is an instruction and its line id. At most NPU_PRINT_REPORT_MAX records.
 */
#define NPU_PRINT_REPORT 0x2
#define NPU_PRINT_REPORT_MAX 16
#define NPU_ASSERT_FORMAT 0x100000000ull /* in the result of an assertion: the rest is the number of a format */

/* Host and device write different cache lines. Record n lies in slot n mod 2^print_log2. */
struct npu_print_ctrl {
	__u64 written; /* by the device: records so far */
	__u64 dropped; /* by the device: records that found no room */
	__u64 device_rsvd[6];
	__u64 read; /* by the user: records that may be overwritten */
	__u64 user_rsvd[7];
};

struct npu_print_record {
	__u64 seq; /* number of the command */
	__u32 format; /* number in the table of the blob */
	__u32 line; /* line id of the instruction */
	__u32 module;
	__u16 kernel;
	__u16 tile; /* in its work-group */
	__u32 group; /* linear work-group number */
	__u32 flags; /* NPU_PRINT_* */
	__u64 args[NPU_PRINT_ARGS];
};

enum npu_fault_access {
	NPU_ACCESS_NONE = 0,
	NPU_ACCESS_READ = 1,
	NPU_ACCESS_WRITE = 2,
	NPU_ACCESS_EXEC = 3,
};

/*
 * result of NPU_ST_KERNEL_RACE and NPU_ST_KERNEL_UNINITIALISED: the first byte of the scratchpad 31:0 | the other access, 0 when there is none: instruction 47:32,
 * engine 50:48, tile of the work-group 54:51, it writes 55 | enum npu_space 57:56
 */
#define NPU_CHECK_RESULT(offset, space, pc, engine, tile, writes)                                            \
	((__u64)(__u32)(offset) | ((__u64)((pc) & 0xffffu) << 32) | ((__u64)((engine) & 7u) << 48) |         \
	 ((__u64)((tile) & 0xfu) << 51) | ((__u64)((writes) ? 1 : 0) << 55) | ((__u64)((space) & 3u) << 56))
#define NPU_CHECK_OFFSET(r) ((__u32)(r))
#define NPU_CHECK_PC(r) ((__u32)((r) >> 32) & 0xffffu)
#define NPU_CHECK_ENGINE(r) ((__u32)((r) >> 48) & 7u)
#define NPU_CHECK_TILE(r) ((__u32)((r) >> 51) & 0xfu)
#define NPU_CHECK_WRITES(r) ((__u32)((r) >> 55) & 1u)
#define NPU_CHECK_SPACE(r) ((__u32)((r) >> 56) & 3u)

/* One record a command. For an error in a kernel all fields below tell where; a LAUNCH that succeeded has struct npu_launch_completion; else they are 0. */
struct npu_completion {
	__u64 seq; /* number of the command */
	__s32 status; /* enum npu_status */
	__u32 tag;
	__u64 start_ps; /* virtual time of the queue */
	__u64 end_ps;
	__u64 result; /* module number | fault address | trap or assert code | NPU_CHECK_RESULT | index in an EXEC list */
	__u32 pc; /* instruction index inside the kernel */
	__u32 line; /* line id of that instruction */
	__u32 module;
	__u16 kernel;
	__u16 tile; /* tile of the device */
	__u32 group; /* linear work-group number: x + grid_x (y + grid_y z) */
	__u8 access; /* enum npu_fault_access */
	__u8 engine; /* enum npu_engine */
	__u16 list_index; /* low 16 bits of the index inside an EXEC list */
};

/* The record of a LAUNCH with status NPU_ST_OK: what its work-groups did. */
struct npu_launch_completion {
	__u64 seq;
	__s32 status;
	__u32 tag;
	__u64 start_ps;
	__u64 end_ps;
	__u64 mac_ops; /* multiply-adds of the tensor units */
	__u64 hbm_read_bytes;
	__u64 hbm_write_bytes;
	__u32 tensor_ps_low; /* bits 31:0 of what mac_ops take when all tensor units work at the rates of the types they multiply; see NPU_TENSOR_PS */
	__u16 tensor_ps_high; /* bits 47:32. Both 0: mac_ops is 0, the device is older than uapi 1.5, or it does not fit */
	__u16 list_index;
};
#define NPU_TENSOR_PS_BITS 48
#define NPU_TENSOR_PS(low, high) ((__u64)(__u32)(low) | ((__u64)(__u16)(high) << 32))

enum npu_queue_state {
	NPU_QUEUE_STATE_READY = 0,
	NPU_QUEUE_STATE_SUSPENDED = 1,
	NPU_QUEUE_STATE_FAULTED = 2, /* stopped at the first command with an error */
	NPU_QUEUE_STATE_KILLED = 3, /* by the watchdog or an administrator */
	NPU_QUEUE_STATE_LOST = 4, /* by a device reset */
};

#define NPU_QUEUE_LIVE 1 /* an older device leaves 0 */

/* The control page. Host and device write different cache lines. */
struct npu_queue_ctrl {
	/* written by the user */
	__u64 interrupt_at; /* raise the queue's interrupt when completed >= this; 0 = never. Written before completed is read again (lost wake-up rule). */
	__u64 user_rsvd[7];
	/* written by the device */
	__u64 completed; /* commands that have ended, with success or error */
	__u64 fetched; /* commands that were copied out of the ring */
	__u64 error_seq; /* number of the first failed command; meaningful when error_status != 0 */
	__s32 error_status;
	__u32 state; /* enum npu_queue_state */
	__u64 time_ps; /* end of the last command */
	__u64 errors; /* commands that failed; more than 1 with NPU_QUEUE_FLAG_CONTINUE only. Written before completed. */
	__u64 device_rsvd[2];
	/* free words for fences and semaphores of the owner */
	__u64 fence[NPU_FENCE_WORDS];
	/* written by the device or the driver, where `state` is, right after it (uapi 1.6) */
	__u64 live; /* NPU_QUEUE_LIVE as long as the queue is not dead. Every submission looks at it: not on the line that each command writes. Else: see `state`. */
	__u64 live_rsvd[7];
	__u64 rsvd[512 - 24 - NPU_FENCE_WORDS];
};

#ifdef __cplusplus
#define NPU_QUEUE_ASSERT_SIZE(type, size) static_assert(sizeof(struct type) == (size), #type)
#else
#define NPU_QUEUE_ASSERT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#endif
NPU_QUEUE_ASSERT_SIZE(npu_cmd, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_launch, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_copy, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_fill, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_sem, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_timestamp, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_exec, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_module, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_cmd_print_buffer, NPU_CMD_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_print_ctrl, 128);
NPU_QUEUE_ASSERT_SIZE(npu_print_record, 64);
NPU_QUEUE_ASSERT_SIZE(npu_completion, NPU_COMPLETION_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_launch_completion, NPU_COMPLETION_BYTES);
NPU_QUEUE_ASSERT_SIZE(npu_queue_ctrl, NPU_CTRL_BYTES);

#endif
