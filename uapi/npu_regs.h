/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* PCI identity, BAR layout, registers, mailbox commands and event records; the numbers are in spec/regs.def. */
#ifndef NPU_UAPI_REGS_H
#define NPU_UAPI_REGS_H

#include <linux/types.h>

#define NPU_PCI_VENDOR 0x1234
#define NPU_PCI_DEVICE 0x4e50
#define NPU_PCI_CLASS 0x120000 /* processing accelerator */

#define NPU_BAR_REGS 0
#define NPU_BAR_HBM 2
#define NPU_BAR_MSIX 4

#define NPU_BAR0_DOORBELLS 0x100000 /* doorbell pages of 4096 bytes: 64-bit slots, write only */
#define NPU_BAR0_DOORBELL_PAGES_MAX 256
#define NPU_BAR0_BYTES (NPU_BAR0_DOORBELLS + NPU_BAR0_DOORBELL_PAGES_MAX * 4096)

enum npu_reg {
#define NPU_REG(offset, bits, NAME, access, reset, doc) NPU_REG_##NAME = offset,
#include "spec/regs.def"
};

enum npu_mbox {
#define NPU_MBOX(code, NAME, doc) NPU_MBOX_##NAME = code,
#include "spec/regs.def"
};
#define NPU_MBOX_BUSY 1

enum npu_device_status {
	NPU_DEVICE_STATUS_ROM = 0,
	NPU_DEVICE_STATUS_BOOTING = 1,
	NPU_DEVICE_STATUS_READY = 2,
	NPU_DEVICE_STATUS_FAILED = 3,
};

enum npu_platform {
	NPU_PLATFORM_SILICON = 0,
	NPU_PLATFORM_EMULATOR = 1,
	NPU_PLATFORM_MODEL = 2,
};

/* IRQ bits; vector = bit number */
#define NPU_IRQ_EVENT 0x1u /* a record was written to the event ring */
#define NPU_IRQ_MAILBOX 0x2u /* a mailbox command has ended */
#define NPU_IRQ_QUEUE 0x4u /* some queue passed its interrupt_at; which ones: the event ring */
#define NPU_IRQ_ERROR 0x8u /* a record was written to the error ring */
#define NPU_IRQ_ALL 0xfu
#define NPU_MSIX_VECTORS 16

/* bits of CONTROL */
#define NPU_CONTROL_RESET 0x1u
#define NPU_CONTROL_BOOT 0x2u

/* FW_ABI of the firmware that this header describes. A driver accepts any minor of a major that it knows. */
#define NPU_FW_ABI_MAJOR 1
#define NPU_FW_ABI_MINOR 2
#define NPU_FW_MAX_BYTES (4u << 20)

enum npu_event_type {
	NPU_EVENT_NONE = 0,
	NPU_EVENT_COMPLETION = 1, /* queue reached interrupt_at; value = completed */
	NPU_EVENT_QUEUE_FAULT = 2, /* queue stopped; value = number of the command, status, address and place as in its completion record */
	NPU_EVENT_OVERFLOW = 3, /* records before this one were lost */
	NPU_EVENT_COMMAND_FAULT = 4, /* as QUEUE_FAULT, of a queue that goes on after errors */
	NPU_EVENT_PORT_STATE = 5, /* `queue` is the number of a port, value its enum npu_port_state from now on */
};

/* Record n lies in slot n mod entries. Written whole, then seq = n + 1 with release. */
struct npu_event_record {
	__u64 seq;
	__u32 type; /* enum npu_event_type */
	__u32 queue;
	__u64 value;
	__s32 status; /* enum npu_status */
	__u32 pc;
	__u64 address_dva;
	__u32 module;
	__u16 kernel;
	__u16 tile;
	__u32 line;
	__u8 access;
	__u8 engine;
	__u16 context;
	__u64 group;
};

enum npu_severity {
	NPU_SEVERITY_CORRECTED = 0, /* nothing was lost */
	NPU_SEVERITY_RECOVERABLE = 1, /* some work was or will be lost; the device goes on */
	NPU_SEVERITY_FATAL = 2, /* nothing runs before a device reset */
};

enum npu_error_type {
#define NPU_ERROR(nr, NAME, key, severity, doc) NPU_ERROR_##NAME = nr,
#include "spec/ras.def"
};

enum npu_inject {
#define NPU_INJECT(nr, NAME, key, doc) NPU_INJECT_##NAME = nr,
#include "spec/ras.def"
};

/* Record n lies in slot n mod entries. Written whole, then seq = n + 1 with release, as an event record. */
struct npu_error_record {
	__u64 seq;
	__u32 type; /* enum npu_error_type */
	__u32 severity; /* enum npu_severity */
	__u64 time_ps; /* TIME_PS */
	__u64 address; /* as the row of the type says; ~0: none */
	__u32 unit; /* tile or HBM stack; ~0: none */
	__u32 count; /* errors that this record stands for */
	__u64 info[3];
};

#ifdef __cplusplus
static_assert(sizeof(struct npu_error_record) == 64, "npu_error_record");
#else
_Static_assert(sizeof(struct npu_error_record) == 64, "npu_error_record");
#endif

#ifdef __cplusplus
static_assert(sizeof(struct npu_event_record) == 64, "npu_event_record");
#else
_Static_assert(sizeof(struct npu_event_record) == 64, "npu_event_record");
#endif

#endif
