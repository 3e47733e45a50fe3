/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of the driver share: the objects, their locks, and each file's entry points.
 *
 * DOC: objects and lifetimes
 *
 * npu_device  one PCI function. Embeds the drm_device, so it lives until the last open file is gone, long after
 *             remove() when need be. Whoever touches the hardware is inside drm_dev_enter().
 * npu_file    one open file. Owns ids of its address spaces and queues, its doorbell page, its events.
 * npu_user    one uid on one device: the sums that quotas look at.
 * npu_bo      a GEM object: system memory, HBM, memory of a process, or an import.
 * npu_vm      a device address space: a drm_gpuvm and page tables in HBM. Refcounted; queues hold it.
 * npu_queue   a user-mode queue. Refcounted; the file's id, the device's number table and every sleeper hold it.
 *
 * DOC: locks, outermost first
 *
 *   reset_mutex             one reset, or half of one, at a time
 *   reset_lock (rwsem)      read: every call that uses hardware state; write: the reset worker. Never held over a wait
 *                           for the device's work. Taken in npu_enter(), nowhere else.
 *   npu_file.lock           id tables of one file
 *   npu_file.read_lock      one reader of events; nothing of ours below it
 *   npu_copy_job.map_lock   what is in the windows of one copy
 *   npu_vm.lock             the gpuvm and page tables of one address space
 *   drm_gem_object.resv     pages and mappings of one object
 *   copy.lock               the driver's own queue
 *   retire.step             gives back what the device let go of; held while that runs, so around the three below
 *   tables.lock             pieces of HBM for page tables
 *   hbm.lock                the allocator of device memory
 *   retire.lock             memory that waits for the device to let go of it; leaf
 *   mbox.lock (mutex)       one mailbox command at a time
 *   npu_queue.lock          one queue's place on the device; around mbox.lock
 *   events.lock             the event ring; around copy.lock and queues_lock
 *   queues_lock (spinlock, irq)   number -> queue, states, sleepers. Innermost; taken by the interrupt thread.
 *   events_lock (spinlock)  list of files that want events
 *   ports.lock              the buffer in which the device describes a port; around mbox.lock
 *   ports.changes_lock (spinlock)  changes of links on their way to files; leaf
 *
 * mmap_lock of a process may be held around drm_gem_object.resv (page faults) and around no other lock here, so nothing
 * above resv may touch user memory while it is held.
 */
#ifndef NPU_DRV_H
#define NPU_DRV_H

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gpuvm.h>
#include <drm/drm_print.h>

#include "npu_compat.h"
#include "uapi/npu_accel.h"
#include "uapi/npu_metrics.h"
#include "uapi/npu_pagetable.h"
#include "uapi/npu_regs.h"
#include "uapi/npu_status.h"
#include "uapi/npu_validate.h"

struct npu_bo;
struct npu_coredump;
struct npu_file;
struct npu_queue;
struct npu_vm;

/* Where the doorbell page of a file lies in its mmap space: above everything that DRM hands out. */
#define NPU_MMAP_DOORBELL (1ULL << 56)

/* Entries of the rings that the device writes; powers of two. */
#define NPU_EVENT_ENTRIES 4096u
#define NPU_ERROR_ENTRIES 256u
#define NPU_PORT_CHANGES 256u /* changes of links that wait to be sent; a power of two */

/* Limits of one open file, beside those that the device sets (npu_query.c). */
#define NPU_FILE_QUEUES_MAX 256u
#define NPU_FILE_VMS_MAX 32u
#define NPU_FILE_BOS_MAX 30000u
#define NPU_FILE_NOTIFIES_MAX 1024u
#define NPU_FILE_PERF_MAX 16u
#define NPU_TIMEOUT_MS_DEFAULT 3600000u
#define NPU_TIMEOUT_MS_MAX 86400000u

/* ------------------------------------------------------------------------------------------------- device -- */
enum npu_state {
	NPU_STATE_READY = 0,
	NPU_STATE_RESETTING, /* calls that need hardware wait in npu_enter() */
	NPU_STATE_WEDGED, /* resets failed: EIO until the module is loaded again */
	NPU_STATE_GONE, /* unplugged: ENODEV */
};

/* What one uid holds on one device. Counters are atomics: charged and refunded from any context. */
struct npu_user {
	struct kref ref;
	struct list_head link; /* npu_device.users */
	kuid_t uid;
	atomic64_t hbm_bytes;
	atomic64_t system_bytes;
	atomic64_t queues;
	atomic64_t vms;
	atomic64_t copy_jobs; /* npu_copy.c: under way */
	atomic64_t copy_bytes; /* mapped for them */
};

enum npu_resource {
	NPU_RES_HBM,
	NPU_RES_SYSTEM,
	NPU_RES_QUEUES,
	NPU_RES_VMS,
};

/* Identity and sizes, read once from registers and mailbox after boot. */
struct npu_identity {
	char name[NPU_NAME_BYTES];
	u8 uuid[NPU_UUID_BYTES];
	u8 fw_build_id[16];
	u32 abi; /* register ABI */
	u32 fw_abi;
	u32 isa;
	u32 platform;
	u32 clusters, tiles_per_cluster;
	u32 l1_bytes, l2_bytes, acc_bytes;
	u32 core_clock_khz, hbm_clock_khz;
	u32 max_queues, max_contexts, doorbell_pages;
	u32 ports;
	u64 hbm_bytes;
};

/* Memory given back only when the device has let go of it: npu_retire.c. */
struct npu_retire {
	struct mutex step; /* one look at a time; guards waiting. Around the mailbox and every fn() */
	struct mutex lock; /* guards fresh, stuck and stopped; leaf */
	struct list_head fresh; /* no ticket yet */
	struct list_head waiting; /* by ticket, ascending */
	struct list_head stuck; /* only a reset frees it */
	bool stopped; /* for good: nothing waits any more */
	unsigned int delay_ms; /* work only: until its next look */
	struct delayed_work work;
};

/* Pieces of HBM for page tables: npu_hbm.c. */
#define NPU_TABLE_DAMAGES 64
struct npu_tables {
	struct mutex lock; /* guards all of it but the damages; the words of a piece belong to its owner */
	struct xarray chunks; /* HBM offset / 64 KiB -> npu_table_chunk */
	struct list_head partial[NPU_PT_SIZE_CLASSES]; /* chunks with a free piece */
	u64 generation; /* +1 when everything is forgotten; written under reset_lock (write) */
	u64 damages[NPU_TABLE_DAMAGES]; /* HBM offsets of errors that nobody has looked at; guarded by hbm_mm.lock */
	u32 damage_count; /* likewise */
	u32 mended; /* lines written again */
	struct work_struct mend_work;
};

struct npu_port_change {
	u32 port;
	u32 state; /* enum npu_port_state */
};

struct npu_copy; /* the driver's own queue: npu_copy.c */

/* Answers of the mailbox command METRIC, kept for a moment: a reader that asks often must not fill the mailbox. */
struct npu_metric_cache {
	struct mutex lock; /* guards the rows; around mbox.lock */
	struct {
		ktime_t at; /* 0: never */
		struct npu_metric metric;
	} rows[NPU_METRIC_COUNT];
};

/* What the watchdog remembers from one look to the next. */
struct npu_watch {
	ktime_t looked_at;
	u32 heartbeat;
	ktime_t heartbeat_since;
	unsigned long next_number; /* queue to go on with */
	bool busy;
};

struct npu_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *regs; /* BAR0 */
	phys_addr_t regs_phys;
	void __iomem *hbm; /* BAR2, write-combining */
	phys_addr_t hbm_phys;
	u64 hbm_cpu_bytes; /* how much of the HBM BAR2 shows */

	struct npu_identity id;
	struct npu_limits limits; /* of one open file; constant after probe */
	u32 index;

	/*
	 * Written under reset_mutex; by others than RESETTING, and the epoch, under reset_lock (write) too. Read anywhere with READ_ONCE. RESETTING may
	 * begin while calls are inside npu_enter(): their mailbox then answers -EIO, and no more of them come.
	 */
	enum npu_state state;
	u64 epoch;
	u32 reset_cause; /* enum npu_reset_cause of the last one */
	u32 resets_failed; /* in a row */
	struct mutex reset_mutex; /* a whole reset, or a half of one; around everything */
	struct rw_semaphore reset_lock;
	wait_queue_head_t state_wait; /* npu_enter() while RESETTING */
	struct work_struct reset_work;
	struct delayed_work watchdog_work;
	struct workqueue_struct *wq; /* unbound; resets, watchdog, retire */
	ktime_t boot_time;

	struct {
		struct mutex lock; /* one command at a time; leaf */
		struct completion done;
		bool dead; /* a command did not answer: only a reset helps */
	} mbox;

	struct {
		struct mutex lock; /* guards head: two vectors and the watchdog drain. Never held over vm.lock or memory that may wait */
		struct npu_event_record *records;
		dma_addr_t iova;
		u64 head;
	} events;

	struct {
		struct npu_error_record *records;
		dma_addr_t iova;
		u64 head;
		struct mutex lock; /* log and counters */
		struct npu_error_record log[64]; /* the newest, slot = total % 64 */
		u64 total;
		u64 sbe, dbe;
		u32 retired_pages;
		struct list_head bad_pages; /* guarded by hbm_mm.lock; npu_hbm.c */
	} ras;

	struct {
		struct mutex lock; /* one question at a time: guards what is in info */
		struct npu_port_info *info; /* written by the device */
		dma_addr_t iova;
		spinlock_t changes_lock; /* guards the rest */
		struct npu_port_change changes[NPU_PORT_CHANGES]; /* slot = number % NPU_PORT_CHANGES */
		u32 noted, taken; /* numbers of changes; they wrap */
		bool lost; /* since the last one was taken */
		struct work_struct work;
	} ports;

	struct {
		struct mutex lock;
		struct gpu_buddy mm;
		u64 bytes; /* managed */
		u64 object_bytes; /* held by objects of users */
		bool ready;
	} hbm_mm;
	struct npu_tables tables;

	struct ida contexts; /* device context numbers; 0 is the driver's own */
	struct ida doorbell_pages; /* 0 is the driver's own */

	spinlock_t queues_lock; /* guards `queues`, and state and lists of each queue */
	struct xarray queues; /* device number -> npu_queue */
	struct ida queue_numbers;
	wait_queue_head_t any_progress; /* waits on words that no queue announces */

	struct mutex doorbell_lock; /* guards what doorbell mappings show; leaf, taken under mmap_lock */
	struct mutex perf_lock; /* guards npu_file.perfs; leaf */
	struct npu_metric_cache metrics;
	struct {
		enum npu_reset_cause cause; /* asked for by npu_reset_schedule() */
		struct npu_queue *guilty; /* a reference */
		bool asked;
	} reset_request; /* guarded by queues_lock */
	struct npu_watch watch; /* watchdog only */

	struct mutex files_lock; /* guards files */
	struct list_head files;
	spinlock_t events_lock; /* guards npu_file.event_mask and sends */

	struct mutex users_lock;
	struct list_head users;

	struct npu_retire retire;
	struct npu_copy *copy;
	struct npu_coredump *coredump; /* snapshot being taken */
	struct device *hwmon;

	atomic64_t faults;
	atomic64_t irqs; /* interrupts handled */
	bool irqs_on; /* npu_irq_enable() was called; probe, reset worker and power management, one after another */
	bool bus_lost; /* the PCI core says so: registers answer nothing */
	struct pci_saved_state *config; /* of the PCI function, as probe left it */
	bool slot_lost; /* stopped by an error of the bus, whose recovery has not ended; callbacks of the PCI core only */
	struct delayed_work slot_work; /* npu_pci.c: it has not ended for too long */
	atomic_t objects; /* BOs that exist, for the census */
	atomic_t vms;
	atomic_t live_queues;
	atomic_t mappings; /* gpuvas */
};

static inline struct npu_device *to_npu(struct drm_device *drm)
{
	return container_of(drm, struct npu_device, drm);
}

/* One open file. */
struct npu_file {
	struct npu_device *npu;
	struct drm_file *drm_file;
	struct npu_user *user;
	struct list_head link; /* npu_device.files */
	struct mutex lock; /* guards the id tables and doorbell page below */
	struct mutex read_lock; /* one reader of events at a time; outside every other lock, held while it waits */
	struct xarray vms; /* id -> npu_vm, from 1 */
	u32 next_vm; /* ids are not used again soon; under lock */
	struct xarray queues; /* id -> npu_queue, from 1 */
	u32 next_queue; /* ids are not used again soon; under lock */
	atomic_t queue_count;
	bool awake; /* holds an npu_pm_get() */
	struct mutex notify_lock; /* guards notifies, notify_count, polled; around npu_queue.notify_lock */
	struct xarray notifies; /* cookie is a key of ours; npu_wait.c */
	u32 notify_count;
	struct list_head polled; /* npu_notify_entry.link of words that no queue announces */
	unsigned int poll_ms;
	struct delayed_work poll_work; /* looks at them */
	struct list_head perfs; /* npu_perf.file_link */
	atomic_t perf_streams;
	atomic_t bos;

	int doorbell_page; /* device page; < 0: none yet. Written once, under npu_device.doorbell_lock */
	struct page *doorbell_dummy; /* what its mappings show while the device is away */
	DECLARE_BITMAP(doorbell_slots, NPU_DOORBELL_SLOTS);

	u64 event_mask; /* guarded by npu_device.events_lock */
	bool events_lost;

	/* What ended queues did; those that live are added when somebody asks. */
	u64 ended_commands;
	u64 ended_busy_ns;
	atomic64_t hbm_bytes;
	atomic64_t system_bytes;
};

/*
 * npu_enter(): the one way from a call to the hardware. Waits for a reset to end, takes reset_lock (read), enters the drm_dev section.
 * The device is awake: the open file keeps it so. User memory is touched before or afterwards: it may never come (FUSE, userfaultfd), and a
 * reset would wait for it. 0, -ENODEV (gone), -EIO (wedged), -ERESTARTSYS. *idx is for npu_leave(). A call that sleeps for the device's work leaves first.
 * It does not nest: a second down_read behind a waiting writer would never return.
 */
int npu_enter(struct npu_device *npu, int *idx);
/* Signals do not end it: for the end of a file, whose process may have been killed. */
int npu_enter_always(struct npu_device *npu, int *idx);
/* Does not wait: -EAGAIN while a reset runs. */
int npu_enter_try(struct npu_device *npu, int *idx);
void npu_leave(struct npu_device *npu, int idx);
/* A call that a reset cut short: the mailbox was dead to it, though the device will be well. Asked before npu_leave(). */
static inline bool npu_cut_short(struct npu_device *npu, int err)
{
	return err == -EIO && READ_ONCE(npu->state) == NPU_STATE_RESETTING;
}

/* ------------------------------------------------------------------------------------------------ npu_drv.c -- */
extern const struct drm_driver npu_drm_driver;
extern struct pci_driver npu_pci_driver; /* npu_pci.c; registered by npu_drv.c */
/* Locks, lists and tables of npu_device; the first thing after devm_drm_dev_alloc(). Freed with the drm_device. 0 or -ENOMEM. */
int npu_device_init(struct npu_device *npu);
/* Array `array` of a call, element by element, with the E2BIG rule; `known` is sizeof the element here. */
int npu_array_get(const struct npu_array *array, u32 i, void *elem, size_t known);
int npu_array_put(const struct npu_array *array, u32 i, const void *elem, size_t known);
int npu_user_get(struct npu_device *npu, kuid_t uid, struct npu_user **out);
void npu_user_put(struct npu_device *npu, struct npu_user *user);
/* -EDQUOT when the file, or its user (half the device unless root), would pass its limit. */
int npu_charge(struct npu_file *file, enum npu_resource res, u64 amount);
void npu_refund(struct npu_device *npu, struct npu_user *user, enum npu_resource res, u64 amount);

/* Calls: int npu_<name>_ioctl(struct drm_device *, void *args, struct drm_file *), one for each row of calls.def. */
#define NPU_CALL(nr, NAME, name, dir, min_bytes, doc) \
	int npu_##name##_ioctl(struct drm_device *drm, void *data, struct drm_file *drm_file);
#include "uapi/spec/calls.def"

/* ------------------------------------------------------------------------------------------------ npu_pci.c -- */
int npu_irq_init(struct npu_device *npu);
void npu_slot_work(struct work_struct *work); /* of npu_device.slot_work */
/* Masks vectors and waits until no handler runs; the reset worker calls it. Both may be called twice. */
void npu_irq_disable(struct npu_device *npu);
void npu_irq_enable(struct npu_device *npu);
/* For who must not wake the device (sysfs, hwmon): false when it sleeps. True: it stays awake until npu_pm_put(). */
bool npu_pm_get_if_awake(struct npu_device *npu);
/* Wakes it: an open file holds one. 0 or a negative errno. Takes the reset_lock when it must boot, so without it. */
int npu_pm_get(struct npu_device *npu);
void npu_pm_put(struct npu_device *npu);

/* ----------------------------------------------------------------------------------------------- npu_mbox.c -- */
/*
 * Runs one mailbox command. 0 and *result, or a negative errno made of the status: NOT_FOUND -ENOENT, BUSY -EBUSY, OUT_OF_* -ENOSPC, argument
 * errors -EINVAL, NOT_INITIALIZED and silence -EIO. After silence (deadline scaled by the platform) the mailbox is dead and a reset was asked for.
 */
int npu_mbox(struct npu_device *npu, enum npu_mbox cmd, const u64 *args, u32 nargs, u64 *result);
#define npu_mbox_call(npu, cmd, result, ...)                                              \
	({                                                                                 \
		const u64 args_[] = { __VA_ARGS__ };                                       \
		npu_mbox(npu, cmd, args_, ARRAY_SIZE(args_), result);                      \
	})
/*
 * As npu_mbox(), but -ETIME after `ms` (scaled) without an answer, and the mailbox stays alive: for QUEUE_SUSPEND, whose answer may take as long as a
 * command runs. The next command takes its answer away, not its effect.
 */
int npu_mbox_try(struct npu_device *npu, enum npu_mbox cmd, const u64 *args, u32 nargs, u64 *result, unsigned int ms);
void npu_mbox_irq(struct npu_device *npu);
void npu_mbox_revive(struct npu_device *npu); /* after a reset */

/* ------------------------------------------------------------------------------------------------- npu_fw.c -- */
/* Firmware file, boot handshake, ABI check. On success id is filled and the device is READY. -EPROTO: another ABI; -EIO: it does not boot. */
int npu_fw_boot(struct npu_device *npu);
/* Leaves the device in its ROM: whatever ran has ended and touches no memory. An error: it did not say so. */
int npu_fw_reset_device(struct npu_device *npu);
/* Milliseconds for the hardware to do something that takes silicon `ms`. */
unsigned int npu_scaled_ms(struct npu_device *npu, unsigned int ms);

/* ------------------------------------------------------------------------------------------------ npu_hbm.c -- */
/* A piece of HBM: a list of buddy blocks. */
struct npu_hbm {
	struct list_head blocks; /* struct gpu_buddy_block.link */
	u64 bytes;
};
#define NPU_HBM_CONTIGUOUS 1u
int npu_hbm_init(struct npu_device *npu);
/* No more allocations. Objects may outlive it: the allocator itself goes with the drm_device. */
void npu_hbm_fini(struct npu_device *npu);
/*
 * Cleared memory; its beginning is a multiple of `align` (0: 64 KiB), and so is every block when `bytes` is a multiple of it too. Inside npu_enter() or
 * the reset lock; not under resv or copy.lock, since it may wait for the device to let go of other memory. -ENOSPC, -ENOMEM, -EIO, -EINTR (killed).
 */
int npu_hbm_alloc(struct npu_device *npu, u64 bytes, u64 align, u32 flags, struct npu_hbm *out);
/* At once: the device must have let go of it (npu_retire() otherwise). */
void npu_hbm_free(struct npu_device *npu, struct npu_hbm *hbm);
/* largest_free: the largest object that would fit; in pieces, so all of it. */
void npu_hbm_stats(struct npu_device *npu, u64 *free_bytes, u64 *largest_free);
/* Takes the 64 KiB page at offset out of use: now when it is free, else when its owner frees it. */
void npu_hbm_retire_page(struct npu_device *npu, u64 offset);
u64 npu_hbm_block_offset(struct npu_device *npu, struct gpu_buddy_block *block);
u64 npu_hbm_block_bytes(struct npu_device *npu, struct gpu_buddy_block *block);
/* Page tables: pieces of 4096, 256 and 128 bytes. */
int npu_table_alloc(struct npu_device *npu, u32 bytes, u64 *offset);
void npu_table_free(struct npu_device *npu, u64 offset, u32 bytes);
/* One word of a table that the caller owns: NULL for an offset that is no table. Reads and writes of the driver go to its own copy. */
u64 *npu_table_word(struct npu_device *npu, u64 offset);
/*
 * The same for a table that was taken out: its copy is the caller's to keep something in, and is not what the device's memory is mended from.
 */
u64 *npu_table_take_copy(struct npu_device *npu, u64 offset);
/* Stores it for the device too; what was stored before is visible to the device before a pointer to a table is. */
void npu_table_write(struct npu_device *npu, u64 offset, u64 value);
/*
 * Forgets everything: after a device reset the content and all owners are void. Whatever waits in npu_retire.c is given back first. The device is stopped,
 * reset_lock is held (write).
 */
void npu_table_reset(struct npu_device *npu);
/* An uncorrectable error at offset: what it destroyed of a table is written again, later. Any thread. */
void npu_table_damaged(struct npu_device *npu, u64 offset);

/* --------------------------------------------------------------------------------------------- npu_retire.c -- */
void npu_retire_init(struct npu_device *npu);
void npu_retire_fini(struct npu_device *npu); /* the device is stopped: frees everything, and from then on at once */
/*
 * npu_retire(): calls fn() once every access that began before now has ended (mailbox QUIESCE). May be called with vm.lock and resv held. fn() runs in
 * process context, perhaps under somebody's vm.lock: it takes no lock from vm.lock outwards, nor copy.lock.
 */
struct npu_retired {
	struct list_head link;
	u64 ticket;
	void (*fn)(struct npu_device *npu, struct npu_retired *self);
};
void npu_retire(struct npu_device *npu, struct npu_retired *what);
/* The same for what the device did not confirm to have forgotten: waits for its next reset, or its end. */
void npu_retire_at_reset(struct npu_device *npu, struct npu_retired *what);
/* Waits a moment for everything retired so far. Inside npu_enter(); not under resv, copy.lock or tables.lock. */
void npu_retire_flush(struct npu_device *npu);
/* Waits until every access that began before has ended, at most until `deadline` (jiffies). Inside npu_enter(). */
void npu_retire_quiesce(struct npu_device *npu, unsigned long deadline);
/* At once, the device being stopped. */
void npu_retire_all(struct npu_device *npu);

/* ------------------------------------------------------------------------------------------------- npu_vm.c -- */
struct npu_vm {
	struct drm_gpuvm base; /* its refcount is the object's */
	struct npu_device *npu;
	struct npu_user *user; /* charged for it; NULL: the driver's own */
	struct mutex lock; /* guards gpuvm tree, page tables, pins, faults */
	u64 serial; /* of no other VM, ever: whoever remembers it needs no reference */
	u32 context; /* device context number; 0: the driver's own */
	bool has_context; /* the device knows it */
	bool has_root;
	bool ended; /* VM_DESTROY or close came: nothing can be mapped any more */
	u64 va_end;
	u64 root; /* HBM offset of the root table */
	struct npu_pt_ops pt;
	struct npu_file *charging; /* pays for tables during a call */
	u64 table_bytes;
	u64 mapped_bytes;
	u64 epoch; /* of its creation; another epoch than the device's: LOST */
	u64 generation; /* npu_tables.generation of its tables; another one: they are void */
	u64 kept_end; /* the driver's own: tables below it are never given back */
	u32 reads; /* of table words: a long walk gives the CPU away now and then */
	struct list_head pins; /* ranges of rings and control blocks of live queues */
	struct list_head dropped; /* npu_va.link: unmapped, and the device may not know yet */
	struct list_head freed_tables; /* npu_freed_table.retired.link: likewise */
	struct npu_retired remains; /* what is left when the device does not let go */
	struct npu_fault faults[NPU_MAX_FAULTS]; /* newest at (total - 1) % MAX */
	u64 faults_total;
	atomic_t users; /* queues; raised under lock when not `ended` */
};
#define NPU_EPOCH_NONE U64_MAX /* of a VM that is given up: LOST */

/* npu_mmu.c: page tables of a VM. vm.lock held, inside npu_enter(), unless it says otherwise. */
int npu_mmu_create(struct npu_vm *vm); /* root table, context of the device */
/* Takes the context off the device and its tables away. hw: the device can be reached. False: the device did not confirm. */
bool npu_mmu_destroy(struct npu_vm *vm, bool hw);
bool npu_mmu_valid(const struct npu_vm *vm); /* its tables exist */
int npu_mmu_prepare(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes, u32 bind_flags); /* bo NULL: unmap */
int npu_mmu_commit(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes, u32 bind_flags);
void npu_mmu_compact(struct npu_vm *vm, u64 dva, u64 bytes);
/* Everything written so far is what the device uses; tables that were taken out are retired. flush: something was unmapped. -EIO: the VM is given up. */
int npu_mmu_publish(struct npu_vm *vm, bool flush);
/* Makes it LOST at once and asks for a reset: device and driver disagree about it. */
void npu_mmu_give_up(struct npu_vm *vm);
struct npu_vm *npu_vm_alloc(struct npu_device *npu, u64 va_end);

static inline struct npu_vm *npu_vm_get(struct npu_vm *vm)
{
	drm_gpuvm_get(&vm->base);
	return vm;
}

static inline void npu_vm_put(struct npu_vm *vm)
{
	drm_gpuvm_put(&vm->base);
}

/* A reference, or NULL. */
struct npu_vm *npu_vm_lookup(struct npu_file *file, u32 id);
void npu_vm_close_all(struct npu_file *file);
static inline bool npu_vm_lost(const struct npu_vm *vm)
{
	return vm->epoch != READ_ONCE(vm->npu->epoch);
}

struct npu_vm_pin {
	struct list_head link;
	u64 dva, bytes;
};
/* All of it is mapped; false once VM_DESTROY has come. vm.lock held. */
bool npu_vm_covers(struct npu_vm *vm, u64 dva, u64 bytes);
/* [dva, dva + bytes) is writable and shows the object from offset on, without gap. vm.lock held. */
bool npu_vm_maps(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes);
bool npu_vm_pinned(struct npu_vm *vm, u64 dva, u64 bytes);
void npu_vm_pin(struct npu_vm *vm, struct npu_vm_pin *pin);
void npu_vm_unpin(struct npu_vm *vm, struct npu_vm_pin *pin); /* takes vm.lock */
/* Keeps a copy; reason is worked out from what is mapped when it is NONE. Takes vm.lock. */
void npu_vm_record_fault(struct npu_vm *vm, struct npu_fault *fault);
/* The driver's own address space: maps [0, hbm_bytes) of HBM at NPU_KERNEL_HBM_DVA. Context 0. */
#define NPU_KERNEL_HBM_DVA (1ULL << 46)
int npu_vm_create_kernel(struct npu_device *npu, struct npu_vm **out);
/*
 * Unmaps an object wherever it is mapped; LOST, so that nobody binds it again. Inside npu_enter() of its device. True:
 * it was mapped somewhere.
 */
bool npu_vm_forget_object(struct npu_bo *bo);
/* Maps DMA addresses of an object's range at dva in the driver's own address space, and takes it out again. */
int npu_vm_kernel_map(struct npu_vm *vm, struct npu_bo *bo, u64 offset, u64 dva, u64 bytes);
void npu_vm_kernel_unmap(struct npu_vm *vm, u64 dva, u64 bytes);

/* ------------------------------------------------------------------------------------------------- npu_bo.c -- */
/*
 * Of DMA mappings. The device is coherent, so there is nothing to sync; and two objects may show one page: memory of a
 * process that is named twice, HBM of a peer that two files import.
 */
#define NPU_BO_DMA_ATTRS DMA_ATTR_SKIP_CPU_SYNC

enum npu_bo_kind {
	NPU_BO_KIND_SYSTEM, /* pages of the shmem file of the GEM object */
	NPU_BO_KIND_HBM,
	NPU_BO_KIND_USERPTR,
	NPU_BO_KIND_IMPORT, /* sg table of another driver's dma-buf */
};

/* A run of an object that is contiguous for the device; it ends where the next one begins. */
struct npu_bo_run {
	u64 start; /* in the object */
	u64 address; /* HBM offset or DMA address */
};

struct npu_bo {
	struct drm_gem_object base;
	enum npu_bo_kind kind;
	u32 flags; /* NPU_BO_* of the uapi */
	u32 caching; /* enum npu_caching, never DEFAULT */
	bool readonly; /* the device may not write */
	u64 epoch; /* HBM: of its creation */
	struct npu_user *user; /* charged, until its last reference; NULL: imported, or the driver's own */
	bool counted; /* in npu_device.objects, until its memory is gone */
	u64 exclusive_vm; /* npu_vm.serial of the only VM that may map it; 0: any */
	char label[NPU_LABEL_BYTES]; /* under base.resv */

	/* Constant from creation on. run_count + 1 entries, the last one is the end of the object */
	struct npu_bo_run *runs;
	u32 run_count;

	/* SYSTEM, USERPTR, IMPORT; constant from creation on, but for what npu_bo_unplug() undoes */
	struct page **pages; /* not of an IMPORT */
	struct sg_table *sgt; /* DMA mapped while `link` is in the list */
	void *vaddr; /* of a SYNC object */
	struct list_head link; /* npu_bo.c: objects with a DMA mapping, of all devices */
	struct mm_struct *mm; /* USERPTR: whose pinned_vm counts the pages */
	struct file *dmabuf; /* IMPORT: its resv is ours too */
	struct npu_device *peer; /* IMPORT of HBM of that device, which the dma-buf keeps; else NULL */
	bool revoked; /* the peer's memory has gone: LOST. Written under resv */

	struct npu_hbm hbm; /* HBM */
	struct page *dummy; /* what CPU mappings show in place of HBM that is not there; set once, by cmpxchg */
	struct npu_retired retired; /* the way back of its memory */
	struct work_struct free_work;
};

static inline struct npu_bo *to_npu_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct npu_bo, base);
}

static inline bool npu_bo_is_hbm(const struct npu_bo *bo)
{
	return bo->kind == NPU_BO_KIND_HBM;
}

static inline bool npu_bo_lost(const struct npu_bo *bo)
{
	return READ_ONCE(bo->revoked) ||
	       (npu_bo_is_hbm(bo) && bo->epoch != READ_ONCE(to_npu(bo->base.dev)->epoch));
}

/* A reference, or NULL; drm_gem_object_put(&bo->base). */
struct npu_bo *npu_bo_lookup(struct npu_file *file, u32 handle);
/*
 * Walks [offset, offset + bytes) in pieces that are contiguous for the device: fn(arg, address, bytes, is_hbm). The object's pages exist
 * from its creation on. Stops at the first error of fn.
 */
typedef int (*npu_bo_piece_fn)(void *arg, u64 address, u64 bytes, bool is_hbm);
int npu_bo_walk_pieces(struct npu_bo *bo, u64 offset, u64 bytes, npu_bo_piece_fn fn, void *arg);
/*
 * The 64-bit word at offset, for WAIT: system objects through a kernel mapping, HBM through BAR2. -ECANCELED, -EIO, -ENODEV: the HBM is lost, or
 * about to be. Takes no lock.
 */
int npu_bo_read_word(struct npu_bo *bo, u64 offset, u64 *value);
/* Kernel address of a SYNC object. */
void *npu_bo_vaddr(struct npu_bo *bo, u64 offset);
/* A SYNC object of the driver itself: charged to nobody, not in the census. */
int npu_bo_create_kernel(struct npu_device *npu, u64 bytes, struct npu_bo **out);
/* Undoes the DMA mappings of all objects: after drm_dev_unplug(), the device being stopped. Objects and CPU mappings live on. */
void npu_bo_unplug(struct npu_device *npu);
/* For the files that make objects: the empty object, its DMA mapping and runs, its handle; the undoing of whatever was done. */
struct npu_bo *npu_bo_alloc(struct npu_device *npu, enum npu_bo_kind kind, u64 bytes);
int npu_bo_charge(struct npu_file *file, struct npu_bo *bo);
void npu_bo_count(struct npu_bo *bo);
int npu_bo_map_pages(struct npu_bo *bo);
int npu_bo_use_sgt(struct npu_bo *bo, struct sg_table *sgt);
void npu_bo_forget_sgt(struct npu_bo *bo);
bool npu_bo_visible(const struct npu_bo *bo);
/*
 * An import of HBM of `peer` that was good so far, which it is no more: a reference, and one on its drm_device; NULL:
 * there is none left.
 */
struct npu_bo *npu_bo_revoke_next(struct npu_device *peer);
void npu_bo_abandon(struct npu_bo *bo);

/* --------------------------------------------------------------------------------------------- npu_mmap.c -- */
extern const struct vm_operations_struct npu_bo_vm_ops;
int npu_mmap(struct file *filp, struct vm_area_struct *vma);
int npu_bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma);
/* Takes CPU mappings of all HBM objects away. The next access faults anew: on HBM that is lost or out of reach it finds memory that stands in. */
void npu_bo_revoke_hbm(struct npu_device *npu);

/* ------------------------------------------------------------------------------------------ npu_userptr.c -- */
void npu_userptr_release(struct npu_bo *bo);

/* -------------------------------------------------------------------------------------------- npu_prime.c -- */
struct dma_buf *npu_bo_export(struct drm_gem_object *obj, int flags);
int npu_bo_pin(struct drm_gem_object *obj);
struct sg_table *npu_bo_get_sg_table(struct drm_gem_object *obj);
int npu_bo_vmap(struct drm_gem_object *obj, struct iosys_map *map);
void npu_bo_vunmap(struct drm_gem_object *obj, struct iosys_map *map);
/* .gem_prime_import and .gem_prime_import_sg_table of the drm_driver. */
struct drm_gem_object *npu_gem_prime_import(struct drm_device *drm, struct dma_buf *dmabuf);
struct drm_gem_object *npu_gem_prime_import_sg_table(struct drm_device *drm, struct dma_buf_attachment *attach,
						     struct sg_table *sgt);
/*
 * No other device reads or writes this one's HBM from here on, nor is in the middle of it (but for accesses that last longer than half a second). The state
 * was written before. Waits for no reset of another device; around their vm.lock.
 */
void npu_prime_revoke(struct npu_device *npu);

/* ----------------------------------------------------------------------------------------------- npu_copy.c -- */
int npu_copy_init(struct npu_device *npu);
void npu_copy_fini(struct npu_device *npu);
/* Every job that has not ended ends with err: around a reset, once the device can no longer touch memory. */
void npu_copy_stop(struct npu_device *npu, int err);
int npu_copy_restart(struct npu_device *npu);
/* Interrupt thread: the driver's own queue moved or died. */
void npu_copy_progress(struct npu_device *npu);
void npu_copy_fault(struct npu_device *npu, const struct npu_event_record *record);
bool npu_copy_busy(struct npu_device *npu); /* a job has not ended */
/*
 * Copies that touch the object, which is LOST, end with ECANCELED, and it is unmapped for those under way. Inside
 * npu_enter() of its device. True: there were some.
 */
bool npu_copy_forget_object(struct npu_bo *bo);
#define NPU_COPY_QUEUE 0u /* its number on the device */

/* ---------------------------------------------------------------------------------------------- npu_queue.c -- */
struct npu_queue {
	struct kref ref;
	struct npu_device *npu;
	struct npu_user *user;
	struct npu_vm *vm;
	struct npu_bo *ctrl_bo;
	u64 ctrl_offset; /* of the control page in ctrl_bo */
	struct npu_queue_ctrl *ctrl; /* hostile: the user writes it too. Read with READ_ONCE, never trusted */
	u32 id; /* in its file */
	u32 number; /* on the device */
	u32 doorbell_slot;
	u32 priority;
	u32 ring_log2;
	struct npu_queue_net net; /* of class NET; else 0 */
	u64 epoch;
	struct npu_vm_pin ring_pin, ctrl_pin;

	struct mutex lock; /* guards on_device, over every mailbox command to this queue: its number may belong to another afterwards */
	bool on_device;
	u64 last_completed; /* when it was taken off the device */
	bool stopping; /* SUSPEND was asked for and not answered yet */

	struct mutex notify_lock; /* guards the list below and the entries in it */
	struct list_head notifies; /* npu_notify_entry.link */
	atomic_t notify_count;
	struct work_struct notify_work;
	struct work_struct fault_work; /* owns fault_record from the first fault on */
	struct npu_event_record fault_record;

	/* Under npu_device.queues_lock; state may be read anywhere with acquire */
	enum npu_queue_state state;
	int status; /* enum npu_status it died with */
	u32 flags; /* NPU_QUEUE_GUILTY, NPU_QUEUE_INNOCENT */
	struct npu_fault fault;
	struct npu_file *file; /* NULL once the file is closed */
	bool faulted; /* fault_work was queued */

	wait_queue_head_t wait;
	u32 timeout_ms;
	u64 watched_progress; /* watchdog only */
	ktime_t watched_since;
	bool watched_busy;
};

struct npu_queue *npu_queue_lookup(struct npu_file *file, u32 id); /* a reference, or NULL */
void npu_queue_put(struct npu_queue *queue);
void npu_queue_close_all(struct npu_file *file);
static inline bool npu_queue_dead(const struct npu_queue *queue)
{
	/* pairs with driver/npu_queue.c : npu_queue_died */
	return NPU_QUEUE_STATE_IS_DEAD(smp_load_acquire(&queue->state));
}
/* From the device's own state, never from memory of the user; the last value known when it has left the device. Inside npu_enter(). */
u64 npu_queue_completed(struct npu_queue *queue);
u64 npu_queue_submitted(struct npu_queue *queue);
/* Keeps the fault in its VM (takes vm.lock), marks it dead, wakes everybody, tells the file. No hardware access. The first death counts. */
void npu_queue_died(struct npu_queue *queue, enum npu_queue_state state, int status, u32 flags,
		    const struct npu_event_record *record);
/* Interrupt thread: wakes who waits for it. Takes no lock that is held over an allocation. */
void npu_queue_progress(struct npu_queue *queue);
/* Interrupt thread: the device stopped it. The death itself happens in a work, since it takes vm.lock. */
void npu_queue_faulted(struct npu_queue *queue, const struct npu_event_record *record);
/* Interrupt thread: records were lost; looks for a death among them. */
void npu_queue_overflowed(struct npu_queue *queue);
/* Device number -> a reference, or NULL. */
struct npu_queue *npu_queue_by_number(struct npu_device *npu, u32 number);
/* Busy by the device's own count? *completed is its progress. Inside npu_enter() or the reset lock. */
bool npu_queue_busy(struct npu_queue *queue, u64 *completed);
/* Ends it on the device; for the watchdog. -EIO: the device does not answer, reset it. */
int npu_queue_kill(struct npu_queue *queue, int status);
/* After a reset: every queue of an older epoch becomes LOST. */
void npu_queue_lose_all(struct npu_device *npu, struct npu_queue *guilty);

/* ------------------------------------------------------------------------------------------- npu_doorbell.c -- */
int npu_doorbell_get(struct npu_file *file, u32 *slot); /* file.lock held */
void npu_doorbell_put(struct npu_file *file, u32 slot); /* takes file.lock */
void npu_doorbell_fini(struct npu_file *file);
int npu_doorbell_mmap(struct npu_file *file, struct vm_area_struct *vma);
/* Every mapping of every file faults at its next use: before a reset, at unplug, before sleep. */
void npu_doorbell_revoke_all(struct npu_device *npu);
void npu_doorbell_ring_kernel(struct npu_device *npu, u64 value);

/* ----------------------------------------------------------------------------------------------- npu_wait.c -- */
void npu_notify_open(struct npu_file *file);
void npu_notify_close_all(struct npu_file *file);
void npu_notify_work(struct work_struct *work); /* of npu_queue.notify_work */
/* Looks at the notifications of a queue again; interrupt thread. */
void npu_notify_progress(struct npu_queue *queue);

/* ---------------------------------------------------------------------------------------------- npu_event.c -- */
int npu_event_init(struct npu_device *npu); /* allocates the ring */
int npu_event_start(struct npu_device *npu); /* tells the device of it; after each boot */
void npu_event_irq(struct npu_device *npu); /* interrupt thread: drains the ring */
/* Sends one event to a file if it wants it; sets time and header. */
void npu_event_send(struct npu_file *file, struct npu_event *event, u32 type, u32 bytes, u64 mask_bit);
void npu_event_send_all(struct npu_device *npu, struct npu_event *event, u32 type, u32 bytes, u64 mask_bit);
/* An event that they want is lost: the next one tells them. */
void npu_event_lose_all(struct npu_device *npu, u64 mask_bit);

/* ----------------------------------------------------------------------------------------------- npu_port.c -- */
void npu_port_setup(struct npu_device *npu); /* locks and work; before anything may fail */
int npu_port_init(struct npu_device *npu); /* allocates the buffer */
void npu_port_fini(struct npu_device *npu);
void npu_port_work(struct work_struct *work);
/* Thread that drains the event ring: a link has changed; changes may be lost. */
void npu_port_changed(struct npu_device *npu, const struct npu_event_record *record);
void npu_port_overflowed(struct npu_device *npu);
/* Asks the device; inside npu_enter(). */
int npu_port_describe(struct npu_device *npu, u32 port, struct npu_port_info *out);

/* ---------------------------------------------------------------------------------------------- npu_reset.c -- */
void npu_reset_init(struct npu_device *npu);
/* The device leaves (after drm_dev_unplug()): GONE, mappings revoked, queues LOST, everybody woken; no reset or watchdog runs afterwards. */
void npu_reset_fini(struct npu_device *npu);
/* Asks for a reset from any context; returns at once. */
void npu_reset_schedule(struct npu_device *npu, enum npu_reset_cause cause, struct npu_queue *guilty);
/* Resets and waits for the end; process context without any lock of ours. 0, -EIO (wedged), -ENODEV. */
int npu_reset_now(struct npu_device *npu, enum npu_reset_cause cause);
/*
 * The halves of a reset, for sleep and resets of the bus (npu_pci.c). Process context, no lock of ours held. From stop's return on the device touches no memory, its
 * mappings are revoked, npu_enter() waits (state RESETTING). start boots it, epoch + 1, as a reset does; an error has wedged it.
 */
void npu_reset_stop(struct npu_device *npu);
int npu_reset_start(struct npu_device *npu, enum npu_reset_cause cause);
/* Nothing on the device runs or touches memory afterwards, and no mailbox command is under way or begins. */
void npu_halt(struct npu_device *npu);
void npu_watchdog_kick(struct npu_device *npu); /* a queue may have work */
void npu_wedge(struct npu_device *npu, const char *why);

/* ---------------------------------------------------------------------------------------------- npu_query.c -- */
void npu_query_init_limits(struct npu_device *npu);
/* One metric, for DEV_QUERY, hwmon and perf streams. npu_enter() held by the caller, or the device asleep (then LOST). */
struct npu_metric npu_metric_read(struct npu_device *npu, u32 id);
void npu_file_usage(struct npu_file *file, struct npu_client_info *out);

/* ----------------------------------------------------------------------------------------------- npu_perf.c -- */
void npu_perf_close_all(struct npu_file *file);

/* ------------------------------------------------------------------------------------------------ npu_ras.c -- */
int npu_ras_init(struct npu_device *npu);
int npu_ras_start(struct npu_device *npu);
void npu_ras_fini(struct npu_device *npu);
void npu_ras_irq(struct npu_device *npu); /* drains the ring; any thread */
/* Makes a fault happen (spec/ras.def); for root. */
int npu_ras_inject(struct npu_device *npu, enum npu_inject fault, u64 place, u64 count);
const char *npu_error_name(u32 type); /* key of ras.def */

/* ---------------------------------------------- npu_hwmon.c npu_sysfs.c npu_debugfs.c npu_coredump.c -- */
int npu_hwmon_init(struct npu_device *npu);
extern const struct attribute_group *npu_sysfs_groups[];
void npu_debugfs_init(struct npu_device *npu);
/* Takes what support needs first (versions, registers, queues, last errors), before a reset destroys it. */
void npu_coredump_take(struct npu_device *npu, const char *why);
/* Parts of it, for debugfs too. */
void npu_print_versions(struct npu_device *npu, struct drm_printer *p);
void npu_print_registers(struct npu_device *npu, struct drm_printer *p);
void npu_print_queues(struct npu_device *npu, struct drm_printer *p);
void npu_print_errors(struct npu_device *npu, struct drm_printer *p);
/* -------------------------------------------------------------------------------------------------- registers -- */
static inline u32 npu_read32(struct npu_device *npu, enum npu_reg reg)
{
	return readl(npu->regs + reg);
}

static inline u64 npu_read64(struct npu_device *npu, enum npu_reg reg)
{
	return readq(npu->regs + reg);
}

static inline void npu_write32(struct npu_device *npu, enum npu_reg reg, u32 value)
{
	writel(value, npu->regs + reg);
}

static inline void npu_write64(struct npu_device *npu, enum npu_reg reg, u64 value)
{
	writeq(value, npu->regs + reg);
}

#endif
