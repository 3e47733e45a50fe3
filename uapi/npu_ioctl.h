/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Numbers of the calls on the kernel's road: the ioctls of /dev/accel/accelN, made from the rows of spec/calls.def.
 *
 *   NPU_IOWR(VM_BIND, vm_bind)   the ioctl of VM_BIND with struct npu_vm_bind
 *
 * Every call is _IOWR, whatever its row says of directions: the number holds the size of the caller's struct, so that structs may grow
 * (DRM fills up or cuts the driver's copy), and DRM copies back what the driver leaves in its copy.
 */
#ifndef NPU_UAPI_IOCTL_H
#define NPU_UAPI_IOCTL_H

#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include <libdrm/drm.h>
#endif

#include "npu_accel.h"

#define NPU_DRIVER_NAME "npu" /* as DRM_IOCTL_VERSION tells it */

#define NPU_IOWR(NAME, name) DRM_IOWR(DRM_COMMAND_BASE + NPU_CALL_##NAME, struct npu_##name)

#endif
