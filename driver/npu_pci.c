// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The device on its bus: probe and remove, BARs, interrupts, sleep, resets of the bus.
 *
 * DOC: order
 *
 * npu_probe() brings up what every open file needs and registers the node last; npu_remove() takes the node away first,
 * then ends what uses the device, then the device, then what its memory was used for. Objects and open files may live
 * on: what they need (npu_device, the allocator of HBM, the workqueue) goes with the last reference to the drm_device,
 * the rest (BARs, vectors, rings) when the driver is unbound.
 *
 * DOC: interrupts
 *
 * Four MSI-X vectors, vector n for bit n of IRQ_STATUS, each with a thread that clears its bit and then looks at what
 * the bit stands for: ring, register. So a spurious interrupt finds nothing, and one that comes while the thread looks
 * starts it again. A lost one is made good by who waits: the mailbox polls, the watchdog drains the rings.
 *
 * DOC: sleep
 *
 * Power takes the content of HBM with it, so sleeping is a reset in two halves: npu_reset_stop() ... npu_reset_start(),
 * with the same epoch rule. At run time the device sleeps only when no file is open and no object lives (a dma-buf
 * keeps one alive without a file); system sleep is refused while queues have work. The same halves serve resets of the
 * bus. Rejected: saving HBM to host memory, which is as large as the host's memory on real chips.
 */
#include <linux/aer.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "npu_drv.h"
#include "npu_trace.h"
#include "uapi/npu_ioctl.h"

#define NPU_IRQ_VECTORS 4u
#define NPU_AUTOSUSPEND_MS 10000
#define NPU_SUSPEND_GRACE_MS 2000u
#define NPU_SUSPEND_POLL_MS 20u
/* For each step of the recovery from an error of the bus; a link trains within a second. */
#define NPU_SLOT_RESET_MS 10000u

static_assert(NPU_IRQ_ALL == (1u << NPU_IRQ_VECTORS) - 1 && NPU_IRQ_VECTORS <= NPU_MSIX_VECTORS);

/* ---------------------------------------------------------------------------------------------- interrupts -- */
static void npu_irq_begin(struct npu_device *npu, u32 vector)
{
	atomic64_inc(&npu->irqs);
	trace_npu_irq(npu, vector);
	/* Before the look: what comes after the look sets the bit again and fires again. */
	npu_write32(npu, NPU_REG_IRQ_STATUS, 1u << vector);
}

static irqreturn_t npu_irq_event_thread(int irq, void *arg)
{
	npu_irq_begin(arg, 0);
	npu_event_irq(arg);
	return IRQ_HANDLED;
}

static irqreturn_t npu_irq_mailbox_thread(int irq, void *arg)
{
	npu_irq_begin(arg, 1);
	npu_mbox_irq(arg);
	return IRQ_HANDLED;
}

static irqreturn_t npu_irq_queue_thread(int irq, void *arg)
{
	npu_irq_begin(arg, 2);
	npu_event_irq(arg);
	return IRQ_HANDLED;
}

static irqreturn_t npu_irq_error_thread(int irq, void *arg)
{
	npu_irq_begin(arg, 3);
	npu_ras_irq(arg);
	return IRQ_HANDLED;
}

static const struct {
	const char *name;
	irq_handler_t thread;
} npu_irq_vectors[NPU_IRQ_VECTORS] = {
	{ "event", npu_irq_event_thread },
	{ "mailbox", npu_irq_mailbox_thread },
	{ "queue", npu_irq_queue_thread },
	{ "error", npu_irq_error_thread },
};

static void npu_irq_free_vectors(void *pdev)
{
	pci_free_irq_vectors(pdev);
}

int npu_irq_init(struct npu_device *npu)
{
	struct pci_dev *pdev = npu->pdev;
	const char *name;
	u32 i;
	int err;

	npu_write32(npu, NPU_REG_IRQ_MASK, 0);
	err = pci_alloc_irq_vectors(pdev, NPU_IRQ_VECTORS, NPU_IRQ_VECTORS, PCI_IRQ_MSIX);
	if (err < 0) {
		drm_err(&npu->drm,
			"cannot get %u MSI-X vectors (%d); remedy: free vectors, or boot without pci=nomsi\n",
			NPU_IRQ_VECTORS, err);
		return err;
	}
	err = devm_add_action_or_reset(&pdev->dev, npu_irq_free_vectors, pdev);
	for (i = 0; i < NPU_IRQ_VECTORS && !err; i++) {
		name = devm_kasprintf(&pdev->dev, GFP_KERNEL, "npu%u-%s", npu->index, npu_irq_vectors[i].name);
		if (!name)
			return -ENOMEM;
		err = devm_request_threaded_irq(&pdev->dev, pci_irq_vector(pdev, i), NULL, npu_irq_vectors[i].thread,
						IRQF_ONESHOT | IRQF_NO_AUTOEN, name, npu);
	}
	return err;
}

void npu_irq_disable(struct npu_device *npu)
{
	u32 i;

	if (!npu->irqs_on)
		return;
	npu->irqs_on = false;
	npu_write32(npu, NPU_REG_IRQ_MASK, 0);
	for (i = 0; i < NPU_IRQ_VECTORS; i++)
		disable_irq(pci_irq_vector(npu->pdev, i));
}

void npu_irq_enable(struct npu_device *npu)
{
	u32 i;

	if (npu->irqs_on)
		return;
	npu->irqs_on = true;
	for (i = 0; i < NPU_IRQ_VECTORS; i++)
		enable_irq(pci_irq_vector(npu->pdev, i));
	/* What became pending meanwhile fires now. */
	npu_write32(npu, NPU_REG_IRQ_MASK, NPU_IRQ_ALL);
}

/* --------------------------------------------------------------------------------------------------- sleep -- */
bool npu_pm_get_if_awake(struct npu_device *npu)
{
	if (drm_dev_is_unplugged(&npu->drm))
		return false;
	if (!IS_ENABLED(CONFIG_PM))
		return true;
	return pm_runtime_get_if_active(&npu->pdev->dev) > 0;
}

int npu_pm_get(struct npu_device *npu)
{
	if (drm_dev_is_unplugged(&npu->drm))
		return -ENODEV;
	return pm_runtime_resume_and_get(&npu->pdev->dev) < 0 ? -EIO : 0;
}

void npu_pm_put(struct npu_device *npu)
{
	pm_runtime_mark_last_busy(&npu->pdev->dev);
	pm_runtime_put_autosuspend(&npu->pdev->dev);
}

static int npu_runtime_suspend(struct device *dev)
{
	struct npu_device *npu = dev_get_drvdata(dev);

	/*
	 * A dma-buf may hold an object without an open file; a device that is not well stays as it is, for whoever
	 * looks at it.
	 */
	if (atomic_read(&npu->objects) || atomic_read(&npu->live_queues) || READ_ONCE(npu->state) != NPU_STATE_READY) {
		pm_runtime_mark_last_busy(dev);
		return -EBUSY;
	}
	npu_reset_stop(npu);
	return 0;
}

static int npu_runtime_resume(struct device *dev)
{
	/* One that does not boot is wedged: calls say EIO, queries still work. An error here would lock it for ever. */
	npu_reset_start(dev_get_drvdata(dev), NPU_RESET_ADMIN);
	return 0;
}

/* Some queue has work, by the device's own count, or a copy of the driver's own is under way. */
static bool npu_has_work(struct npu_device *npu)
{
	bool busy = npu_copy_busy(npu);
	struct npu_queue *queue;
	u64 completed;
	u32 number;
	int idx;

	if (npu_enter_always(npu, &idx))
		return false;
	for (number = 0; number < npu->id.max_queues && !busy; number++) {
		queue = npu_queue_by_number(npu, number);
		if (!queue)
			continue;
		busy = npu_queue_busy(queue, &completed);
		npu_queue_put(queue);
	}
	npu_leave(npu, idx);
	return busy;
}

static int npu_suspend(struct device *dev)
{
	struct npu_device *npu = dev_get_drvdata(dev);
	const unsigned long deadline = jiffies + msecs_to_jiffies(npu_scaled_ms(npu, NPU_SUSPEND_GRACE_MS));

	while (npu_has_work(npu)) {
		if (time_after(jiffies, deadline)) {
			drm_info(&npu->drm,
				 "queues still have work: the system cannot sleep. Remedy: end the programs that use %s\n",
				 dev_name(dev));
			return -EBUSY;
		}
		msleep(NPU_SUSPEND_POLL_MS);
	}
	npu_reset_stop(npu);
	return 0;
}

static int npu_resume(struct device *dev)
{
	return npu_reset_start(dev_get_drvdata(dev), NPU_RESET_ADMIN);
}

static const struct dev_pm_ops npu_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(npu_suspend, npu_resume)
	RUNTIME_PM_OPS(npu_runtime_suspend, npu_runtime_resume, NULL)
};

/* ------------------------------------------------------------------------------------- resets of the bus -- */
/*
 * When the reset of a slot fails, the PCI core calls none of the functions below (some releases, not in all cases), and whoever waits for
 * the device would do so for ever.
 */
void npu_slot_work(struct work_struct *work)
{
	struct npu_device *npu = container_of(to_delayed_work(work), struct npu_device, slot_work);

	npu_wedge(npu, "its slot has not come back after an error of the bus");
}

static void npu_slot_wait(struct npu_device *npu)
{
	mod_delayed_work(npu->wq, &npu->slot_work, msecs_to_jiffies(NPU_SLOT_RESET_MS));
}

static pci_ers_result_t npu_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct npu_device *npu = pci_get_drvdata(pdev);

	switch (state) {
	case pci_channel_io_normal:
		return PCI_ERS_RESULT_CAN_RECOVER;
	case pci_channel_io_frozen:
		drm_warn(&npu->drm, "the bus reports errors: the slot will be reset\n");
		WRITE_ONCE(npu->bus_lost, true);
		npu->slot_lost = true;
		npu_reset_stop(npu);
		/* Not disabled: when the slot stays lost, the driver's end would do it a second time. */
		pci_clear_master(pdev);
		npu_slot_wait(npu);
		return PCI_ERS_RESULT_NEED_RESET;
	default:
		WRITE_ONCE(npu->bus_lost, true);
		npu_wedge(npu, "the bus gave the device up");
		return PCI_ERS_RESULT_DISCONNECT;
	}
}

/* The reset of a slot takes BARs and vectors with it. */
static void npu_config_restore(struct npu_device *npu)
{
	pci_load_saved_state(npu->pdev, npu->config);
	pci_restore_state(npu->pdev);
	WRITE_ONCE(npu->bus_lost, false);
}

static pci_ers_result_t npu_slot_reset(struct pci_dev *pdev)
{
	struct npu_device *npu = pci_get_drvdata(pdev);

	npu_config_restore(npu);
	/* Another function of the slot may fail yet. */
	npu_slot_wait(npu);
	return PCI_ERS_RESULT_RECOVERED;
}

static void npu_error_resume(struct pci_dev *pdev)
{
	struct npu_device *npu = pci_get_drvdata(pdev);

	/* Errors that needed no reset of the slot left the device running. */
	if (!npu->slot_lost)
		return;
	npu->slot_lost = false;
	cancel_delayed_work_sync(&npu->slot_work);
	npu_reset_stop(npu); /* it was wedged meanwhile: late is good enough */
	npu_reset_start(npu, NPU_RESET_BUS);
}

/*
 * Around a reset that somebody asks of the PCI core (sysfs `reset`); the core holds the device's lock and keeps it
 * awake.
 */
static void npu_reset_prepare(struct pci_dev *pdev)
{
	struct npu_device *npu = pci_get_drvdata(pdev);

	cancel_delayed_work_sync(&npu->slot_work);
	npu_reset_stop(npu);
	/* A recovery that failed has left the function as the slot's reset did; what the core saves now must be good. */
	if (npu->slot_lost)
		npu_config_restore(npu);
	npu->slot_lost = false;
}

static void npu_reset_done(struct pci_dev *pdev)
{
	npu_reset_start(pci_get_drvdata(pdev), NPU_RESET_BUS);
}

static const struct pci_error_handlers npu_err_handlers = {
	.error_detected = npu_error_detected,
	.slot_reset = npu_slot_reset,
	.resume = npu_error_resume,
	.reset_prepare = npu_reset_prepare,
	.reset_done = npu_reset_done,
};

/* --------------------------------------------------------------------------------------- probe and remove -- */
static int npu_map_bars(struct npu_device *npu)
{
	struct pci_dev *pdev = npu->pdev;
	const u64 regs_bytes = pci_resource_len(pdev, NPU_BAR_REGS);
	const u64 hbm_bytes = pci_resource_len(pdev, NPU_BAR_HBM);

	if (!(pci_resource_flags(pdev, NPU_BAR_REGS) & IORESOURCE_MEM) || regs_bytes < NPU_BAR0_BYTES ||
	    !(pci_resource_flags(pdev, NPU_BAR_HBM) & IORESOURCE_MEM) || hbm_bytes < NPU_PAGE_2M) {
		drm_err(&npu->drm, "BAR%u has %llu bytes, BAR%u has %llu: too small; remedy: boot with pci=realloc\n",
			NPU_BAR_REGS, regs_bytes, NPU_BAR_HBM, hbm_bytes);
		return -ENODEV;
	}
	npu->regs = pcim_iomap_region(pdev, NPU_BAR_REGS, NPU_DRIVER_NAME);
	if (IS_ERR(npu->regs))
		return PTR_ERR(npu->regs);
	if (!devm_request_mem_region(&pdev->dev, pci_resource_start(pdev, NPU_BAR_HBM), hbm_bytes, NPU_DRIVER_NAME))
		return -EBUSY;
	npu->hbm = devm_ioremap_wc(&pdev->dev, pci_resource_start(pdev, NPU_BAR_HBM), hbm_bytes);
	if (!npu->hbm)
		return -ENOMEM;
	npu->regs_phys = pci_resource_start(pdev, NPU_BAR_REGS);
	npu->hbm_phys = pci_resource_start(pdev, NPU_BAR_HBM);
	npu->hbm_cpu_bytes = hbm_bytes;
	return 0;
}

static void npu_config_free(void *config)
{
	kfree(config);
}

/* A copy of our own: the one in the pci_dev is used up by each sleep and reset. */
static int npu_config_init(struct npu_device *npu)
{
	struct device *dev = &npu->pdev->dev;

	pci_save_state(npu->pdev);
	npu->config = pci_store_saved_state(npu->pdev);
	if (!npu->config)
		return -ENOMEM;
	return devm_add_action_or_reset(dev, npu_config_free, npu->config);
}

static int npu_pci_init(struct npu_device *npu)
{
	struct pci_dev *pdev = npu->pdev;
	int err;

	err = pcim_enable_device(pdev);
	if (!err)
		err = npu_map_bars(npu);
	/* A page table entry holds 52 bits of an address. */
	if (!err)
		err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(52));
	if (err)
		return err;
	dma_set_max_seg_size(&pdev->dev, SZ_2G);
	err = npu_config_init(npu);
	if (err)
		return err;
	return npu_irq_init(npu);
}

/* Nothing of the device touches memory from here on. */
static void npu_hw_stop(struct npu_device *npu)
{
	if (IS_ERR_OR_NULL(npu->regs))
		return;
	npu_irq_disable(npu);
	npu_halt(npu);
	pci_clear_master(npu->pdev);
}

/* Boots the device and gives it its rings; each step's memory lives until the driver is unbound, or longer. */
static int npu_hw_init(struct npu_device *npu)
{
	int err;

	err = npu_fw_boot(npu);
	if (err)
		return err;
	npu->hbm_cpu_bytes = min(npu->hbm_cpu_bytes, npu->id.hbm_bytes);
	npu_query_init_limits(npu);
	err = npu_hbm_init(npu);
	if (!err)
		err = npu_event_start(npu);
	if (!err)
		err = npu_ras_start(npu);
	if (!err)
		err = npu_copy_init(npu);
	return err;
}

/*
 * The one way down, for a device that leaves and for a probe that failed anywhere: whoever waits is woken, no work
 * runs, the device is stopped, and only then its memory goes. Each step does nothing for what was never begun.
 */
static void npu_fini(struct npu_device *npu)
{
	/* Queues of users end before the state says GONE: from then on memory goes back without asking the device. */
	mutex_lock(&npu->reset_mutex);
	npu_hw_stop(npu);
	mutex_unlock(&npu->reset_mutex);
	npu_reset_fini(npu);
	/* A reset that was under way may have started it again, without queues. */
	npu_hw_stop(npu);
	npu_port_fini(npu);
	npu_copy_fini(npu);
	npu_ras_fini(npu);
	npu_hbm_fini(npu);
	npu_retire_fini(npu);
	/* What still lives keeps its pages, but the bus address of none. */
	npu_bo_unplug(npu);
}

static void npu_pm_init(struct npu_device *npu)
{
	struct device *dev = &npu->pdev->dev;

	pm_runtime_set_autosuspend_delay(dev, NPU_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_allow(dev);
	/* The PCI core held one for probe; npu_remove() takes it back. */
	pm_runtime_mark_last_busy(dev);
	pm_runtime_put_autosuspend(dev);
}

static void npu_pm_fini(struct npu_device *npu)
{
	struct device *dev = &npu->pdev->dev;

	pm_runtime_forbid(dev);
	pm_runtime_dont_use_autosuspend(dev);
	pm_runtime_get_noresume(dev);
}

static void npu_announce(struct npu_device *npu)
{
	drm_info(&npu->drm, "%s, %llu MiB HBM, %u x %u tiles, firmware ABI %u.%u, build %*phN\n", npu->id.name,
		 npu->id.hbm_bytes >> 20, npu->id.clusters, npu->id.tiles_per_cluster, npu->id.fw_abi >> 16,
		 npu->id.fw_abi & 0xffff, (int)sizeof(npu->id.fw_build_id), npu->id.fw_build_id);
}

static int npu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct npu_device *npu;
	int err;

	npu = devm_drm_dev_alloc(&pdev->dev, &npu_drm_driver, struct npu_device, drm);
	if (IS_ERR(npu))
		return PTR_ERR(npu);
	npu->pdev = pdev;
	npu->index = npu->drm.accel->index;
	/* READY comes last: a mailbox that fails before ends the probe, not the device by a reset. */
	npu->state = NPU_STATE_RESETTING;
	pci_set_drvdata(pdev, npu);
	err = npu_device_init(npu);
	if (err)
		return err;
	npu_retire_init(npu);
	err = npu_pci_init(npu);
	if (!err)
		err = npu_event_init(npu);
	if (!err)
		err = npu_ras_init(npu);
	if (!err)
		err = npu_port_init(npu);
	if (!err)
		err = npu_hw_init(npu);
	if (err)
		goto fini;
	WRITE_ONCE(npu->state, NPU_STATE_READY);
	npu_irq_enable(npu);
	err = npu_hwmon_init(npu);
	if (err)
		goto fini;
	npu_debugfs_init(npu);
	err = drm_dev_register(&npu->drm, 0);
	if (err)
		goto fini;
	npu_pm_init(npu);
	npu_announce(npu);
	return 0;

fini:
	npu_fini(npu);
	return err;
}

static void npu_remove(struct pci_dev *pdev)
{
	struct npu_device *npu = pci_get_drvdata(pdev);

	npu_pm_fini(npu);
	drm_dev_unplug(&npu->drm);
	npu_fini(npu);
}

static void npu_shutdown(struct pci_dev *pdev)
{
	struct npu_device *npu = pci_get_drvdata(pdev);

	/* Asleep: it touches no memory, and nothing may wake it now. */
	if (!npu_pm_get_if_awake(npu))
		return;
	npu_reset_stop(npu);
	npu_hw_stop(npu);
}

static const struct pci_device_id npu_pci_ids[] = {
	{ PCI_DEVICE(NPU_PCI_VENDOR, NPU_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, npu_pci_ids);

struct pci_driver npu_pci_driver = {
	.name = NPU_DRIVER_NAME,
	.id_table = npu_pci_ids,
	.probe = npu_probe,
	.remove = npu_remove,
	.shutdown = npu_shutdown,
	.err_handler = &npu_err_handlers,
	.dev_groups = npu_sysfs_groups,
	.driver.pm = pm_ptr(&npu_pm_ops),
};
