// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * DOC: the mailbox
 *
 * One command at a time: arguments into registers, the code into MBOX_CMD, then wait until MBOX_STATUS is not BUSY. The
 * interrupt only makes the waiting short. The register is the truth and is looked at every few milliseconds as well, so
 * a lost interrupt costs that much and a spurious one nothing; the same code runs while interrupts are off, in a reset.
 *
 * Silence: a command that has not answered at its deadline means that firmware is gone. The mailbox is dead from then
 * on (every caller would wait as long again) until a reset revives it. npu_mbox_try() is for QUEUE_SUSPEND: its answer
 * waits for the running command, which may rightly take minutes; a further command abandons the waiting, not the
 * effect.
 *
 * Rejected: a queue of commands with a completion each. No path here wants two commands at once, and a reset would have
 * to end them all.
 */
#include <linux/delay.h>

#include "npu_drv.h"
#include "npu_trace.h"

#define NPU_MBOX_DEADLINE_MS 1000u
#define NPU_MBOX_SPIN_US 20u
#define NPU_MBOX_POLL_MS 2u
#define NPU_MBOX_ARGS 8u

static int npu_mbox_errno(s32 status)
{
	switch (status) {
	case NPU_ST_OK:
		return 0;
	case NPU_ST_NOT_FOUND:
		return -ENOENT;
	case NPU_ST_BUSY:
		return -EBUSY;
	case NPU_ST_OUT_OF_HOST_MEMORY:
	case NPU_ST_OUT_OF_DEVICE_MEMORY:
	case NPU_ST_OUT_OF_QUEUES:
	case NPU_ST_OUT_OF_MODULES:
	case NPU_ST_OUT_OF_ADDRESS_SPACE:
	case NPU_ST_QUOTA:
		return -ENOSPC;
	case NPU_ST_INVALID_ARGUMENT:
	case NPU_ST_INVALID_HANDLE:
	case NPU_ST_INVALID_ADDRESS:
	case NPU_ST_UNALIGNED:
	case NPU_ST_OVERFLOW:
		return -EINVAL;
	case NPU_ST_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	default: /* NOT_INITIALIZED, and what a newer firmware may say: a failure, never success */
		return -EIO;
	}
}

/* While the device is being reset, its own caller sees the failure and decides. */
static void npu_mbox_ask_reset(struct npu_device *npu, enum npu_reset_cause cause)
{
	if (READ_ONCE(npu->state) == NPU_STATE_READY)
		npu_reset_schedule(npu, cause, NULL);
}

/* True once the command has ended; *status is what it ended with. */
static bool npu_mbox_ended(struct npu_device *npu, u32 *status)
{
	*status = npu_read32(npu, NPU_REG_MBOX_STATUS);
	return *status != NPU_MBOX_BUSY;
}

static bool npu_mbox_wait(struct npu_device *npu, unsigned int ms, u32 *status)
{
	const unsigned long deadline = jiffies + msecs_to_jiffies(npu_scaled_ms(npu, ms)) + 1;
	unsigned int spins;
	bool late;

	for (spins = 0; spins < NPU_MBOX_SPIN_US; spins++) {
		if (npu_mbox_ended(npu, status))
			return true;
		udelay(1);
	}
	do {
		/* Asked before the look, so that a sleeper that was itself kept off the CPU looks once more. */
		late = time_after(jiffies, deadline);
		if (npu_mbox_ended(npu, status))
			return true;
		wait_for_completion_timeout(&npu->mbox.done, msecs_to_jiffies(NPU_MBOX_POLL_MS));
	} while (!late);
	return false;
}

static int npu_mbox_silence(struct npu_device *npu, enum npu_mbox cmd)
{
	lockdep_assert_held(&npu->mbox.lock);
	WRITE_ONCE(npu->mbox.dead, true);
	drm_err(&npu->drm,
		"mailbox command %u has had no answer for %u ms: firmware is gone, the device will be reset\n", cmd,
		npu_scaled_ms(npu, NPU_MBOX_DEADLINE_MS));
	npu_mbox_ask_reset(npu, NPU_RESET_FIRMWARE);
	return -EIO;
}

static int npu_mbox_end(struct npu_device *npu, u32 status, u64 *result)
{
	lockdep_assert_held(&npu->mbox.lock);
	if (status == U32_MAX && npu_read32(npu, NPU_REG_ID) == U32_MAX) {
		WRITE_ONCE(npu->mbox.dead, true);
		drm_err(&npu->drm, "the device does not answer on the bus\n");
		npu_mbox_ask_reset(npu, NPU_RESET_BUS);
		return -EIO;
	}
	if ((s32)status == NPU_ST_NOT_INITIALIZED)
		npu_mbox_ask_reset(npu, NPU_RESET_FIRMWARE);
	if (status == NPU_ST_OK && result)
		*result = npu_read64(npu, NPU_REG_MBOX_RESULT);
	return npu_mbox_errno((s32)status);
}

/* -ETIME: no answer within `ms`; status is meaningless then. */
static int npu_mbox_run(struct npu_device *npu, enum npu_mbox cmd, const u64 *args, u32 nargs, u64 *result,
			unsigned int ms)
{
	u32 status = 0, i;

	lockdep_assert_held(&npu->mbox.lock);
	if (WARN_ON(nargs > NPU_MBOX_ARGS))
		return -EINVAL;
	if (npu->mbox.dead)
		return -EIO;
	for (i = 0; i < nargs; i++)
		npu_write64(npu, NPU_REG_MBOX_ARG0 + 8 * i, args[i]);
	/* A command ignores arguments that it does not name, but a later version may name them. */
	for (; i < NPU_MBOX_ARGS; i++)
		npu_write64(npu, NPU_REG_MBOX_ARG0 + 8 * i, 0);
	reinit_completion(&npu->mbox.done);
	npu_write32(npu, NPU_REG_MBOX_CMD, cmd);
	if (!npu_mbox_wait(npu, ms, &status))
		return -ETIME;
	return npu_mbox_end(npu, status, result);
}

int npu_mbox_try(struct npu_device *npu, enum npu_mbox cmd, const u64 *args, u32 nargs, u64 *result, unsigned int ms)
{
	int err;

	mutex_lock(&npu->mbox.lock);
	err = npu_mbox_run(npu, cmd, args, nargs, result, ms);
	mutex_unlock(&npu->mbox.lock);
	trace_npu_mbox(npu, cmd, nargs ? args[0] : 0, err);
	return err;
}

int npu_mbox(struct npu_device *npu, enum npu_mbox cmd, const u64 *args, u32 nargs, u64 *result)
{
	int err;

	mutex_lock(&npu->mbox.lock);
	err = npu_mbox_run(npu, cmd, args, nargs, result, NPU_MBOX_DEADLINE_MS);
	if (err == -ETIME)
		err = npu_mbox_silence(npu, cmd);
	mutex_unlock(&npu->mbox.lock);
	trace_npu_mbox(npu, cmd, nargs ? args[0] : 0, err);
	return err;
}

void npu_mbox_irq(struct npu_device *npu)
{
	complete(&npu->mbox.done);
}

void npu_mbox_revive(struct npu_device *npu)
{
	mutex_lock(&npu->mbox.lock);
	npu->mbox.dead = false;
	mutex_unlock(&npu->mbox.lock);
}
