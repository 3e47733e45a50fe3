// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: network ports
 *
 * The device describes a port by writing struct npu_port_info into a buffer of ours (mailbox command PORT): one question for each port, one at
 * a time. It may write there at any other time as well, so the buffer is copied once and what was copied is bounded.
 *
 * Changes of links arrive in the event ring. The thread that drains it signals fences of copies and so may not take files_lock, under which
 * others allocate: changes are noted in a short ring and sent by a work. What does not fit is told as lost events.
 */
#include "npu_drv.h"

static_assert((NPU_PORT_CHANGES & (NPU_PORT_CHANGES - 1)) == 0);

void npu_port_setup(struct npu_device *npu)
{
	mutex_init(&npu->ports.lock);
	spin_lock_init(&npu->ports.changes_lock);
	INIT_WORK(&npu->ports.work, npu_port_work);
}

int npu_port_init(struct npu_device *npu)
{
	npu->ports.info = dmam_alloc_coherent(npu->drm.dev, sizeof(*npu->ports.info), &npu->ports.iova, GFP_KERNEL);
	return npu->ports.info ? 0 : -ENOMEM;
}

/* The interrupts are off: nothing queues the work again. */
void npu_port_fini(struct npu_device *npu)
{
	cancel_work_sync(&npu->ports.work);
}

/* ------------------------------------------------------------------------------------------------- changes -- */
/* The oldest change. False: there is none. *lost: changes before it are lost. */
static bool npu_port_take_change(struct npu_device *npu, struct npu_port_change *change, bool *lost)
{
	bool found;

	spin_lock(&npu->ports.changes_lock);
	found = npu->ports.taken != npu->ports.noted;
	if (found)
		*change = npu->ports.changes[npu->ports.taken++ % NPU_PORT_CHANGES];
	*lost = npu->ports.lost;
	npu->ports.lost = false;
	spin_unlock(&npu->ports.changes_lock);
	return found;
}

void npu_port_work(struct work_struct *work)
{
	struct npu_device *npu = container_of(work, struct npu_device, ports.work);
	struct npu_event_port_state event;
	struct npu_port_change change = {};
	bool found, lost;

	do {
		found = npu_port_take_change(npu, &change, &lost);
		if (lost)
			npu_event_lose_all(npu, NPU_EVENT_MASK_PORT_STATE);
		if (!found)
			break;
		memset(&event, 0, sizeof(event));
		event.port = change.port;
		event.state = change.state;
		npu_event_send_all(npu, &event.base, NPU_EVENT_TYPE_PORT_STATE, sizeof(event),
				   NPU_EVENT_MASK_PORT_STATE);
	} while (true);
}

void npu_port_changed(struct npu_device *npu, const struct npu_event_record *record)
{
	struct npu_port_change *change;

	if (record->queue >= READ_ONCE(npu->id.ports) || record->value >= NPU_PORT_STATE_COUNT) {
		dev_warn_ratelimited(npu->drm.dev, "the device tells of port %u in state %llu; it has no such\n",
				     record->queue, record->value);
		return;
	}
	spin_lock(&npu->ports.changes_lock);
	if (npu->ports.noted - npu->ports.taken < NPU_PORT_CHANGES) {
		change = &npu->ports.changes[npu->ports.noted++ % NPU_PORT_CHANGES];
		change->port = record->queue;
		change->state = record->value;
	} else {
		npu->ports.lost = true;
	}
	spin_unlock(&npu->ports.changes_lock);
	queue_work(npu->wq, &npu->ports.work);
}

void npu_port_overflowed(struct npu_device *npu)
{
	if (!READ_ONCE(npu->id.ports))
		return;
	spin_lock(&npu->ports.changes_lock);
	npu->ports.lost = true;
	spin_unlock(&npu->ports.changes_lock);
	queue_work(npu->wq, &npu->ports.work);
}

/* ----------------------------------------------------------------------------------------------- questions -- */
/* What a device says must not break the promises of the uapi: known values, zero padding, a NUL at the end of a name. */
static void npu_port_bound(struct npu_port_info *info, u32 port)
{
	size_t length;

	info->index = port;
	if (info->state >= NPU_PORT_STATE_COUNT)
		info->state = NPU_PORT_DOWN;
	info->flags &= NPU_PORT_FLAGS_ALL;
	memset(info->pad, 0, sizeof(info->pad));
	memset(info->pad1, 0, sizeof(info->pad1));
	length = strnlen(info->interface, sizeof(info->interface) - 1);
	memset(info->interface + length, 0, sizeof(info->interface) - length);
}

int npu_port_describe(struct npu_device *npu, u32 port, struct npu_port_info *out)
{
	u64 bytes = 0;
	int err;

	mutex_lock(&npu->ports.lock);
	memset(npu->ports.info, 0, sizeof(*npu->ports.info));
	err = npu_mbox_call(npu, NPU_MBOX_PORT, &bytes, port, npu->ports.iova, sizeof(*npu->ports.info));
	if (!err && (bytes < NPU_PORT_INFO_MIN_BYTES || bytes > sizeof(*npu->ports.info)))
		err = -EIO;
	if (!err) {
		/* What the device wrote before it answered. */
		dma_rmb();
		memcpy(out, npu->ports.info, sizeof(*out));
	}
	mutex_unlock(&npu->ports.lock);
	if (!err)
		npu_port_bound(out, port);
	return err;
}
