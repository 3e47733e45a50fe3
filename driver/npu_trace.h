/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Tracepoints: the life of a queue, mailbox commands, interrupts, binds and resets. Arguments are what a reader can
 * look up elsewhere: ids, numbers, epochs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM npu

#if !defined(NPU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define NPU_TRACE_H

#include <linux/tracepoint.h>

#include "npu_drv.h"

DECLARE_EVENT_CLASS(npu_queue,
		    TP_PROTO(const struct npu_queue *queue),
		    TP_ARGS(queue),
		    TP_STRUCT__entry(__field(u32, device)
				     __field(u32, id)
				     __field(u32, number)
				     __field(u32, state)
				     __field(s32, status)),
		    TP_fast_assign(__entry->device = queue->npu->index;
				   __entry->id = queue->id;
				   __entry->number = queue->number;
				   __entry->state = READ_ONCE(queue->state);
				   __entry->status = READ_ONCE(queue->status);),
		    TP_printk("accel%u id=%u number=%u state=%u status=%d",
			      __entry->device, __entry->id, __entry->number, __entry->state, __entry->status)
);

DEFINE_EVENT(npu_queue, npu_queue_create, TP_PROTO(const struct npu_queue *queue), TP_ARGS(queue));
DEFINE_EVENT(npu_queue, npu_queue_destroy, TP_PROTO(const struct npu_queue *queue), TP_ARGS(queue));
DEFINE_EVENT(npu_queue, npu_queue_dead, TP_PROTO(const struct npu_queue *queue), TP_ARGS(queue));

TRACE_EVENT(npu_fault,
	    TP_PROTO(const struct npu_device *npu, const struct npu_event_record *record),
	    TP_ARGS(npu, record),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u32, queue)
			     __field(u64, command)
			     __field(u64, dva)
			     __field(s32, status)
			     __field(u32, pc)),
	    TP_fast_assign(__entry->device = npu->index;
			   __entry->queue = record->queue;
			   __entry->command = record->value;
			   __entry->dva = record->address_dva;
			   __entry->status = record->status;
			   __entry->pc = record->pc;),
	    TP_printk("accel%u number=%u command=%llu status=%d dva=0x%llx pc=%u",
		      __entry->device, __entry->queue, __entry->command, __entry->status, __entry->dva, __entry->pc)
);

TRACE_EVENT(npu_mbox,
	    TP_PROTO(const struct npu_device *npu, u32 cmd, u64 arg0, int err),
	    TP_ARGS(npu, cmd, arg0, err),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u32, cmd)
			     __field(u64, arg0)
			     __field(int, err)),
	    TP_fast_assign(__entry->device = npu->index;
			   __entry->cmd = cmd;
			   __entry->arg0 = arg0;
			   __entry->err = err;),
	    TP_printk("accel%u cmd=%u arg0=0x%llx err=%d", __entry->device, __entry->cmd, __entry->arg0, __entry->err)
);

TRACE_EVENT(npu_irq,
	    TP_PROTO(const struct npu_device *npu, u32 vector),
	    TP_ARGS(npu, vector),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u32, vector)),
	    TP_fast_assign(__entry->device = npu->index;
			   __entry->vector = vector;),
	    TP_printk("accel%u vector=%u", __entry->device, __entry->vector)
);

TRACE_EVENT(npu_bind,
	    TP_PROTO(const struct npu_vm *vm, u32 ops, int err),
	    TP_ARGS(vm, ops, err),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u32, context)
			     __field(u32, ops)
			     __field(int, err)),
	    TP_fast_assign(__entry->device = vm->npu->index;
			   __entry->context = vm->context;
			   __entry->ops = ops;
			   __entry->err = err;),
	    TP_printk("accel%u context=%u ops=%u err=%d",
		      __entry->device, __entry->context, __entry->ops, __entry->err)
);

/* Before: err 1, epoch the old one. After: 0 or the error, epoch the new one. */
TRACE_EVENT(npu_reset,
	    TP_PROTO(const struct npu_device *npu, u32 cause, int err),
	    TP_ARGS(npu, cause, err),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u32, cause)
			     __field(u64, epoch)
			     __field(int, err)),
	    TP_fast_assign(__entry->device = npu->index;
			   __entry->cause = cause;
			   __entry->epoch = npu->epoch;
			   __entry->err = err;),
	    TP_printk("accel%u cause=%u epoch=%llu err=%d", __entry->device, __entry->cause, __entry->epoch, __entry->err)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE npu_trace
#include <trace/define_trace.h>
